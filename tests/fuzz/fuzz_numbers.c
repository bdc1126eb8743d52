/* SPDX-License-Identifier: MIT
 *
 * fuzz_numbers.c - what people and servers write for one value, each parser on the same text:
 * an address, a duration, a size, a Retry-After, a signal, HOB_CORES, HOB_SIM
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <hob/net.h>

#include "fuzz/fuzz.h"
#include "lib/option.h"
#include "lib/retry.h"
#include "plat/cpu.h"
#include "sched/rt.h"
#include "sched/search.h"
#include "sync/watch.h"

enum { NOW = 1700000000 };

static void check_address(const char *text)
{
    char out[HOB_ADDR_TEXT_MAX], *colon;
    hob_addr a, again;

    if (hob_addr_parse(text, 80, &a) < 0)
        return;
    FUZZ_CHECK(hob_addr_port(&a) == 80);
    colon = strrchr(hob_addr_text(&a, out), ':');
    FUZZ_CHECK(colon && strcmp(colon, ":80") == 0);
    *colon = '\0';
    FUZZ_CHECK(hob_addr_parse(out, 80, &again) == 0);
    FUZZ_CHECK(again.len == a.len && memcmp(&again.sa, &a.sa, a.len) == 0);
    FUZZ_CHECK(hob_addr_public(&a) == hob_addr_public(&again));
}

static void check_environment(const char *text)
{
    struct rt_config c = {.n_loops = 1};
    int r;

    FUZZ_CHECK(setenv("HOB_CORES", text, 1) == 0);
    unsigned cores = hob__cpu_usable();
    FUZZ_CHECK(cores > 0 && cores <= CPU_CORES_MAX);
    unsetenv("HOB_CORES");
    if (text[0] == '@') /* a file's name: fuzz_schedule */
        return;
    FUZZ_CHECK(setenv("HOB_SIM", text, 1) == 0);
    r = hob__search_env(&c);
    FUZZ_CHECK(r == 0 || r == -EINVAL);
    FUZZ_CHECK(r < 0 || !c.search_path || c.search_path[0]);
    FUZZ_CHECK(r < 0 || c.sim == (text[0] != '\0'));
    unsetenv("HOB_SIM");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = fuzz_part(&data, &n);
    hob_dur duration = -7;
    int64_t size = -7;

    check_address(text);
    if (option_duration(text, &duration) == 0)
        FUZZ_CHECK(duration >= 0);
    else
        FUZZ_CHECK(duration == -7);
    if (option_size(text, &size) == 0)
        FUZZ_CHECK(size >= 0);
    else
        FUZZ_CHECK(size == -7);
    FUZZ_CHECK(retry_after(text, NOW) >= -1);
    int sig = hob__watch_signal(text);
    FUZZ_CHECK(sig >= 0 && sig < NSIG && sig != SIGKILL && sig != SIGSTOP);
    check_environment(text);
    free(text);
    return 0;
}
