/* SPDX-License-Identifier: MIT
 *
 * list.h - circular doubly linked intrusive lists
 *
 * A node knows no owner: it is unlinked in O(1) without its list.  A node that is initialised
 * and linked nowhere points at itself, so that list_del of it is harmless: code that wakes a
 * waiter need not know whether somebody else has already taken it off its queue.
 */
#ifndef HOB_BASE_LIST_H
#define HOB_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Before `at`: with the list's head, that is the tail. */
static inline void list_push(struct list *at, struct list *n)
{
    n->next = at;
    n->prev = at->prev;
    at->prev->next = n;
    at->prev = n;
}

static inline void list_push_front(struct list *head, struct list *n)
{
    list_push(head->next, n);
}

static inline void list_del(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* list_del of a node that nobody looks at again before it is pushed or initialised. */
static inline void list_cut(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
}

/* The oldest node, unlinked; NULL when empty. */
static inline struct list *list_pop(struct list *head)
{
    struct list *n = head->next;

    if (n == head)
        return NULL;
    list_del(n);
    return n;
}

/* All of `from` to the tail of `to`; `from` is left empty. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)

#define list_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

/* The body may unlink `it`, and nothing else. */
#define list_each_safe(it, head)                                                                   \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)

#endif
