/* SPDX-License-Identifier: MIT
 *
 * fuzz.h - what each fuzz target is made of
 *
 * A target is one file with LLVMFuzzerTestOneInput.  With -Dfuzz=true (clang) it links libFuzzer:
 *
 *     CC=clang-14 meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined \
 *         -Db_lundef=false && ninja -C build-fuzz
 *     build-fuzz/tests/fuzz/fuzz_url tests/fuzz/corpus/url -max_total_time=60
 *
 * In every other build it links fuzz_main.c and runs over its corpus, as a test: what once broke
 * goes into the corpus and stays mended.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A property broken: not a crash, so it must be made one. */
#define FUZZ_CHECK(cond)                                                                           \
    ((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), abort()))

/* The input up to its next NUL, as a string of its own; the rest stays in *data, *n. */
char *fuzz_part(const uint8_t **data, size_t *n);

#endif
