/* SPDX-License-Identifier: MIT
 *
 * place.c - where code is: see place.h
 *
 * HOW         Frames are glibc's backtrace(): by the tables every x86-64 object has, so code
 *             without frame pointers is walked too, and a fiber's outermost frame ends it (the
 *             switch says so).  In Debian 12 these tables are looked up without a lock, so that a
 *             handler may; only the first call loads a library, and that one is made before.
 *
 * REJECTED    Names from the symbol table of the file on disk: addr2line and the debugger do that
 *               better, with lines, and a library has no business reading programs.
 *             dladdr's nearest name: static functions are not among what it knows, so it names
 *               some other function that lies before.  Only a name whose size covers the address
 *               is used.
 */
#include "plat/place.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

enum { OWN_FRAMES = 8 }; /* the handler's and the kernel's, at most */

void hob__place_prime(void)
{
    void *frame;

    (void)backtrace(&frame, 1);
}

static const void *interrupted_at(const void *context)
{
    const ucontext_t *u = context;

#if defined(__x86_64__)
    return (const void *)(uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (const void *)(uintptr_t)u->uc_mcontext.pc;
#else
    (void)u;
    return NULL;
#endif
}

int hob__place_frames(const void *context, void **ret_frames, int most)
{
    void *frames[64 + OWN_FRAMES];
    const void *at = interrupted_at(context);
    int want = most < 64 ? most + OWN_FRAMES : 64 + OWN_FRAMES;
    int n = backtrace(frames, want), from = 0;

    while (from < n && frames[from] != at)
        from++;
    if (from == n) { /* a leaf the tables do not reach through: at least where it is */
        ret_frames[0] = (void *)(uintptr_t)at;
        return at ? 1 : 0;
    }
    n -= from;
    if (n > most)
        n = most;
    memcpy(ret_frames, frames + from, (size_t)n * sizeof frames[0]);
    return n;
}

static const char *file_of(const Dl_info *info)
{
    const char *slash = info->dli_fname ? strrchr(info->dli_fname, '/') : NULL;

    return slash ? slash + 1 : info->dli_fname && *info->dli_fname ? info->dli_fname : "?";
}

void hob__place_text(const void *addr, bool call, char ret_text[PLACE_TEXT_MAX])
{
    uintptr_t at = (uintptr_t)addr - (call ? 1 : 0);
    const ElfW(Sym) *sym = NULL;
    Dl_info info;

    if (!addr || !dladdr1((const void *)at, &info, (void **)&sym, RTLD_DL_SYMENT)) {
        snprintf(ret_text, PLACE_TEXT_MAX, addr ? "%p" : "?", addr);
        return;
    }
    unsigned long offset = (unsigned long)(at - (uintptr_t)info.dli_fbase);
    if (info.dli_sname && sym && at - (uintptr_t)info.dli_saddr < sym->st_size)
        snprintf(ret_text, PLACE_TEXT_MAX, "%s+0x%lx (%s+0x%lx)", info.dli_sname,
                 (unsigned long)(at - (uintptr_t)info.dli_saddr), file_of(&info), offset);
    else
        snprintf(ret_text, PLACE_TEXT_MAX, "%s+0x%lx", file_of(&info), offset);
}
