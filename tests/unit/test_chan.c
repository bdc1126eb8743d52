/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <pthread.h>
#include <stdatomic.h>

#include "lib/each.h"
#include "lib/t.h"

struct work {
    hob_chan *ch;
    uint32_t slots;
    bool spread;
    int n_senders, n_receivers, n_each;
    _Atomic(int64_t) sum;
    _Atomic(int) n;
    int next; /* the order of one sender's values */
};

static void work_reset(void *arg)
{
    struct work *w = arg;

    w->sum = 0;
    w->n = 0;
    w->next = 0;
}

static int sender(void *arg)
{
    struct work *w = arg;
    int r = 0;

    for (int64_t i = 1; i <= w->n_each && r == 0; i++)
        r = hob_chan_send(w->ch, &i, HOB_FOREVER);
    return r;
}

static int receiver(void *arg)
{
    struct work *w = arg;
    int64_t v;
    int r;

    while ((r = hob_chan_recv(w->ch, HOB_FOREVER, &v)) == 0) {
        w->sum += v;
        w->n++;
        if (w->n_senders == 1 && w->n_receivers == 1 && v != ++w->next)
            return -EPROTO;
    }
    return r == -EPIPE ? 0 : r;
}

static int senders(void *arg)
{
    struct work *w = arg;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = w->spread));

    for (int i = 0; i < w->n_senders && r == 0; i++)
        r = hob_go(&g, sender, w);
    r = hob_group_join(&g, r);
    hob_chan_close(w->ch);
    hob_chan_close(w->ch);
    return r;
}

static int transfer(void *arg)
{
    struct work *w = arg;
    hob_group g;
    int64_t n = w->n_each;
    int r = hob_chan_new(sizeof(int64_t), HOB_CHAN_OPTS(.slots = w->slots), &w->ch);

    if (r < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = w->spread));
    if (r == 0)
        r = hob_go(&g, senders, w);
    for (int i = 0; i < w->n_receivers && r == 0; i++)
        r = hob_go(&g, receiver, w);
    r = hob_group_join(&g, r);
    hob_chan_free(w->ch);
    if (r == 0 && (w->n != w->n_each * w->n_senders || w->sum != w->n_senders * n * (n + 1) / 2))
        r = -EPROTO;
    return r;
}

TEST(every_value_arrives_once_and_in_order)
{
    uint32_t slots[] = {0, 1, 7};
    int shapes[][2] = {{1, 1}, {3, 1}, {1, 3}, {4, 4}};

    for (int s = 0; s < 3; s++)
        for (int k = 0; k < 4; k++) {
            struct work w = {.slots = slots[s],
                             .n_senders = shapes[k][0],
                             .n_receivers = shapes[k][1],
                             .n_each = 20};
            each_world_run(transfer, &w, work_reset, 0);
        }
}

TEST(every_value_arrives_across_loops)
{
    for (uint32_t slots = 0; slots < 3; slots++) {
        struct work w = {
            .slots = slots, .spread = true, .n_senders = 3, .n_receivers = 3, .n_each = 15};
        each_world_run(transfer, &w, work_reset, 0);
    }
}

static int never_waits(void *arg)
{
    hob_chan *ch;
    int v = 5, r = hob_chan_new(sizeof v, HOB_CHAN_OPTS(.slots = 1, .name = "one"), &ch);

    (void)arg;
    if (r < 0)
        return r;
    CHECK_INT(hob_chan_recv(ch, 0, &v), -ETIMEDOUT);
    CHECK_INT(hob_chan_send(ch, &v, 0), 0);
    CHECK_INT(hob_chan_send(ch, &v, 0), -ETIMEDOUT);
    CHECK_INT(hob_chan_send(ch, &v, hob_in(HOB_MS)), -ETIMEDOUT);
    v = 6;
    CHECK_INT(hob_chan_recv(ch, 0, &v), 0);
    CHECK_INT(v, 5);
    v = 7;
    CHECK_INT(hob_chan_recv(ch, hob_in(HOB_MS), &v), -ETIMEDOUT);
    CHECK_INT(v, 7); /* untouched on failure */
    hob_chan_close(ch);
    CHECK_INT(hob_chan_send(ch, &v, HOB_FOREVER), -EPIPE);
    CHECK_INT(hob_chan_recv(ch, HOB_FOREVER, &v), -EPIPE);
    hob_chan_free(ch);
    hob_chan_free(NULL);
    return 0;
}

TEST(until_zero_never_waits_and_a_time_out_transfers_nothing)
{
    each_world_run(never_waits, NULL, NULL, 0);
}

static int close_drains(void *arg)
{
    hob_chan *ch;
    int r = hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.slots = 4), &ch);

    (void)arg;
    if (r < 0)
        return r;
    for (int i = 0; i < 3; i++)
        CHECK_INT(hob_chan_send(ch, &i, 0), 0);
    hob_chan_close(ch);
    for (int i = 0, v; i < 3; i++) {
        CHECK_INT(hob_chan_recv(ch, HOB_FOREVER, &v), 0);
        CHECK_INT(v, i);
    }
    int v;
    CHECK_INT(hob_chan_recv(ch, HOB_FOREVER, &v), -EPIPE);
    hob_chan_free(ch);
    return 0;
}

