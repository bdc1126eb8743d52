/* SPDX-License-Identifier: MIT
 *
 * socket.c - whom a socket of another process talks to, and whether an answer is outstanding
 *
 * HOW         The kernel remembers, for each TCP connection, when data was last sent and when it
 *   last came (in steps of 4 ms, as a rule).  A client that sent last awaits an answer.  When the
 *   two fall into one step, what has been sent and received since the last look decides.
 *
 *   A connection that sent last but whose answer takes far longer than this peer's answers do is
 *   silent: a long poll, a WebSocket, a pool's spare.  It does not count.
 *
 * LIMITS      HTTP/2 and pipelining carry many requests on one connection: it counts as one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <hob/trace.h>

#include "diag/look_impl.h"

static const struct {
    uint16_t port;
    uint8_t kind;
    bool server_first;
} services[] = {
    {53, REC_DNS, false},  {853, REC_DNS, false}, {5353, REC_DNS, false}, {5432, REC_DB, false},
    {5433, REC_DB, false}, {6432, REC_DB, false}, {3306, REC_DB, true},   {33060, REC_DB, true},
    {6379, REC_DB, false}, {6380, REC_DB, false}, {27017, REC_DB, false}, {1433, REC_DB, false},
    {1521, REC_DB, false}, {9042, REC_DB, false}, {11211, REC_DB, false}, {26257, REC_DB, false},
    {8123, REC_DB, false}, {21, REC_NET, true},   {22, REC_NET, true},    {25, REC_NET, true},
    {110, REC_NET, true},  {143, REC_NET, true},  {587, REC_NET, true},
};

static void service_of(uint16_t port, struct file *f)
{
    f->kind = REC_NET;
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        if (services[i].port == port) {
            f->kind = services[i].kind;
            f->server_first = services[i].server_first;
        }
    }
}

static uint16_t port_of(const union address *a)
{
    return ntohs(a->any.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port);
}

static void address_print(const union address *a, const char *protocol, char *buf, size_t n)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (a->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
        inet_ntop(AF_INET, &a->in6.sin6_addr.s6_addr[12], host, sizeof host);
        snprintf(buf, n, "%s %s:%u", protocol, host, port_of(a));
    } else if (a->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
        snprintf(buf, n, "%s [%s]:%u", protocol, host, port_of(a));
    } else {
        inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof host);
        snprintf(buf, n, "%s %s:%u", protocol, host, port_of(a));
    }
}

static bool address_is_local(const union address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr) && a->in6.sin6_addr.s6_addr[12] == 127);
}

static enum rec_kind path_kind(const char *path)
{
    static const struct {
        const char *part;
        enum rec_kind kind;
    } known[] = {
        {".s.PGSQL.", REC_DB},
        {"mysql", REC_DB},
        {"mariadb", REC_DB},
        {"redis", REC_DB},
        {"valkey", REC_DB},
        {"mongodb", REC_DB},
        {"memcached", REC_DB},
        {"pgbouncer", REC_DB},
        {"systemd/resolve", REC_DNS},
        {"nscd", REC_DNS},
        {"io.systemd.Resolve", REC_DNS},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(path, known[i].part))
            return known[i].kind;
    return REC_IPC;
}

/*
 * Whether a connection to that path is listened to for what comes when it comes: a message bus, a
 * display, sound, a log.  Elsewhere who connects asks, and waits for an answer.
 */
static bool path_is_listened_to(const char *path)
{
    static const char *const parts[] = {"dbus",  "/bus",    "/.X11-unix/", "wayland",  "pipewire",
                                        "pulse", "/notify", "journal",     "/dev/log", "/acpid"};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(path, parts[i]))
            return true;
    return false;
}

/* peer: NULL when it has none. */
static void inet_describe(struct looker *l, int32_t pid, const union address *own,
                          const union address *peer, int type, struct file *f)
{
    char name[96];

    if (type == SOCK_DGRAM && !peer) {
        bool bound = port_of(own) != 0 && port_of(own) < 32768;
        f->role = bound ? FILE_LISTENS : FILE_DATAGRAM;
        f->kind = bound ? REC_ACCEPT : REC_NET;
        f->peer = look_peer(l, (enum rec_kind)f->kind, "udp");
        return;
    }
    if (type != SOCK_DGRAM && !peer) {
        f->role = FILE_UNKNOWN; /* still connecting, so its peer has no name yet: ask again */
        f->kind = REC_NET;
        return;
    }
    service_of(port_of(peer), f);
    if (type == SOCK_DGRAM) {
        f->role = FILE_DATAGRAM;
    } else if (listener_of(l, pid, port_of(own))) {
        f->role = FILE_SERVER;
        f->kind = REC_ACCEPT;
        f->peer = look_peer(l, REC_ACCEPT, "clients");
        return;
    } else {
        f->role = FILE_CLIENT;
    }
    address_print(peer, type == SOCK_DGRAM ? "udp" : "tcp", name, sizeof name);
    f->peer = look_peer(l, (enum rec_kind)f->kind, name);
    const struct procfs_listener *here = NULL;
    if (type != SOCK_DGRAM && address_is_local(peer))
        here = listener_of(l, pid, port_of(peer));
    if (here)
        peer_seek(l, f->peer, here->ino);
}

