#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_tool.py HOB SITE - the tool itself: its commands, help, mistakes"""
import os
import shutil
import unittest

import cli


class Tool(cli.Case):
    def test_it_says_its_version(self):
        r = cli.hob('--version')
        self.assertEqual(r.status, 0)
        self.assertRegex(r.out, r'^hob \d+\.\d+\.\d+\n$')

    def test_help_lists_the_commands_and_goes_to_standard_output(self):
        for args in (['-h'], ['--help'], ['help']):
            r = cli.hob(*args)
            self.assertEqual((r.status, r.err), (0, ''))
            self.assertRegex(r.out, r'(?m)^  fetch  +\S')

    def test_without_a_command_help_goes_to_standard_error(self):
        r = cli.hob()
        self.assertEqual((r.status, r.out), (2, ''))
        self.assertIn('usage: hob COMMAND', r.err)

    def test_help_of_a_command_is_what_its_h_says(self):
        asked = cli.hob('help', 'fetch')
        self.assertEqual(asked.status, 0)
        self.assertTrue(asked.out.startswith('usage: hob fetch '))
        for option in ('-h', '--help'):
            self.assertEqual(cli.hob('fetch', option).out, asked.out)

    def test_a_slip_in_a_command_gets_a_hint(self):
        for slip in ('fecth', 'fetc', 'fetchh', 'getch'):
            r = cli.hob(slip, 'http://127.0.0.1/')
            self.assertEqual((r.status, r.out), (2, ''))
            self.one_line(r.err, "unknown command '%s'" % slip, "did you mean 'fetch'?")
        r = cli.hob('help', 'fecth')
        self.assertEqual(r.status, 2)
        self.one_line(r.err, "did you mean 'fetch'?")

    def test_what_is_like_no_command_gets_none(self):
        for name in ('x', '', 'wash-the-dishes-and-tidy-up-the-kitchen'):
            r = cli.hob(name)
            self.assertEqual(r.status, 2)
            self.one_line(r.err, "unknown command '%s'" % name, "'hob -h' lists them")

    def test_a_full_disk_under_its_help_is_an_error(self):
        with open('/dev/full', 'w', encoding='utf-8') as full:
            r = cli.subprocess.run([cli.HOB, '-h'], stdout=full, stderr=cli.subprocess.PIPE,
                                   text=True, timeout=cli.WAIT_MOST)
        self.assertEqual(r.returncode, 1)
        self.one_line(r.stderr, 'hob: standard output: No space left on device')

    def run_it(self, path, *args):
        return cli.subprocess.run([path, *args], capture_output=True, text=True,
                                  timeout=cli.WAIT_MOST)

    def test_hob_net_is_found_through_a_symbolic_link_to_hob(self):
        link = os.path.join(self.folder, 'link')
        os.symlink(cli.HOB, link)
        r = self.run_it(link, 'fetch', '-h')
        self.assertEqual((r.returncode, r.stderr, r.stdout), (0, '', cli.hob('fetch', '-h').out))

    def test_hob_net_missing_is_told_and_the_other_commands_work(self):
        alone = shutil.copy(cli.HOB, os.path.join(self.folder, 'hob'))
        for args in (('fetch', 'http://127.0.0.1/'), ('crawl', '-h'), ('help', 'fetch')):
            r = self.run_it(alone, *args)
            self.assertEqual((r.returncode, r.stdout), (1, ''))
            name = next(a for a in args if a != 'help')
            self.one_line(r.stderr, 'hob %s: /' % name, '/hob-net: No such file or directory')
        self.assertEqual(self.run_it(alone, '-h').stdout, cli.hob('-h').out)
        self.assertEqual(self.run_it(alone, 'top', '-h').returncode, 0)

    def test_hob_net_that_may_not_be_run_is_told(self):
        alone = shutil.copy(cli.HOB, os.path.join(self.folder, 'hob'))
        with open(os.path.join(self.folder, 'hob-net'), 'w', encoding='utf-8'):
            pass
        r = self.run_it(alone, 'fetch', '-h')
        self.assertEqual((r.returncode, r.stdout), (1, ''))
        self.one_line(r.stderr, 'hob fetch: /', '/hob-net: Permission denied')

    def test_hob_net_by_itself_says_what_it_is(self):
        net = os.path.join(os.path.dirname(os.path.realpath(cli.HOB)), 'hob-net')
        for args in ((), ('diagnose', '--', 'true')):
            r = self.run_it(net, *args)
            self.assertEqual((r.returncode, r.stdout), (2, ''))
            self.one_line(r.stderr, "hob-net: ", "'hob crawl' and 'hob fetch'")


class DemoSite(cli.Case):
    def site(self, *args):
        return cli.subprocess.run([cli.SITE, *args], capture_output=True, text=True,
                                  timeout=cli.WAIT_MOST)

    def test_truth_is_the_same_each_time(self):
        one = self.site('--truth', '--pages=40', '--seed=5')
        self.assertEqual(one.returncode, 0)
        self.assertEqual(len(one.stdout.splitlines()), 40 + 3)
        self.assertEqual(self.site('--truth', '-n40', '-s5').stdout, one.stdout)
        self.assertNotEqual(self.site('--truth', '-n40', '-s6').stdout, one.stdout)

    def test_mistakes_are_told(self):
        for args, words in ((['--latency=5'], "5: not a duration"),
                            (['--latency=50ms-10ms'], 'not a duration, nor a range'),
                            (['x'], 'x: no argument is expected'),
                            (['--pages=0'], 'is not between')):
            r = self.site(*args)
            self.assertEqual(r.returncode, 2)
            self.one_line(r.stderr, words)
        r = self.site('--log=' + self.folder)
        self.assertEqual(r.returncode, 1)
        self.one_line(r.stderr, 'Is a directory')

    def test_a_port_in_use_is_told(self):
        with cli.Site() as site:
            port = site.base.rsplit(':', 1)[1]
            r = self.site('--port', port)
            self.assertEqual(r.returncode, 1)
            self.one_line(r.stderr, 'port %s: Address already in use' % port)

    def test_it_ends_on_sigint_and_sigterm(self):
        for sig in (cli.subprocess.signal.SIGINT, cli.subprocess.signal.SIGTERM):
            p = cli.subprocess.Popen([cli.SITE], stdout=cli.subprocess.PIPE, text=True)
            self.assertTrue(p.stdout.readline())
            cli.at_rest(p.pid)
            os.kill(p.pid, sig)
            self.assertEqual(p.wait(cli.WAIT_MOST), 0)
            p.stdout.close()


if __name__ == '__main__':
    cli.main()
