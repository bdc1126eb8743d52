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
#include <sys/wait.h>

#include "cmd.h"
#include "diag/rec.h"
#include "diag/run.h"
#include "lib/option.h"
#include "lib/out.h"

struct diagnose_command {
    struct run_opts run;
    int64_t pid, tier;
    const char *output, *record;
    FILE *to;
    struct recording rec;
    struct run_end end;
};

static const char *const tier_text[] = {
    [REC_T0] = "its own trace",
    [REC_T1] = "exact switches",
    [REC_T1_PLUS] = "exact switches and wakers",
    [REC_T2] = "samples of /proc",
};

/* What was seen, before anything is concluded from it. */
static void print_recorded(const struct diagnose_command *cmd)
{
    const struct recording *rec = &cmd->rec;
    char wall[OUT_FIGURE], switches[OUT_FIGURE];

    fprintf(cmd->to, "hob diagnose: %s: %s, %zu threads, %s switches, %s\n",
            rec->command ? rec->command : "", out_duration(rec->wall, wall), rec->n_threads,
            out_count(rec->n_switches, switches), tier_text[rec->tier]);
    for (const char *line = rec->notes; line && *line;) {
        size_t n = strcspn(line, "\n");
        fprintf(cmd->to, "  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static int report(struct diagnose_command *cmd)
{
    int status = STATUS_DONE, r;

    if (cmd->rec.failed)
        fprintf(cmd->to, "hob diagnose: out of memory: the recording is not whole\n");
    print_recorded(cmd);
    if (cmd->record && (r = rec_save(&cmd->rec, cmd->record)) < 0) {
        fprintf(stderr, "hob diagnose: %s: %s\n", cmd->record, hob_strerror(r));
        status = STATUS_FAILED;
    }
    if (cmd->output && (fflush(cmd->to) != 0 || ferror(cmd->to))) {
        fprintf(stderr, "hob diagnose: %s: %s\n", cmd->output, strerror(errno));
        status = STATUS_FAILED;
    }
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

static int command_go(struct diagnose_command *cmd)
{
    struct buf err = {0};
    int status, r;

    rec_init(&cmd->rec);
    r = run_record(&cmd->run, &cmd->rec, &cmd->end, &err);
    if (err.len > 0)
        fprintf(stderr, "hob diagnose: %s\n", err.p);
    buf_free(&err);
    if (r < 0)
        status = STATUS_FAILED;
    else if (cmd->end.not_found || cmd->end.not_run)
        status = cmd->end.not_found ? 127 : 126;
    else
        status = report(cmd);
    rec_free(&cmd->rec);
    if (status == STATUS_DONE && cmd->end.ended)
        status = end_as_it_did(cmd->end.status);
    return status;
}

static int usage(const char *what)
{
    fprintf(stderr, "hob diagnose: %s; see hob diagnose -h\n", what);
    return STATUS_USAGE;
}

static int checked_go(struct diagnose_command *cmd, const struct option_args *args)
{
    int status;

    if (cmd->pid && args->n)
        return usage("either a command or -p PID");
    if (!cmd->pid && !args->n)
        return usage("no command given");
    cmd->to = stderr;
    if (cmd->output && !(cmd->to = fopen(cmd->output, "we"))) {
        fprintf(stderr, "hob diagnose: %s: %s\n", cmd->output, strerror(errno));
        return STATUS_FAILED;
    }
    cmd->run.argv = args->n ? (char *const *)args->operand : NULL;
    cmd->run.attach = (pid_t)cmd->pid;
    cmd->run.tier = (int)cmd->tier;
    cmd->run.pipe_was = tool_pipe_was;
    status = command_go(cmd);
    if (cmd->output)
        fclose(cmd->to);
    return status;
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
        OPTION_INT(0, "tier", &cmd.tier, 1, 2, "N",
                   "1: switch records of the kernel, 2: samples of /proc (the first that works)"),
        OPTION_STRING('o', "output", &cmd.output, "FILE", "the report to FILE (standard error)"),
        OPTION_STRING(0, "record", &cmd.record, "FILE", "keep the recording in FILE"),
        OPTION_END,
    };
    const struct option_command command = {
        .name = "hob diagnose",
        .usage = "hob diagnose [OPTION]... [--] CMD [ARGUMENT]...\n"
                 "   or: hob diagnose [OPTION]... -p PID",
        .about = "Runs a command, untouched, and says whether it computes or waits, what for, and "
                 "what would make it faster.  Needs no privilege, and nothing of the command.",
        .options = options,
        .runs_operands = true};
    struct option_args args;
    int status = option_start(&command, argc, argv, &args);

    if (status >= 0)
        return status;
    status = checked_go(&cmd, &args);
    option_free(&command, &args);
    return status;
}
