/* SPDX-License-Identifier: MIT
 *
 * verify_json.c - measured beside predicted, for programs
 */
#include <math.h>

#include "diag/verify_impl.h"
#include "lib/out.h"

static void put_times(struct buf *b, const char *key, const struct verify_time *t)
{
    if (t->value <= 0) {
        out_null(b, key);
        return;
    }
    out_object(b, key);
    out_number(b, "low", t->low, 4);
    out_number(b, "value", t->value, 4);
    out_number(b, "high", t->high, 4);
    out_object_end(b);
}

static void put_sample(struct buf *b, const struct verify_sample *s)
{
    static const char *const words[] = {[SAMPLE_CLEAN] = "clean",
                                        [SAMPLE_LOADED] = "loaded",
                                        [SAMPLE_PAUSED] = "paused",
                                        [SAMPLE_FAILED] = "failed"};

    out_item(b);
    out_row(b);
    out_text(b, "state", words[s->state]);
    out_number(b, "seconds", s->seconds, 4);
    out_int(b, "exit_status", s->status);
    out_number(b, "foreign_load", s->foreign, 3);
    out_object_end(b);
}

static void put_row(struct buf *b, const struct verify_row *row, bool predicted)
{
    const struct verify_time none = {0};

    out_item(b);
    out_row(b);
    out_int(b, "level", row->level);
    out_number(b, "measured", row->seconds > 0 ? row->seconds : INFINITY, 4);
    put_times(b, "predicted", predicted ? &row->predicted : &none);
    out_number(b, "fit", row->fit > 0 ? row->fit : INFINITY, 4);
    out_array(b, "runs");
    for (size_t i = 0; i < row->n; i++)
        put_sample(b, &row->sample[i]);
    out_array_end(b);
    out_object_end(b);
}

static void put_law(struct buf *b, const struct verify_knob *vk)
{
    if (!vk->has_law) {
        out_null(b, "fit");
        return;
    }
    out_object(b, "fit");
    out_number(b, "lambda", vk->law.lambda, 6);
    out_number(b, "sigma", vk->law.sigma, 6);
    out_number(b, "kappa", vk->law.kappa, 9);
    out_number(b, "knee", usl_knee(&vk->law), 1);
    out_number(b, "error", vk->law.error, 4);
    out_object_end(b);
}

static void put_knob(struct buf *b, const struct verify_knob *vk, bool predicted)
{
    static const char *const kinds[] = {
        [KNOB_CORES] = "cores", [KNOB_ENV] = "environment", [KNOB_ARGUMENT] = "argument"};

    out_item(b);
    out_row(b);
    out_text(b, "knob", vk->knob.name);
    out_text(b, "kind", kinds[vk->knob.kind]);
    out_int(b, "now", vk->knob.now);
    out_array(b, "levels");
    for (size_t i = 0; i < vk->n; i++)
        put_row(b, &vk->row[i], predicted);
    out_array_end(b);
    put_law(b, vk);
    if (vk->judged) {
        out_int(b, "from", vk->row[vk->low].level);
        out_int(b, "best", vk->row[vk->top].level);
        out_number(b, "gain", vk->gain, 3);
        put_times(b, "gain_predicted", &vk->gains);
        out_text(b, "verdict", verify_word(vk->word));
    } else {
        out_null(b, "gain");
    }
    out_object_end(b);
}

void verify_json(const struct verify *v, bool predicted, struct buf *b)
{
    out_object(b, "verify");
    out_text(b, "refused", v->refused);
    out_bool(b, "interrupted", v->interrupted);
    out_int(b, "runs", v->n_runs);
    out_number(b, "seconds", v->seconds, 3);
    out_array(b, "knobs");
    for (size_t i = 0; i < v->n_knobs; i++)
        if (v->knob[i].n > 1)
            put_knob(b, &v->knob[i], predicted);
    out_array_end(b);
    out_object_end(b);
}
