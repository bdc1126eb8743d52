/* SPDX-License-Identifier: MIT
 *
 * test_sim_file.c - files of the simulator: the disk's, and in memory what a run makes of them
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <hob/hob.h>

#include "lib/t.h"

static char place[] = "/tmp/hob-test-sim-XXXXXX";

static const char *in_place(const char *name)
{
    static char path[4][128];
    static unsigned at;
    char *to = path[at++ % 4];

    snprintf(to, sizeof path[0], "%s/%s", place, name);
    return to;
}

static void disk_write(const char *name, const char *text)
{
    FILE *f = fopen(in_place(name), "we");

    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* A directory on the disk with two files and a directory in it. */
static void place_make(void)
{
    CHECK(mkdtemp(place));
    disk_write("one", "of the disk");
    disk_write("two", "2");
    CHECK(mkdir(in_place("dir"), 0755) == 0);
}

/* As it was: nothing of the simulation's is there. */
static void place_remove(void)
{
    char text[32] = {0};
    FILE *f = fopen(in_place("one"), "re");

    CHECK(f && fread(text, 1, sizeof text - 1, f) > 0 && fclose(f) == 0);
    CHECK_STR(text, "of the disk");
    CHECK(unlink(in_place("one")) == 0 && unlink(in_place("two")) == 0);
    CHECK(rmdir(in_place("dir")) == 0 && rmdir(place) == 0);
}

static void in_sims(unsigned seeds, const char *faults, hob_fn fn)
{
    char text[32];

    place_make();
    for (unsigned seed = 1; seed <= seeds; seed++) {
        snprintf(text, sizeof text, "%u%s", seed, faults);
        setenv("HOB_SIM", text, 1);
        int r = hob_run(NULL, fn, NULL);
        if (r != 0)
            t_fail(__FILE__, __LINE__, "seed %u: %d", seed, r);
    }
    place_remove();
}

static int file_open(const char *name, int flags)
{
    return hob_file_open(in_place(name), flags, 0644, HOB_FOREVER);
}

