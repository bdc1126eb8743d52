/* SPDX-License-Identifier: MIT
 *
 * fuzz_rec.c - a recording of hob diagnose: whatever the bytes, what is read can be trusted
 */
#include "diag/rec.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct recording r;
    size_t n_ivals = 0;

    if (rec_parse(data, n, &r) < 0)
        return 0;
    FUZZ_CHECK(r.n_peers > 0 && r.command);
    for (size_t i = 0; i < r.n_threads; i++) {
        const struct rec_thread *t = &r.threads[i];
        int64_t after = 0;

        FUZZ_CHECK(t->proc < r.n_procs);
        for (size_t k = 0; k < t->n_ivals; k++) {
            const struct rec_ival *v = &t->ivals[k];

            FUZZ_CHECK(v->from >= after && v->to > v->from && v->peer < r.n_peers);
            FUZZ_CHECK(v->run_ppm <= 1000000 && v->ready_ppm <= 1000000 - v->run_ppm);
            after = v->to;
        }
        n_ivals += t->n_ivals;
    }
    FUZZ_CHECK(n_ivals == r.n_ivals);
    for (size_t i = 0; i < r.n_looks; i++)
        FUZZ_CHECK(r.looks[i].thread < r.n_threads);
    rec_free(&r);
    return 0;
}
