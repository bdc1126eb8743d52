/* SPDX-License-Identifier: MIT
 *
 * robots.c - which URLs a robots.txt lets one agent fetch
 *
 * HOW   One pass over the lines.  Consecutive "user-agent" lines open a group.  Rules are kept in
 *   three lists: of groups that give our name as it is written ("bot2"), of groups that give the
 *   part the RFC has for a product token ("bot"), and of "*".  The first kind that was seen at all
 *   counts, every group of it merged; for a name that is a proper token the first two are one.
 *
 *   Rules are normalised once (what must be percent-encoded is, what need not be is not) and
 * sorted, longest first, "allow" before "disallow": the first rule that matches decides.  A rule is
 * a list of literals between stars, each searched for by memmem from where the last one ended:
 *   leftmost is always right, so there is no backtracking and a file written to be slow is not.
 *
 * INVARIANTS  (I1) rules are sorted by falling length; of equal ones "allow" comes first
 *             (I2) normalised text has '*' and '$' only as wildcards; literal ones are encoded
 *
 * REJECTED  Keeping every group, to ask for any agent: a crawl has one agent, and some files
 *   name two hundred.
 *
 * SEE   RFC 9309; tests/data/robots
 */
#include "lib/robots.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/url_host.h"

struct rule {
    uint32_t text, len; /* normalised pattern, in strings */
    bool allow;
};

struct rules {
    struct rule *list;
    size_t n, cap;
    hob_dur delay; /* -1: none */
    bool named;    /* a group of this kind was seen */
};

struct robots {
    struct rules rules;
    uint32_t *sitemaps; /* in strings */
    size_t n_sitemaps, cap_sitemaps;
    char *strings;
    size_t len_strings, cap_strings;
};

struct slice {
    const char *p;
    size_t n;
};

/* What a group can be to us, best first. */
enum { GROUP_NAME, GROUP_TOKEN, GROUP_ANY, GROUPS };

struct reader {
    struct robots *out;
    struct slice name[GROUPS]; /* what a user-agent line must say */
    struct rules group[GROUPS];
    bool open[GROUPS]; /* the group being read is one of these */
    bool in_agents;    /* the last line that counts was a user-agent line */
};

