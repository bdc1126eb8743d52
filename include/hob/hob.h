/* SPDX-License-Identifier: MIT */
#ifndef HOB_HOB_H
#define HOB_HOB_H

/*
 * hob: what waits on loops, what computes on a pool
 * =================================================
 *
 *     #include <hob/hob.h>
 *
 *     static int greet(void *name)
 *     {
 *         int r = hob_sleep(10 * HOB_MS);          // parks this fiber, not the thread
 *         return r < 0 ? r : printf("hello, %s\n", (char *)name);
 *     }
 *
 *     static int both(void *unused)
 *     {
 *         hob_group g;
 *         int r = hob_group_open(&g, NULL);
 *         if (r == 0)
 *             r = hob_go(&g, greet, "pots");
 *         if (r == 0)
 *             r = hob_go(&g, greet, "cooks");
 *         return hob_group_join(&g, r);
 *     }
 *
 *     int main(void) { return hob_run(NULL, both, NULL) < 0; }
 *
 *     base.h    linkage, time, error codes
 *     rt.h      hob_run and its options        fiber.h   the running fiber: yield, sleep
 *     group.h   start, join, cancel, deadline  chan.h    channels
 *     lock.h    mutex, condition, rwlock       sem.h     semaphores
 *     event.h   events, once                   select.h  whichever of several comes first
 *     net.h     addresses, names, TCP          file.h    files
 *     proc.h    child processes                signal.h  signals
 *     dgram.h   UDP, datagrams                 unix.h    Unix sockets, descriptors in messages
 *     pipe.h    pipes, splice                  buf.h     buffered readers and writers
 *     tls.h     TLS over any stream            http.h    HTTP client
 *     flow.h    pipelines, each stage in its own model
 *     bridge.h  off the loop and back: offload, block, lanes
 *     pool.h    CPU work: hob_for              trace.h   recordings, verdicts, timelines
 *     debug.h   what every fiber does now
 *     sim.h     what is asked in a simulation
 */
#include <hob/base.h>
#include <hob/bridge.h>
#include <hob/buf.h>
#include <hob/chan.h>
#include <hob/debug.h>
#include <hob/dgram.h>
#include <hob/event.h>
#include <hob/fiber.h>
#include <hob/file.h>
#include <hob/flow.h>
#include <hob/group.h>
#include <hob/http.h>
#include <hob/lock.h>
#include <hob/net.h>
#include <hob/pipe.h>
#include <hob/pool.h>
#include <hob/proc.h>
#include <hob/rt.h>
#include <hob/select.h>
#include <hob/sem.h>
#include <hob/signal.h>
#include <hob/sim.h>
#include <hob/tls.h>
#include <hob/trace.h>
#include <hob/unix.h>

#endif
