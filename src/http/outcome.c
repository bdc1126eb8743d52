/* SPDX-License-Identifier: MIT
 *
 * outcome.c - what came of a transfer: a response, or a code and a line of words
 *
 * WHAT        libcurl's codes become hob's, and its words one line that names the host.  Where a
 *             callback of ours, the watchdog or the program ended the transfer, theirs is the
 *             cause, whatever libcurl made of it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "http/multi.h"

/* ---- while it runs: too slow, or too much ---- */

static bool too_slow(struct transfer *t, const char *words, hob_dur limit)
{
    t->fail = -ETIMEDOUT;
    snprintf(t->words, sizeof t->words, words, (double)limit / HOB_SEC);
    return true;
}

/* What libcurl read of the body, before it decompressed it. */
static int64_t bytes_read(const struct transfer *t)
{
    curl_off_t n = 0;

    curl_easy_getinfo(t->easy, CURLINFO_SIZE_DOWNLOAD_T, &n);
    return n;
}

static int64_t bytes_sent(const struct transfer *t)
{
    curl_off_t n = 0;

    curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &n);
    return n;
}

bool hob__transfer_too_slow(struct transfer *t, hob_time now)
{
    const struct hob_http_opts *o = &t->at->client->opts;
    int64_t read = bytes_read(t), n = read + bytes_sent(t) + (int64_t)t->hop->head.n;

    if (!t->connected)
        return now - t->hop->began >= o->connect_ns_max &&
               too_slow(t, "no connection within %.3g s", o->connect_ns_max);
    if (read > 0 && (uint64_t)read > t->hop->body_bytes_max) {
        t->fail = -HOB_ETOOBIG; /* compressed bytes that come to nothing pass on_body */
        return true;
    }
    if (n != t->moved_bytes) {
        t->moved_bytes = n;
        t->moved = now;
    }
    if (now - t->moved >= o->idle_ns_max)
        return too_slow(t, "silent for %.3g s", o->idle_ns_max);
    if (now - t->window < o->idle_ns_max)
        return false;
    double least = (double)(now - t->window) / HOB_SEC * o->rate_bytes_min;
    if ((double)(n - t->window_bytes) < least)
        return too_slow(t, "slower than the least rate, over %.3g s", now - t->window);
    t->window = now;
    t->window_bytes = n;
    return false;
}

/* ---- after it ---- */

static const struct {
    CURLcode code;
    int rc;
} codes[] = {
    {CURLE_URL_MALFORMAT, -EINVAL},
    {CURLE_COULDNT_RESOLVE_PROXY, -HOB_EPROXY},
    {CURLE_COULDNT_RESOLVE_HOST, -HOB_EDNS},
    {CURLE_COULDNT_CONNECT, -ECONNREFUSED},
    {CURLE_WEIRD_SERVER_REPLY, -HOB_EHTTP},
    {CURLE_HTTP2, -HOB_EHTTP},
    {CURLE_HTTP2_STREAM, -HOB_EHTTP},
    {CURLE_UNSUPPORTED_PROTOCOL, -HOB_EHTTP}, /* an answer of HTTP/0.9 */
    {CURLE_BAD_CONTENT_ENCODING, -HOB_EHTTP},
    {CURLE_PARTIAL_FILE, -ECONNRESET},
    {CURLE_GOT_NOTHING, -ECONNRESET},
    {CURLE_SEND_ERROR, -ECONNRESET},
    {CURLE_RECV_ERROR, -ECONNRESET},
    {CURLE_OUT_OF_MEMORY, -ENOMEM},
    {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
    {CURLE_FILESIZE_EXCEEDED, -HOB_ETOOBIG},
    {CURLE_PROXY, -HOB_EPROXY},
    {CURLE_SSL_CONNECT_ERROR, -HOB_ETLS},
    {CURLE_SSL_ENGINE_NOTFOUND, -HOB_ETLS},
    {CURLE_SSL_ENGINE_SETFAILED, -HOB_ETLS},
    {CURLE_SSL_CERTPROBLEM, -HOB_ETLS},
    {CURLE_SSL_CIPHER, -HOB_ETLS},
    {CURLE_PEER_FAILED_VERIFICATION, -HOB_ETLS},
    {CURLE_SSL_ENGINE_INITFAILED, -HOB_ETLS},
    {CURLE_SSL_CACERT_BADFILE, -HOB_ETLS},
    {CURLE_SSL_SHUTDOWN_FAILED, -HOB_ETLS},
    {CURLE_SSL_CRL_BADFILE, -HOB_ETLS},
    {CURLE_SSL_ISSUER_ERROR, -HOB_ETLS},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, -HOB_ETLS},
    {CURLE_SSL_INVALIDCERTSTATUS, -HOB_ETLS},
    {CURLE_SSL_CLIENTCERT, -HOB_ETLS},
};

