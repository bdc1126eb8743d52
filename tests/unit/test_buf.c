/* SPDX-License-Identifier: MIT */
#include "lib/buf.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/t.h"

TEST(text_in_it_is_a_string)
{
    struct buf b = {0};

    buf_puts(&b, "");
    CHECK_STR(b.p, "");
    for (int i = 0; i < 1000; i++)
        buf_putc(&b, (char)('a' + i % 26));
    buf_printf(&b, "-%d-%s", 7, "x");
    CHECK_INT(b.len, 1004);
    CHECK_STR(b.p + 1000, "-7-x");
    CHECK_INT(buf_error(&b), 0);
    buf_reset(&b);
    buf_add(&b, "a\0b", 3);
    CHECK_INT(b.len, 3);
    char *text = buf_take(&b);
    CHECK_STR(text, "a");
    CHECK(b.p == NULL && b.len == 0);
    free(text);
    text = buf_take(&b);
    CHECK_STR(text, "");
    free(text);
}

TEST(a_loss_is_remembered_until_the_next_use)
{
    struct buf b = {0};

    buf_puts(&b, "kept");
    CHECK(buf_room(&b, SIZE_MAX / 2) == NULL);
    buf_puts(&b, "lost");
    CHECK_INT(buf_error(&b), -ENOMEM);
    CHECK_INT(b.len, 4);
    buf_reset(&b);
    buf_puts(&b, "new");
    CHECK_STR(b.p, "new");
    CHECK(buf_room(&b, (size_t)-1) == NULL);
    CHECK(buf_take(&b) == NULL);
}
