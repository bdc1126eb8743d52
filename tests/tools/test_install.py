#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_install.py BUILD SOURCE CC... - what is installed is enough for a program outside the tree

Installs the build into an empty folder, as a packager does with DESTDIR, and builds a program
there with nothing but pkg-config: with the shared library and with the static one.
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

BUILD = SOURCE = ''
CC = ['cc']

PROGRAM = '''\
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <hob/hob.h>

static int run(void *unused)
{
    return hob_sleep(HOB_MS);
}

int main(void)
{
    if (hob_run(NULL, run, NULL) != 0)
        return 1;
    printf("%s %s\\n", hob_version(), hob_strerror(-EPIPE));
    return 0;
}
'''


def run(command, **env):
    r = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, **env))
    if r.returncode != 0:
        raise AssertionError('%s\n%s%s' % (' '.join(command), r.stdout, r.stderr))
    return r.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', cls.folder.name])
        cls.installed = sorted(os.path.relpath(os.path.join(d, f), cls.folder.name)
                               for d, _, names in os.walk(cls.folder.name) for f in names)
        pc = cls.one('hob.pc')
        cls.lib = os.path.dirname(os.path.dirname(pc))
        cls.env = {'PKG_CONFIG_PATH': os.path.dirname(pc),
                   'PKG_CONFIG_SYSROOT_DIR': cls.folder.name}

    @classmethod
    def one(cls, name):
        """The full path of the one installed file of this name."""
        found = [f for f in cls.installed if os.path.basename(f) == name]
        if len(found) != 1:
            raise AssertionError('%s: installed are %s' % (name, found))
        return os.path.join(cls.folder.name, found[0])

    def pkg_config(self, *args):
        return run(['pkg-config', *args, 'hob'], **self.env).split()

    def build(self, libs, text=PROGRAM):
        source = os.path.join(self.folder.name, 'program.c')
        program = os.path.join(self.folder.name, 'program')
        with open(source, 'w', encoding='utf-8') as f:
            f.write(text)
        run([*CC, '-std=c11', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter',
             *self.pkg_config('--cflags'), source, '-o', program, *libs])
        return program

    def says(self, program, **env):
        version = self.pkg_config('--modversion')[0]
        self.assertEqual(run([program], **env), version + ' Broken pipe\n')

    def test_every_public_header_is_installed(self):
        folder = os.path.join(SOURCE, 'include', 'hob')
        for name in os.listdir(folder):
            if name.endswith('.h'):
                self.assertTrue(self.one(name).endswith('include/hob/' + name))

    def test_every_manual_page_is_installed(self):
        for name in os.listdir(os.path.join(SOURCE, 'man')):
            if name[-2:-1] == '.':
                self.assertIn('/man/man%s/' % name[-1], self.one(name))

    def test_a_page_about_several_functions_is_there_under_each(self):
        for name, page in (('hob_chan_recv.3', 'hob_chan_new.3'), ('HOB_SEC.3', 'hob_now.3')):
            path = self.one(name)
            self.assertEqual(os.path.realpath(path), os.path.realpath(self.one(page)))
            self.assertIn('/man/man3/', path)

    def test_the_flags_guard_small_stacks(self):
        self.assertIn('-fstack-clash-protection', self.pkg_config('--cflags'))

    def test_a_program_with_the_shared_library(self):
        program = self.build(self.pkg_config('--libs'))
        self.assertIn('libhob.so.0', run(['readelf', '-d', program]))
        self.says(program, LD_LIBRARY_PATH=self.lib)

    def test_a_program_with_the_static_library(self):
        libs = ['-l:libhob.a' if f == '-lhob' else f for f in self.pkg_config('--static', '--libs')]
        program = self.build(libs)
        self.assertNotIn('libhob', run(['readelf', '-d', program]))
        self.says(program)

    def test_the_program_of_the_readme(self):
        with open(os.path.join(SOURCE, 'README.md'), encoding='utf-8') as f:
            text = re.search(r'```c\n(.*?)```', f.read(), re.S).group(1)
        out = run([self.build(self.pkg_config('--libs'), text)], LD_LIBRARY_PATH=self.lib)
        self.assertEqual(sorted(out.split('\n')), ['', 'hello, cooks', 'hello, pots'])

    def test_gdb_finds_its_script_by_the_librarys_name(self):
        scripts = [f for f in self.installed if f.endswith('-gdb.py')]
        self.assertEqual(len(scripts), 1)
        library = scripts[0].split('/share/gdb/auto-load/')[1][:-len('-gdb.py')]
        self.assertIn(library, self.installed)

    def needs(self, name):
        """The libraries that an installed executable names itself."""
        return re.findall(r'NEEDED.*\[(.*?)\.so', run(['readelf', '-d', self.one(name)]))

    def test_only_the_commands_that_talk_to_servers_need_their_libraries(self):
        libraries = {'libcurl', 'libxml2', 'libicuuc', 'libsqlite3'}
        self.assertEqual(libraries - set(self.needs('hob-net')), set())
        needs = set(self.needs('hob'))
        self.assertIn('libc', needs)
        self.assertEqual(needs & (libraries | {'libcares', 'libssl', 'libcrypto'}), set())

    def test_the_tool_finds_its_other_half_wherever_it_is_installed(self):
        link = os.path.join(self.folder.name, 'link')
        os.symlink(self.one('hob'), link)
        for hob in (self.one('hob'), link):
            for command in ('fetch', 'crawl', 'diagnose'):
                self.assertIn('usage: hob %s ' % command, run([hob, command, '-h']))

    def test_nothing_but_the_promised_is_installed(self):
        for f in self.installed:
            self.assertRegex(f, r'/include/hob/|/libhob\.(a|so)|/hob\.pc$|/man/man\d/|/bin/hob$|'
                                r'/libexec/hob/hob-net$|/share/gdb/auto-load/')


if __name__ == '__main__':
    BUILD, SOURCE, CC = sys.argv[1], sys.argv[2], sys.argv[3:]
    unittest.main(argv=sys.argv[:1])