TEST(a_closed_channel_is_drained_first)
{
    each_world_run(close_drains, NULL, NULL, 0);
}

/* Senders and receivers are cancelled at seeded moments: what was sent is received or left in the
 * channel, nothing is lost and nothing doubled. */
struct torn {
    hob_chan *ch;
    _Atomic(int) sent, received;
    bool spread;
};

static void torn_reset(void *arg)
{
    ((struct torn *)arg)->sent = ((struct torn *)arg)->received = 0;
}

static int torn_sender(void *arg)
{
    struct torn *t = arg;
    int r;

    for (int v = 1; (r = hob_chan_send(t->ch, &v, hob_in(100 * HOB_US))) != -ECANCELED; v++) {
        if (r == 0)
            t->sent++;
        else if (r != -ETIMEDOUT)
            return r;
    }
    return r;
}

static int torn_receiver(void *arg)
{
    struct torn *t = arg;
    int v, r;

    while ((r = hob_chan_recv(t->ch, hob_in(150 * HOB_US), &v)) != -ECANCELED) {
        if (r == 0)
            t->received++;
        else if (r != -ETIMEDOUT)
            return r;
        if (v % 3 == 0 && (r = hob_sleep(300 * HOB_US)) < 0)
            break;
    }
    return r;
}

static int torn_apart(void *arg)
{
    struct torn *t = arg;
    hob_group g;
    int left = 0, v, r = hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.slots = 2), &t->ch);

    if (r < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(4 * HOB_MS), .spread = t->spread));
    for (int i = 0; i < 6 && r == 0; i++)
        r = hob_go(&g, i % 2 ? torn_receiver : torn_sender, t);
    r = hob_group_join(&g, r);
    while (hob_chan_recv(t->ch, 0, &v) == 0)
        left++;
    hob_chan_free(t->ch);
    if (r != -ETIMEDOUT)
        return r;
    return t->sent == t->received + left ? 0 : -EPROTO;
}

TEST(cancel_and_time_out_lose_nothing)
{
    struct torn home = {.spread = false}, away = {.spread = true};

    each_world_run(torn_apart, &home, torn_reset, 0);
    each_world_run(torn_apart, &away, torn_reset, 0);
}

struct joined {
    pthread_t thread;
    void *result;
};

static int join_blocking(void *arg)
{
    struct joined *j = arg;

    return -pthread_join(j->thread, &j->result);
}

static void *thread_join(pthread_t thread)
{
    struct joined j = {.thread = thread};

    CHECK_INT(hob_block(join_blocking, &j, HOB_FOREVER), 0);
    return j.result;
}

static void *plain_sender(void *arg)
{
    hob_chan *ch = arg;

    for (int v = 0; v < 100; v++)
        if (hob_chan_send(ch, &v, HOB_FOREVER) < 0)
            return arg;
    hob_chan_close(ch);
    int v, r = hob_chan_recv(ch, HOB_FOREVER, &v);
    return r == -EPIPE ? NULL : arg;
}

static int from_a_thread(void *arg)
{
    hob_chan *ch;
    pthread_t t;
    void *bad;
    int v, n = 0, r = hob_chan_new(sizeof(int), NULL, &ch);

    (void)arg;
    if (r < 0)
        return r;
    pthread_create(&t, NULL, plain_sender, ch);
    while (hob_chan_recv(ch, HOB_FOREVER, &v) == 0)
        n += v == n;
    bad = thread_join(t); /* off the loop: the thread's last call needs it to turn */
    hob_chan_free(ch);
    return n == 100 && !bad ? 0 : -EPROTO;
}

TEST(a_plain_thread_sends_and_is_blocked_meanwhile)
{
    CHECK_INT(hob_run(NULL, from_a_thread, NULL), 0);
}

static void *impatient(void *arg)
{
    int v = 0;

    return hob_chan_recv(arg, hob_in(2 * HOB_MS), &v) == -ETIMEDOUT ? NULL : arg;
}

static int thread_times_out(void *arg)
{
    hob_chan *ch;
    pthread_t t;
    void *bad;
    int v = 1, r = hob_chan_new(sizeof(int), NULL, &ch);

    (void)arg;
    if (r < 0)
        return r;
    pthread_create(&t, NULL, impatient, ch);
    bad = thread_join(t);
    CHECK_INT(hob_chan_send(ch, &v, 0), -ETIMEDOUT); /* it is off the queue */
    hob_chan_free(ch);
    return bad ? -EPROTO : 0;
}

TEST(a_plain_threads_time_out_takes_it_off_the_queue)
{
    CHECK_INT(hob_run(NULL, thread_times_out, NULL), 0);
}

static int bad_sizes(void *arg)
{
    hob_chan *ch = NULL;
    struct {
        struct hob_chan_opts o;
        int newer;
    } tail = {.o = {.size = sizeof tail}, .newer = 1};

    (void)arg;
    CHECK_INT(hob_chan_new(8, &tail.o, &ch), -E2BIG);
    CHECK(ch == NULL);
    return 0;
}

TEST(an_option_of_the_future_is_refused)
{
    CHECK_INT(hob_run(NULL, bad_sizes, NULL), 0);
}
