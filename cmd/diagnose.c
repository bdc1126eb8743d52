/* SPDX-License-Identifier: MIT
 *
 * diagnose.c - hob diagnose: runs a command, or looks at one that runs, and says what it waits for
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "diag/compare.h"
#include "diag/draw_term.h"
#include "diag/json.h"
#include "diag/live.h"
#include "diag/rec.h"
#include "diag/report.h"
#include "diag/run.h"
#include "diag/verify.h"
#include "diag/wakers.h"
#include "lib/option.h"

/* Besides cmd.h's: what --fail-on was to find was found. */
enum { STATUS_FOUND = 3 };

struct diagnose_command {
    struct run_opts run;
    int64_t pid, tier, repeat;
    const char *output, *record, *json, *fail_on;
    bool explain, compare, live, verify;
    struct live_how view;
    struct option_list knobs;
    int64_t runs;
    struct verify_opts again;
    struct files files;
    struct draw_term_how terminal;
    FILE *to;
    struct recording rec;
    struct run_end end;
};

static void draw_lanes(FILE *to, void *arg)
{
    const struct diagnose_command *cmd = arg;
    struct draw_term_how how = cmd->terminal;
    struct buf b = {0};

    how.no_legend = false;
    if (draw_term(&cmd->rec, &how, &b) == 0)
        fwrite(b.p, 1, b.len, to);
    buf_free(&b);
}

static int file_failed(const char *path, int error)
{
    fprintf(stderr, "hob diagnose: %s: %s\n", path, hob_strerror(error));
    return STATUS_FAILED;
}

/* Whether a file may be written when all is over; it is not opened, for who reads a pipe would take
 * the close for the end. */
