/* SPDX-License-Identifier: MIT
 *
 * ctx_aarch64.S - the context switch for the procedure call standard of 64-bit Arm
 *
 * WHAT        hob__ctx_make, hob__ctx_switch, hob__ctx_leave and hob__ctx_call of ctx.h.
 *
 * HOW         As in ctx_x86_64.S, which says why: what a callee must keep is saved and nothing
 *             else, twelve registers and the low halves of eight vector registers.  A context that
 *             does not run looks like this:
 *
 *                 sp     -> x19 ... x28  x29 (frame)  x30 (return)  d8 ... d15  frame of the caller
 *
 *             and one that never ran, or is to begin again, like this, its sp odd to tell:
 *
 *                 sp - 1 -> entry  argument  0  0  end of the stack
 *
 *             (H1) The new stack's address is fetched before the old registers are stored.
 *             (H2) `ret` is predicted by a stack of return addresses, as on x86-64: a context
 *             begins by a branch without link and is left for good by one and a `ret`.
 *
 * INVARIANTS  (I1) A saved sp is a multiple of 16, which sp must be whenever memory is reached
 *                  through it, and 160 bytes below the caller's frame.
 *             (I2) The CFI rows describe the old context until sp changes and the new one after
 *                  it, so a debugger may stop on any instruction.
 *             (I3) ctx_start is the outermost frame: its return address is undefined and x29 is
 *                  0, which ends a backtrace by CFI and one by frame records.  So is a call on
 *                  another stack; by frame records it leads on to who called.
 *
 * REJECTED    Signing the saved return address (paciasp): what a switch saves is a return address
 *               in its caller's body, which that caller has signed where it was built to.
 *             FPCR and FPSR: fibers share them, as functions do.
 *             A BTI mark: like endbr64 on x86-64, it would say that all of the file had been made
 *               fit for it.  The branch to entry goes through x16, which a `bti c` there allows.
 */
        .text

