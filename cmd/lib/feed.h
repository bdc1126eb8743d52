/* SPDX-License-Identifier: MIT
 *
 * feed.h - a JSON Lines file that counts as far as its owner has said so
 *
 * A feed is written in three steps: feed_row gathers a row in memory, feed_flush writes, feed_sync
 * makes a regular file durable and tells where it ends (its mark).  Its owner stores the mark in
 * the transaction that counts the rows; bytes after the last mark stored never happened, and
 * feed_resume cuts them off.  A pipe, a terminal or "-" takes nothing back: its owner flushes only
 * after the commit, and after a crash the rows since the last mark come once more.
 *
 * The tool must ignore SIGPIPE: a reader that went away is then -EPIPE.
 */
#ifndef HOB_CMD_FEED_H
#define HOB_CMD_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct feed;

enum { FEED_NO_FILE = -1 }; /* as an offset: the mark of a stream, which no file matches */

/* Where a feed ended, and enough to know the file again after a move or a copy. */
struct feed_mark {
    int64_t offset;
    uint64_t tail;     /* hash of the last bytes before offset */
    uint64_t dev, ino; /* of the file: what tells before it has a byte */
};

struct feed_row {
    const char *url;
    const char *final_url; /* NULL: the same as url */
    int status;            /* 0: there was no answer, null in the row */
    int64_t bytes;
    double seconds;
    unsigned depth, attempts;
    const char *error;  /* NULL: none */
    const char *fields; /* JSON text of an object; NULL: none */
};

/*
 * Opens or makes the file at `path`; "-" is standard output.  Writes nothing.
 * On failure one line in err: -EBUSY (another process writes it), or what open says.
 */
int feed_open(const char *path, char *err, size_t err_size, struct feed **ret);
/* Bytes not flushed are dropped. */
void feed_close(struct feed *f);

const char *feed_path(const struct feed *f); /* absolute; "-" for standard output */
bool feed_is_file(const struct feed *f);
int64_t feed_size(const struct feed *f); /* as found at open; 0 unless a regular file */

/* True if the file is the one the mark was taken of. */
bool feed_matches(const struct feed *f, const struct feed_mark *m);
/* Cuts a file that matches back to the mark and goes on there. */
int feed_resume(struct feed *f, const struct feed_mark *m);
/* Back to the last mark taken or resumed: for a batch that will not be counted. */
void feed_rewind(struct feed *f);

/* -ENOMEM: nothing of the row was taken. */
int feed_row(struct feed *f, const struct feed_row *row);
size_t feed_pending(const struct feed *f); /* bytes gathered and not written */
int feed_flush(struct feed *f);
/* Makes what was flushed durable (unless !durable) and takes the mark. */
int feed_sync(struct feed *f, bool durable, struct feed_mark *ret);

#endif
