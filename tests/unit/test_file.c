/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/t.h"
#include "net_util.h"

static char dir[] = "/tmp/hob-test-file-XXXXXX";

/* The path of a name in the case's own directory; a few at once. */
static const char *in_dir(const char *name)
{
    static char path[4][96];
    static int at;
    char *p = path[at++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void file_make(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "we");

    CHECK(f != NULL);
    CHECK(fputs(text, f) >= 0);
    CHECK_INT(fclose(f), 0);
}

/* On both pollers and on a plain thread, each in a directory of its own. */
static void everywhere(hob_fn fn)
{
    CHECK(mkdtemp(dir) != NULL);
    on_pollers(fn, NULL, 0);
    CHECK_INT(fn(NULL), 0);
    CHECK_INT(rmdir(dir), 0);
}

static int vectors(void *arg)
{
    char a[3], b[5], none[1];
    char text[] = "hello world";
    struct iovec out[] = {{text, 2}, {NULL, 0}, {text + 2, 5}, {text + 7, 4}};
    struct iovec in[] = {{a, sizeof a}, {none, 0}, {b, sizeof b}};
    int fd = hob_file_open(in_dir("v"), O_CREAT | O_RDWR, 0600, HOB_FOREVER);

    (void)arg;
    CHECK(fd >= 0);
    CHECK_INT(hob_file_writev(fd, out, 4, 2, HOB_FOREVER), 11);
    CHECK_INT(hob_file_readv(fd, in, 3, 2, HOB_FOREVER), 8);
    CHECK(memcmp(a, "hel", 3) == 0 && memcmp(b, "lo wo", 5) == 0);
    CHECK_INT(hob_file_readv(fd, in, 3, 10, HOB_FOREVER), 3); /* a short one */
    CHECK(memcmp(a, "rld", 3) == 0);
    CHECK_INT(hob_file_readv(fd, in, 3, 13, HOB_FOREVER), 0);
    CHECK_INT(hob_file_writev(fd, out, 0, 0, HOB_FOREVER), 0);
    CHECK_INT(hob_file_writev(fd, out + 1, 1, 0, HOB_FOREVER), 0);
    CHECK_INT(hob_file_writev(fd, out, -1, 0, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_file_readv(fd, in, 100000, 0, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_file_readv(fd, in, 1, -1, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_file_read(fd, a, 1, -1, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_file_write(fd, a, 1, -1, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_file_readv(-1, in, 1, 0, HOB_FOREVER), -EBADF);
    CHECK_INT(hob_file_sync(fd, HOB_FOREVER), 0);
    CHECK_INT(hob_file_sync_all(fd, HOB_FOREVER), 0);
    CHECK_INT(hob_file_sync_all(-1, HOB_FOREVER), -EBADF);
    hob_close(fd);
    CHECK_INT(hob_file_unlink(in_dir("v"), HOB_FOREVER), 0);
    return 0;
}

TEST(pieces_are_written_and_read)
{
    everywhere(vectors);
}

/* The bound on a file's size makes every kind of short write. */
static int short_writes(void *arg)
{
    char text[] = "0123456789", back[32] = "";
    struct iovec out[] = {{text, 10}, {text, 10}};
    int fd = hob_file_open(in_dir("s"), O_CREAT | O_RDWR, 0600, HOB_FOREVER);

    (void)arg;
    CHECK_INT(hob_file_writev(fd, out, 2, 0, HOB_FOREVER), 14);
    CHECK_INT(hob_file_read(fd, back, sizeof back, 0, HOB_FOREVER), 14);
    CHECK_STR(back, "01234567890123");
    CHECK_INT(hob_file_writev(fd, out, 2, 14, HOB_FOREVER), -EFBIG);
    CHECK_INT(hob_file_write(fd, text, 10, 10, HOB_FOREVER), 4);
    hob_close(fd);
    CHECK_INT(hob_file_unlink(in_dir("s"), HOB_FOREVER), 0);
    return 0;
}

TEST(what_was_written_before_an_error_is_told)
{
    struct rlimit small = {.rlim_cur = 14, .rlim_max = RLIM_INFINITY}, old;

    CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    everywhere(short_writes);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
           a->st_nlink == b->st_nlink && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
           a->st_rdev == b->st_rdev && a->st_size == b->st_size && a->st_blksize == b->st_blksize &&
           a->st_blocks == b->st_blocks &&
           memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim) == 0 &&
           memcmp(&a->st_ctim, &b->st_ctim, sizeof a->st_ctim) == 0;
}

static int stats(void *arg)
{
    struct stat mine, theirs, before;

    (void)arg;
    file_make("f", "twelve bytes");
    CHECK_INT(symlink("f", in_dir("l")), 0);
    CHECK_INT(hob_file_stat(in_dir("l"), HOB_FOREVER, &mine), 0);
    CHECK_INT(stat(in_dir("f"), &theirs), 0);
    CHECK(same(&mine, &theirs) && mine.st_size == 12);
    CHECK_INT(hob_file_lstat(in_dir("l"), HOB_FOREVER, &mine), 0);
    CHECK(S_ISLNK(mine.st_mode) && mine.st_size == 1);
    CHECK_INT(hob_file_stat("/dev/null", HOB_FOREVER, &mine), 0);
    CHECK_INT(stat("/dev/null", &theirs), 0);
    CHECK(same(&mine, &theirs));
    int fd = hob_file_open(in_dir("f"), O_RDONLY, 0, HOB_FOREVER);
    CHECK_INT(hob_file_fstat(fd, HOB_FOREVER, &mine), 0);
    CHECK_INT(fstat(fd, &theirs), 0);
    CHECK(same(&mine, &theirs));
    hob_close(fd);
    before = mine;
    CHECK_INT(hob_file_stat(in_dir("none"), HOB_FOREVER, &mine), -ENOENT);
    CHECK_INT(hob_file_fstat(-1, HOB_FOREVER, &mine), -EBADF);
    CHECK_INT(hob_file_fstat(AT_FDCWD, HOB_FOREVER, &mine), -EBADF);
    CHECK(memcmp(&before, &mine, sizeof mine) == 0);
    CHECK_INT(hob_file_unlink(in_dir("l"), HOB_FOREVER), 0);
    CHECK_INT(hob_file_unlink(in_dir("f"), HOB_FOREVER), 0);
    return 0;
}

TEST(what_a_file_is_is_told_as_stat_does)
{
    everywhere(stats);
}

static int names(void *arg)
{
    (void)arg;
    file_make("a", "a");
    file_make("b", "bb");
    CHECK_INT(hob_file_rename(in_dir("a"), in_dir("b"), RENAME_NOREPLACE, HOB_FOREVER), -EEXIST);
    CHECK_INT(hob_file_rename(in_dir("a"), in_dir("b"), 0, HOB_FOREVER), 0);
    CHECK_INT(access(in_dir("a"), F_OK), -1);
    CHECK_INT(hob_file_rename(in_dir("a"), in_dir("b"), 0, HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_dir_make(in_dir("d"), 0700, HOB_FOREVER), 0);
    CHECK_INT(hob_dir_make(in_dir("d"), 0700, HOB_FOREVER), -EEXIST);
    CHECK_INT(hob_file_rename(in_dir("b"), in_dir("d/b"), 0, HOB_FOREVER), 0);
    CHECK_INT(hob_dir_remove(in_dir("d"), HOB_FOREVER), -ENOTEMPTY);
    CHECK_INT(hob_file_unlink(in_dir("d"), HOB_FOREVER), -EISDIR);
    CHECK_INT(hob_dir_remove(in_dir("d/b"), HOB_FOREVER), -ENOTDIR);
    CHECK_INT(hob_file_unlink(in_dir("d/b"), HOB_FOREVER), 0);
    CHECK_INT(hob_file_unlink(in_dir("d/b"), HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_dir_remove(in_dir("d"), HOB_FOREVER), 0);
    return 0;
}

TEST(names_are_made_moved_and_removed)
{
    everywhere(names);
}

enum { MANY = 3000, FEWER = 1500 }; /* more than a buffer holds */

/* One descriptor's worth of links instead of many files: quick on any file system. */
static int reads_directory(void *arg)
{
    static unsigned char seen[MANY];
    hob_dir_entry e;
    hob_dir *d = NULL;
    int n = 0, k, r, all = t_times(MANY, FEWER);
    char name[16];

    (void)arg;
    for (int i = 0; i < all; i++) {
        snprintf(name, sizeof name, "%d", i);
        CHECK_INT(symlink("x", in_dir(name)), 0);
        seen[i] = 0;
    }
    CHECK_INT(hob_dir_make(in_dir("sub"), 0700, HOB_FOREVER), 0);
    CHECK_INT(hob_dir_open(in_dir("none"), HOB_FOREVER, &d), -ENOENT);
    CHECK_INT(hob_dir_open(in_dir("0"), HOB_FOREVER, &d), -ENOENT);
    CHECK(d == NULL);
    CHECK_INT(hob_dir_open(dir, HOB_FOREVER, &d), 0);
    while ((r = hob_dir_read(d, HOB_FOREVER, &e)) == 1) {
        bool sub = strcmp(e.name, "sub") == 0;
        CHECK(e.type == DT_UNKNOWN || e.type == (sub ? DT_DIR : DT_LNK));
        CHECK(e.inode != 0);
        if (sub)
            continue;
        CHECK(sscanf(e.name, "%d", &k) == 1 && k >= 0 && k < all && !seen[k]);
        seen[k] = 1;
        n++;
    }
    CHECK_INT(r, 0);
    CHECK_INT(n, all);
    CHECK_INT(hob_dir_read(d, HOB_FOREVER, &e), 0);
    hob_dir_close(d);
    hob_dir_close(NULL);
    for (int i = 0; i < all; i++) {
        snprintf(name, sizeof name, "%d", i);
        CHECK_INT(unlink(in_dir(name)), 0);
    }
    CHECK_INT(hob_dir_remove(in_dir("sub"), HOB_FOREVER), 0);
    return 0;
}

TEST(a_directory_is_read_to_its_end_each_entry_once)
{
    everywhere(reads_directory);
}

static bool begun;

static int in_cancelled(void *arg)
{
    struct stat st;
    hob_dir_entry e;
    char c;
    struct iovec iov = {&c, 1};
    int fd = *(int *)arg;
    hob_dir *d;

    CHECK_INT(hob_dir_open(dir, HOB_FOREVER, &d), 0);
    CHECK_INT(hob_dir_read(d, 0, &e), -ETIMEDOUT); /* nothing fetched yet */
    CHECK_INT(hob_dir_read(d, HOB_FOREVER, &e), 1);
    begun = true;
    CHECK_INT(hob_sleep_until(HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_file_open(dir, O_RDONLY, 0, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_file_read(fd, &c, 1, 0, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_file_write(fd, "x", 1, 0, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_file_readv(fd, &iov, 1, 0, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_file_writev(fd, &iov, 1, 0, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_file_sync(fd, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_file_sync_all(fd, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_file_stat(dir, HOB_FOREVER, &st), -ECANCELED);
    CHECK_INT(hob_file_lstat(dir, HOB_FOREVER, &st), -ECANCELED);
    CHECK_INT(hob_file_fstat(fd, HOB_FOREVER, &st), -ECANCELED);
    CHECK_INT(hob_file_rename(dir, "/", 0, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_file_unlink(in_dir("f"), HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_dir_make(in_dir("g"), 0, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_dir_remove(dir, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_dir_read(d, HOB_FOREVER, &e), -ECANCELED);
    CHECK_INT(hob_dir_open(dir, HOB_FOREVER, &d), -ECANCELED);
    hob_dir_close(d);
    return 0;
}

/* Level-triggered: every call says so, and nothing happens. */
static int cancelled(void *arg)
{
    hob_group g;
    int fd;

    (void)arg;
    file_make("f", "x");
    CHECK((fd = hob_file_open(in_dir("f"), O_RDWR, 0, HOB_FOREVER)) >= 0);
    CHECK_INT(hob_file_open(in_dir("f"), O_RDWR, 0, 0), -ETIMEDOUT);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, in_cancelled, &fd), 0);
    for (begun = false; !begun;)
        CHECK_INT(hob_sleep(HOB_MS), 0);
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, 0), -ESTALE);
    hob_close(fd);
    CHECK_INT(access(in_dir("g"), F_OK), -1);
    CHECK_INT(hob_file_unlink(in_dir("f"), HOB_FOREVER), 0);
    return 0;
}

TEST(a_cancelled_fiber_touches_no_file)
{
    CHECK(mkdtemp(dir) != NULL);
    on_pollers(cancelled, NULL, 0);
    CHECK_INT(rmdir(dir), 0);
}

static int simulated(void *arg)
{
    struct stat st;
    hob_dir *d;

    (void)arg;
    CHECK_INT(hob_file_stat("/", HOB_FOREVER, &st), 0);
    CHECK_INT(hob_file_rename("/none", "/none", 0, HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_file_unlink("/none", HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_dir_make("/none/x", 0, HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_dir_remove("/none", HOB_FOREVER), -ENOENT);
    CHECK_INT(hob_dir_open("/", HOB_FOREVER, &d), 0);
    hob_dir_close(d);
    CHECK_INT(hob_dir_make("/hob-simulated", 0700, HOB_FOREVER), 0);
    CHECK(access("/hob-simulated", F_OK) < 0);
    return 0;
}

TEST(the_simulators_files_are_its_own)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated, NULL), 0);
}
