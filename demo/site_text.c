/* SPDX-License-Identifier: MIT
 *
 * site_text.c - text that follows from a seed
 *
 * HOW  Sentences are made once, a few hundred of them with the entities, foreign letters and
 *   markup of real pages, and pages copy them: a page of 29 KB costs some microseconds, so that
 *   the server is never what a bench of clients measures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo/site_impl.h"

enum { SENTENCES = 512 };

static const char *const words[] = {
    "alpine",   "amber",   "anvil",    "arbor",  "atlas",   "basalt",   "beacon",  "birch",
    "bronze",   "cable",   "canvas",   "cedar",  "chrome",  "cinder",   "cobalt",  "copper",
    "coral",    "cotton",  "crystal",  "dune",   "ebony",   "ember",    "fabric",  "falcon",
    "fern",     "flint",   "forge",    "frost",  "garnet",  "glacier",  "granite", "harbor",
    "hazel",    "hollow",  "indigo",   "iron",   "ivory",   "jasper",   "kettle",  "lantern",
    "larch",    "linen",   "lunar",    "maple",  "marble",  "meadow",   "mesa",    "mineral",
    "mirror",   "nickel",  "oak",      "ocean",  "olive",   "onyx",     "opal",    "orchid",
    "otter",    "paper",   "pebble",   "pewter", "pine",    "plume",    "prairie", "quartz",
    "quill",    "raven",   "reed",     "ridge",  "river",   "rustic",   "saddle",  "sage",
    "sapphire", "shadow",  "silver",   "slate",  "solar",   "spruce",   "steel",   "stone",
    "summit",   "thistle", "timber",   "topaz",  "tundra",  "valley",   "velvet",  "walnut",
    "willow",   "winter",  "wool",     "the",    "of",      "and",      "with",    "for",
    "from",     "into",    "over",     "under",  "which",   "that",     "these",   "every",
    "never",    "soft",    "quiet",    "strong", "durable", "light",    "heavy",   "simple",
    "modern",   "classic", "handmade", "tested", "washed",  "portable", "folded",  "woven",
};
static const char *const entities[] = {"&amp;",    "&nbsp;", "&eacute;",  "&mdash;", "&quot;",
                                       "&hellip;", "&copy;", "&lt;b&gt;", "&#39;",   "&reg;"};
static const char *const foreign[] = {"café", "naïve", "Größe",    "日本語",   "пример",
                                      "€ 5",  "–",     "“quoted”", "Ångström", "señor"};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

struct prose {
    struct buf text;
    size_t at[SENTENCES + 1];
};

/* splitmix64: any seed is as good as any other. */
uint64_t choose_any(struct chooser *c)
{
    uint64_t x = c->state += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

unsigned choose(struct chooser *c, unsigned below)
{
    return (unsigned)((choose_any(c) >> 32) * below >> 32);
}

struct chooser chooser_for(uint64_t seed, uint64_t what)
{
    struct chooser c = {seed};

    c.state = choose_any(&c) ^ what;
    c.state = choose_any(&c);
    return c;
}

const char *text_word(struct chooser *c)
{
    return words[choose(c, LENGTH(words))];
}

void text_put_words(struct chooser *c, unsigned n, struct buf *to)
{
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(to, ' ');
        buf_puts(to, text_word(c));
    }
}

static void put_capital(struct buf *to, const char *word)
{
    buf_putc(to, (char)(*word - ('a' - 'A')));
    buf_puts(to, word + 1);
}

static void put_sentence(struct chooser *c, struct buf *to)
{
    unsigned n = 8 + choose(c, 15), odd = 1 + choose(c, n - 1), kind = choose(c, 100);

    put_capital(to, text_word(c));
    for (unsigned i = 1; i < n; i++) {
        const char *word = text_word(c);
        buf_putc(to, ' ');
        if (i != odd || kind >= 80)
            buf_puts(to, word);
        else if (kind < 30)
            buf_puts(to, foreign[choose(c, LENGTH(foreign))]);
        else if (kind < 55)
            buf_puts(to, entities[choose(c, LENGTH(entities))]);
        else if (kind < 70)
            buf_printf(to, "<em>%s</em>", word);
        else
            buf_printf(to, "<strong class=\"hl\">%s</strong>", word);
    }
    buf_puts(to, ". ");
}

struct prose *prose_new(uint64_t seed)
{
    struct prose *p = calloc(1, sizeof *p);
    struct chooser c = chooser_for(seed, UINT64_MAX);

    if (!p)
        return NULL;
    for (size_t i = 0; i < SENTENCES; i++) {
        put_sentence(&c, &p->text);
        p->at[i + 1] = p->text.len;
    }
    if (buf_error(&p->text) < 0) {
        prose_free(p);
        return NULL;
    }
    return p;
}

void prose_free(struct prose *p)
{
    if (p)
        buf_free(&p->text);
    free(p);
}

void prose_put(const struct prose *p, struct chooser *c, struct buf *to)
{
    unsigned i = choose(c, SENTENCES);

    buf_add(to, p->text.p + p->at[i], p->at[i + 1] - p->at[i]);
}

/* Now and then with what an extractor must decode: an ampersand, letters beyond ASCII. */
const char *text_title(struct chooser *c, size_t product, char to[SITE_TITLE_MAX])
{
    unsigned n = 2 + choose(c, 4), kind = choose(c, 8);
    size_t at = 0;

    for (unsigned i = 0; i < n; i++) {
        const char *word = text_word(c);
        at +=
            (size_t)snprintf(to + at, SITE_TITLE_MAX - at, "%c%s ", *word - ('a' - 'A'), word + 1);
    }
    snprintf(to + at, SITE_TITLE_MAX - at, "%s%zu",
             kind == 0   ? "& Größe "
             : kind == 1 ? "<Café> "
                         : "",
             product);
    return to;
}

void text_put_number(struct buf *to, size_t n, unsigned width)
{
    char digits[20];
    unsigned at = sizeof digits;

    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0 || (sizeof digits - at < width && at > 0));
    buf_add(to, digits + at, sizeof digits - at);
}

void text_put_escaped(struct buf *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            buf_puts(to, "&amp;");
        else if (*text == '<')
            buf_puts(to, "&lt;");
        else if (*text == '"')
            buf_puts(to, "&quot;");
        else
            buf_putc(to, *text);
    }
}
