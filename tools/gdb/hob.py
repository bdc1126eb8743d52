# SPDX-License-Identifier: MIT
"""hob.py - the fibers of a program that uses hob, in gdb: of a live process or of a core file

    (gdb) source hob.py          not needed where it was installed with the library
    (gdb) hob fibers [TEXT]      every fiber, or those whose line holds TEXT
    (gdb) hob bt N               where fiber N is: its number in that list, or its address
    (gdb) hob bt all             of every fiber
    (gdb) hob fiber N            up, down, frame and info locals are of that fiber from now on;
                                 its frames begin with #1
    (gdb) hob fiber              and of the thread again

No type information is needed: the library carries tables of what lies where (src/sched/debug.c).
They need its symbol table, so not a stripped one without its debug file.

A fiber that does not run is no thread, and the registers of a core file cannot be set.  So an
unwinder is put before gdb's own: it says that the caller of the selected thread's innermost frame
is the place where the fiber left, and gdb unwinds from there.
"""
import struct

import gdb
from gdb.unwinder import Unwinder

VERSION = 1
NAME, FIELD, WAIT = 40, 48, 64  # bytes: struct debug_field's name, all of it, a wait's text
# Calls in which an optimised library parks without a frame, by what the fiber then waits for ...
FRAMELESS = {'HOB_WAIT_CHAN_SEND': 'hob_chan_send', 'HOB_WAIT_CHAN_RECV': 'hob_chan_recv'}
OWN = ('hob_', 'chan_', 'fiber_', 'park_')  # ... and how the names of those that have one begin
SAVED = ['r15', 'r14', 'r13', 'r12', 'rbx', 'rbp', 'rip', 'rsp']  # as hob__ctx_saved has them


def read(at, n):
    return gdb.selected_inferior().read_memory(at, n).tobytes()


def u64(at):
    return struct.unpack('<Q', read(at, 8))[0]


def u32(at):
    return struct.unpack('<I', read(at, 4))[0]


def text(at):
    """The C string there; '' for NULL."""
    out = b''
    while at and len(out) < 200:
        out += read(at, 1)
        if out.endswith(b'\0'):
            return ''.join(c if c.isprintable() else '?' for c in out[:-1].decode('utf8', 'replace'))
        at += 1
    return out.decode('utf8', 'replace')


def symbol(name):
    try:
        return int(gdb.parse_and_eval('(unsigned long)&' + name))
    except gdb.error:
        raise gdb.GdbError('no symbol %s: is this a program that uses hob, with its symbols?' % name)


def place(at):
    """FUNCTION+OFFSET, as gdb says it."""
    if not at:
        return ''
    said = gdb.execute('info symbol 0x%x' % at, to_string=True).split(' in section')[0]
    return '0x%x' % at if said.startswith('No symbol') else said.strip()


