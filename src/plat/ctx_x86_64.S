/* SPDX-License-Identifier: MIT
 *
 * ctx_x86_64.S - the context switch for the System V ABI of x86-64
 *
 * WHAT        hob__ctx_make, hob__ctx_switch, hob__ctx_leave and hob__ctx_call of ctx.h.
 *
 * HOW         To its caller a switch is a function call, so only what a callee must keep is saved:
 *             six registers and the stack pointer.  A context that does not run looks like this:
 *
 *                 sp     -> r15 r14 r13 r12 rbx rbp  return address  frame of the caller ...
 *
 *             and one that never ran, or is to begin again, like this, its sp odd to tell:
 *
 *                 sp - 1 -> entry  argument  0  0  end of the stack
 *
 *             (H1) The new stack's address is fetched before the old registers are pushed, so its
 *             loads start early.
 *             (H2) The processor predicts a return by a stack of its own, which this does not
 *             change.  A context begins by a jump and is left for good by a jump and a return, so
 *             a fiber that begins and ends between two runs of another one leaves that stack as it
 *             was: nobody's return is missed.
 *             (H3) Two contexts that called the switch from the same place return there, as
 *             predicted; from two places, `ret` would go where the one that left was called from:
 *             missed, every time.  A jump is predicted by where such jumps went before, so of two
 *             that take turns none is missed.
 *
 * INVARIANTS  (I1) A saved sp is 8 below a multiple of 16, 7 words below the caller's frame: the
 *                  ABI's alignment at a call, with six registers pushed.
 *             (I2) The CFI rows describe the old context until rsp changes and the new one after
 *                  it, so a debugger may stop on any instruction.
 *             (I3) ctx_start is the outermost frame: its return address is undefined and rbp is
 *                  0, which ends a backtrace by CFI and one by frame pointers.  So is a call on
 *                  another stack; by frame pointers it leads on to who called.
 *
 * REJECTED    A jump at the end always instead of `ret`: after it every further return of the fiber
 *               is predicted one frame off, where most would be right: fibers that run the same
 *               code have the same frames (a yield: 27 ns with the jump, 14 ns with `ret`).
 *               Figures: docs/design/0007-scheduler.md.
 *             Inline assembly with clobbers at the call site: a nanosecond less by itself, but
 *               the function around it then saves the same six registers in its prologue.
 *             MXCSR and the x87 control word: fibers share them, as functions do.
 *             Top-level asm in a .c: with -fcf-protection the compiler would mark the object as
 *               fit for a shadow stack, and it is not.
 *             A shadow-stack switch (rstorssp): no distribution turns user shadow stacks on for
 *               a program whose objects do not all agree, and this one does not: it carries no
 *               .note.gnu.property, so the linker clears the mark for the whole program.
 *             endbr64: no Linux checks user-mode indirect branches, nobody takes the address of
 *               these functions, and a mark on one would say that all of the file had been made
 *               fit for it (the jump below goes to a function that need not have one).
 */
        .text

/* The registers of the context at rcx, and its stack as its hob__ctx_switch found it but for `pop`
 * words. */
        .macro  resume pop
        movq    0(%rcx), %r15           /* from here the rows still describe the old stack: (I2) */
        movq    8(%rcx), %r14
        movq    16(%rcx), %r13
        movq    24(%rcx), %r12
        movq    32(%rcx), %rbx
        movq    40(%rcx), %rbp
        leaq    48+8*\pop(%rcx), %rsp
        .cfi_def_cfa rsp, 8-8*\pop      /* and from here the new one, back in its caller */
        .cfi_restore rbp
        .cfi_restore rbx
        .cfi_restore r12
        .cfi_restore r13
        .cfi_restore r14
        .cfi_restore r15
        .endm

        .globl  hob__ctx_switch
        .hidden hob__ctx_switch
        .type   hob__ctx_switch, @function
        .p2align 5
