/* SPDX-License-Identifier: MIT */
#ifndef HOB_HTTP_H
#define HOB_HTTP_H

#include <stdbool.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * HTTP client
 * ===========
 *
 *     struct hob_http_response res;
 *     int r = hob_http_get(client, "https://example.com/", hob_in(15 * HOB_SEC), &res);
 *     if (r < 0)
 *         printf("null  %s\n", res.reason);
 *     else
 *         printf("%u  %zu bytes\n", res.status, res.body_n);
 *     hob_http_response_free(&res);
 *
 * A response is a result whatever its status: 404 and 500 return 0.  Negative is what kept a
 * response from coming, with one line of words in `reason`.
 *
 * A client holds connections, names and limits.  It is made, used and freed on fibers of one
 * hob_run.  Any number of them may use it at once: nothing in it limits how many requests run, a
 * group's max_live does.  A request runs on its caller's loop, and so do its connections: a client
 * used from several loops keeps a set for each.  Connections are reused by (proxy, its
 * credentials, scheme, host, port).
 *
 * The address guard: unless allow_private is set, no connection is made to an address that is not
 * of the public Internet (hob_addr_public).  Every address of a name is checked, before it is
 * connected to, at every redirect, and once more when libcurl opens the socket; one bad address
 * refuses the whole name.  Behind an http, https or socks5h proxy it is the proxy that looks the
 * target's name up: then only targets written as an address, and localhost, are refused, and the
 * rest is the proxy's to guard.  Proxies themselves are the program's choice and not guarded.
 */
typedef struct hob_http hob_http;

struct hob_http_opts {
    size_t size;                /* sizeof(struct hob_http_opts); HOB_HTTP_OPTS fills it */
    const char *user_agent;     /* NULL: "hob/VERSION"; "": none is sent */
    const char *const *proxies; /* "http://user:password@host:port", https, socks5, socks5h; taken
                                   in turn, one a request */
    size_t n_proxies;
    const char *ca_file;     /* PEM file of the authorities to trust; NULL: the system's */
    size_t body_bytes_max;   /* bytes of a body, on the wire and decompressed; 0: 64 MiB */
    uint32_t redirects_max;  /* followed by one request; 0: 10 (a request may refuse them) */
    uint32_t idle_conns_max; /* idle connections kept, a loop; 0: 256 */
    uint32_t rate_bytes_min; /* bytes a second, over every stretch of idle_ns_max; 0: one byte is
                          enough */
    hob_dur connect_ns_max;  /* a hop's longest time from its name to its connection; 0: 10 s */
    hob_dur idle_ns_max;     /* the longest time without a byte; 0: 60 s */
    hob_dur names_ns_max;    /* how long a looked-up name is good for; 0: 60 s */
    bool allow_private;      /* the address guard is off */
    bool insecure;           /* certificates are not verified */
    bool no_http2;           /* HTTP/1.1 only; else HTTP/2 where TLS agrees on it */
};

#define HOB_HTTP_OPTS(...)                                                                         \
    (&(struct hob_http_opts){.size = sizeof(struct hob_http_opts), __VA_ARGS__})

/** Never grows: what else there may be to say of a header is said by a function. */
struct hob_http_header {
    const char *name, *value;
};

struct hob_http_request {
    size_t size;        /* sizeof(struct hob_http_request); HOB_HTTP_REQUEST fills it */
    const char *url;    /* absolute, http or https; credentials in it go to its origin alone */
    const char *method; /* NULL: GET, with a body POST */
    const struct hob_http_header *headers; /* sent beside, or instead of, the client's own */
    size_t n_headers;
    const void *body;
    size_t body_n;
    const char *proxy;     /* NULL: the client's next; "": none; else instead of the client's */
    size_t body_bytes_max; /* 0: the client's */
    bool no_redirects;     /* a redirect is the response */
};

#define HOB_HTTP_REQUEST(...)                                                                      \
    (&(struct hob_http_request){.size = sizeof(struct hob_http_request), __VA_ARGS__})

enum { HOB_HTTP_REASON_MAX = 256 };

/**
 * Never grows: it need not be initialized, and whatever else is to be known of a response is asked
 * for by a function, as hob_http_response_header is.
 */
struct hob_http_response {
    int error;             /* what the call returned: 0 or negative */
    uint32_t status;       /* 200, 404, ... */
    uint32_t n_redirects;  /* followed, also by a request that failed */
    uint32_t http_version; /* 10, 11 or 20 */
    char *body;            /* body_n bytes and a NUL; NULL with an error */
    size_t body_n;
    const struct hob_http_header *headers; /* of the last response, in its order */
    size_t n_headers;
    const char *final_url;    /* after redirects, without credentials; NULL with an error */
    const char *content_type; /* of `headers`; "": there is none */
    hob_dur total;            /* of the call */
    hob_dur resolving;        /* of the last hop: looking names up, */
    hob_dur connecting;       /* until the connection, TLS included; 0: it was there */
    hob_dur first_byte;       /* and until the response began */
    bool reused;              /* the last hop found its connection open */
    char remote[64];          /* "192.0.2.1:443" of the last hop's connection, or its proxy */
    char reason[HOB_HTTP_REASON_MAX]; /* with an error: which host and what; else "" */
    void *storage;                    /* the library's */
};

