/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "lib/t.h"
#include "plat/env.h"
#include "plat/poll.h"

struct job {
    struct poll_op op;
    int n_done;
};

static void job_done(struct poll_op *op)
{
    container_of(op, struct job, op)->n_done++;
}

TEST(recv_and_send_meet_over_a_socket)
{
    struct poller *p;
    int s[2];
    char in[8];

    CHECK_INT(hob__poll_epoll.open(&p), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);
    struct job r = {{.done = job_done, .kind = POLL_RECV, .fd = s[0], .buf = in, .len = 8}, 0};
    struct job w = {{.done = job_done, .kind = POLL_SEND, .fd = s[1], .cbuf = "abc", .len = 3}, 0};
    p->ops->submit(p, &r.op);
    CHECK_INT(p->ops->wait(p, 0), 0);
    CHECK_INT(r.n_done, 0);
    p->ops->submit(p, &w.op);
    while (!r.n_done || !w.n_done)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK_INT(r.op.res, 3);
    CHECK_INT(w.op.res, 3);
    p->ops->submit(p, &r.op);
    p->ops->cancel(p, &r.op);
    CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK_INT(r.op.res, -ECANCELED);
    CHECK_INT(r.n_done, 2);
    hob_time until = hob__now() + 5 * HOB_MS;
    CHECK_INT(p->ops->wait(p, until), 0);
    CHECK(hob__now() >= until);
    p->ops->wake(p);
    CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    close(s[0]);
    close(s[1]);
    p->ops->close(p);
}