hob__ctx_switch:                        /* (struct ctx *save, const struct ctx *to, int value) */
        .cfi_startproc
        movq    (%rsi), %rcx            /* the loads of the new stack start first: (H1) */
        movl    %edx, %eax
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        movq    %rsp, (%rdi)
        testb   $1, %cl
        jnz     ctx_start
        movq    48(%rcx), %rdx
        cmpq    48(%rsp), %rdx          /* both to the same place?  (H3) */
        jne     1f
        .cfi_remember_state
        resume  0
        ret
1:
        .cfi_restore_state
        resume  1
        .cfi_register rip, rdx
        jmpq    *%rdx
        .cfi_endproc
        .size   hob__ctx_switch, . - hob__ctx_switch

        .globl  hob__ctx_leave
        .hidden hob__ctx_leave
        .type   hob__ctx_leave, @function
        .p2align 5
hob__ctx_leave:                         /* (const struct ctx *to, int value) */
        .cfi_startproc
        movq    (%rdi), %rcx
        movl    %esi, %eax
        testb   $1, %cl
        jnz     ctx_start
        resume  0
        ret
        .cfi_endproc
        .size   hob__ctx_leave, . - hob__ctx_leave

        .globl  hob__ctx_call
        .hidden hob__ctx_call
        .type   hob__ctx_call, @function
        .p2align 5
hob__ctx_call:                          /* (struct ctx *save, const struct ctx *on, entry, arg) */
        .cfi_startproc
        movq    (%rsi), %rax
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx                    /* these five for debuggers alone: entry brings them back */
        .cfi_adjust_cfa_offset 8
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        movq    %rsp, (%rdi)
        leaq    40(%rsp), %rbp
        .cfi_def_cfa rbp, 16
        .cfi_remember_state
        .cfi_undefined rip              /* (I3) */
        leaq    -1(%rax), %rsp
        movq    %rcx, %rdi
        call    *%rdx
        .cfi_restore_state
        movq    %rbp, %rsp
        .cfi_def_cfa rsp, 16
        popq    %rbp
        .cfi_def_cfa rsp, 8
        .cfi_restore rbp
        ret
        .cfi_endproc
        .size   hob__ctx_call, . - hob__ctx_call

        .globl  hob__ctx_make
        .hidden hob__ctx_make
        .type   hob__ctx_make, @function
        .p2align 4
hob__ctx_make:                          /* (struct ctx *c, void *lo, size_t size, entry, arg) */
        .cfi_startproc
        leaq    -32(%rsi,%rdx), %rax    /* (I1): two words stay free above */
        movq    %rcx, 0(%rax)
        movq    %r8, 8(%rax)
        movq    $0, 16(%rax)
        movq    $0, 24(%rax)
        incq    %rax
        movq    %rax, (%rdi)
        ret
        .cfi_endproc
        .size   hob__ctx_make, . - hob__ctx_make

        .type   ctx_start, @function
        .p2align 4
ctx_start:                              /* rcx: the odd sp of a context that begins */
        .cfi_startproc
        .cfi_undefined rip              /* (I3) */
        leaq    -1(%rcx), %rsp          /* entry and argument stay: they are never overwritten */
        movq    7(%rcx), %rdi
        xorl    %ebp, %ebp
        leaq    .Lback(%rip), %rax
        pushq   %rax                    /* a call in all but the predictor: (H2) */
        jmpq    *-1(%rcx)
        nop                             /* unwinders look a return address up one byte before it */
.Lback:
        ud2                             /* entry never returns */
        .cfi_endproc
        .size   ctx_start, . - ctx_start

        .section .rodata
        .globl  hob__ctx_begin_size
        .hidden hob__ctx_begin_size
        .type   hob__ctx_begin_size, @object
        .size   hob__ctx_begin_size, 8
        .p2align 3
hob__ctx_begin_size:
        .quad   48                      /* 32, and what rounding down to 16 may add */
        .globl  hob__ctx_saved
        .hidden hob__ctx_saved
        .type   hob__ctx_saved, @object
        .size   hob__ctx_saved, 16
hob__ctx_saved:
        .short  0, 8, 16, 24, 32, 40, 48, 0

        .section .note.GNU-stack, "", @progbits
