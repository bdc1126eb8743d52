/* SPDX-License-Identifier: MIT
 *
 * dns.c - names to addresses: by c-ares on the loop, or by getaddrinfo on threads of its own
 *
 * WHAT        Fibers' names are looked up by c-ares (lookup.c), without a thread.  What follows is
 *             the other way: of plain threads, where HOB_DNS=getaddrinfo asks for it (names that
 *             only libc's plugins know: mDNS, LDAP), and where c-ares does not work.
 *
 *   A lookup is then a record on the heap and a detached thread.  The fiber parks; a cancel or a
 *   time-out abandons the record at once, even while getaddrinfo runs in it, which cannot be
 * stopped and may take half a minute: it ends alone, in memory it owns.
 *
 * HOW         queued, RUNNING --thread--> DONE ------> message --> fiber copies the answer, frees
 *                |       '-------fiber--> ABANDONED ----> the thread frees
 *                '--fiber: unlinked and freed
 *
 * localhost and the names below it are answered here (RFC 6761, 6.3): so they work without an
 * /etc/hosts, and no name server is told of them or has a say in what they are.
 *
 * INVARIANTS  (I1) one compare-and-swap on `state` decides who frees the record, and it is freed
 *                  once: they are counted
 *             (I2) an abandoned lookup reaches no loop: it may outlive the runtime
 *             (I3) at most THREADS_MAX lookups run; more wait, oldest first, and one that is
 *                  abandoned while it waits is gone at once: the queue is as long as its waiters
 *
 * THREADS     Started on the loop, like those of sync/block.c, which says what that costs.
 *
 * REJECTED    The blocking threads of sync/block.c: a runtime's end waits for those, and would
 *             wait for a name server.
 */
#include "net/dns.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/ares.h"
#include "net/io.h"
#include "net/lookup.h"
#include "plat/cpu.h"
#include "plat/futex.h"
#include "plat/sigmask.h"
#include "plat/threads.h"
#include "sched/msg.h"
#include "sched/sim_net.h"

enum { THREADS_MAX = 32, NAME_MAX_BYTES = 253 };
enum dns_state { DNS_RUNNING, DNS_DONE, DNS_ABANDONED };

struct lookup {
    struct list node; /* in set.queue, until a thread takes it; under set.lock */
    struct msg back;
    struct fiber *fiber; /* NULL: a plain thread waits on `ended` */
    struct loop *loop;
    _Atomic(int) state; /* enum dns_state */
    _Atomic(uint32_t) ended;
    struct dns_answer answer;
    char name[NAME_MAX_BYTES + 1];
};

static struct {
    pthread_mutex_t lock;
    struct list queue;
    unsigned n_threads;
    _Atomic(unsigned) n_records;
} set = {.lock = PTHREAD_MUTEX_INITIALIZER, .queue = {&set.queue, &set.queue}};

static void getaddrinfo_lookup(const char *name, struct dns_answer *ret)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int r = getaddrinfo(name, NULL, &hints, &list);

    ret->n = 0;
    for (struct addrinfo *a = list; r == 0 && a && ret->n < DNS_ADDRS_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof ret->addr[0].sa.room)
            continue;
        ret->addr[ret->n].len = a->ai_addrlen;
        memcpy(&ret->addr[ret->n].sa.room, a->ai_addr, a->ai_addrlen);
        ret->n++;
    }
    if (list)
        freeaddrinfo(list);
    ret->rc = r == EAI_AGAIN ? -EAGAIN : r == EAI_MEMORY ? -ENOMEM : ret->n == 0 ? -HOB_EDNS : 0;
}

dns_lookup *hob__dns_lookup = getaddrinfo_lookup;

unsigned hob__dns_running(void)
{
    pthread_mutex_lock(&set.lock);
    unsigned n = set.n_threads;
    pthread_mutex_unlock(&set.lock);
    return n;
}

size_t hob__dns_queued(void)
{
    size_t n = 0;

    pthread_mutex_lock(&set.lock);
    list_each (it, &set.queue)
        n++;
    pthread_mutex_unlock(&set.lock);
    return n;
}

