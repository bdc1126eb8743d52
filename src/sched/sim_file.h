/* SPDX-License-Identifier: MIT
 *
 * sim_file.h - files of the simulator, in memory over what the disk has
 */
#ifndef HOB_SCHED_SIM_FILE_H
#define HOB_SCHED_SIM_FILE_H

#include <limits.h>

#include "plat/file_call.h"
#include "sched/sim_net.h"

enum { SIM_FILE_MOST = 1 << 30 }; /* bytes */

enum sim_file_kind {
    SIM_FILE,
    SIM_DIR,
    SIM_GONE, /* nothing is there, whatever the disk says */
};

struct sim_file {
    struct list node; /* in the list of files; alone: removed, but still open */
    char *path;       /* absolute */
    enum sim_file_kind kind;
    mode_t mode;
    uint64_t inode;
    unsigned n_open;
    hob_time changed;
    unsigned char *bytes;
    size_t size, room;
};

extern const struct file_ops hob__file_sim;

void hob__sim_files_open(void);
void hob__sim_files_close(void);

/* A descriptor of it is closed. */
void hob__sim_file_release(struct sim_file *f);

/* A path as the list has it: absolute, by its text. */
int hob__sim_path_make(const char *path, char to[PATH_MAX]);
/* What the list has at a path, the gone ones too; NULL: nothing, the disk is to be asked. */
struct sim_file *hob__sim_file_find(const char *path);
/* What is at a path: a file or a directory, taken from the disk if need be. */
int hob__sim_file_get(const char *path, struct sim_file **ret);
/* Whether something can be made at a path: 0; -EEXIST and what is there; -ENOENT, -ENOTDIR. */
int hob__sim_place_get(const char *path, struct sim_file **ret);
/* Something new at a path where nothing is. */
int hob__sim_file_make(const char *path, enum sim_file_kind kind, mode_t mode,
                       struct sim_file **ret);
/* Room for n bytes at a place, those behind the file's end 0; -EFBIG, -ENOMEM. */
int hob__sim_file_grow(struct sim_file *f, uint64_t at, size_t n);
/* Takes a file's path away; a mark hides what the disk has there. */
int hob__sim_path_leave(struct sim_file *f);
/* Gives it another (malloc'd), and takes that away from what has it. */
void hob__sim_path_take(struct sim_file *f, char *path);

/* Bytes at a place: how many, or a negative errno. */
int hob__sim_file_read(const struct sim_sock *s, const struct iovec *iov, size_t n_iov,
                       uint64_t at);
int hob__sim_file_write(const struct sim_sock *s, const struct iovec *iov, size_t n_iov,
                        uint64_t at);

/* The next in a directory behind `after` (NULL: the first) of those that are in memory, the gone
 * ones too; NULL: none. */
struct sim_file *hob__sim_file_in(const struct sim_file *dir, struct sim_file *after);

/* ---- sim_dir.c ---- */

/* Whether anything is in it. */
bool hob__sim_dir_has(const struct sim_file *dir);
int hob__sim_dir_entries(int fd, void *buf, size_t n);

/* A directory that is being read. */
struct sim_listing;
void hob__sim_listing_free(struct sim_listing *l);

#endif
