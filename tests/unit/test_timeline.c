/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <hob/trace.h>

#include "lib/t.h"
#include "trace/timeline.h"
#include "trace/wait.h"

/* A recording written by hand. */
static struct hob_trace *trace_new(int64_t start, int64_t stop)
{
    struct hob_trace *t = calloc(1, sizeof(*t));

    t->start = start;
    t->stop = stop;
    return t;
}

static void add_lane(struct hob_trace *t, enum trace_lane_kind kind, const char *name)
{
    t->lanes = reallocarray(t->lanes, t->n_lanes + 1, sizeof(*t->lanes));
    t->lanes[t->n_lanes] = (struct trace_lane_info){.id = (uint32_t)t->n_lanes + 1, .kind = kind};
    memcpy(t->lanes[t->n_lanes].name, name, strnlen(name, TRACE_LANE_NAME_MAX - 1));
    t->n_lanes++;
}

static void add(struct hob_trace *t, int64_t at, uint16_t lane, enum trace_kind kind, uint64_t task,
                unsigned wait, uint32_t arg)
{
    if ((t->n_events & (t->n_events - 1)) == 0)
        t->events = reallocarray(t->events, t->n_events * 2 + 1, sizeof(*t->events));
    t->events[t->n_events++] =
        (struct record_event){at, task, arg, lane, (uint8_t)kind, (uint8_t)wait};
}

/* By kind, then id, as a reader sorts them. */
static void add_text(struct hob_trace *t, enum trace_kind kind, uint64_t id, const char *text)
{
    t->texts = reallocarray(t->texts, t->n_texts + 1, sizeof(*t->texts));
    t->texts[t->n_texts] = (struct record_text){.id = id, .kind = (uint8_t)kind, .at = t->start};
    strncpy(t->texts[t->n_texts].text, text, TRACE_TEXT_MAX);
    t->n_texts++;
}

/* Two tasks of stage 1 on one loop, and a third that writes on a blocking thread. */
static struct hob_trace *trace_small(void)
{
    struct hob_trace *t = trace_new(1000, 2000);

    add_lane(t, TRACE_LANE_BLOCK, "lane crawl.db");
    add_lane(t, TRACE_LANE_LOOP, "loop <0> & \"co\"");
    add_text(t, TRACE_EV_NAME, 1, "page <script>alert('1')</script>");
    add_text(t, TRACE_EV_STAGE, 1, "fetch & wait");
    add_text(t, TRACE_EV_STAGE, 2, "store");
    add_text(t, TRACE_EV_MARK, 0, "half way > done");
    add(t, 1000, 1, TRACE_EV_BEGIN, 1, 0, 1);
    add(t, 1000, 1, TRACE_EV_RUN, 1, 0, 0);
    add(t, 1100, 1, TRACE_EV_PARK, 1, HOB_WAIT_HTTP, 0);
    add(t, 1100, 1, TRACE_EV_BEGIN, 2, 0, 1);
    add(t, 1150, 1, TRACE_EV_RUN, 2, 0, 0);
    add(t, 1200, 1, TRACE_EV_PARK, 2, HOB_WAIT_SLEEP, 0);
    add(t, 1500, 1, TRACE_EV_READY, 1, 0, 0);
    add(t, 1500, 1, TRACE_EV_RUN, 1, 0, 0);
    add(t, 1600, 1, TRACE_EV_END, 1, 0, 0);
    add(t, 1600, 1, TRACE_EV_BEGIN, 3, 0, 2);
    add(t, 1600, 0, TRACE_EV_RUN, 3, 0, 0);
    add(t, 1900, 0, TRACE_EV_END, 3, 0, 0);
    return t;
}

static bool is(float got, double want)
{
    return fabs((double)got - want) < 1e-3;
}

