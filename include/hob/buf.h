/* SPDX-License-Identifier: MIT */
#ifndef HOB_BUF_H
#define HOB_BUF_H

#include <stdbool.h>
#include <sys/types.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Buffered reading and writing
 * ============================
 *
 * A reader takes bytes in large pieces and gives them out as lines, records or counts; a writer
 * collects small pieces.  Both work on a descriptor, or on whatever reads and writes like hob_read
 * and hob_write: a TLS stream, a fake.
 *
 * Nothing is lost by a call that fails: what a reader had taken stays in it, what a writer could
 * not write stays in it, and the next call goes on from there.  A reader or a writer is one
 * fiber's at a time; a reader and a writer on the same socket may belong to two.
 */

/** How it reads: as hob_read.  Bytes, 0 at the end, or a negative errno and no byte was taken. */
typedef ssize_t (*hob_read_fn)(void *arg, void *buf, size_t n, hob_time until);

/** How it writes: as hob_write.  n; fewer if it failed after a part; or a negative errno. */
typedef ssize_t (*hob_write_fn)(void *arg, const void *buf, size_t n, hob_time until);

typedef struct hob_reader hob_reader;

/** Zero is the default of every field. */
struct hob_reader_opts {
    size_t size;
    size_t bytes_max; /* held at most, so the bound of a line or record; 0: 64 KiB.  It starts with
                         4 KiB and grows when a line needs it */
    hob_read_fn read; /* NULL: hob_read of the descriptor */
    void *arg;        /* of read */
    bool ahead;       /* of a stream socket: its loop takes what comes before it is asked for; see
                         hob_reader_stop.  With .read it means nothing */
};

#define HOB_READER_OPTS(...)                                                                       \
    (&(struct hob_reader_opts){.size = sizeof(struct hob_reader_opts), __VA_ARGS__})

/**
 * hob_reader_new - a reader
 * @fd:  stays yours to close; without meaning if .read is given
 * @ret: owned by the caller; untouched on failure
 *
 * Return: 0, -ENOMEM, -E2BIG, -EINVAL (options).
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_reader_new(int fd, const struct hob_reader_opts *opts,
                                                         hob_reader **ret);

/**
 * hob_reader_free - NULL is a no-op; what is in it and was not given out is gone
 *
 * With .ahead on the loop that takes for it, like all use of it, unless it was stopped or that loop
 * has ended.  Elsewhere it is a mistake (debug builds abort): part of it then stays until that loop
 * ends, or its socket's stream does.
 */
HOB_API HOB_ANY_THREAD void hob_reader_free(hob_reader *r);

/**
 * hob_reader_stop - take no more ahead
 *
 * With .ahead the fiber that first waits in a read gives the socket's incoming side to its loop,
 * which keeps receiving, between the calls too, into memory that all such readers of the loop
 * share: many small messages cost less of the processor.  Where io_uring is missing or has not
 * what it takes, and while much comes at a time, reads are plain ones, and nothing else differs.
 *
 * From then on the reader is of use on that loop only, and nobody else may read the socket, in this
 * process or in another.  A cancelled or timed-out read loses nothing: what came is the next
 * read's.  With `until` 0 a read gives what the loop has taken, which it does once a turn.  The
 * loop holds the socket open: free the reader before the descriptor is closed, or the peer is not
 * told.
 *
 * To hand the socket to other code or another loop, stop the reader.  This parks for a moment, also
 * where everything is cancelled.  Afterwards hob_reader_pending says what was taken already, which
 * reads give first, and all else is as without .ahead.  Of other readers it is a no-op.
 *
 * Return: 0; -ENOMEM: it takes no more, but what it holds can still be read on its loop only;
 * -EBUSY: from another loop, or a thread (debug builds abort).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_reader_stop(hob_reader *r);

/** hob_reader_pending - how many bytes it holds, which the descriptor will not give again. */
HOB_API HOB_ANY_THREAD size_t hob_reader_pending(const hob_reader *r);

/**
 * hob_reader_read - what is there, parking until there is something
 *
 * Return: bytes, 0 at the end; or what its read returned: no byte was taken.  -ENOMEM.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_reader_read(hob_reader *r, void *buf,
                                                                        size_t n, hob_time until);

/**
 * hob_reader_read_exact - n bytes
 *
 * Return: n; fewer if the stream ended, or failed, after a part, which lies in buf (the next call
 * says which); 0 at the end; or what its read returned: no byte was taken.  -ENOMEM.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_reader_read_exact(hob_reader *r,
                                                                              void *buf, size_t n,
                                                                              hob_time until);

/**
 * hob_reader_read_until - the bytes before a delimiter
 * @delim:   delim_n bytes, at least one: "\r\n\r\n"
 * @ret:     into the reader, until the next call on it; no NUL behind it
 * @ret_n:   without the delimiter, which is taken too; 0: two delimiters in a row
 *
 * Return: 1: found; 0: the stream ended, and nothing was left; -ENODATA: it ended without a
 * delimiter; -HOB_ETOOBIG: none in bytes_max bytes; -EINVAL: delim_n 0; -ENOMEM; or what its read
 * returned.  After each of these nothing was taken: hob_reader_read gives what is there.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int
hob_reader_read_until(hob_reader *r, const void *delim, size_t delim_n, hob_time until,
                      const char **ret, size_t *ret_n);

/**
 * hob_reader_read_line - a line, without its "\n" or "\r\n"
 *
 * The last one needs no "\n".  Return: 1: a line; 0: the end; negative as hob_reader_read_until.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int
hob_reader_read_line(hob_reader *r, hob_time until, const char **ret, size_t *ret_n);

typedef struct hob_writer hob_writer;

/** Zero is the default of every field. */
struct hob_writer_opts {
    size_t size;
    size_t bytes;       /* collected before they are written; 0: 16 KiB */
    hob_write_fn write; /* NULL: hob_write of the descriptor */
    void *arg;          /* of write */
};

#define HOB_WRITER_OPTS(...)                                                                       \
    (&(struct hob_writer_opts){.size = sizeof(struct hob_writer_opts), __VA_ARGS__})

/** hob_writer_new - as hob_reader_new */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_writer_new(int fd, const struct hob_writer_opts *opts,
                                                         hob_writer **ret);

/** hob_writer_free - NULL is a no-op; it does not flush: what was not written is gone. */
HOB_API HOB_ANY_THREAD void hob_writer_free(hob_writer *w);

/** hob_writer_pending - how many bytes it holds that were not written yet. */
HOB_API HOB_ANY_THREAD size_t hob_writer_pending(const hob_writer *w);

/**
 * hob_writer_write - take n bytes; write when there is no more room, and large pieces at once
 *
 * Return: n; fewer if its write failed after a part was taken (the next call says how); or what its
 * write returned: no byte was taken.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_writer_write(hob_writer *w,
                                                                         const void *buf, size_t n,
                                                                         hob_time until);

/**
 * hob_writer_print - take formatted text, whole or not at all
 *
 * Return: its length; -HOB_ETOOBIG: longer than `bytes`; -EINVAL (format); or what its write
 * returned: no byte was taken.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_writer_print(hob_writer *w, hob_time until,
                                                                     const char *format, ...)
    HOB_PRINTF(3, 4);

/** hob_writer_flush - write what it holds: 0, or what its write returned; the rest stays in it. */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_writer_flush(hob_writer *w, hob_time until);

HOB_END_DECLS
#endif
