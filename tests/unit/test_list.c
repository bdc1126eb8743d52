/* SPDX-License-Identifier: MIT */
#include "base/list.h"
#include "lib/t.h"

struct item {
    struct list node;
    int value;
};

TEST(pop_gives_oldest_first)
{
    struct list l;
    struct item it[3] = {{.value = 0}, {.value = 1}, {.value = 2}};

    list_init(&l);
    CHECK(list_pop(&l) == NULL);
    for (int i = 0; i < 3; i++)
        list_push(&l, &it[i].node);
    for (int i = 0; i < 3; i++)
        CHECK_INT(list_entry(list_pop(&l), struct item, node)->value, i);
    CHECK(list_empty(&l));
}

TEST(del_of_an_unlinked_node_is_harmless)
{
    struct list l;
    struct item a, b;

    list_init(&l);
    list_push(&l, &a.node);
    list_push_front(&l, &b.node);
    list_del(&a.node);
    list_del(&a.node);
    CHECK(list_pop(&l) == &b.node);
    CHECK(list_empty(&l));
}

TEST(splice_keeps_order_and_empties_the_source)
{
    struct list to, from;
    struct item it[4];

    list_init(&to);
    list_init(&from);
    list_splice(&to, &from);
    CHECK(list_empty(&to));
    for (int i = 0; i < 4; i++)
        list_push(i < 2 ? &to : &from, &it[i].node);
    list_splice(&to, &from);
    CHECK(list_empty(&from));
    for (int i = 0; i < 4; i++)
        CHECK(list_pop(&to) == &it[i].node);
}