static void inet_ask(struct looker *l, struct look_proc *p, int fd, int type, struct file *f)
{
    union address peer = {.any.sa_family = 0}, own = {.any.sa_family = 0};
    socklen_t n_peer = sizeof peer, n_own = sizeof own;
    bool connected = getpeername(fd, &peer.any, &n_peer) == 0;

    getsockname(fd, &own.any, &n_own);
    inet_describe(l, p->pid, &own, connected ? &peer : NULL, type, f);
}

static void listens(struct looker *l, int32_t pid, struct file *f)
{
    f->role = FILE_LISTENS;
    f->kind = REC_ACCEPT;
    look_rec_proc(l, pid)->listens = true;
    l->ports_at = 0;
}

/* What is not listed is a Unix socket, of which only that is known. */
static void listed_describe(struct looker *l, int32_t pid, struct file *f)
{
    bool none;
    const struct inet_sock *s = inet_find(l, f->ino, &none);

    if (s && s->listens) {
        listens(l, pid, f);
    } else if (s) {
        inet_describe(l, pid, &s->own, s->connected ? &s->peer : NULL, s->type, f);
    } else if (none) {
        f->role = FILE_UNIX;
        f->kind = REC_IPC;
        f->peer = look_peer(l, REC_IPC, "unix");
    }
}

void socket_address(struct looker *l, const void *address, size_t n, struct look *ret)
{
    union address a = {.any.sa_family = 0};
    struct file f = {.kind = REC_NET};
    char name[160] = "";

    memcpy(&a, address, n < sizeof a ? n : sizeof a);
    if ((a.any.sa_family == AF_INET && n >= sizeof a.in) ||
        (a.any.sa_family == AF_INET6 && n >= sizeof a.in6)) {
        service_of(port_of(&a), &f);
        address_print(&a, "tcp", name, sizeof name);
    } else if (a.any.sa_family == AF_UNIX) {
        a.un.sun_path[sizeof a.un.sun_path - 1] = '\0';
        f.kind = (uint8_t)path_kind(a.un.sun_path);
        snprintf(name, sizeof name, "unix %s", a.un.sun_path);
    }
    ret->kind = f.kind;
    ret->peer = name[0] ? look_peer(l, (enum rec_kind)f.kind, name) : 0;
    ret->in_flight = rec_kind_class((enum rec_kind)f.kind) == HOB_CLASS_IO;
}

static void unix_describe(struct looker *l, struct look_proc *p, int fd, struct file *f)
{
    union address peer;
    socklen_t n = sizeof peer;
    struct ucred who = {.pid = 0};
    socklen_t n_who = sizeof who;
    char name[160], path[sizeof peer.un.sun_path + 1] = "";

    memset(&peer, 0, sizeof peer);
    if (getpeername(fd, &peer.any, &n) == 0 && n > offsetof(struct sockaddr_un, sun_path)) {
        size_t length = n - offsetof(struct sockaddr_un, sun_path);
        memcpy(path, peer.un.sun_path, length);
        if (path[0] == '\0')
            path[0] = '@'; /* abstract */
    }
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n_who);
    f->role = FILE_UNIX;
    f->kind = (uint8_t)path_kind(path);
    if (path[0])
        snprintf(name, sizeof name, "unix %s", path);
    else if (who.pid == p->pid)
        snprintf(name, sizeof name, "socket pair");
    else
        snprintf(name, sizeof name, "unix, process %d", who.pid);
    if (path[0] && f->kind == REC_IPC && !path_is_listened_to(path))
        f->role = FILE_UNIX_NAMED;
    else if (!path[0] && who.pid == p->pid)
        f->role = FILE_WAKER;
    f->peer = look_peer(l, (enum rec_kind)f->kind, name);
    if (who.pid > 0 && who.pid != p->pid && l->rec->peers[f->peer].pid == 0)
        peer_watch(l, f->peer, who.pid);
}