unsigned hob__dns_records(void)
{
    return set.n_records;
}

static struct lookup *lookup_new(const char *name, size_t len, struct fiber *f)
{
    struct lookup *k = calloc(1, sizeof *k);

    if (!k)
        return NULL;
    memcpy(k->name, name, len + 1);
    k->fiber = f;
    k->loop = f ? f->loop : NULL;
    set.n_records++;
    return k;
}

static void lookup_free(struct lookup *k)
{
    unsigned n = set.n_records--;

    HOB_ASSERT(n > 0); /* (I1) */
    free(k);
}

static void lookup_back(struct msg *m)
{
    hob__ready(container_of(m, struct lookup, back)->fiber, 0);
}

/* On its thread.  (I1) */
static void lookup_run(struct lookup *k)
{
    int running = DNS_RUNNING;

    if (atomic_load(&k->state) == DNS_RUNNING)
        hob__dns_lookup(k->name, &k->answer);
    if (!atomic_compare_exchange_strong(&k->state, &running, DNS_DONE)) {
        lookup_free(k); /* (I2) */
    } else if (k->fiber) {
        k->back.run = lookup_back;
        hob__loop_post(k->loop, &k->back);
    } else {
        atomic_store(&k->ended, 1);
        futex_wake(&k->ended, INT_MAX);
    }
}

static void *set_thread(void *unused)
{
    struct list *n;

    (void)unused;
    threads_begin();
    (void)hob__thread_slice(0);
    pthread_mutex_lock(&set.lock);
    while ((n = list_pop(&set.queue))) {
        pthread_mutex_unlock(&set.lock);
        lookup_run(list_entry(n, struct lookup, node));
        pthread_mutex_lock(&set.lock);
    }
    threads_end();
    set.n_threads--;
    pthread_mutex_unlock(&set.lock);
    return NULL;
}

static int thread_start(void)
{
    pthread_attr_t attr;
    sigset_t old;
    pthread_t id;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigmask_block(&old);
    int r = -pthread_create(&id, &attr, set_thread, NULL);
    sigmask_restore(&old);
    pthread_attr_destroy(&attr);
    return r;
}

static int lookup_start(struct lookup *k)
{
    int r = 0;

    pthread_mutex_lock(&set.lock);
    list_push(&set.queue, &k->node);
    if (set.n_threads < THREADS_MAX) {
        r = thread_start();
        if (r == 0)
            set.n_threads++;
        else if (set.n_threads > 0)
            r = 0; /* one of those that run will take it */
        else
            list_del(&k->node);
    }
    pthread_mutex_unlock(&set.lock);
    return r;
}

/* True: the record is not the caller's any more: freed, or its thread's to free.  (I1) */
static bool lookup_abandon(struct lookup *k)
{
    int running = DNS_RUNNING;

    pthread_mutex_lock(&set.lock);
    bool queued = !list_empty(&k->node);
    list_del(&k->node);
    pthread_mutex_unlock(&set.lock);
    if (queued) { /* (I3) */
        lookup_free(k);
        return true;
    }
    return atomic_compare_exchange_strong(&k->state, &running, DNS_ABANDONED);
}

static void lookup_abort(struct fiber *f)
{
    if (lookup_abandon(f->abort_arg))
        hob__ready(f, -ECANCELED);
}

/* 0: the answer is there and the record the caller's. */
static int lookup_wait(struct lookup *k, hob_time until)
{
    if (k->fiber) {
        k->fiber->abort_arg = k;
        return hob__park_hook(k->fiber, HOB_WAIT_DNS, until, lookup_abort);
    }
    while (!atomic_load(&k->ended)) {
        if (until != HOB_FOREVER && hob__now() >= until) {
            if (lookup_abandon(k))
                return -ETIMEDOUT;
            until = HOB_FOREVER;
        }
        futex_wait_until(&k->ended, 0, until);
    }
    return 0;
}

