/* SPDX-License-Identifier: MIT
 *
 * err.c - words for error codes, and the library's version
 */
#include <errno.h>
#include <string.h>

#include <hob/base.h>

const char *hob_strerror(int code)
{
    int positive = code < 0 ? -code : code;

    switch (positive) {
#define ERR_CASE(name, number, text)                                                               \
    case number:                                                                                   \
        return text;
        HOB_ERR_MAP(ERR_CASE)
#undef ERR_CASE
    default:
        break;
    }
    const char *text = strerrordesc_np(positive);
    return text ? text : "unknown error";
}

const char *hob_version(void)
{
    return HOB_VERSION;
}
