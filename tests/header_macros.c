/* SPDX-License-Identifier: MIT
 *
 * header_macros.c - one use of every macro with arguments that the public headers define
 *
 * tools/check_headers.py compiles, links and runs this as C11 and fails when a macro is missing.
 * It generates the uses of constants and of HOB_*_OPTS() itself.
 */
#include <stdarg.h>
#include <stdio.h>

#include <hob/base.h>
#include <hob/flow.h>
#include <hob/group.h>
#include <hob/http.h>
#include <hob/select.h>
#include <hob/trace.h>

/* HOB_PRINTF(format, first): the compiler checks the arguments against the format. */
HOB_PRINTF(2, 3) static int printed(FILE *f, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int n = vfprintf(f, format, ap);
    va_end(ap);
    return n;
}

/* HOB_ERR_MAP(X): one line a code of hob's own. */
#define COUNT_ONE(name, code, text) +1
enum { N_ERR = HOB_ERR_MAP(COUNT_ONE) };
#undef COUNT_ONE

/* HOB_USAGE(fields): filled in with its size. */
static int judged(void)
{
    struct hob_verdict v = {.size = sizeof v};

    return hob_verdict_of(HOB_USAGE(.wall = HOB_SEC, .on_cpu = HOB_SEC), &v);
}

/* HOB_HTTP_REQUEST(fields), HOB_HTTP_FAKE(fields): the same. */
static int asked(void)
{
    const struct hob_http_request *req = HOB_HTTP_REQUEST(.url = "http://example.com/");

    return req->size == sizeof *req && HOB_HTTP_FAKE(.arg = NULL)->answer == NULL;
}

/* HOB_STAGE(fields), HOB_PANEL(fields): initializers of an array's elements. */
static int listed(void)
{
    struct hob_stage stages[] = {HOB_STAGE(.name = "a"), HOB_STAGE(.name = "b")};
    struct hob_panel panels[] = {HOB_PANEL(.title = "a"), HOB_PANEL(.title = "b")};

    return stages[1].size == sizeof stages[1] && panels[1].size == sizeof panels[1];
}

/* HOB_CHILD(fn, T): starts fn with its own type. */
static int child(struct hob_done *d)
{
    return d->rc;
}
HOB_CHILD(child, struct hob_done)

static int started(void)
{
    struct hob_done d = {.rc = 1};
    static hob_group g;
    int rc;

    return child_go(&g, &d) < 0 && child_go_ret(&g, &d, &rc) < 0; /* not on a fiber */
}

/* HOB_ON_*(what): initializers of a select's arms. */
static int selected(void)
{
    static const char out = 'x';
    char in;
    const struct hob_arm arms[] = {
        HOB_ON_RECV(NULL, &in), HOB_ON_SEND(NULL, &out), HOB_ON_TIME(HOB_SEC),
        HOB_ON_EVENT(NULL),     HOB_ON_IDLE(NULL),       HOB_ON_READY(0, 1),
        HOB_ON_ACCEPT(0),       HOB_ON_DEFAULT(),        HOB_ON_LISTENER(NULL),
    };

    return arms[1].from == &out && arms[2].time == HOB_SEC && arms[7].kind == HOB_ARM_DEFAULT;
}

int main(void)
{
    return judged() == 0 && asked() && listed() && started() && selected() && N_ERR > 0 &&
                   printed(stdout, "%d codes\n", N_ERR) > 0
               ? 0
               : 1;
}