TEST(slices_hold_what_threads_and_tasks_did)
{
    struct hob_trace *t = trace_small();
    struct timeline tl;

    CHECK_INT(hob__timeline_build(t, 10, 24, 10, &tl), 0);
    CHECK_INT(tl.n_lanes, 2);
    CHECK_INT(t->lanes[tl.lanes[0].lane].kind, TRACE_LANE_LOOP); /* loops come first */
    CHECK_INT(tl.lanes[0].busy, 250);
    CHECK_INT(tl.lanes[0].n_runs, 3);
    CHECK_INT(tl.lanes[0].longest, 100);
    CHECK(is(tl.lanes[0].own[1][0], 1) && is(tl.lanes[0].own[0][1], .5));
    CHECK(is(tl.lanes[0].own[0][5] + tl.lanes[0].own[1][5], 1));
    CHECK_INT(tl.lanes[1].busy, 300);

    CHECK_INT(tl.n_groups, 2);
    CHECK_INT(tl.groups[0].n_rows, 2);
    CHECK_INT(tl.groups[0].peak, 2);
    CHECK_INT(tl.groups[0].n_tasks, 2);
    CHECK(is(tl.groups[0].row[0].state[TL_CPU][0], 1));
    CHECK(is(tl.groups[0].row[0].state[TL_IO][1], 1) && is(tl.groups[0].row[0].state[TL_IO][4], 1));
    CHECK(is(tl.groups[0].row[0].state[TL_CPU][5], 1));
    CHECK(is(tl.groups[0].row[1].state[TL_READY][1], .5));
    CHECK(is(tl.groups[0].row[1].state[TL_CPU][1], .5));
    CHECK(is(tl.groups[0].row[1].state[TL_SLEEP][9], 1)); /* still asleep at the stop */
    CHECK(tl.groups[0].row[1].begins[1] && !tl.groups[0].row[1].begins[0]);
    /* What runs on a blocking thread waits for the disk. */
    CHECK(is(tl.groups[1].row[0].state[TL_IO][7], 1) &&
          is(tl.groups[1].row[0].state[TL_CPU][7], 0));
    CHECK_INT(tl.peak, 2);
    CHECK(is(tl.at_once[TL_IO][1], 1) && is(tl.at_once[TL_SLEEP][8], 1));
    hob__timeline_free(&tl);
    hob_trace_free(t);
}

TEST(time_is_neither_lost_nor_doubled)
{
    struct hob_trace *t = trace_small();

    for (uint32_t n = 1; n < 200; n += 13) {
        struct timeline tl;
        double cpu = 0, all = 0;

        CHECK_INT(hob__timeline_build(t, n, 24, 0, &tl), 0);
        for (uint32_t i = 0; i < n; i++) {
            cpu += tl.lanes[0].own[0][i] + tl.lanes[0].own[1][i];
            for (int k = 0; k < TL_N_STATES; k++)
                all += tl.at_once[k][i];
        }
        CHECK(fabs(cpu * tl.slice_ns - 250) < .1);
        CHECK(fabs(all * tl.slice_ns - (600 + 900 + 300)) < .1);
        hob__timeline_free(&tl);
    }
    hob_trace_free(t);
}

TEST(a_task_that_ends_gives_its_row_to_the_next)
{
    struct hob_trace *t = trace_new(0, 1000);
    struct timeline tl;

    add_lane(t, TRACE_LANE_LOOP, "loop 0");
    for (uint64_t i = 0; i < 100; i++) {
        add(t, (int64_t)i * 10, 0, TRACE_EV_BEGIN, i + 1, 0, 5);
        if (i >= 2)
            add(t, (int64_t)i * 10 + 1, 0, TRACE_EV_END, i - 1, 0, 0);
    }
    CHECK_INT(hob__timeline_build(t, 100, 24, 0, &tl), 0);
    CHECK_INT(tl.groups[0].n_rows, 3);
    CHECK_INT(tl.groups[0].peak, 3);
    CHECK_INT(tl.groups[0].n_tasks, 100);
    for (uint32_t i = 0; i < 100; i++) /* each of them has a row */
        CHECK_INT(tl.groups[0].row[0].begins[i] + tl.groups[0].row[1].begins[i] +
                      tl.groups[0].row[2].begins[i],
                  1);
    hob__timeline_free(&tl);
    CHECK_INT(hob__timeline_build(t, 100, 2, 0, &tl), 0);
    CHECK_INT(tl.groups[0].n_rows, 2);
    CHECK_INT(tl.groups[0].peak, 3);
    hob__timeline_free(&tl);
    hob_trace_free(t);
}

