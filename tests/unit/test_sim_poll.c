/* SPDX-License-Identifier: MIT
 *
 * test_sim_poll.c - the simulator's poller; what its sockets do is test_sim_net.c's
 */
#include "poll_util.h"
#include "sched/sim_net.h"

TEST(an_operation_ends_in_the_next_wait_or_is_cancelled)
{
    struct poller *p;
    struct job j = job_io(POLL_RECV, 0, NULL, 0);
    struct poll_watch w = {.fd = 0, .events = EPOLLIN};

    CHECK_INT(hob__poll_sim.open(&p), 0);
    CHECK(!p->ops->busy(p));
    for (enum poll_kind k = 0; k < POLL_KINDS; k++) {
        CHECK(!p->ops->can(p, k));
        j.op.kind = (uint8_t)k;
        job_start(p, &j);
        CHECK_INT(j.n_done, 2 * (int)k);
        CHECK(p->ops->busy(p));
        CHECK_INT(job_end(p, &j), -EOPNOTSUPP); /* the descriptor is the kernel's */
        job_start(p, &j);
        p->ops->cancel(p, &j.op);
        p->ops->cancel(p, &j.op);
        CHECK_INT(j.n_done, 2 * (int)k + 1);
        CHECK_INT(job_end(p, &j), -ECANCELED);
    }
    CHECK_INT(p->ops->watch(p, &w), -EOPNOTSUPP);
    p->ops->unwatch(p, &w);
    CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0); /* does not block: time is not ours */
    p->ops->wake(p);
    CHECK(p->ops->busy(p));
    CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK(!p->ops->busy(p));
    p->ops->close(p);
}
