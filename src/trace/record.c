/* SPDX-License-Identifier: MIT
 *
 * record.c - reads the bytes of a recording back
 *
 * WHAT        One pass over the blocks copies what a reader of the whole needs: events with the
 *             index of their lane, and texts apart.  Then both are sorted.
 *
 * A file comes from anywhere: each length is checked against what is left, an unknown kind is
 * skipped, a block cut short ends the recording there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "trace/record.h"

/* Longer than a year: what lies beyond is no time, and sums of times would not hold. */
#define SPAN_MOST ((int64_t)1 << 55)

/* Makes room for one more of `size` bytes. */
static int array_grow(void *array, size_t n, size_t *cap, size_t size)
{
    size_t more = *cap ? *cap * 2 : 64;
    void **p = array, *bigger;

    if (n < *cap)
        return 0;
    bigger = reallocarray(*p, more, size);
    if (!bigger)
        return -ENOMEM;
    *p = bigger;
    *cap = more;
    return 0;
}

struct reader {
    struct hob_trace *t;
    size_t cap_events, cap_lanes, cap_texts;
    int64_t last; /* time of the latest event */
    bool ended;
};

/* The lane's index; a later block knows its name better than an earlier one.  -ENOSPC: too many. */
static int reader_lane(struct reader *rd, const struct trace_lane_info *info)
{
    struct hob_trace *t = rd->t;
    size_t i = 0;

    while (i < t->n_lanes && t->lanes[i].id != info->id)
        i++;
    if (i == RECORD_MAX_LANES)
        return -ENOSPC;
    if (i == t->n_lanes) {
        if (array_grow(&t->lanes, t->n_lanes, &rd->cap_lanes, sizeof(*t->lanes)) < 0)
            return -ENOMEM;
        t->n_lanes++;
    }
    t->lanes[i] = *info;
    t->lanes[i].name[TRACE_LANE_NAME_MAX - 1] = '\0';
    if (t->lanes[i].kind >= TRACE_N_LANE_KINDS)
        t->lanes[i].kind = TRACE_LANE_THREAD;
    return (int)i;
}

static int reader_text(struct reader *rd, const struct trace_event *e, int lane)
{
    struct hob_trace *t = rd->t;
    struct record_text *x;

    if (array_grow(&t->texts, t->n_texts, &rd->cap_texts, sizeof(*t->texts)) < 0)
        return -ENOMEM;
    x = &t->texts[t->n_texts++];
    *x = (struct record_text){.id = e->kind == TRACE_EV_STAGE ? e->arg : e->task,
                              .at = e->at,
                              .lane = (uint16_t)lane,
                              .kind = e->kind};
    memcpy(x->text, e + 1, e->len);
    return 0;
}

static bool reader_time(const struct hob_trace *t, int64_t at)
{
    return at >= t->start && at - t->start <= SPAN_MOST;
}

static int reader_event(struct reader *rd, const struct trace_event *e, int lane)
{
    struct hob_trace *t = rd->t;

    if (e->kind == 0 || e->kind >= TRACE_N_KINDS || !reader_time(t, e->at))
        return 0;
    if (e->at > rd->last)
        rd->last = e->at;
    if (e->len)
        return reader_text(rd, e, lane);
    if (e->kind == TRACE_EV_FOLD) {
        t->fold_ns += e->task <= SPAN_MOST ? (int64_t)e->task : 0;
        t->n_folded += e->arg;
        return 0;
    }
    if (e->kind == TRACE_EV_GAP)
        t->n_lost += e->arg;
    if (array_grow(&t->events, t->n_events, &rd->cap_events, sizeof(*t->events)) < 0)
        return -ENOMEM;
    t->events[t->n_events++] = (struct record_event){.at = e->at,
                                                     .task = e->task,
                                                     .arg = e->arg,
                                                     .lane = (uint16_t)lane,
                                                     .kind = e->kind,
                                                     .wait = e->wait};
    return 0;
}

static int reader_block(struct reader *rd, const struct record_block *b,
                        const struct trace_event *slots)
{
    int lane, r = 0;

    if (b->kind == RECORD_END && b->n_slots == 1 && reader_time(rd->t, slots[0].at)) {
        rd->ended = true;
        rd->t->stop = slots[0].at;
        rd->t->n_lost += slots[0].task;
        return 0;
    }
    if (b->kind != RECORD_EVENTS)
        return 0;
    lane = reader_lane(rd, &b->lane);
    if (lane == -ENOSPC) {
        rd->t->n_lost += b->n_slots;
        return 0;
    }
    if (lane < 0)
        return lane;
    for (uint32_t i = 0, n; r == 0 && i < b->n_slots; i += n) {
        n = trace_event_slots(&slots[i]);
        if (slots[i].len > TRACE_TEXT_MAX || n > b->n_slots - i)
            return 0; /* not ours: leave the rest of the block */
        r = reader_event(rd, &slots[i], lane);
    }
    return r;
}