TEST(the_longest_intervals_are_kept_for_tooltips)
{
    struct hob_trace *t = trace_new(0, 100000);
    struct timeline tl;
    int64_t at = 0;

    add_lane(t, TRACE_LANE_LOOP, "loop 0");
    add(t, 0, 0, TRACE_EV_BEGIN, 1, 0, 1);
    for (int i = 1; i <= 100; i++) {
        add(t, at, 0, TRACE_EV_PARK, 1, HOB_WAIT_HTTP, 0);
        at += i * 10;
        add(t, at, 0, TRACE_EV_RUN, 1, 0, 0);
        at++;
    }
    add(t, at, 0, TRACE_EV_END, 1, 0, 0);
    CHECK_INT(hob__timeline_build(t, 10000, 1, 5, &tl), 0);
    CHECK_INT(tl.n_spans, 5);
    for (size_t i = 0; i < 5; i++)
        CHECK(tl.spans[i].to - tl.spans[i].from > 950);
    hob__timeline_free(&tl);
    hob_trace_free(t);
}

TEST(a_recording_with_holes_is_drawn_as_far_as_it_is_known)
{
    struct hob_trace *t = trace_new(0, 1000);
    struct timeline tl;

    add_lane(t, TRACE_LANE_POOL, "");
    add(t, 100, 0, TRACE_EV_END, 7, 0, 0);    /* never began */
    add(t, 200, 0, TRACE_EV_RUN, 8, 0, 0);    /* its park was lost: */
    add(t, 300, 0, TRACE_EV_RUN, 9, 0, 0);    /* this one runs instead */
    add(t, 400, 0, TRACE_EV_PARK, 9, 255, 0); /* of a newer library */
    add(t, 2000, 0, TRACE_EV_RUN, 9, 0, 0);   /* after the stop */
    CHECK_INT(hob__timeline_build(t, 10, 24, 10, &tl), 0);
    CHECK_INT(tl.lanes[0].longest, 100);
    CHECK(is(tl.lanes[0].own[0][2] + tl.lanes[0].own[1][2], 1));
    hob__timeline_free(&tl);
    hob_trace_free(t);
}

/* Whether s is well-formed: tags nest, attributes are quoted, every & begins an entity. */
static void check_xml(const char *s)
{
    char open[64][16];
    int depth = 0;

    for (; *s; s++) {
        if (*s == '&') {
            size_t n = strcspn(s, ";");

            CHECK(n >= 2 && n <= 6 && strchr("aglq#", s[1]) != NULL);
        } else if (*s == '<' && s[1] == '/') {
            size_t n = strcspn(s + 2, ">");

            CHECK(depth > 0);
            depth--;
            CHECK(strlen(open[depth]) == n && strncmp(open[depth], s + 2, n) == 0);
            s += 2 + n;
        } else if (*s == '<') {
            size_t n = strcspn(s + 1, " >/");

            CHECK(n > 0 && n < sizeof(open[0]) && depth < 64);
            snprintf(open[depth++], sizeof(open[0]), "%.*s", (int)n, s + 1);
            for (s += 1 + n; *s != '>' && *s != '/';) {
                s += strspn(s, " \n");
                if (*s == '>' || *s == '/')
                    break;
                s += strcspn(s, "=<>");
                CHECK(s[0] == '=' && s[1] == '"');
                n = strcspn(s + 2, "\"<");
                CHECK(s[2 + n] == '"');
                s += 3 + n;
            }
            if (*s == '/') {
                depth--;
                s++;
            }
            CHECK(*s == '>');
        } else {
            CHECK((unsigned char)*s >= 0x20 || isspace((unsigned char)*s));
        }
    }
    CHECK_INT(depth, 0);
}

