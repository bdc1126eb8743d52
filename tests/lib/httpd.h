/* SPDX-License-Identifier: MIT
 *
 * httpd.h - an HTTP server for tests: what it answers, and how badly, is in the path
 *
 *     /                   200, "hello\n"
 *     /bytes/N            N bytes, with a Content-Length
 *     /chunked/N          N bytes in chunks
 *     /gzip/N /zip-noise  N zeroes, compressed; compressed blocks that come to nothing, for ever
 *     /echo               the request itself: line, headers, body
 *     /status/N           status N, empty
 *     /to/N/URL /to/N?URL redirect N with Location: URL
 *     /to-endless         redirect to /, with a body without end
 *     /circle             redirect to /circle
 *     /next/N             redirect to /next/N-1, and /next/0 to /
 *     /fields/N           N header fields
 *     /early              103 before 200
 *     /trailer            a chunked body with a trailer
 *     /close              200 with Connection: close
 *     /leave              the same, unannounced
 *     /silent             reads the request and says nothing
 *     /half               a head that promises more than the 10 bytes that come
 *     /cut                the same, then the connection ends
 *     /reset              10 bytes, then a reset
 *     /gone               the connection ends without an answer
 *     /drip               a byte of the body every 10 ms, for ever
 *     /loris              a byte of the head every 10 ms, for ever
 *     /endless            a body without end, as fast as it is taken
 *     /not-http           an answer that is none
 *     /big-head           a head without end
 *     /late/MS            200 "hello\n" after so many ms
 *     /meet/N             200 "hello\n" once N such requests have come
 *
 * It is a proxy too: an absolute URL in the request line is answered by the path in it, CONNECT
 * and SOCKS5 are relayed to 127.0.0.1 and the port asked for, whatever the host.  With
 * credentials set, none of the three works without them.
 */
#ifndef T_HTTPD_H
#define T_HTTPD_H

#include <stdatomic.h>
#include <stdint.h>

struct httpd {
    uint16_t port;
    const char *user, *password; /* of the proxy; NULL: none needed */
    _Atomic(unsigned) n_connections, n_requests, n_tunnels, n_open;
    char last_host[256]; /* what CONNECT, SOCKS5 or an absolute URL asked for last */
    struct httpd_private *private;
};

/* On 127.0.0.1, any port. */
void httpd_start(struct httpd *h);
/* Ends every connection. */
void httpd_stop(struct httpd *h);
/* A connection that httpd sees ended, or not yet: waits until at most n are open. */
void httpd_wait_open(struct httpd *h, unsigned n);

#endif