/**
 * hob_http_new - make a client
 * @opts: NULL for all defaults; strings are copied
 * @ret:  the client, owned by the caller; untouched on failure
 *
 * Return: 0; -EINVAL (a proxy not understood, a limit out of range, a control character in the
 * user agent), -E2BIG (an option newer than this library), -ENOMEM, -EPERM (not on a fiber),
 * -EOPNOTSUPP (simulated: see hob_http_new_fake).
 */
HOB_API HOB_MUST_CHECK int hob_http_new(const struct hob_http_opts *opts, hob_http **ret);

/** hob_http_free - close what a client holds, on a fiber; no request may be under way; NULL is a
 * no-op.  Parks, shielded from cancels, for as long as its loops take to hear of it. */
HOB_API HOB_PARKS void hob_http_free(hob_http *client);

/**
 * hob_http_do - send a request, follow its redirects, and wait for the whole response
 * @until: absolute; the limit of everything together
 * @ret:   always filled in; hob_http_response_free it, or not after a failure: then nothing in it
 *         is allocated
 *
 * Redirects: 303, and 301 and 302 of a POST, go on as GET without the body; 307 and 308 repeat the
 * request.  Authorization and Cookie headers go to the first URL's origin only.
 *
 * Return: 0: there is a response; or
 * -EINVAL (not an http or https URL, or a request that makes no sense), -HOB_EDNS, -EAGAIN (the
 * name server failed for now), -HOB_EADDRGUARD, -ECONNREFUSED and what else connect says,
 * -HOB_ETLS, -HOB_EPROXY, -ECONNRESET (the connection ended early), -HOB_EHTTP, -HOB_EREDIRECT (too
 * many, in a circle, or to no URL), -HOB_ETOOBIG, -ETIMEDOUT (`until`, connect_ns_max, idle_ns_max
 * or rate_bytes_min), -ECANCELED, -ENOMEM, -EPERM (not on a fiber), -E2BIG.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_http_do(hob_http *client,
                                                 const struct hob_http_request *req, hob_time until,
                                                 struct hob_http_response *ret);

/** hob_http_get - hob_http_do of GET `url` */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_http_get(hob_http *client, const char *url, hob_time until,
                                                  struct hob_http_response *ret);

/** hob_http_response_header - the first header of that name, whatever its case; NULL: none. */
HOB_API HOB_ANY_THREAD const char *hob_http_response_header(const struct hob_http_response *res,
                                                            const char *name);

/** hob_http_response_free - free what a response holds and zero it; a zeroed one is harmless. */
HOB_API HOB_ANY_THREAD void hob_http_response_free(struct hob_http_response *res);

/*
 * A client without a network
 * ==========================
 *
 * What is built on the client (redirects, retries, a crawl) runs under HOB_SIM over a client whose
 * every hop is answered by a function of the program's own, after a time of the simulator's.
 */

/** How one hop is answered; zeroed before the function is asked.  Never grows: hob_http_fake does,
 * by another function that answers. */
struct hob_http_answer {
    hob_dur latency;    /* from the request to the answer */
    int error;          /* negative: instead of a response, as the network would fail */
    uint32_t status;    /* 0: 200 */
    const char *reason; /* with `error`; NULL: hob_strerror's words */
    const struct hob_http_header *headers;
    size_t n_headers;
    const void *body;
    size_t body_n;
};

struct hob_http_fake {
    size_t size; /* sizeof(struct hob_http_fake); HOB_HTTP_FAKE fills it */
    /**
     * Answers one hop; req->url, ->method, ->headers, ->body and ->proxy are those of the hop.
     * What *ret points to is copied when the call returns.  Runs on the requesting fiber; may park.
     */
    void (*answer)(void *arg, const struct hob_http_request *req, struct hob_http_answer *ret);
    void *arg;
};

#define HOB_HTTP_FAKE(...)                                                                         \
    (&(struct hob_http_fake){.size = sizeof(struct hob_http_fake), __VA_ARGS__})

/**
 * hob_http_new_fake - make a client that asks a function instead of the network
 * @opts: as for hob_http_new; of the address guard only what needs no lookup
 *
 * Return: as hob_http_new, and -EINVAL without an answer function; it works with and
 * without HOB_SIM.
 */
HOB_API HOB_MUST_CHECK int hob_http_new_fake(const struct hob_http_opts *opts,
                                             const struct hob_http_fake *fake, hob_http **ret);

HOB_END_DECLS
#endif
