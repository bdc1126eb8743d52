/* SPDX-License-Identifier: MIT
 *
 * judge.c - what hob diagnose says today of recordings that were kept
 *
 * WHAT        judge FILE...: a line of JSON for each.  So a change of the rule or of the prediction
 *   is tried on programs and their fixes that ran once, on a quiet machine.
 */
#include <stdio.h>

#include "diag/json.h"
#include "diag/rec.h"

static int judge(const char *file)
{
    struct recording rec;
    struct diagnosis d;
    int r = rec_load(file, &rec);

    if (r < 0)
        return r;
    r = diagnose(&rec, &d);
    if (r == 0)
        r = json_write(&d, stdout);
    rec_free(&rec);
    return r;
}

int main(int argc, char *argv[])
{
    for (int i = 1; i < argc; i++) {
        int r = judge(argv[i]);

        if (r < 0) {
            fprintf(stderr, "judge: %s: %s\n", argv[i], hob_strerror(r));
            return 1;
        }
    }
    return 0;
}