void hob__addrs_set_port(hob_addr *a, size_t n, uint16_t port)
{
    /* The port lies at the same place in both families. */
    for (size_t i = 0; i < n; i++)
        ((struct sockaddr_in *)(void *)&a[i].sa.room)->sin_port = htons(port);
}

bool hob__dns_by_ares(void)
{
    const char *how = hob__ares_servers();

    return !hob__env->sim && hob__dns_lookup == getaddrinfo_lookup &&
           !(how && strcmp(how, "getaddrinfo") == 0);
}

bool hob__name_local(const char *name)
{
    static const char local[] = "localhost";
    size_t n = strlen(name), len = sizeof local - 1;

    if (n > 0 && name[n - 1] == '.')
        n--;
    return n >= len && strncasecmp(name + n - len, local, len) == 0 &&
           (n == len || (name[n - len - 1] == '.' && n > len + 1));
}

/* IPv4 first: a machine may be without IPv6. */
static size_t loopback(uint16_t port, size_t max, hob_addr *ret)
{
    static const char *const text[] = {"127.0.0.1", "::1"};
    size_t n = 0;

    for (; n < max && n < sizeof text / sizeof text[0]; n++) {
        int r = hob_addr_parse(text[n], port, &ret[n]);
        HOB_ASSERT(r == 0);
    }
    return n;
}

static size_t at_most(size_t n, size_t max)
{
    return n < max ? n : max;
}

/* A name, by a thread. */
static int lookup(const char *name, size_t len, struct fiber *f, hob_time until, size_t max,
                  hob_addr *ret, size_t *ret_n)
{
    struct lookup *k = lookup_new(name, len, f);
    int r;

    if (!k)
        return -ENOMEM;
    if ((r = lookup_start(k)) < 0) {
        lookup_free(k);
        return r;
    }
    if ((r = lookup_wait(k, until)) < 0)
        return r;
    if ((r = k->answer.rc) == 0) {
        *ret_n = at_most(k->answer.n, max);
        memcpy(ret, k->answer.addr, *ret_n * sizeof ret[0]);
    }
    lookup_free(k);
    return r;
}

/* A name, by the loop.  -ENOSYS: it cannot. */
static int ask(const char *name, struct fiber *f, hob_time until, size_t max, hob_addr *ret,
               size_t *ret_n)
{
    struct lookup_hold h;
    int r = hob__lookup_begin(f, name, until, &h);

    if (r < 0)
        return r;
    r = hob__lookup_take(f, &h, until, false, max, ret, ret_n);
    hob__lookup_end(&h);
    return r;
}

int hob__resolve_here(const char *name, uint16_t port, size_t max, hob_addr *ret, size_t *ret_n)
{
    size_t len = strlen(name);
    struct fiber *f = hob__self();
    int r;

    if (len == 0 || len > NAME_MAX_BYTES || max == 0)
        return -EINVAL;
    if (f && (r = hob__check(f)) < 0)
        return r;
    if (hob_addr_parse(name, port, ret) == 0)
        *ret_n = 1;
    else if (hob__name_local(name))
        *ret_n = loopback(port, max, ret);
    else
        return 0;
    return 1;
}

int hob_resolve(const char *name, uint16_t port, size_t max, hob_time until, hob_addr *ret,
                size_t *ret_n)
{
    struct fiber *f;
    int r = hob__resolve_here(name, port, max, ret, ret_n);

    if (r != 0)
        return r < 0 ? r : 0;
    if ((r = hob__io_begin_real(&f)) < 0) {
        if (r == -EOPNOTSUPP)
            hob__sim_tell(SIM_TELL_NAME,
                          "%s is a name of the outside: here are addresses and "
                          "localhost",
                          name);
        return r;
    }
    if (until == 0)
        return -ETIMEDOUT;
    r = f && hob__dns_by_ares() ? ask(name, f, until, max, ret, ret_n) : -ENOSYS;
    if (r == -ENOSYS)
        r = lookup(name, strlen(name), f, until, max, ret, ret_n);
    if (r == 0)
        hob__addrs_set_port(ret, *ret_n, port);
    return r;
}