void socket_describe(struct looker *l, struct look_proc *p, int fd, struct file *f)
{
    int domain = 0, type = 0, accepts = 0;
    socklen_t n = sizeof domain;

    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
    n = sizeof type;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
    n = sizeof accepts;
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &n);
    if (accepts) {
        listens(l, p->pid, f);
    } else if (domain == AF_INET || domain == AF_INET6) {
        inet_ask(l, p, fd, type, f);
    } else if (domain == AF_UNIX) {
        unix_describe(l, p, fd, f);
    } else {
        f->role = FILE_OTHER;
        f->kind = domain == AF_NETLINK ? REC_IDLE : REC_UNKNOWN;
    }
}

void socket_find(struct looker *l, struct look_proc *p, int fd, struct file *f)
{
    int got = file_dup(p, fd);

    f->kind = REC_NET;
    if (got < 0) {
        listed_describe(l, p->pid, f);
        return;
    }
    socket_describe(l, p, got, f);
    close(got);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* After how many ms without an answer a connection to this peer counts as silent. */
static uint32_t silent_after(const struct looker *l, uint32_t peer)
{
    enum { MANY = 16, FACTOR = 5, FLOOR = 500, STRANGER = 30000 };

    if (peer >= l->n_answers || l->answers[peer].n < MANY)
        return STRANGER;
    const struct answers *a = &l->answers[peer];
    uint32_t sorted[LOOK_ANSWERS];
    memcpy(sorted, a->ms, a->n * sizeof sorted[0]);
    qsort(sorted, a->n, sizeof sorted[0], by_size);
    uint32_t limit = sorted[a->n / 2] * FACTOR;
    return limit > FLOOR ? limit : FLOOR;
}

static void answer_add(struct looker *l, uint32_t peer, int64_t ms)
{
    if (ms < 0 || ms > 600 * 1000)
        return;
    if (peer >= l->n_answers) {
        size_t n = peer + 64;
        struct answers *more = realloc(l->answers, n * sizeof *more);
        if (!more)
            return;
        memset(more + l->n_answers, 0, (n - l->n_answers) * sizeof *more);
        l->answers = more;
        l->n_answers = n;
    }
    struct answers *a = &l->answers[peer];
    a->ms[a->next++ % LOOK_ANSWERS] = (uint32_t)ms;
    if (a->n < LOOK_ANSWERS)
        a->n++;
}

/* Sent and received within one step of the kernel's clock: what moved since the last look? */
static bool tie_awaits(const struct file *f, const struct tcp_info *info)
{
    if (f->asked == 0)
        return true;
    bool sent = info->tcpi_data_segs_out != f->segs_out;
    bool received = info->tcpi_data_segs_in != f->segs_in;

    if (sent != received)
        return sent;
    return sent || f->awaits == AWAITS;
}

/* A long answer comes in pieces: it had begun at the last look, more of it came since then, and
 * nobody asked for anything else.  Small pieces are messages that come when they come. */
static bool streams(const struct file *f, const struct tcp_info *info)
{
    const uint64_t piece = 4096;

    return f->answered && info->tcpi_data_segs_out == f->segs_out &&
           info->tcpi_bytes_received >= f->bytes_in + piece;
}

/* Events come one by one on a connection on which nobody asks again: a feed. */
static void told_count(struct file *f, const struct tcp_info *info)
{
    const uint32_t over_ms = 2000;
    bool asked = info->tcpi_data_segs_out != f->segs_out;

    if (asked || info->tcpi_last_data_recv > over_ms)
        f->told = 0;
    else if (f->answered && info->tcpi_data_segs_in != f->segs_in && f->told < UINT8_MAX)
        f->told++;
}

static bool info_awaits(struct looker *l, struct file *f, const struct tcp_info *info, int64_t now)
{
    enum { ESTABLISHED = 1, SYN_SENT, FIN_WAIT1 = 4, FIN_WAIT2 };
    uint32_t sent = info->tcpi_last_data_sent, received = info->tcpi_last_data_recv;
    int64_t sent_at = now - sent * HOB_MS;
    bool awaits;

    if (info->tcpi_state == SYN_SENT)
        return true;
    if (info->tcpi_state != ESTABLISHED && info->tcpi_state != FIN_WAIT1 &&
        info->tcpi_state != FIN_WAIT2)
        return false;
    if (info->tcpi_data_segs_out == 0)
        return f->server_first && info->tcpi_data_segs_in == 0;
    if (info->tcpi_data_segs_in == 0)
        awaits = true;
    else if (sent == received)
        awaits = tie_awaits(f, info);
    else
        awaits = sent < received;
    if (!awaits && sent > received && info->tcpi_data_segs_out != f->segs_out)
        answer_add(l, f->peer, (int64_t)sent - received);
    else if (f->asked && info->tcpi_data_segs_out > f->segs_out &&
             info->tcpi_data_segs_in != f->segs_in)
        answer_add(l, f->peer,
                   (sent_at - f->sent_at) / HOB_MS /
                       (int64_t)(info->tcpi_data_segs_out - f->segs_out));
    f->sent_at = sent_at;
    told_count(f, info);
    bool more = !awaits && streams(f, info);
    f->answered = !awaits;
    return more || (awaits && sent <= silent_after(l, f->peer));
}

static uint64_t moved_of(const struct tcp_info *info, uint64_t unread)
{
    return (uint64_t)info->tcpi_data_segs_out << 40 ^ (info->tcpi_bytes_received - unread);
}

/* `unread`: bytes of what came that the program has not read. */
static void info_take(struct looker *l, struct file *f, struct tcp_info *info, size_t n,
                      uint64_t unread)
{
    int64_t now = hob_now();
    bool awaits;

    if (n < offsetof(struct tcp_info, tcpi_data_segs_out) + sizeof info->tcpi_data_segs_out)
        info->tcpi_data_segs_in = info->tcpi_data_segs_out = 1; /* an old kernel does not count */
    if (f->role == FILE_SERVER)
        awaits = info->tcpi_last_data_recv < info->tcpi_last_data_sent;
    else
        awaits = info_awaits(l, f, info, now);
    f->awaits = awaits ? AWAITS : AWAITS_NOT;
    f->segs_out = info->tcpi_data_segs_out;
    f->segs_in = info->tcpi_data_segs_in;
    f->bytes_in = info->tcpi_bytes_received;
    f->moved = moved_of(info, unread);
    f->asked = now;
}

void socket_awaits(struct looker *l, int fd, struct file *f)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    int unread = 0;

    memset(&info, 0, sizeof info);
    if (f->role == FILE_DATAGRAM)
        f->awaits = AWAITS;
    else if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
        f->awaits = AWAITS_NOT;
    else if (ioctl(fd, FIONREAD, &unread) < 0 || unread < 0)
        info_take(l, f, &info, n, info.tcpi_bytes_received);
    else
        info_take(l, f, &info, n, (uint64_t)unread);
}