static int file_may(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat st;
    struct buf dir = {0};
    int r;

    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ? -EISDIR : eaccess(path, W_OK) < 0 ? -errno : 0;
    if (errno != ENOENT)
        return -errno;
    buf_printf(&dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    r = !dir.p ? -ENOMEM : eaccess(dir.p, W_OK | X_OK) < 0 ? -errno : 0;
    buf_free(&dir);
    return r;
}

/* The folder of a file, and where its own name begins. */
static int file_folder(const char *path, struct stat *ret, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    struct buf dir = {0};
    int r;

    buf_printf(&dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    r = !dir.p ? -ENOMEM : stat(dir.p, ret) < 0 ? -errno : 0;
    buf_free(&dir);
    *ret_name = slash ? slash + 1 : path;
    return r;
}

/* Whether what is written to one takes the place of the other; what is no file (/dev/null) takes
 * all that comes. */
static bool files_same(const char *a, const char *b)
{
    const char *name_a, *name_b;
    struct stat x, y;
    bool there = stat(a, &x) == 0;

    if (there != (stat(b, &y) == 0) || (there && !S_ISREG(x.st_mode)))
        return false;
    if (!there && (file_folder(a, &x, &name_a) < 0 || file_folder(b, &y, &name_b) < 0))
        return false;
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino && (there || strcmp(name_a, name_b) == 0);
}

static int json_put(const char *path, const struct diagnosis *d)
{
    FILE *to = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    int r = to ? json_write(d, to) : 0;

    if (!to || r < 0)
        return file_failed(path, to ? r : errno);
    bool failed = fflush(to) != 0 || ferror(to);
    int error = errno;
    if (to != stdout)
        fclose(to);
    return failed ? file_failed(path, error) : STATUS_DONE;
}

static struct report_how how_to_report(struct diagnose_command *cmd)
{
    draw_term_detect(fileno(cmd->to), &cmd->terminal);
    return (struct report_how){.explain = cmd->explain,
                               .lanes = draw_lanes,
                               .arg = cmd,
                               .width = cmd->terminal.width,
                               .colours = cmd->terminal.colours != DRAW_NO_COLOURS,
                               .ascii = cmd->terminal.ascii};
}

static void look_at_files(void *arg, const struct recording *rec)
{
    files_look(arg, rec);
}

/* Runs it again, and says beside the verdict what came of it. */
static int verify_go(struct diagnose_command *cmd, struct diagnosis *d,
                     const struct report_how *how, struct verify *v)
{
    struct buf err = {0};
    int r;

    fflush(cmd->to);
    r = verify(&cmd->again, d, &cmd->files, v, &err);
    if (err.len > 0)
        fprintf(stderr, "hob diagnose: --verify: %s\n", err.p);
    else if (r < 0)
        (void)file_failed("--verify", r);
    buf_free(&err);
    if (r < 0)
        return STATUS_FAILED;
    d->verified = v;
    verify_report(v, d, how, cmd->to);
    return STATUS_DONE;
}

/* What a build is to fail on; where nothing is known of it a build that goes on is told so.  A
 * command that failed has a status of its own, which says more. */
static int fail_on(const char *words, const struct diagnosis *d, const struct run_end *end)
{
    bool failed = end->ended && end->status != 0;
    const char *bad;

    if (fail_on_matches(words, d, &bad) == 1) {
        fprintf(stderr, "hob diagnose: the verdict is one of --fail-on %s\n", words);
        return failed ? STATUS_DONE : STATUS_FOUND;
    }
    if (d->ruling.is.unread)
        fprintf(stderr, "hob diagnose: --fail-on %s was not tried: the verdict is unknown\n",
                words);
    return STATUS_DONE;
}

/* The report and everything that is written beside it. */
static int conclude(struct diagnose_command *cmd)
{
    struct report_how how = how_to_report(cmd);
    struct verify v = {0};
    struct diagnosis d;
    int status = STATUS_DONE, r;

    if (cmd->rec.failed)
        rec_note(&cmd->rec, "out of memory: the recording is not whole");
    if ((r = diagnose(&cmd->rec, &d)) < 0)
        return file_failed("the recording", r);
    if (isatty(fileno(cmd->to)))
        fputc('\n', cmd->to); /* behind "^C", or a line that the command left open */
    report(&d, &how, cmd->to);
    if (cmd->verify) {
        wakers_leave(); /* what is measured now is not recorded */
        status = verify_go(cmd, &d, &how, &v);
    }
    if (cmd->output && (fflush(cmd->to) != 0 || ferror(cmd->to)))
        status = file_failed(cmd->output, errno);
    if (cmd->record && (r = rec_save(&cmd->rec, cmd->record)) < 0)
        status = file_failed(cmd->record, r);
    if (cmd->json && json_put(cmd->json, &d) != STATUS_DONE)
        status = STATUS_FAILED;
    if (status == STATUS_DONE && cmd->fail_on)
        status = fail_on(cmd->fail_on, &d, &cmd->end);
    if (v.interrupted)
        cmd->end.status = v.by; /* as a program that this signal ended */
    verify_free(&v);
    return status;
}

/* The command's own end becomes ours; one that a signal ended ends us by the same. */
static int end_as_it_did(int status)
{
    const struct rlimit none = {0, 0};
    sigset_t set;

    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    int sig = WTERMSIG(status);
    fflush(NULL);
    setrlimit(RLIMIT_CORE, &none); /* the command's core is the one of interest */
    signal(sig, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(sig);
    return 128 + sig;
}

/*
 * A signal that comes between the command's end and the last line that is written about it was
 * meant for the command: timeout(1) sends one to hob and another to the process group.  So the
 * first of them waits, and the second ends hob: the kernel makes it the default again before the
 * handler runs, and the handler those of the other kinds.  Exec makes a handler the default again,
 * which is what it was; where a signal was ignored it stays so, for the command's sake.
 */
static const int late_ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { N_LATE = sizeof late_ending / sizeof *late_ending };
static bool late_heard[N_LATE]; /* written before the first handler is set */

static void on_late_signal(int sig)
{
    (void)sig;
    for (size_t i = 0; i < N_LATE; i++)
        if (late_heard[i])
            signal(late_ending[i], SIG_DFL);
}

static void late_signals_wait(void)
{
    const struct sigaction once = {.sa_handler = on_late_signal,
                                   .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    struct sigaction was;

    for (size_t i = 0; i < N_LATE; i++)
        late_heard[i] = sigaction(late_ending[i], NULL, &was) == 0 && was.sa_handler == SIG_DFL;
    for (size_t i = 0; i < N_LATE; i++)
        if (late_heard[i])
            sigaction(late_ending[i], &once, NULL);
}

/* Runs it as often as asked, into one recording; ends early when a run could not be made. */
static int record_all(struct diagnose_command *cmd, struct buf *err)
{
    rec_init(&cmd->rec);
    int r = run_record(&cmd->run, &cmd->rec, &cmd->end, err);

    for (int64_t i = 1;
         i < cmd->repeat && r == 0 && cmd->end.ended && err->len == 0 && WIFEXITED(cmd->end.status);
         i++) {
        struct recording more;

        rec_init(&more);
        r = run_record(&cmd->run, &more, &cmd->end, err);
        if (r == 0)
            rec_append(&cmd->rec, &more);
        rec_free(&more);
    }
    return r;
}

static int command_go(struct diagnose_command *cmd)
{
    struct buf err = {0};
    int status, r;

    late_signals_wait();
    r = record_all(cmd, &err);
    if (err.len > 0)
        fprintf(stderr, "hob diagnose: %s\n", err.p);
    buf_free(&err);
    if (r < 0)
        status = STATUS_FAILED;
    else if (cmd->end.not_found || cmd->end.not_run)
        status = cmd->end.not_found ? 127 : 126;
    else
        status = conclude(cmd);
    rec_free(&cmd->rec);
    wakers_leave();
    if (status == STATUS_DONE && cmd->end.ended)
        status = end_as_it_did(cmd->end.status);
    return status;
}

static int usage(const char *what)
{
    fprintf(stderr, "hob diagnose: %s; see hob diagnose -h\n", what);
    return STATUS_USAGE;
}

/* What cannot be done again is said before it is done once. */
static int verify_prepare(struct diagnose_command *cmd, const struct option_args *args)
{
    struct buf err = {0};
    int r;

    cmd->again = (struct verify_opts){.argv = (char *const *)args->operand,
                                      .knobs = cmd->knobs.item,
                                      .n_knobs = cmd->knobs.n,
                                      .runs = cmd->runs,
                                      .pipe_was = tool_pipe_was,
                                      .tell = stderr};
    cmd->run.look = look_at_files;
    cmd->run.arg = &cmd->files;
    r = verify_input(&cmd->again.input, &err);
    if (r == 0)
        r = verify_check(&cmd->again, &err);
    if (r < 0)
        fprintf(stderr, "hob diagnose: --verify: %s\n", err.p ? err.p : hob_strerror(r));
    buf_free(&err);
    return r < 0 ? STATUS_USAGE : STATUS_DONE;
}

/* The file that is meant; NULL: none, or "-", which is standard output. */
static const char *file_of(const char *path)
{
    return path && strcmp(path, "-") != 0 ? path : NULL;
}

/* What would do nothing where it stands; NULL: nothing. */
static const char *misplaced(const struct diagnose_command *cmd)
{
    const char *json = file_of(cmd->json), *output = file_of(cmd->output);

    if (cmd->view.every && !cmd->live)
        return "--every goes with --live";
    if (cmd->run.follow && cmd->pid)
        return "--follow goes with a command, not with -p";
    if (cmd->record && !file_of(cmd->record))
        return "--record wants a file: standard output is the command's";
    if (json && cmd->record && files_same(json, cmd->record))
        return "--json and --record name one file";
    if (json && output && files_same(json, output))
        return "--json and -o name one file";
    if (cmd->record && output && files_same(cmd->record, output))
        return "--record and -o name one file";
    return NULL;
}

static int checked_go(struct diagnose_command *cmd, const struct option_args *args)
{
    const char *bad;
    int status;

    if (cmd->fail_on && fail_on_matches(cmd->fail_on, NULL, &bad) < 0) {
        fprintf(stderr,
                "hob diagnose: --fail-on: '%.*s' is no bound, advice, mismatch or pattern\n",
                (int)strcspn(bad, ","), bad);
        return STATUS_USAGE;
    }
    if (cmd->pid && cmd->repeat > 1)
        return usage("-p PID cannot be repeated");
    if (cmd->pid && args->n)
        return usage("either a command or -p PID");
    if (!cmd->pid && !args->n)
        return usage("no command given");
    if (cmd->verify && (cmd->pid || cmd->run.most || cmd->run.follow || cmd->repeat > 1))
        return usage("--verify goes with neither -p nor --for, --follow, --repeat");
    if (!cmd->verify && (cmd->knobs.n || cmd->runs))
        return usage("--knob and --runs are for --verify");
    if ((bad = misplaced(cmd)))
        return usage(bad);
    if (cmd->verify && (status = verify_prepare(cmd, args)) != STATUS_DONE)
        return status;
    if (cmd->record && (status = file_may(cmd->record)) < 0)
        return file_failed(cmd->record, status);
    if (file_of(cmd->json) && (status = file_may(cmd->json)) < 0)
        return file_failed(cmd->json, status);
    cmd->to = cmd->output ? stdout : stderr;
    if (file_of(cmd->output) && !(cmd->to = fopen(cmd->output, "we"))) {
        fprintf(stderr, "hob diagnose: %s: %s\n", cmd->output, strerror(errno));
        return STATUS_FAILED;
    }
    cmd->run.argv = args->n ? (char *const *)args->operand : NULL;
    cmd->run.attach = (pid_t)cmd->pid;
    cmd->run.tier = (int)cmd->tier;
    cmd->run.live = cmd->live ? &cmd->view : NULL;
    cmd->run.pipe_was = tool_pipe_was;
    status = command_go(cmd);
    if (file_of(cmd->output))
        fclose(cmd->to);
    return status;
}

/* Both files read and diagnosed, or none. */
static int compare_files(struct diagnose_command *cmd, const char *path_a, const char *path_b)
{
    struct recording rec[2];
    struct diagnosis d[2];
    const char *path[2] = {path_a, path_b};
    struct report_how how = how_to_report(cmd);
    int n, r = 0;

    for (n = 0; n < 2 && (r = rec_load(path[n], &rec[n])) == 0; n++)
        if ((r = diagnose(&rec[n], &d[n])) < 0) {
            rec_free(&rec[n]);
            break;
        }
    if (r == 0)
        compare(&d[0], &d[1], &how, cmd->to);
    else if (r == -EBADMSG)
        fprintf(stderr, "hob diagnose: %s: not a recording of hob diagnose\n", path[n]);
    else
        (void)file_failed(path[n], r);
    while (n > 0)
        rec_free(&rec[--n]);
    return r < 0 ? STATUS_FAILED : STATUS_DONE;
}

/* What is about a run or its verdict says nothing of two recordings: not to be passed over. */
static bool asks_for_a_run(const struct diagnose_command *cmd)
{
    return cmd->pid || cmd->tier || cmd->repeat || cmd->run.most || cmd->run.follow || cmd->live ||
           cmd->view.every || cmd->output || cmd->record || cmd->json || cmd->fail_on ||
           cmd->explain || cmd->verify || cmd->knobs.n || cmd->runs;
}

static int compare_go(struct diagnose_command *cmd, const struct option_args *args)
{
    if (args->n != 2)
        return usage("--compare wants two recordings");
    if (asks_for_a_run(cmd))
        return usage("--compare goes with no other option");
    cmd->to = stdout;
    return compare_files(cmd, args->operand[0], args->operand[1]);
}

int cmd_diagnose(int argc, char *const argv[])
{
    struct diagnose_command cmd = {0};
    const struct option options[] = {
        OPTION_INT('p', "pid", &cmd.pid, 1, INT32_MAX, "PID",
                   "a program that runs, with its children; until it ends or Ctrl-C"),
        OPTION_DURATION(0, "for", &cmd.run.most, HOB_MS, OPTION_NO_MAX, "TIME",
                        "record no longer than that"),
        OPTION_FLAG(0, "follow", &cmd.run.follow,
                    "record until the last process that the command started has ended"),
        OPTION_FLAG(0, "live", &cmd.live, "show it meanwhile, on standard error"),
        OPTION_DURATION(0, "every", &cmd.view.every, 20 * HOB_MS, 3600 * HOB_SEC, "TIME",
                        "between two pictures of --live (300ms; lines: 1s)"),
        OPTION_INT(0, "tier", &cmd.tier, 1, 2, "N",
                   "1: switch records of the kernel, 2: samples of /proc (the first that works)"),
        OPTION_STRING('o', "output", &cmd.output, "FILE",
                      "the report to FILE (standard error); -: standard output"),
        OPTION_FLAG(0, "explain", &cmd.explain, "say how the rule came to its verdict"),
        OPTION_STRING(0, "json", &cmd.json, "FILE",
                      "the verdict as JSON to FILE; -: standard output"),
        OPTION_STRING(0, "record", &cmd.record, "FILE", "keep the recording in FILE"),
        OPTION_INT(0, "repeat", &cmd.repeat, 1, 1000, "N",
                   "run a command too short to see N times, as one recording"),
        OPTION_STRING(0, "fail-on", &cmd.fail_on, "WORDS",
                      "exit with 3 on a mismatch, or another word of the JSON verdict"),
        OPTION_FLAG(0, "verify", &cmd.verify,
                    "run it again under other settings of what can be set from outside; its output "
                    "is discarded, all else it does again"),
        OPTION_LIST(0, "knob", &cmd.knobs, "KNOB",
                    "for --verify: cores, an option of the command (-j), or a variable"),
        OPTION_INT(0, "runs", &cmd.runs, 2, 500, "N", "for --verify: no more than N runs (8)"),
        OPTION_FLAG(0, "compare", &cmd.compare, "A and B are recordings: what changed"),
        OPTION_END,
    };
    const struct option_command command = {
        .name = "hob diagnose",
        .usage = "hob diagnose [OPTION]... [--] CMD [ARGUMENT]...\n"
                 "   or: hob diagnose [OPTION]... -p PID\n"
                 "   or: hob diagnose --compare A B",
        .about = "Runs a command, untouched, and says whether it computes or waits, what for, and "
                 "what would make it faster.  Needs no privilege, and nothing of the command.",
        .options = options,
        .runs_operands = true};
    struct option_args args;
    int status = option_start(&command, argc, argv, &args);

    if (status >= 0)
        return status;
    status = cmd.compare ? compare_go(&cmd, &args) : checked_go(&cmd, &args);
    files_free(&cmd.files);
    option_free(&command, &args);
    return status;
}
