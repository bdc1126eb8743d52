/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_LANG_H
#define HOB_DIAG_LANG_H

#include <stdbool.h>

#include "diag/rec.h"

/*
 * What a process is written in: advice is given in its words.  No verdict depends on a name.
 */
/* X(NAME, word, one_core, fork_cost): word as in JSON; one_core: threads and loops of one process
 * share one core for the language's own code; worker_ms: what a new worker costs before it works */
#define LANGUAGE_MAP(X)                                                                            \
    X(NATIVE, "native", false, 1)                                                                  \
    X(C, "c", false, 1)                                                                            \
    X(CXX, "c++", false, 1)                                                                        \
    X(RUST, "rust", false, 1)                                                                      \
    X(GO, "go", false, 1)                                                                          \
    X(JAVA, "java", false, 5)                                                                      \
    X(PYTHON, "python", true, 50)                                                                  \
    X(NODE, "node", true, 60)                                                                      \
    X(RUBY, "ruby", true, 60)                                                                      \
    X(PHP, "php", true, 20)                                                                        \
    X(PERL, "perl", true, 10)                                                                      \
    X(SHELL, "shell", false, 5)                                                                    \
    X(SQL, "sql", false, 15)

#define LANGUAGE_ENUM(name, word, one_core, worker_ms) LANG_##name,
enum language { LANGUAGE_MAP(LANGUAGE_ENUM) N_LANGUAGES };
#undef LANGUAGE_ENUM

/** lang_of - by the program's name, the command line, and marks that compilers leave in its file.
 */
enum language lang_of(const struct rec_proc *p);

/** lang_word - "python" */
const char *lang_word(enum language l);

/** lang_one_core - threads of one process share a core (a global lock, or a single loop) */
bool lang_one_core(enum language l);

/** lang_has_gil - threads of one process run the language's own code one at a time */
bool lang_has_gil(enum language l);

/** lang_worker_cost - s until a new worker works */
double lang_worker_cost(enum language l);

#endif