uint64_t socket_moved(int fd)
{
    struct tcp_info info = {.tcpi_state = 0};
    socklen_t n = sizeof info;
    int unread = 0;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 || ioctl(fd, FIONREAD, &unread) < 0)
        return 0;
    return moved_of(&info, (uint64_t)unread);
}

bool socket_ended(int fd)
{
    enum { CLOSE_WAIT = 8, IDLE_MS = 200 };
    struct tcp_info info = {.tcpi_state = 0};
    socklen_t n = sizeof info;
    int unread = 0;

    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 && info.tcpi_state == CLOSE_WAIT &&
           ioctl(fd, FIONREAD, &unread) == 0 && unread == 0 &&
           info.tcpi_last_data_recv > info.tcpi_last_ack_recv + IDLE_MS &&
           info.tcpi_last_data_sent > info.tcpi_last_ack_recv + IDLE_MS;
}

bool socket_left(struct look_proc *p, int fd, uint64_t ino)
{
    enum { CLOSE_WAIT = 8 };
    struct tcp_info info = {.tcpi_state = 0};
    socklen_t n = sizeof info;
    struct stat st;
    int got = file_dup(p, fd);

    if (got < 0)
        return false;
    bool left = fstat(got, &st) == 0 && st.st_ino == ino &&
                getsockopt(got, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
                info.tcpi_state == CLOSE_WAIT && !socket_ended(got);
    close(got);
    return left;
}

void socket_awaits_listed(struct looker *l, struct file *f)
{
    bool none;
    const struct inet_sock *s = inet_find(l, f->ino, &none);

    if (f->role == FILE_DATAGRAM) {
        f->awaits = AWAITS;
    } else if (!s || s->n_info == 0) {
        f->awaits = AWAITS_NOT;
    } else {
        struct tcp_info info = s->info;

        info_take(l, f, &info, s->n_info, info.tcpi_bytes_received);
    }
}
