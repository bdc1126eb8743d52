/* SPDX-License-Identifier: MIT
 *
 * lang.c - what a process is written in
 *
 * HOW         An interpreter shows by the name of its program (python3.11, ruby, php-cgi).  A
 *   compiled program shows by marks that its compiler leaves in the file even when it is stripped:
 *   Go's build information, paths of Rust's library in panic messages, the C++ library's name.
 *   Where the file is gone (a recording from another machine) it is just native.
 */
#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag/lang.h"

#define LANGUAGE_ROW(name, word, one_core, worker_ms) {word, one_core, worker_ms * 1e-3},
static const struct {
    const char *word;
    bool one_core;
    double worker_cost;
} languages[N_LANGUAGES] = {LANGUAGE_MAP(LANGUAGE_ROW)};
#undef LANGUAGE_ROW

/* A name with a version behind it is the same: python3.11, ruby3.1, php8.2, perl5.36.0. */
static const struct {
    const char *name;
    enum language language;
} interpreters[] = {
    {"python", LANG_PYTHON}, {"pypy", LANG_PYTHON},   {"node", LANG_NODE},  {"nodejs", LANG_NODE},
    {"deno", LANG_NODE},     {"bun", LANG_NODE},      {"ruby", LANG_RUBY},  {"php", LANG_PHP},
    {"php-cgi", LANG_PHP},   {"php-fpm", LANG_PHP},   {"perl", LANG_PERL},  {"java", LANG_JAVA},
    {"sh", LANG_SHELL},      {"bash", LANG_SHELL},    {"dash", LANG_SHELL}, {"zsh", LANG_SHELL},
    {"ksh", LANG_SHELL},     {"busybox", LANG_SHELL}, {"fish", LANG_SHELL}, {"make", LANG_SHELL},
    {"xargs", LANG_SHELL},   {"psql", LANG_SQL},      {"mysql", LANG_SQL},  {"mariadb", LANG_SQL},
    {"sqlite", LANG_SQL},
};

/* The first that a file holds decides.  In two parts, or this program itself would hold them. */
static const struct {
    const char *mark, *then;
    enum language language;
} marks[] = {
    {"\xff Go", " buildinf:", LANG_GO},
    {"/rus", "tc/", LANG_RUST},
    {"libstd", "c++.so", LANG_CXX},
    {"libc", "++.so", LANG_CXX},
};

enum { MARKS_MAX = 64 << 20 }; /* bytes of a program searched */

static const char *base_of(const char *path, size_t *n)
{
    const char *slash;

    *n = strcspn(path, " ");
    slash = memrchr(path, '/', *n);
    if (slash) {
        *n -= (size_t)(slash + 1 - path);
        path = slash + 1;
    }
    return path;
}

static bool is_version(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)text[i]) && text[i] != '.' && text[i] != '-')
            return false;
    return true;
}

static enum language by_name(const char *path)
{
    size_t n;
    const char *name = base_of(path, &n);

    for (size_t i = 0; i < sizeof(interpreters) / sizeof(interpreters[0]); i++) {
        size_t len = strlen(interpreters[i].name);
        if (n >= len && memcmp(name, interpreters[i].name, len) == 0 &&
            is_version(name + len, n - len))
            return interpreters[i].language;
    }
    return LANG_NATIVE;
}

static bool holds(const char *at, size_t n, const char *mark, const char *then)
{
    size_t n_mark = strlen(mark), n_then = strlen(then);
    const char *end = at + n, *found;

    while ((found = memmem(at, (size_t)(end - at), mark, n_mark))) {
        at = found + n_mark;
        if ((size_t)(end - at) >= n_then && memcmp(at, then, n_then) == 0)
            return true;
    }
    return false;
}

static enum language by_marks(const char *path)
{
    enum language found = LANG_NATIVE;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return found;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        size_t n = st.st_size < MARKS_MAX ? (size_t)st.st_size : MARKS_MAX;
        void *at = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);

        if (at != MAP_FAILED) {
            found = LANG_C;
            for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]) && found == LANG_C; i++)
                if (holds(at, n, marks[i].mark, marks[i].then))
                    found = marks[i].language;
            munmap(at, n);
        }
    }
    close(fd);
    return found;
}

enum language lang_of(const struct rec_proc *p)
{
    const char *exe = p->exe ? p->exe : "", *command = p->command ? p->command : "";
    enum language l = by_name(*exe ? exe : command);

    return l == LANG_NATIVE && *exe == '/' ? by_marks(exe) : l;
}

const char *lang_word(enum language l)
{
    return languages[l].word;
}

bool lang_one_core(enum language l)
{
    return languages[l].one_core;
}

bool lang_has_gil(enum language l)
{
    return l == LANG_PYTHON || l == LANG_RUBY;
}

double lang_worker_cost(enum language l)
{
    return languages[l].worker_cost;
}
