/* SPDX-License-Identifier: MIT
 *
 * fuzz_main.c - runs a fuzz target over the files of its corpus, without libFuzzer
 */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <string.h>

enum { INPUT_MAX = 1 << 20 };

static void run_file(const char *path)
{
    uint8_t *data = malloc(INPUT_MAX), *exact;
    FILE *f = fopen(path, "r");

    if (!f || !data)
        abort();
    size_t n = fread(data, 1, INPUT_MAX, f);
    fclose(f);
    exact = malloc(n ? n : 1); /* so that reading past the end is seen */
    if (!exact)
        abort();
    memcpy(exact, data, n);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(data);
}

int main(int argc, char **argv)
{
    unsigned files = 0;

    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        const struct dirent *e;
        if (!d) {
            perror(argv[i]);
            return 1;
        }
        while ((e = readdir(d))) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            run_file(path);
            files++;
        }
        closedir(d);
    }
    return files == 0; /* a corpus that is not there is no success */
}
