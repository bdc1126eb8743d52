/* SPDX-License-Identifier: MIT
 *
 * t_leak.h - whether anything has leaked so far, where LeakSanitizer can say so
 */
#ifndef T_LEAK_H
#define T_LEAK_H

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_do_recoverable_leak_check() 0
#endif

#endif
