/* SPDX-License-Identifier: MIT
 *
 * fuzz_robots.c - agent NUL path NUL robots.txt
 */
#include "fuzz/fuzz.h"
#include "lib/robots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *agent = fuzz_part(&data, &n), *path = fuzz_part(&data, &n);
    struct robots *r;

    FUZZ_CHECK(robots_parse((const char *)data, n, agent, &r) == 0);
    bool allowed = robots_allowed(r, path);
    FUZZ_CHECK(robots_allowed(r, path) == allowed);
    FUZZ_CHECK(robots_allowed(r, "/robots.txt"));
    FUZZ_CHECK(robots_delay(r) >= -1);
    for (size_t i = 0; robots_sitemap(r, i); i++)
        FUZZ_CHECK(robots_sitemap(r, i)[0] != '\0');
    robots_free(r);
    free(agent);
    free(path);
    return 0;
}
