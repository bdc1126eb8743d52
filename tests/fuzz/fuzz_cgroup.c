/* SPDX-License-Identifier: MIT
 *
 * fuzz_cgroup.c - mountinfo NUL cgroup NUL quota NUL period: a limit in cores, or none
 */
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "plat/cpu.h"

static char root[] = "/tmp/fuzz_cgroup.XXXXXX";

static void root_remove(void)
{
    static const char *const files[] = {
        "proc/self/mountinfo", "proc/self/cgroup", "c/cpu.max", "c/cpu.cfs_quota_us",
        "c/cpu.cfs_period_us", "proc/self",        "proc",      "c"};
    char path[128];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", root, files[i]);
        (void)remove(path);
    }
    (void)rmdir(root);
}

static void folder_make(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", root, name);
    FUZZ_CHECK(mkdir(path, 0700) == 0);
}

static void file_write(const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "we");
    FUZZ_CHECK(f && fputs(text, f) >= 0);
    FUZZ_CHECK(fclose(f) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool made;
    char *mounts = fuzz_part(&data, &n), *cgroup = fuzz_part(&data, &n);
    char *quota = fuzz_part(&data, &n), *period = fuzz_part(&data, &n);

    if (!made) {
        FUZZ_CHECK(mkdtemp(root));
        folder_make("proc");
        folder_make("proc/self");
        folder_make("c");
        atexit(root_remove);
        made = true;
    }
    file_write("proc/self/mountinfo", mounts);
    file_write("proc/self/cgroup", cgroup);
    file_write("c/cpu.max", quota);
    file_write("c/cpu.cfs_quota_us", quota);
    file_write("c/cpu.cfs_period_us", period);
    FUZZ_CHECK(hob__cpu_quota(root) <= CPU_CORES_MAX);
    free(mounts);
    free(cgroup);
    free(quota);
    free(period);
    return 0;
}
