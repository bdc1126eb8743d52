/* SPDX-License-Identifier: MIT
 *
 * schedule.h - the choices of a simulation, in order: what a run made of them, or shall make
 *
 * Choice 0 is the dull one everywhere: first in, first out, no stall, a full turn.  So a schedule
 * is written down by its few other choices, and gets simpler by having fewer of them.
 */
#ifndef HOB_SCHED_SCHEDULE_H
#define HOB_SCHED_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/* What was chosen; the word stands in the file. */
#define CHOICE_MAP(X)                                                                              \
    X(NEXT, "next")   /* which loop, or the work handed out, goes next */                          \
    X(WORK, "work")   /* which piece of that work */                                               \
    X(TOOK, "took")   /* how long it took */                                                       \
    X(STIR, "stir")   /* whether a loop's ready queue is put out of order */                       \
    X(FRONT, "front") /* whether one in it goes to the front */                                    \
    X(SHORT, "short") /* whether a loop's turn is cut short */                                     \
    X(TURN, "turn")   /* after how many runs */                                                    \
    X(TICK, "tick")   /* how long it was until this turn */                                        \
    X(LEAP, "leap")   /* whether time goes on to the next timer although something is ready */     \
    X(LATE, "late")   /* how much later bytes, a datagram, a connection arrive */                  \
    X(CUT, "cut")     /* how many bytes a read or a write leaves off */                            \
    X(ROOM, "room")   /* how much less a connection holds */                                       \
    X(FAULT, "fault") /* what goes wrong with a call */

#define CHOICE_ENUM(name, text) CHOICE_##name,
enum choice { CHOICE_MAP(CHOICE_ENUM) CHOICES };
#undef CHOICE_ENUM

struct schedule {
    uint64_t seed; /* of the run's random numbers */
    uint32_t loops;
    uint32_t n, max;
    uint32_t *of; /* n of them: enum choice << 24 | what was chosen */
};

static inline uint32_t choice_pack(enum choice what, uint32_t k)
{
    return (uint32_t)what << 24 | k;
}

static inline enum choice choice_what(uint32_t c)
{
    return (enum choice)(c >> 24);
}

static inline uint32_t choice_value(uint32_t c)
{
    return c & 0xffffff;
}

/* How many are not 0. */
uint32_t hob__schedule_weight(const struct schedule *s);

/* What comes behind the last one that is not 0 goes without saying. */
void hob__schedule_trim(struct schedule *s);

/* 0; -ENOMEM: *ret is as it was.  The copy is freed by hob__schedule_free. */
int hob__schedule_copy(const struct schedule *s, struct schedule *ret);
void hob__schedule_free(struct schedule *s);

/* 0 or a negative errno; a file that is none of a schedule is -EINVAL. */
int hob__schedule_write(const struct schedule *s, const char *path);
int hob__schedule_read(const char *path, struct schedule *ret);

#endif