class Library:
    """The tables of src/sched/debug.c and src/plat/stack.c."""

    def __init__(self):
        at, self.at = symbol('hob__debug_fields'), {}
        while True:
            name = read(at, NAME).split(b'\0')[0].decode()
            if not name:
                break
            self.at[name] = u64(at + NAME)
            at += FIELD
        if self.at['version'] != VERSION:
            raise gdb.GdbError('the library has tables of version %d, this script reads %d' %
                               (self.at['version'], VERSION))
        names = ['node', 'base', 'n_used', 'cold', 'live', 'colours', 'colour_bytes']
        self.slab = dict(zip(names, struct.unpack('<7Q', read(symbol('hob__stack_layout'), 56))))
        self.saved = struct.unpack('<8H', read(symbol('hob__ctx_saved'), 16))
        self.waits, at = [], symbol('hob__debug_waits')
        while True:
            words = read(at, WAIT).split(b'\0')[0].decode()
            if not words:
                break
            self.waits.append(words)
            at += WAIT

    def loops(self):
        rt = u64(symbol('hob__debug_rt'))
        if not rt:
            raise gdb.GdbError('hob_run is not running')
        first, n = u64(rt + self.at['rt.loops']), u32(rt + self.at['rt.n_loops'])
        return [(i, first + i * self.at['loop']) for i in range(n)]

    def stacks(self, loop):
        """The lowest address of each stack that is taken, and the bytes above it."""
        stacks = loop + self.at['loop.stacks']
        size = u64(stacks + self.at['stacks.size'])
        usable = size - self.at['stack_guard_bytes'] - self.at['stack_spare_bytes']
        head = stacks + self.at['stacks.slabs']
        node = u64(head)
        while node != head:
            slab = node - self.slab['node']
            base, n_used = u64(slab + self.slab['base']), u32(slab + self.slab['n_used'])
            for i in range(n_used):
                lo = (base + i * size + self.at['stack_guard_bytes'] +
                      i % self.slab['colours'] * self.slab['colour_bytes'])
                cold = u64(slab + self.slab['cold'] + i // 64 * 8) >> i % 64 & 1
                if not cold and read(lo + usable + self.slab['live'], 1) != b'\0':
                    yield lo, usable
            node = u64(node)

    def fibers(self):
        out = []
        for index, loop in self.loops():
            for lo, usable in self.stacks(loop):
                f = Fiber(self, index, loop, (lo + usable - self.at['fiber']) & ~63, lo)
                if f.state != self.at['RUN_DEAD']:
                    f.number = len(out) + 1
                    out.append(f)
        return out


class Fiber:
    def __init__(self, lib, index, loop, at, lo):
        self.lib, self.index, self.loop, self.at, self.lo = lib, index, loop, at, lo
        self.state = read(at + lib.at['fiber.run.state'], 1)[0]

    def pointer(self, field, at=None):
        return u64((self.at if at is None else at) + self.lib.at[field])

    def sp(self):
        return self.pointer('fiber.ctx.sp')

    def call(self):
        """The call it is parked in, if that has no frame: its saved rip is the caller's."""
        if self.state != self.lib.at['RUN_PARKED'] or self.lib.saved[7]:
            return None
        if place(u64(self.sp() + self.lib.saved[6]) - 1).startswith(OWN):
            return None
        why = read(self.at + self.lib.at['fiber.wait'], 1)[0]
        for wait, name in FRAMELESS.items():
            if self.lib.at[wait] == why:
                return symbol(name)
        return None

    def tid(self):
        return u32(self.loop + self.lib.at['loop.tid'])

    def runs(self):
        return self.state == self.lib.at['RUN_RUNNING']

    def group(self):
        return self.pointer('scope.group', self.pointer('fiber.own_scope'))

    def path(self):
        names, group = [], self.group()
        while group and len(names) < 64:
            names.append(text(self.pointer('group.name', group)) or '(no name)')
            opener = self.pointer('group.opener', group)
            group = opener and self.pointer('scope.group', self.pointer('fiber.own_scope', opener))
        return '/'.join(reversed(names))

    def name(self):
        return (text(self.pointer('fiber.trace.name')) or
                text(self.pointer('group.name', self.group())) or '(no name)')

    def doing(self):
        if self.runs():
            return 'running on thread %d' % self.tid()
        if self.state != self.lib.at['RUN_PARKED']:
            return 'ready to run'
        why = read(self.at + self.lib.at['fiber.wait'], 1)[0]
        fd = struct.unpack('<i', read(self.at + self.lib.at['fiber.on_fd'], 4))[0]
        return self.lib.waits[why] + (' (descriptor %d)' % fd if fd >= 0 else '')

    def line(self):
        task = self.pointer('fiber.task')
        site = self.pointer('task.site', task)
        stack = '' if self.runs() else '; stack %.1f KiB' % ((self.at - (self.sp() & ~1)) / 1024)
        return '%4d  0x%x  %s: %s; group %s; loop %d%s; runs %s%s' % (
            self.number, self.at, self.name(), self.doing(), self.path(), self.index, stack,
            place(self.pointer('task.fn', task)), ', started at ' + place(site - 1) if site else '')


class FiberUnwinder(Unwinder):
    """The selected thread's innermost frame was called from where the fiber left."""

    def __init__(self):
        super().__init__('hob fiber')
        self.enabled = False

    def begin(self, fiber):
        if gdb.selected_inferior().architecture().name() != 'i386:x86-64':
            raise gdb.GdbError('fibers that do not run are unwound on x86-64 only')
        self.end()
        newest = gdb.newest_frame()
        self.here = (int(newest.read_register('rsp')), int(newest.read_register('rip')))
        self.sp, self.saved, self.enabled = fiber.sp(), fiber.lib.saved, True
        self.call = fiber.call()
        gdb.invalidate_cached_frames()

    def end(self):
        self.enabled = False
        gdb.invalidate_cached_frames()

    def __call__(self, pending):
        here = (int(pending.read_register('rsp')), int(pending.read_register('rip')))
        if here != self.here:
            return None
        word = gdb.lookup_type('unsigned long')

        class Identity:  # lower than all that comes, or gdb takes it for a corrupt stack
            sp = gdb.Value(self.sp).cast(word)
            pc = gdb.Value(here[1]).cast(word)

        info = pending.create_unwind_info(Identity())
        for register, at in zip(SAVED, self.saved):
            if register == 'rip' and self.call:
                value = self.call + 1  # as at its beginning: gdb looks a byte before
            elif register == 'rsp' and not at:
                value = self.sp + 8 * (len(SAVED) - 1 - bool(self.call))
            else:
                value = u64(self.sp + at)
            info.add_saved_register(register, gdb.Value(value).cast(
                pending.read_register(register).type))
        return info


unwinder = FiberUnwinder()


def chosen(fibers, word):
    try:
        n = int(word, 0)
    except ValueError:
        raise gdb.GdbError('which fiber? a number of "hob fibers", or an address')
    for f in fibers:
        if n in (f.number, f.at):
            return f
    raise gdb.GdbError('there is no fiber %s' % word)


def select_thread(fiber):
    for t in gdb.selected_inferior().threads():
        if t.ptid[1] == fiber.tid():
            t.switch()
            return
    raise gdb.GdbError('there is no thread %d' % fiber.tid())


def backtrace(fiber):
    print(fiber.line())
    if fiber.runs():
        select_thread(fiber)
        gdb.execute('bt')
        return
    was = (unwinder.sp, unwinder.call) if unwinder.enabled else None
    unwinder.begin(fiber)
    try:
        lines = gdb.execute('bt', to_string=True).splitlines()
    finally:
        unwinder.end()
        if was is not None:
            (unwinder.sp, unwinder.call), unwinder.enabled = was, True
    for line in lines[1:]:  # the thread's own frame is not the fiber's
        head, _, rest = line.partition(' ')
        print('#%-3d%s' % (int(head[1:]) - 1, rest) if head[:1] == '#' else line)


class Hob(gdb.Command):
    """Fibers of a program that uses hob."""

    def __init__(self):
        super().__init__('hob', gdb.COMMAND_STACK, prefix=True)


class HobFibers(gdb.Command):
    """hob fibers [TEXT]: every fiber, or those whose line holds TEXT."""

    def __init__(self):
        super().__init__('hob fibers', gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        lib = Library()
        fibers = lib.fibers()
        for f in fibers:
            line = f.line()
            if arg in line:
                print(line)
        n_taken = sum(u64(loop + lib.at['loop.stacks'] + lib.at['stacks.n_live'])
                      for _, loop in lib.loops())
        if n_taken > 0 and not fibers:
            print('%d stacks are taken but not in this core: gcore stops at a guard page, the kernel '
                  'does not' % n_taken)
        print('%d fiber%s' % (len(fibers), '' if len(fibers) == 1 else 's'))


class HobBt(gdb.Command):
    """hob bt N|ADDRESS|all: where a fiber is, or every one."""

    def __init__(self):
        super().__init__('hob bt', gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        fibers = Library().fibers()
        for f in fibers if arg.strip() == 'all' else [chosen(fibers, arg)]:
            backtrace(f)


class HobFiber(gdb.Command):
    """hob fiber [N|ADDRESS]: frames are that fiber's from now on, from #1; without, the thread's."""

    def __init__(self):
        super().__init__('hob fiber', gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        unwinder.end()
        if not arg:
            return
        fiber = chosen(Library().fibers(), arg)
        print(fiber.line())
        if fiber.runs():
            select_thread(fiber)
        else:
            unwinder.begin(fiber)


gdb.unwinder.register_unwinder(None, unwinder, replace=True)
Hob()
HobFibers()
HobBt()
HobFiber()