/* The context at x4 goes on, in the frame that called its hob__ctx_switch. */
        .macro  resume
        ldp     x19, x20, [x4, #0]      /* from here the rows still describe the old stack: (I2) */
        ldp     x21, x22, [x4, #16]
        ldp     x23, x24, [x4, #32]
        ldp     x25, x26, [x4, #48]
        ldp     x27, x28, [x4, #64]
        ldp     x29, x30, [x4, #80]
        ldp     d8, d9, [x4, #96]
        ldp     d10, d11, [x4, #112]
        ldp     d12, d13, [x4, #128]
        ldp     d14, d15, [x4, #144]
        add     sp, x4, #160
        .cfi_def_cfa sp, 0              /* and from here the new one, back in its caller */
        .irp    r, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29, x30
        .cfi_restore \r
        .endr
        .irp    r, d8, d9, d10, d11, d12, d13, d14, d15
        .cfi_restore \r
        .endr
        ret
        .endm

        .globl  hob__ctx_switch
        .hidden hob__ctx_switch
        .type   hob__ctx_switch, %function
        .p2align 5
hob__ctx_switch:                        /* (struct ctx *save, const struct ctx *to, int value) */
        .cfi_startproc
        ldr     x4, [x1]                /* the load of the new stack starts first: (H1) */
        sub     sp, sp, #160            /* (I1) */
        .cfi_adjust_cfa_offset 160
        stp     x19, x20, [sp, #0]
        .cfi_rel_offset x19, 0
        .cfi_rel_offset x20, 8
        stp     x21, x22, [sp, #16]
        .cfi_rel_offset x21, 16
        .cfi_rel_offset x22, 24
        stp     x23, x24, [sp, #32]
        .cfi_rel_offset x23, 32
        .cfi_rel_offset x24, 40
        stp     x25, x26, [sp, #48]
        .cfi_rel_offset x25, 48
        .cfi_rel_offset x26, 56
        stp     x27, x28, [sp, #64]
        .cfi_rel_offset x27, 64
        .cfi_rel_offset x28, 72
        stp     x29, x30, [sp, #80]
        .cfi_rel_offset x29, 80
        .cfi_rel_offset x30, 88
        stp     d8, d9, [sp, #96]
        .cfi_rel_offset d8, 96
        .cfi_rel_offset d9, 104
        stp     d10, d11, [sp, #112]
        .cfi_rel_offset d10, 112
        .cfi_rel_offset d11, 120
        stp     d12, d13, [sp, #128]
        .cfi_rel_offset d12, 128
        .cfi_rel_offset d13, 136
        stp     d14, d15, [sp, #144]
        .cfi_rel_offset d14, 144
        .cfi_rel_offset d15, 152
        mov     x3, sp
        str     x3, [x0]
        mov     w0, w2
        tbnz    x4, #0, ctx_start
        resume
        .cfi_endproc
        .size   hob__ctx_switch, . - hob__ctx_switch

        .globl  hob__ctx_leave
        .hidden hob__ctx_leave
        .type   hob__ctx_leave, %function
        .p2align 5
hob__ctx_leave:                         /* (const struct ctx *to, int value) */
        .cfi_startproc
        ldr     x4, [x0]
        mov     w0, w1
        tbnz    x4, #0, ctx_start
        resume
        .cfi_endproc
        .size   hob__ctx_leave, . - hob__ctx_leave

        .globl  hob__ctx_call
        .hidden hob__ctx_call
        .type   hob__ctx_call, %function
        .p2align 5
hob__ctx_call:                          /* (struct ctx *save, const struct ctx *on, entry, arg) */
        .cfi_startproc
        ldr     x4, [x1]
        stp     x29, x30, [sp, #-16]!
        .cfi_adjust_cfa_offset 16
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        mov     x29, sp
        str     x29, [x0]               /* no debugger unwinds from it on this machine */
        .cfi_def_cfa x29, 16
        .cfi_remember_state
        .cfi_undefined x30              /* (I3) */
        sub     x4, x4, #1
        mov     sp, x4
        mov     x0, x3
        blr     x2
        .cfi_restore_state
        mov     sp, x29
        .cfi_def_cfa sp, 16
        ldp     x29, x30, [sp], #16
        .cfi_def_cfa sp, 0
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_endproc
        .size   hob__ctx_call, . - hob__ctx_call

        .globl  hob__ctx_make
        .hidden hob__ctx_make
        .type   hob__ctx_make, %function
        .p2align 4
hob__ctx_make:                          /* (struct ctx *c, void *lo, size_t size, entry, arg) */
        .cfi_startproc
        add     x5, x1, x2
        stp     x3, x4, [x5, #-32]!     /* (I1): two words stay free above */
        stp     xzr, xzr, [x5, #16]
        add     x5, x5, #1
        str     x5, [x0]
        ret
        .cfi_endproc
        .size   hob__ctx_make, . - hob__ctx_make

        .type   ctx_start, %function
        .p2align 4
ctx_start:                              /* x4: the odd sp of a context that begins */
        .cfi_startproc
        .cfi_undefined x30              /* (I3) */
        sub     x4, x4, #1
        mov     sp, x4                  /* entry and argument stay: they are never overwritten */
        ldp     x16, x0, [x4]
        mov     x29, #0
        adr     x30, .Lback             /* a call in all but the predictor: (H2) */
        br      x16
        nop                             /* unwinders look a return address up before it */
.Lback:
        brk     #1                      /* entry never returns */
        .cfi_endproc
        .size   ctx_start, . - ctx_start

        .section .rodata
        .globl  hob__ctx_begin_size
        .hidden hob__ctx_begin_size
        .type   hob__ctx_begin_size, %object
        .size   hob__ctx_begin_size, 8
        .p2align 3
hob__ctx_begin_size:
        .xword  48                      /* 32, and what rounding down to 16 may add */
        .globl  hob__ctx_saved
        .hidden hob__ctx_saved
        .type   hob__ctx_saved, %object
        .size   hob__ctx_saved, 16
hob__ctx_saved:
        .hword  0, 0, 0, 0, 0, 0, 0, 0  /* gdb/hob.py knows none of this machine */

        .section .note.GNU-stack, "", %progbits