static int writes(void *arg)
{
    char ab[] = "ab", cde[] = "cde";
    struct iovec v[2] = {{.iov_base = ab, .iov_len = 2}, {.iov_base = cde, .iov_len = 3}};
    char text[32] = {0}, more[4] = {0};
    struct stat st;
    int fd;

    (void)arg;
    CHECK((fd = file_open("one", O_RDWR)) >= 0);
    CHECK_INT(hob_file_read(fd, text, sizeof text, 3, HOB_FOREVER), 8);
    CHECK_STR(text, "the disk");
    CHECK_INT(hob_file_write(fd, "HERE", 4, 9000, HOB_FOREVER), 4);
    CHECK_INT(hob_file_read(fd, text, 5, 8999, HOB_FOREVER), 5);
    CHECK(memcmp(text, "\0HERE", 5) == 0);
    CHECK_INT(hob_file_writev(fd, v, 2, 1, HOB_FOREVER), 5);
    v[0] = (struct iovec){.iov_base = text, .iov_len = 4};
    v[1] = (struct iovec){.iov_base = more, .iov_len = 4};
    CHECK_INT(hob_file_readv(fd, v, 2, 0, HOB_FOREVER), 8);
    CHECK(memcmp(text, "oabc", 4) == 0 && memcmp(more, "de d", 4) == 0);
    CHECK_INT(hob_file_sync(fd, HOB_FOREVER), 0);
    CHECK_INT(hob_file_fstat(fd, HOB_FOREVER, &st), 0);
    CHECK_INT(st.st_size, 9004);
    CHECK_INT(hob_file_read(fd, text, 1, 9004, HOB_FOREVER), 0);
    CHECK(read(fd, text, 1) < 0 && errno == EBADF);
    CHECK_INT(hob_sock_shutdown(fd, SHUT_WR), -ENOTSOCK);
    CHECK_INT(hob_read(fd, text, 4, HOB_FOREVER), 4); /* at its own place */
    CHECK_INT(hob_read(fd, text, 4, HOB_FOREVER), 4);
    CHECK(memcmp(text, "de d", 4) == 0);
    hob_close(fd);
    CHECK((fd = file_open("one", O_WRONLY | O_TRUNC | O_APPEND)) >= 0);
    CHECK_INT(hob_file_read(fd, text, 1, 0, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_file_write(fd, "ab", 2, 0, HOB_FOREVER), 2);
    CHECK_INT(hob_file_write(fd, "cd", 2, 0, HOB_FOREVER), 2);
    hob_close(fd);
    CHECK((fd = file_open("one", O_RDONLY)) >= 0);
    CHECK_INT(hob_file_write(fd, "ab", 2, 0, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_file_read(fd, text, sizeof text, 0, HOB_FOREVER), 4);
    hob_close(fd);
    return 0;
}

TEST(what_a_run_writes_the_disk_never_sees)
{
    in_sims(20, "", writes);
}

/* What is in memory has an end: a hole of 100 GB would be touched. */
static int too_big(void *arg)
{
    const off_t most = 1 << 30;
    struct stat st;
    int fd;

    (void)arg;
    CHECK((fd = file_open("one", O_RDWR)) >= 0);
    CHECK_INT(hob_file_write(fd, "x", 1, 100000000000, HOB_FOREVER), -EFBIG);
    CHECK_INT(hob_file_write(fd, "x", 1, INT64_MAX, HOB_FOREVER), -EFBIG);
    CHECK_INT(hob_file_write(fd, "x", 1, INT64_MAX - 1, HOB_FOREVER), -EFBIG);
    CHECK_INT(hob_file_write(fd, "xy", 2, most - 1, HOB_FOREVER), -EFBIG);
    CHECK_INT(hob_file_fstat(fd, HOB_FOREVER, &st), 0);
    CHECK_INT(st.st_size, 11); /* as it was */
    hob_close(fd);
    return 0;
}

TEST(a_file_has_a_size_that_it_cannot_pass)
{
    in_sims(1, "", too_big);
}

static int paths(void *arg)
{
    struct stat st;
    char text[8] = {0};
    int fd;

    (void)arg;
    CHECK_INT(file_open("none", O_RDONLY), -ENOENT);
    CHECK_INT(file_open("none/new", O_RDWR | O_CREAT), -ENOENT);
    CHECK_INT(file_open("two/new", O_RDWR | O_CREAT), -ENOTDIR);
    CHECK_INT(file_open("two", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
    CHECK_INT(file_open("two", O_RDONLY | O_DIRECTORY), -ENOTDIR);
    CHECK_INT(file_open("dir", O_RDWR), -EISDIR);
    CHECK_INT(hob_file_open("", O_RDONLY, 0, HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_file_open("/dev/null", O_RDONLY, 0, HOB_FOREVER), -EOPNOTSUPP);
    CHECK((fd = file_open("dir/.././dir//new", O_RDWR | O_CREAT | O_EXCL)) >= 0);
    CHECK_INT(hob_file_write(fd, "new", 3, 0, HOB_FOREVER), 3);
    CHECK_INT(hob_file_rename(in_place("dir/new"), in_place("two"), 1, HOB_FOREVER), -EEXIST);
    CHECK_INT(hob_file_rename(in_place("dir/new"), in_place("two"), 0, HOB_FOREVER), 0);
    CHECK_INT(hob_file_stat(in_place("dir/new"), HOB_FOREVER, &st), -ENOENT);
    CHECK_INT(hob_file_stat(in_place("two"), HOB_FOREVER, &st), 0);
    CHECK(S_ISREG(st.st_mode) && st.st_size == 3);
    CHECK_INT(hob_file_unlink(in_place("two"), HOB_FOREVER), 0);
    CHECK_INT(file_open("two", O_RDONLY), -ENOENT);
    CHECK_INT(hob_file_read(fd, text, sizeof text, 0, HOB_FOREVER), 3); /* it is open */
    hob_close(fd);
    CHECK_INT(hob_file_unlink(in_place("two"), HOB_FOREVER), -ENOENT);
    CHECK((fd = file_open("two", O_RDWR | O_CREAT)) >= 0);
    CHECK_INT(hob_file_read(fd, text, 1, 0, HOB_FOREVER), 0); /* not what the disk has */
    hob_close(fd);
    CHECK_INT(hob_file_stat(in_place("one"), HOB_FOREVER, &st), 0);
    CHECK_INT(st.st_size, 11);
    return 0;
}

TEST(paths_come_and_go_in_memory)
{
    in_sims(20, "", paths);
}

static void listed(const char *name, const char *want)
{
    char got[128] = "";
    hob_dir_entry e;
    hob_dir *d;

    CHECK_INT(hob_dir_open(in_place(name), HOB_FOREVER, &d), 0);
    while (hob_dir_read(d, HOB_FOREVER, &e) == 1)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s ", e.name);
    hob_dir_close(d);
    CHECK_STR(got, want);
}

static int directories(void *arg)
{
    int fd;

    (void)arg;
    listed("", "dir one two ");
    CHECK_INT(hob_dir_make(in_place("dir"), 0755, HOB_FOREVER), -EEXIST);
    CHECK_INT(hob_dir_make(in_place("dir/sub"), 0755, HOB_FOREVER), 0);
    CHECK((fd = file_open("dir/sub/file", O_RDWR | O_CREAT)) >= 0);
    hob_close(fd);
    listed("dir", "sub ");
    listed("dir/sub", "file ");
    CHECK_INT(hob_dir_remove(in_place("dir/sub"), HOB_FOREVER), -ENOTEMPTY);
    CHECK_INT(hob_file_unlink(in_place("dir/sub"), HOB_FOREVER), -EISDIR);
    CHECK_INT(hob_dir_remove(in_place("dir/sub/file"), HOB_FOREVER), -ENOTDIR);
    CHECK_INT(hob_file_rename(in_place("dir/sub/file"), in_place("a"), 0, HOB_FOREVER), 0);
    CHECK_INT(hob_dir_remove(in_place("dir/sub"), HOB_FOREVER), 0);
    CHECK_INT(hob_dir_remove(in_place("dir"), HOB_FOREVER), 0);
    CHECK_INT(hob_file_unlink(in_place("one"), HOB_FOREVER), 0);
    listed("", "a two ");
    return 0;
}

TEST(directories_have_what_the_disk_and_the_run_put_there)
{
    in_sims(20, "", directories);
}

static int n_failed[200]; /* by errno; 0: a write in two parts */

static int hard_disk(void *arg)
{
    char eight[] = "12345678";
    struct iovec v = {.iov_base = eight, .iov_len = 8};
    int fd = file_open("new", O_RDWR | O_CREAT), r = fd;
    char text[8];

    (void)arg;
    if (r >= 0)
        r = (int)hob_file_writev(fd, &v, 1, 0, HOB_FOREVER);
    if (r == 8)
        r = (int)hob_file_read(fd, text, sizeof text, 0, HOB_FOREVER);
    CHECK(r != 8 || memcmp(text, "12345678", 8) == 0);
    if (r == 8)
        r = hob_file_sync(fd, HOB_FOREVER);
    if (r != 0)
        n_failed[r < 0 ? -r : 0]++;
    hob_close(fd);
    return 0;
}

TEST(with_faults_the_disk_is_full_and_fails)
{
    in_sims(200, ",faults=200", hard_disk);
    CHECK(n_failed[ENOSPC] > 0 && n_failed[EIO] > 0 && n_failed[0] > 0);
}