static struct slice trim(struct slice s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static bool slice_is(struct slice s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* A name as written: up to the version or whatever follows ("bot/2.1", "bot 2.1"). */
static size_t name_length(const char *s, size_t n)
{
    size_t len = 0;

    while (len < n && !strchr("/ \t(;", s[len]))
        len++;
    return len;
}

/* The part of it that RFC 9309 2.2.1 allows: letters, '_' and '-'. */
static size_t token_length(const char *s, size_t n)
{
    size_t len = 0;

    while (len < n && (isalpha((unsigned char)s[len]) || s[len] == '_' || s[len] == '-'))
        len++;
    return len;
}

/* Makes room for one more element; a growing array of any type. */
static int grow(void **array, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return 0;
    size_t cap_new = *cap ? *cap : 16;
    while (cap_new < need)
        cap_new *= 2;
    void *array_new = realloc(*array, cap_new * size);
    if (!array_new)
        return -ENOMEM;
    *array = array_new;
    *cap = cap_new;
    return 0;
}

static char *strings_room(struct robots *r, size_t n)
{
    if (grow((void **)&r->strings, &r->cap_strings, r->len_strings + n, 1) < 0)
        return NULL;
    return r->strings + r->len_strings;
}

/* Octets that no URI holds as they are. */
static bool is_unsafe(unsigned char c)
{
    return c <= ' ' || c > 0x7e || strchr("\"<>\\^`{|}", c);
}

static bool is_unreserved(int c)
{
    return isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static size_t put_octet(char *to, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";

    to[0] = '%';
    to[1] = hex[c >> 4];
    to[2] = hex[c & 15];
    return 3;
}

/*
 * The form in which paths and patterns are compared (RFC 9309 2.2.2, 2.2.3); at most 3 n octets.
 * In a path '*' and '$' are literal; in a pattern '*' is a wildcard, and '$' at the end.
 */
static size_t normalise(const char *s, size_t n, bool pattern, char *to)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool coded = c == '%' && n - i > 2 && url_hex(s[i + 1]) >= 0 && url_hex(s[i + 2]) >= 0;
        if (coded) {
            c = (unsigned char)(url_hex(s[i + 1]) << 4 | url_hex(s[i + 2]));
            i += 2;
        }
        bool wild = pattern && !coded && (c == '*' || (c == '$' && i + 1 == n));
        bool special = (c == '*' || c == '$') && !wild; /* (I2) */
        if (special || is_unsafe(c) || (coded && !is_unreserved(c)))
            len += put_octet(to + len, c);
        else
            to[len++] = (char)c;
    }
    return len;
}

static int rule_add(struct reader *rd, struct rules *rules, bool allow, struct slice value)
{
    struct robots *r = rd->out;
    char *text = strings_room(r, 3 * value.n + 1);

    if (!text || grow((void **)&rules->list, &rules->cap, rules->n + 1, sizeof *rules->list) < 0)
        return -ENOMEM;
    size_t len = normalise(value.p, value.n, true, text);
    rules->list[rules->n++] =
        (struct rule){.text = (uint32_t)r->len_strings, .len = (uint32_t)len, .allow = allow};
    r->len_strings += len;
    return 0;
}

static int line_rule(struct reader *rd, bool allow, struct slice value)
{
    int res = 0;

    rd->in_agents = false;
    /* An empty pattern matches nothing. */
    if (value.n == 0)
        return 0;
    for (int k = 0; k < GROUPS && res == 0; k++)
        if (rd->open[k])
            res = rule_add(rd, &rd->group[k], allow, value);
    return res;
}

static void line_agent(struct reader *rd, struct slice value)
{
    if (!rd->in_agents)
        memset(rd->open, 0, sizeof rd->open);
    rd->in_agents = true;

    value.n = name_length(value.p, value.n);
    for (int k = 0; k < GROUPS; k++) {
        struct slice name = rd->name[k];
        if (value.n > 0 && name.n == value.n && strncasecmp(name.p, value.p, name.n) == 0)
            rd->open[k] = rd->group[k].named = true;
    }
}

/* Decimal seconds; what cannot be one is ignored, and a day is the most that is believed. */
static void line_delay(struct reader *rd, struct slice value)
{
    char text[16], *end;

    if (value.n == 0 || value.n >= sizeof text || !isdigit((unsigned char)value.p[0]))
        return;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    double seconds = strtod(text, &end);
    if (*end || !(seconds >= 0) || seconds > 24 * 60 * 60)
        return;
    for (int k = 0; k < GROUPS; k++)
        if (rd->open[k])
            rd->group[k].delay = (hob_dur)(seconds * 1e9);
}

static int line_sitemap(struct reader *rd, struct slice value)
{
    struct robots *r = rd->out;
    char *text = strings_room(r, value.n + 1);

    if (!text ||
        grow((void **)&r->sitemaps, &r->cap_sitemaps, r->n_sitemaps + 1, sizeof *r->sitemaps) < 0)
        return -ENOMEM;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    r->sitemaps[r->n_sitemaps++] = (uint32_t)r->len_strings;
    r->len_strings += value.n + 1;
    return 0;
}

static int read_line(struct reader *rd, struct slice line)
{
    const char *hash = memchr(line.p, '#', line.n);

    if (hash)
        line.n = (size_t)(hash - line.p);
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon)
        return 0;
    struct slice key = trim((struct slice){line.p, (size_t)(colon - line.p)});
    struct slice value = trim((struct slice){colon + 1, line.n - (size_t)(colon - line.p) - 1});

    if (slice_is(key, "user-agent"))
        line_agent(rd, value);
    else if (slice_is(key, "allow"))
        return line_rule(rd, true, value);
    else if (slice_is(key, "disallow"))
        return line_rule(rd, false, value);
    else if (slice_is(key, "crawl-delay"))
        line_delay(rd, value);
    else if (slice_is(key, "sitemap") && value.n > 0 && !memchr(value.p, '\0', value.n))
        return line_sitemap(rd, value);
    return 0;
}

static int read_lines(struct reader *rd, const char *text, size_t n)
{
    const char *end = text + n;
    bool cut = n > ROBOTS_SIZE_MAX;

    if (cut)
        end = text + ROBOTS_SIZE_MAX;
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (text < end) {
        const char *stop = text;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        if (stop == end && cut)
            break; /* half a pattern would forbid more than it says */
        int r = read_line(rd, (struct slice){text, (size_t)(stop - text)});
        if (r < 0)
            return r;
        text = stop + 1;
    }
    return 0;
}