/* The picture; the caller frees it. */
static char *draw(const struct hob_panel *panels, size_t n, const struct hob_timeline_opts *opts)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    CHECK(f != NULL);
    CHECK_INT(hob_timeline_svg(panels, n, opts, f), 0);
    fclose(f);
    CHECK_INT(strlen(text), len);
    check_xml(text);
    return text;
}

TEST(a_picture_names_threads_stages_and_waits_and_escapes_them)
{
    struct hob_trace *t = trace_small();
    struct hob_panel p =
        HOB_PANEL(.title = "50 at once <fast>", .note = "waits & waits", .trace = t);
    char *svg = draw(&p, 1, HOB_TIMELINE_OPTS(.title = "a \"title\""));

    CHECK(strncmp(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=", 48) == 0);
    CHECK(strstr(svg, "role=\"img\" aria-labelledby=\"hob-title hob-desc\""));
    CHECK(strstr(svg, "<title id=\"hob-title\">a &quot;title&quot;</title>"));
    CHECK(strstr(svg, "50 at once &lt;fast&gt;: 1 \xc2\xb5s; waits &amp; waits."));
    CHECK(strstr(svg, "loop &lt;0&gt; &amp; &quot;co&quot;: 25 % on CPU, 3 turns"));
    CHECK(strstr(svg, "lane crawl.db: 30 % in blocking calls"));
    CHECK(strstr(svg, ">fetch &amp; wait<"));
    CHECK(strstr(svg, "page &lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; (fetch &amp; wait): "
                      "waiting for an HTTP response, 400 ns, at 100 ns"));
    CHECK(strstr(svg, "#2 (fetch &amp; wait): sleeping"));
    CHECK(strstr(svg, "<title>half way &gt; done</title>"));
    CHECK(strstr(svg, "prefers-color-scheme:dark"));
    CHECK(!strstr(svg, "<script") && !strstr(svg, "href"));
    free(svg);
    hob_trace_free(t);
}

TEST(the_legend_shows_the_colours_in_use)
{
    struct hob_trace *t = trace_small();
    struct hob_panel p = HOB_PANEL(.trace = t);
    char *svg = draw(&p, 1, NULL);

    CHECK(strstr(svg, ">on CPU</text>") && strstr(svg, ">network or disk</text>"));
    CHECK(strstr(svg, ">sleeps</text>") && strstr(svg, ">ready, no core</text>"));
    CHECK(!strstr(svg, ">waits for other tasks</text>"));
    free(svg);
    hob_trace_free(t);
}

TEST(panels_share_one_scale_and_a_short_one_is_magnified)
{
    struct hob_trace *slow = trace_small(), *half = trace_small(), *quick = trace_small();
    struct hob_panel p[3] = {HOB_PANEL(.title = "slow", .trace = slow),
                             HOB_PANEL(.title = "half", .trace = half),
                             HOB_PANEL(.title = "quick", .trace = quick)};
    char *svg;

    slow->stop = slow->start + 40000;
    half->stop = half->start + 20000;
    svg = draw(p, 3, NULL);
    CHECK(strstr(svg, "2\xc3\x97 as fast"));
    CHECK(strstr(svg, "40\xc3\x97 as fast"));
    CHECK(strstr(svg, "width=\"976\"") && strstr(svg, "width=\"488\"")); /* whole, half */
    CHECK(strstr(svg, ">true length<") && strstr(svg, "class=\"true\""));
    CHECK(strstr(svg, "width=\"24.4\"")); /* a fortieth of the whole */
    free(svg);
    svg = draw(p, 2, NULL);
    CHECK(!strstr(svg, ">true length<"));
    free(svg);
    hob_trace_free(slow);
    hob_trace_free(half);
    hob_trace_free(quick);
}

TEST(a_hundred_thousand_events_stay_under_300_kb_whatever_they_are)
{
    struct hob_trace *t = trace_new(0, HOB_SEC);
    struct hob_panel p = HOB_PANEL(.title = "busy", .trace = t);
    uint64_t seed = 1;
    char name[32], *svg;

    for (int i = 0; i < 24; i++) {
        snprintf(name, sizeof(name), "pool %d", i);
        add_lane(t, TRACE_LANE_POOL, name);
    }
    for (int i = 0; i < 100000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        add(t, (int64_t)i * 10000, (uint16_t)(seed >> 40) % 24,
            (enum trace_kind)(TRACE_EV_BEGIN + (seed >> 33) % 5), 1 + (seed >> 20) % 300,
            (unsigned)(seed >> 50) % HOB_N_WAITS, 1 + (uint32_t)(seed >> 60) % 4);
    }
    svg = draw(&p, 1, NULL);
    CHECK(strlen(svg) < 300000);
    CHECK(strstr(svg, ">and 8 more threads<"));
    free(svg);
    svg = draw(&p, 1, HOB_TIMELINE_OPTS(.max_bytes = 100000));
    CHECK(strlen(svg) < 100000);
    free(svg);
    svg = draw(&p, 1, HOB_TIMELINE_OPTS(.no_rows = true, .max_lanes = 24, .width = 600));
    CHECK(!strstr(svg, "more threads"));
    free(svg);
    hob_trace_free(t);
}

TEST(an_empty_recording_is_a_picture_too)
{
    struct hob_trace *t = trace_new(5, 5);
    struct hob_panel p = HOB_PANEL(.trace = t);

    t->n_lost = 3;
    char *svg = draw(&p, 1, NULL);
    CHECK(strstr(svg, "3 events were lost"));
    free(svg);
    hob_trace_free(t);
}

TEST(names_longer_than_their_place_are_cut_and_kept_as_a_tooltip)
{
    struct hob_trace *t = trace_new(0, 100);
    struct hob_panel p = HOB_PANEL(.trace = t);
    char *svg;

    add_lane(t, TRACE_LANE_LOOP, "the loop of the second half");
    add(t, 0, 0, TRACE_EV_RUN, 1, 0, 0);
    svg = draw(&p, 1, NULL);
    CHECK(
        strstr(svg,
               "<title>the loop of the second half</title>the loop of the second\xe2\x80\xa6") ||
        strstr(svg, "<title>the loop of the second half</title>the loop of the secon\xe2\x80\xa6"));
    free(svg);
    hob_trace_free(t);
}

TEST(what_cannot_be_drawn_is_refused)
{
    struct hob_trace *t = trace_new(0, 100);
    struct hob_panel p = HOB_PANEL(.trace = t), none = HOB_PANEL(.title = "x");
    FILE *f = fopen("/dev/null", "w"), *full = fopen("/dev/full", "w");

    CHECK_INT(hob_timeline_svg(&p, 0, NULL, f), -EINVAL);
    CHECK_INT(hob_timeline_svg(&none, 1, NULL, f), -EINVAL);
    CHECK_INT(hob_timeline_svg(&p, 1, HOB_TIMELINE_OPTS(.width = 5), f), -EINVAL);
    CHECK_INT(hob_timeline_svg(&p, 1, HOB_TIMELINE_OPTS(.max_rows = 65), f), -EINVAL);
    struct {
        struct hob_panel known;
        uint64_t what_comes;
    } newer[2] = {{.known = p}, {.known = p}};
    newer[0].known.size = newer[1].known.size = sizeof(newer[0]);
    CHECK_INT(hob_timeline_svg(&newer[0].known, 2, NULL, f), 0);
    newer[1].what_comes = 1;
    CHECK_INT(hob_timeline_svg(&newer[0].known, 2, NULL, f), -E2BIG);
    newer[1].known.size = 0;
    CHECK_INT(hob_timeline_svg(&newer[0].known, 2, NULL, f), -EINVAL);
    if (full) {
        setvbuf(full, NULL, _IONBF, 0);
        CHECK_INT(hob_timeline_svg(&p, 1, NULL, full), -EIO);
        fclose(full);
    }
    fclose(f);
    hob_trace_free(t);
}