static int event_order(const void *a, const void *b)
{
    const struct record_event *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

/* Stable, as qsort is not: merge sort of runs that mostly are sorted already. */
static int events_sort(struct record_event *e, size_t n)
{
    struct record_event *to, *from = e, *spare;

    for (size_t i = 1;; i++) {
        if (i >= n)
            return 0;
        if (event_order(&e[i - 1], &e[i]) > 0)
            break;
    }
    spare = to = malloc(n * sizeof(*e));
    if (!spare)
        return -ENOMEM;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n;
            size_t hi = mid + width < n ? mid + width : n;
            size_t i = lo, j = mid;

            for (size_t k = lo; k < hi; k++)
                to[k] = i < mid && (j == hi || event_order(&from[i], &from[j]) <= 0) ? from[i++]
                                                                                     : from[j++];
        }
        struct record_event *swap = from;
        from = to;
        to = swap;
    }
    if (from != e)
        memcpy(e, from, n * sizeof(*e));
    free(spare);
    return 0;
}

static int text_order(const void *a, const void *b)
{
    const struct record_text *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

int hob__record_read(const void *bytes, size_t n_bytes, struct hob_trace **ret)
{
    const struct record_head *head = bytes;
    const char *p = bytes, *end = p + n_bytes;
    struct reader rd = {0};
    int r = 0;

    if (n_bytes < sizeof(*head) || memcmp(head->magic, RECORD_MAGIC, sizeof(head->magic)) != 0 ||
        head->event_size != sizeof(struct trace_event) || head->start < 0)
        return -EBADMSG;
    rd.t = calloc(1, sizeof(*rd.t));
    if (!rd.t)
        return -ENOMEM;
    rd.t->start = rd.last = head->start;
    rd.t->pid = head->pid;
    for (p += sizeof(*head); r == 0 && (size_t)(end - p) >= sizeof(struct record_block);) {
        const struct record_block *b = (const void *)p;
        size_t room = (size_t)(end - p) - sizeof(*b);
        uint32_t n = b->n_slots;

        if (n > room / sizeof(struct trace_event))
            break;
        r = reader_block(&rd, b, (const void *)(b + 1));
        p += sizeof(*b) + n * sizeof(struct trace_event);
    }
    if (r == 0)
        r = events_sort(rd.t->events, rd.t->n_events);
    if (r < 0) {
        hob_trace_free(rd.t);
        return r;
    }
    if (rd.t->n_texts)
        qsort(rd.t->texts, rd.t->n_texts, sizeof(*rd.t->texts), text_order);
    if (!rd.ended || rd.t->stop < rd.last)
        rd.t->stop = rd.last;
    *ret = rd.t;
    return 0;
}

const char *hob__record_text(const struct hob_trace *t, enum trace_kind kind, uint64_t id)
{
    size_t lo = 0, hi = t->n_texts;
    struct record_text key = {.kind = (uint8_t)kind, .id = id, .at = INT64_MIN};

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (text_order(&t->texts[mid], &key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == t->n_texts || t->texts[lo].kind != kind || t->texts[lo].id != id)
        return NULL;
    while (lo + 1 < t->n_texts && t->texts[lo + 1].kind == kind && t->texts[lo + 1].id == id)
        lo++; /* a fiber may have been given another name: the last counts */
    return t->texts[lo].text;
}

int hob_trace_load(const char *path, hob_trace **ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;
    void *bytes = MAP_FAILED;
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        r = -errno;
        goto out;
    }
    r = -EBADMSG;
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct record_head))
        goto out;
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        r = -errno;
        goto out;
    }
    r = hob__record_read(bytes, (size_t)st.st_size, ret);
    munmap(bytes, (size_t)st.st_size);
out:
    close(fd);
    return r;
}

void hob_trace_free(hob_trace *t)
{
    if (!t)
        return;
    free(t->events);
    free(t->lanes);
    free(t->texts);
    free(t);
}

hob_dur hob_trace_wall(const hob_trace *t)
{
    return t->stop - t->start;
}

hob_time hob_trace_began(const hob_trace *t)
{
    return t->start;
}

int32_t hob_trace_pid(const hob_trace *t)
{
    return t->pid;
}

uint64_t hob_trace_events(const hob_trace *t)
{
    return t->n_events;
}

uint64_t hob_trace_lost(const hob_trace *t)
{
    return t->n_lost;
}

hob_dur hob_trace_folded(const hob_trace *t, uint64_t *ret_runs)
{
    if (ret_runs)
        *ret_runs = t->n_folded;
    return t->fold_ns;
}