static int rule_order(const void *a, const void *b)
{
    const struct rule *x = a, *y = b;

    if (x->len != y->len)
        return x->len < y->len ? 1 : -1;
    return (int)y->allow - (int)x->allow;
}

int robots_parse(const char *text, size_t n, const char *agent, struct robots **ret)
{
    size_t name = name_length(agent, strlen(agent)), token = token_length(agent, name);
    struct reader rd = {.name = {{agent, name}, {agent, token}, {"*", 1}}};
    int best = 0;

    rd.out = calloc(1, sizeof *rd.out);
    if (!rd.out)
        return -ENOMEM;
    for (int k = 0; k < GROUPS; k++)
        rd.group[k].delay = -1;
    int r = read_lines(&rd, text, n);
    while (best < GROUP_ANY && !rd.group[best].named)
        best++;
    rd.out->rules = rd.group[best];
    for (int k = 0; k < GROUPS; k++)
        if (k != best)
            free(rd.group[k].list);
    if (r < 0) {
        robots_free(rd.out);
        return r;
    }
    if (rd.out->rules.n > 0)
        qsort(rd.out->rules.list, rd.out->rules.n, sizeof(struct rule), rule_order); /* (I1) */
    *ret = rd.out;
    return 0;
}

int robots_unavailable(struct robots **ret)
{
    return robots_parse("", 0, "", ret);
}

int robots_unreachable(struct robots **ret)
{
    static const char nothing[] = "user-agent: *\ndisallow: /\n";

    return robots_parse(nothing, sizeof nothing - 1, "", ret);
}

int robots_from_status(int status, const char *text, size_t n, const char *agent,
                       struct robots **ret)
{
    if (status >= 200 && status < 300)
        return robots_parse(text, n, agent, ret);
    /* 3xx: more redirects than the client follows, which the RFC counts as unavailable. */
    return status >= 300 && status < 500 ? robots_unavailable(ret) : robots_unreachable(ret);
}

void robots_free(struct robots *r)
{
    if (!r)
        return;
    free(r->rules.list);
    free(r->sitemaps);
    free(r->strings);
    free(r);
}

static bool pattern_matches(const char *pat, size_t n, const char *path, size_t len)
{
    bool anchored = n > 0 && pat[n - 1] == '$';
    const char *end = pat + n - anchored, *path_end = path + len;
    bool first = true;

    for (;;) {
        const char *star = memchr(pat, '*', (size_t)(end - pat));
        size_t literal = (size_t)((star ? star : end) - pat), left = (size_t)(path_end - path);

        if (literal > left)
            return false;
        if (!star && anchored) /* the last literal must be the path's end */
            return (!first || literal == left) && memcmp(path_end - literal, pat, literal) == 0;
        const char *at = first ? (memcmp(path, pat, literal) == 0 ? path : NULL)
                               : memmem(path, left, pat, literal);
        if (!at)
            return false;
        if (!star)
            return true;
        path = at + literal;
        pat = star + 1;
        first = false;
    }
}

bool robots_allowed(const struct robots *r, const char *path_query)
{
    char small[3 * 512], *path = small;
    size_t n = strlen(path_query);
    bool allowed = true;

    if (r->rules.n == 0 || strcmp(path_query, "/robots.txt") == 0)
        return true;
    if (n > sizeof small / 3) {
        path = malloc(3 * n);
        if (!path)
            return false; /* the side on which an error is polite */
    }
    n = normalise(path_query, n, false, path);
    for (size_t i = 0; i < r->rules.n; i++) {
        const struct rule *rule = &r->rules.list[i];
        if (pattern_matches(r->strings + rule->text, rule->len, path, n)) {
            allowed = rule->allow;
            break;
        }
    }
    if (path != small)
        free(path);
    return allowed;
}

hob_dur robots_delay(const struct robots *r)
{
    return r->rules.delay;
}

const char *robots_sitemap(const struct robots *r, size_t i)
{
    return i < r->n_sitemaps ? r->strings + r->sitemaps[i] : NULL;
}
