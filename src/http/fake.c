/* SPDX-License-Identifier: MIT
 *
 * fake.c - a hop answered by the program itself, in the simulator's time
 */
#include <errno.h>
#include <string.h>

#include <hob/fiber.h>
#include <hob/rt.h>

#include "http/client.h"

static int fake_copy(struct hop *hop, const struct hob_http_answer *a)
{
    bool bare = strcmp(hop->method, "HEAD") == 0;
    int r = 0;

    hop->head.status = a->status ? a->status : 200;
    for (size_t i = 0; i < a->n_headers && r == 0; i++) {
        const struct hob_http_header *h = &a->headers[i];
        r = hob__head_add(&hop->head, h->name, strlen(h->name), h->value, strlen(h->value));
    }
    hop->head.complete = true;
    if (r == 0 && !bare && a->body_n > 0)
        r = hob__body_add(&hop->got, a->body, a->body_n, hop->body_bytes_max, a->body_n);
    if (r == -HOB_ETOOBIG)
        return hob__hop_fail(hop, r, "the body is larger than %zu bytes", hop->body_bytes_max);
    return r < 0 ? hob__hop_fail(hop, r, "%s", hob_strerror(r)) : 0;
}

static int fake_run(hob_http *client, struct hop *hop)
{
    struct hob_http_answer a = {.latency = 0};
    int r = hob_check();

    if (r == 0) {
        client->fake.answer(client->fake.arg,
                            HOB_HTTP_REQUEST(.url = hop->target->url, .method = hop->method,
                                             .headers = hop->headers, .n_headers = hop->n_headers,
                                             .body = hop->body, .body_n = hop->body_n,
                                             .proxy = hop->proxy ? hop->proxy->url : NULL,
                                             .body_bytes_max = hop->body_bytes_max),
                            &a);
        if (a.error < 0)
            hob__hop_fail(hop, a.error, "%s", a.reason ? a.reason : hob_strerror(a.error));
        else
            a.error = fake_copy(hop, &a);
    }
    hob_time due = hob_in(a.latency), until = due < hop->until ? due : hop->until;
    if (r == 0)
        r = a.latency > 0 ? hob_sleep_until(until) : hob_yield();
    if (r == 0 && due > hop->until)
        r = -ETIMEDOUT;
    if (r < 0) {
        hop->reason[0] = '\0'; /* the answer did not come in time */
        return hob__hop_fail(hop, r, "%s before a response", hob_strerror(r));
    }
    hop->http_version = 11;
    hop->first_byte = a.latency;
    return a.error;
}

static void fake_close(hob_http *client)
{
    (void)client;
}

const struct http_ops hob__http_fake = {.run = fake_run, .close = fake_close};
