/* SPDX-License-Identifier: MIT
 *
 * place.h - where code is: the frames of an interrupted thread, and words for an address
 */
#ifndef HOB_PLAT_PLACE_H
#define HOB_PLAT_PLACE_H

#include <stdbool.h>
#include <stddef.h>

enum { PLACE_TEXT_MAX = 160 };

/* Loads what hob__place_frames needs, which a signal handler must not. */
void hob__place_prime(void);

/*
 * In a signal handler: where the thread was interrupted, innermost first; `context` is the
 * handler's third argument.  Returns how many.
 */
int hob__place_frames(const void *context, void **ret_frames, int most);

/*
 * "FILE+0xOFFSET", what addr2line wants, and before it the function's name where the file exports
 * it: "hob_go+0x1f (libhob.so.0+0x8a2f)".  Call: addr is where a call returns to, and the call is
 * meant.
 */
void hob__place_text(const void *addr, bool call, char ret_text[PLACE_TEXT_MAX]);

#endif
