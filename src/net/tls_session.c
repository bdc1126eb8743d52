/* SPDX-License-Identifier: MIT
 *
 * tls_session.c - what servers gave a client to resume by, a name each
 *
 * A table that is looked through from end to end, by a hash first: 256 numbers are compared, and
 * then there is a handshake to compute.
 */
#include <stdlib.h>
#include <string.h>

#include "net/tls.h"

void hob__tls_sessions_init(struct tls_sessions *s)
{
    *s = (struct tls_sessions){.table = NULL};
    pthread_mutex_init(&s->lock, NULL);
}

static void session_drop(struct tls_session *e)
{
    SSL_SESSION_free(e->session);
    free(e->name);
    *e = (struct tls_session){.used = 0};
}

void hob__tls_sessions_fini(struct tls_sessions *s)
{
    for (int i = 0; s->table && i < TLS_SESSIONS_MAX; i++)
        session_drop(&s->table[i]);
    free(s->table);
    pthread_mutex_destroy(&s->lock);
}

static uint32_t hash_of(const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    while (*name)
        h = (h ^ (unsigned char)*name++) * 16777619u;
    return h;
}

/* The name's, or NULL and in *ret_other the place to use for a new one. */
static struct tls_session *session_find(struct tls_sessions *s, const char *name, uint32_t hash,
                                        struct tls_session **ret_other)
{
    struct tls_session *oldest = s->table;

    for (struct tls_session *e = s->table; e < s->table + TLS_SESSIONS_MAX; e++) {
        if (e->used && e->hash == hash && strcmp(e->name, name) == 0)
            return e;
        if (e->used < oldest->used)
            oldest = e;
    }
    *ret_other = oldest;
    return NULL;
}

void hob__tls_session_put(struct tls_sessions *s, const char *name, SSL_SESSION *session)
{
    struct tls_session *e, *other = NULL;
    uint32_t hash = hash_of(name);
    char *copy = strdup(name);

    pthread_mutex_lock(&s->lock);
    if (!s->table)
        s->table = calloc(TLS_SESSIONS_MAX, sizeof *s->table);
    if (s->table && copy) {
        if (!(e = session_find(s, name, hash, &other)))
            e = other;
        session_drop(e);
        *e = (struct tls_session){++s->clock, hash, copy, session};
        copy = NULL;
        session = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    free(copy);
    SSL_SESSION_free(session);
}

SSL_SESSION *hob__tls_session_get(struct tls_sessions *s, const char *name)
{
    struct tls_session *e, *other;
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&s->lock);
    if (s->table && (e = session_find(s, name, hash_of(name), &other))) {
        session = e->session;
        e->used = ++s->clock;
        SSL_SESSION_up_ref(session);
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            session_drop(e);
    }
    pthread_mutex_unlock(&s->lock);
    return session;
}