static int code_of(CURLcode c)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == c)
            return codes[i].rc;
    return -HOB_EHTTP;
}

/* What connect(2) said. */
static int connect_code(const struct transfer *t)
{
    long err = 0;

    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &err);
    return err > 0 ? (int)-err : -ECONNREFUSED;
}

static int proxy_failed(struct transfer *t)
{
    struct hop *hop = t->hop;
    const struct proxy *p = hop->proxy;
    long answer = 0;

    curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &answer);
    if (answer > 0 && answer / 100 != 2)
        return hob__hop_fail(hop, -HOB_EPROXY, "proxy %s:%u answered %ld", p->host, p->port,
                             answer);
    if (t->code == CURLE_COULDNT_CONNECT)
        return hob__hop_fail(hop, -HOB_EPROXY, "proxy %s:%u: %s", p->host, p->port,
                             hob_strerror(connect_code(t)));
    return hob__hop_fail(hop, -HOB_EPROXY, "proxy %s:%u: %s", p->host, p->port,
                         t->words[0] ? t->words : curl_easy_strerror(t->code));
}

/* Where it stood when its time was up, or it was cancelled. */
static int ended_early(struct transfer *t, int rc)
{
    struct hop *hop = t->hop;

    if (!t->connected)
        return hob__hop_fail(hop, rc, "%s before there was a connection", hob_strerror(rc));
    if (!hop->head.complete)
        return hob__hop_fail(hop, rc, "%s before a response", hob_strerror(rc));
    return hob__hop_fail(hop, rc, "%s after %lld bytes of the body", hob_strerror(rc),
                         (long long)bytes_read(t));
}

static int broken_off(struct transfer *t)
{
    struct hop *hop = t->hop;

    switch (t->fail) {
    case -HOB_EADDRGUARD:
        return hob__hop_fail(hop, t->fail, "%s", hob_strerror(t->fail));
    case -HOB_ETOOBIG:
        return hob__hop_fail(hop, t->fail, "the body is larger than %zu bytes",
                             hop->body_bytes_max);
    case -HOB_EHTTP:
        return hob__hop_fail(hop, t->fail, "the response's head is too long or malformed");
    case -ETIMEDOUT:
        return hob__hop_fail(hop, t->fail, "%s", t->words);
    default:
        return hob__hop_fail(hop, t->fail, "%s", hob_strerror(t->fail));
    }
}

static int failed(struct transfer *t)
{
    struct hop *hop = t->hop;
    int rc = code_of(t->code);

    if (hop->proxy && !t->connected && rc != -HOB_ETLS && rc != -ENOMEM)
        return proxy_failed(t);
    switch (t->code) {
    case CURLE_COULDNT_CONNECT:
        rc = connect_code(t);
        return hob__hop_fail(hop, rc, "%s", hob_strerror(rc));
    case CURLE_GOT_NOTHING:
        return hob__hop_fail(hop, rc, "the connection was closed without an answer");
    default:
        return hob__hop_fail(hop, rc, "%s", t->words[0] ? t->words : curl_easy_strerror(t->code));
    }
}

static void note_facts(struct transfer *t)
{
    struct hop *hop = t->hop;
    curl_off_t us = 0;
    long n = 0;
    char *ip = NULL;

    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &n);
    hop->reused = t->connected && n == 0;
    if (!curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &us) && !hop->reused)
        hop->connecting = us * HOB_US;
    curl_easy_getinfo(t->easy, CURLINFO_STARTTRANSFER_TIME_T, &us);
    hop->first_byte = us * HOB_US;
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &n);
    hop->http_version = n == CURL_HTTP_VERSION_2_0 ? 20 : n == CURL_HTTP_VERSION_1_0 ? 10 : 11;
    if (!curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip) && ip && ip[0]) {
        curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &n);
        snprintf(hop->remote, sizeof hop->remote, strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip, n);
    }
}

int hob__transfer_outcome(struct transfer *t, int rc)
{
    struct hop *hop = t->hop;

    if (rc < 0)
        return ended_early(t, rc);
    note_facts(t);
    if (t->cut) /* a redirect whose body nobody waits for */
        return 0;
    if (t->fail)
        return broken_off(t);
    if (t->code)
        return failed(t);
    if (hop->head.status == 407 && hop->proxy)
        return hob__hop_fail(hop, -HOB_EPROXY, "proxy %s:%u answered 407", hop->proxy->host,
                             hop->proxy->port);
    if (hop->head.status < 100)
        return hob__hop_fail(hop, -HOB_EHTTP, "not an HTTP response");
    return 0;
}
