#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_fetch.py HOB SITE - hob fetch, through the real binary, against the demo site"""
import fcntl
import http.server
import os
import pty
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import unittest
from urllib.parse import quote

import cli

KEYS = ['url', 'final_url', 'status', 'bytes', 'seconds', 'error']


taken = []  # sockets that keep their ports from everybody, and do not listen


def dead_port():
    """A port on which nobody listens, nor will."""
    taken.append(socket.socket())
    taken[-1].bind(('127.0.0.1', 0))
    return taken[-1].getsockname()[1]


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Fetch(cli.Case):
    @classmethod
    def setUpClass(cls):
        cls.site = cli.Site(pages=60)
        cls.site.__enter__()
        cls.addClassCleanup(cls.site.__exit__)

    def url(self, path):
        return self.site.url(path)

    def asked(self, part):
        return [r for r in self.site.requests() if part in r[5]]

    def by_url(self, rows):
        self.assertEqual(len({r['url'] for r in rows}), len(rows))
        return {r['url']: r for r in rows}


class Rows(Fetch):
    def test_each_url_has_one_row_with_everything_in_it(self):
        urls = [self.url(p) for p in list(self.site.truth())[:40]]
        r = cli.hob('fetch', *urls)
        self.assertEqual(r.status, 0, r.err)
        rows = r.rows()
        self.assertEqual(set(self.by_url(rows)), set(urls))
        for row in rows:
            self.assertEqual(list(row), KEYS)
            self.assertEqual((row['status'], row['final_url'], row['error']),
                             (200, row['url'], None))
            self.assertGreater(row['bytes'], 28000)
            self.assertGreaterEqual(row['seconds'], 0)

    def test_failures_are_rows_without_a_status_and_stop_nobody(self):
        dead = 'http://127.0.0.1:%d/' % dead_port()
        wrong = {'/reset': 'reset', '/short': '', '/garbage': '', '/loop': 'circle',
                 '/redirect?n=50': 'redirects', '/redirect?to=ftp%3a%2f%2fx%2f': 'redirect'}
        good = [self.url('/c/%d.html' % k) for k in range(10)]
        r = cli.hob('fetch', dead, *[self.url(p) for p in wrong], *good)
        rows = self.by_url(r.rows())
        self.assertEqual(r.status, 1)
        self.assertEqual(len(rows), 1 + len(wrong) + len(good))
        for path, words in [(dead, 'refused'), *[(self.url(p), w) for p, w in wrong.items()]]:
            row = rows[path]
            self.assertEqual((row['status'], row['final_url'], row['bytes']), (None, None, None))
            self.assertTrue(row['error'])
            self.assertIn(words, row['error'])
        for url in good:
            self.assertEqual(rows[url]['status'], 200)
        self.assertIn('10 x 200, 7 failed (', r.err)

    def test_an_answer_is_no_failure_but_the_exit_status_tells(self):
        r = cli.hob('fetch', self.url('/status/404'), self.url('/'))
        self.assertEqual(r.status, 1)
        row = self.by_url(r.rows())[self.url('/status/404')]
        self.assertEqual((row['status'], row['error']), (404, None))
        self.assertIn('1 x 200, 1 x 404, 0 failed', r.err)

    def test_redirects_are_followed_to_the_final_url(self):
        r = cli.hob('fetch', self.url('/redirect?n=3'))
        self.assertEqual(r.status, 0)
        self.assertEqual(r.rows()[0]['final_url'], self.url('/'))

    def test_gzip_is_decompressed(self):
        page = cli.hob('fetch', self.url('/p/000/000000.html')).rows()[0]
        r = cli.hob('fetch', '-H', 'Accept-Encoding: gzip', self.url('/gzip'))
        self.assertEqual(r.status, 0, r.out)
        row = cli.hob('fetch', self.url('/gzip')).rows()[0]
        self.assertEqual((row['status'], row['bytes']), (200, page['bytes']))

    def test_jsonl_takes_the_place_of_what_a_file_held(self):
        self.write('rows', 'old\n' * 1000)
        r = cli.hob('fetch', '--jsonl', self.path('rows'), self.url('/'))
        self.assertEqual((r.status, r.out), (0, ''))
        self.assertEqual(len(cli.rows_of(self.read('rows'))), 1)

    def test_jsonl_dash_is_standard_output(self):
        r = cli.hob('fetch', '--jsonl', '-', self.url('/'))
        self.assertEqual(len(r.rows()), 1)

    def test_the_summary_says_what_it_took_and_would_have_taken(self):
        urls = [self.url('/slow?ms=100&x=%d' % i) for i in range(20)]
        r = cli.hob('fetch', '-j', '20', *urls)
        self.assertRegex(r.err, r'20 URLs in .*, 100 B, 20 x 200, 0 failed')
        self.assertRegex(r.err, r'the slowest took [0-9.]+ m?s: ' + self.site.base)
        self.assertRegex(r.err, r'one after another they would have taken about ([2-9]|\d\d+)\.\d s')

    def test_on_epoll_too(self):
        r = cli.hob('fetch', self.url('/'), self.url('/reset'), '-o', self.path('d'),
                    env=dict(os.environ, HOB_POLL='epoll'))
        self.assertEqual(r.status, 1)
        self.assertEqual(len(r.rows()), 2)


class Lists(Fetch):
    def test_a_file_with_everything_lists_have(self):
        text = ('\ufeff%s\r\n\n   \n# a comment\n  %s\t\n%s' %
                (self.url('/c/1.html'), self.url('/c/2.html'), self.url('/c/3.html')))
        r = cli.hob('fetch', '-i', self.write('list', text))
        self.assertEqual(r.status, 0, r.err)
        self.assertEqual(set(self.by_url(r.rows())),
                         {self.url('/c/%d.html' % k) for k in (1, 2, 3)})

    def test_standard_input_as_a_list_and_as_an_argument(self):
        for args in (['-i', '-'], ['-'], ['-', '-i', '-']):
            r = cli.hob('fetch', *args, stdin=self.url('/c/1.html') + '\n')
            self.assertEqual((r.status, len(r.rows())), (0, 1), r.err)

    def test_standard_input_is_the_list_if_nothing_else_is_given(self):
        text = self.url('/c/1.html') + '\n' + self.url('/c/2.html') + '\n'
        r = cli.hob('fetch', '-j', '1', stdin=text)  # a pipe
        self.assertEqual((r.status, len(r.rows())), (0, 2), r.err)
        with open(self.write('list', text), encoding='utf-8') as f:
            r = cli.hob('fetch', stdin=f)
        self.assertEqual((r.status, len(r.rows())), (0, 2), r.err)
        r = cli.hob('fetch', self.url('/c/3.html'), stdin=text)  # not asked for: not read
        self.assertEqual((r.status, len(r.rows())), (0, 1), r.err)

    def test_arguments_and_lists_together(self):
        a, b = self.write('a', self.url('/c/1.html')), self.write('b', self.url('/c/2.html'))
        r = cli.hob('fetch', '-i', a, self.url('/'), '--input', b)
        self.assertEqual((r.status, len(r.rows())), (0, 3))

    def test_a_long_list_is_read_as_it_is_worked_off(self):
        read, write = os.pipe()
        p = cli.hob_start('fetch', '-', stdin=read)
        os.close(read)
        os.write(write, (self.url('/c/7.html?x=first') + '\n').encode())
        first = p.stdout.readline()  # its row is out before the list has ended
        self.assertIn(b'x=first', first)
        os.write(write, self.url('/c/7.html?x=second').encode())
        os.close(write)
        out, err = p.communicate(timeout=cli.WAIT_MOST)
        self.assertEqual((p.returncode, len(cli.rows_of(out.decode()))), (0, 1), err)

    def test_a_bad_url_is_told_with_file_and_line_and_stops_nobody(self):
        path = self.write('urls.txt', '# list\n%s\nnonsense\n\nhttp://\n%s\n' %
                          (self.url('/c/1.html'), self.url('/c/2.html')))
        r = cli.hob('fetch', '-i', path)
        self.assertEqual(r.status, 1)
        rows = self.by_url(r.rows())
        self.assertEqual(len(rows), 4)
        self.assertEqual(rows['nonsense']['status'], None)
        self.assertTrue(rows['http://']['error'])
        told = [line for line in r.err.splitlines() if 'urls.txt' in line]
        self.assertEqual(len(told), 2)
        self.assertIn(path + ':3: nonsense', told[0])
        self.assertIn('not a valid URL (one begins with http:// or https://)', told[0])
        self.assertIn(path + ':5: ', told[1])
        self.assertIn('2 not a valid URL', r.err)

    def test_a_bad_argument_is_told_with_its_place(self):
        r = cli.hob('fetch', self.url('/'), 'example.test/x')
        self.assertEqual(r.status, 1)
        self.assertIn('hob fetch: URL 2: example.test/x', r.err)

    def test_lines_that_can_be_no_url(self):
        long = 'http://127.0.0.1/' + 'a' * 300000
        r = cli.hob('fetch', '-', stdin=(long + '\n' + self.url('/c/1.html') + '\nhttp://a\0b/\n' +
                                         self.url('/c/2.html')).encode())
        self.assertEqual(r.status, 1)
        rows = r.rows()
        self.assertEqual(sorted(str(row['status']) for row in rows), ['200', '200', 'None', 'None'])
        self.assertIn('standard input:1: the line is too long', r.err)
        self.assertIn('standard input:3: there is a NUL in it', r.err)

    def test_a_list_that_cannot_be_read_is_one_line(self):
        r = cli.hob('fetch', '-i', self.path('none'), '--jsonl', self.write('rows', 'kept\n'))
        self.assertEqual((r.status, r.out), (1, ''))
        self.one_line(r.err, self.path('none') + ': No such file or directory')
        self.assertEqual(self.read('rows'), 'kept\n')
        r = cli.hob('fetch', '-i', self.folder, self.url('/'))
        self.assertEqual((r.status, len(r.rows())), (1, 1))
        self.assertIn(self.folder + ': Is a directory', r.err)

    def test_an_empty_list_is_all_fetched(self):
        r = cli.hob('fetch', '-')
        self.assertEqual((r.status, r.out), (0, ''))
        self.assertIn('0 URLs', r.err)


class Limits(Fetch):
    def test_j_urls_are_under_way_and_no_more(self):
        with cli.Site() as site:
            urls = [site.url('/together?n=3&x=%d' % k) for k in range(24)]
            r = cli.hob('fetch', '-j3', '--timeout', '%ds' % cli.WAIT_MOST, *urls)
            self.assertEqual(r.status, 0)
            self.assertEqual(max(q[2] for q in site.requests()), 3)

    def test_a_hundred_at_once_are_all_under_way_at_once(self):
        with cli.Site() as site:
            # None is ever answered, so all must have been sent before any has ended.
            urls = [site.url('/silent?x=%d' % k) for k in range(100)]
            p = cli.hob_start('fetch', '--concurrency=100', *urls)
            cli.until('a hundred requests', lambda: len(site.requests()) == 100)
            p.send_signal(signal.SIGINT)
            p.communicate(timeout=cli.WAIT_MOST)
            self.assertEqual(max(q[2] for q in site.requests()), 100)

    def test_they_take_as_long_as_the_slowest_not_as_all_of_them(self):
        """A hundred answers that take 50 to 500 ms each and begin when all hundred requests are
        there.  So all end when the slowest does; what little that takes is in bench fetch_wall."""
        latencies = [50 + 450 * k // 99 for k in range(100)]
        with cli.Site() as site:
            urls = [site.url('/together?n=100&ms=%d' % ms) for ms in latencies]
            r = cli.hob('fetch', '-j100', '--timeout', '%ds' % cli.WAIT_MOST, *urls)
            asked = site.requests()
        self.assertEqual(r.status, 0, r.err)
        self.assertEqual([q[2] for q in asked], list(range(1, 101)))  # none was answered before
        took = {row['url']: row['seconds'] for row in r.rows()}
        for url, ms in zip(urls, latencies):
            self.assertGreaterEqual(took[url], ms / 1000)
        times = re.search(r'taken about .*, ([0-9.]+) times as long', r.err).group(1)
        self.assertGreater(float(times), 1)  # 54 where nothing else runs

    def test_few_descriptors_mean_fewer_at_once(self):
        with cli.Site(pages=5, latency='20ms') as site:
            urls = [site.url('/slow?ms=20&n=%d' % i) for i in range(300)]
            for limit in (16, 80):
                def few():
                    resource.setrlimit(resource.RLIMIT_NOFILE, (limit // 2, limit))
                r = cli.hob('fetch', '-j', '200', '-o', self.path('out'), *urls, preexec_fn=few)
                if limit == 16:
                    self.assertEqual((r.status, r.out), (1, ''))
                    self.one_line(r.err, '16 file descriptors are too few', 'ulimit -n')
                    continue
                self.assertEqual(r.status, 0, r.err)
                self.assertEqual(len(r.rows()), 300)
                said = re.match(r'hob fetch: 80 file descriptors are enough for (\d+) at once, not '
                                r'200; see ulimit -n\n', r.err)
                self.assertTrue(said, r.err)
                self.assertLessEqual(max(row[2] for row in site.requests()), int(said[1]))

    def test_a_soft_limit_is_raised(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (20, 2000))
        r = cli.hob('fetch', '-j', '200', self.url('/'), preexec_fn=few)
        self.assertEqual(r.status, 0, r.err)
        self.assertNotIn('descriptors', r.err)

    def test_the_timeout_is_for_the_whole_request(self):
        urls = [self.url(p) for p in ('/silent', '/stall', '/drip?ms=10', '/endless')]
        r = cli.hob('fetch', '--timeout', '2s', self.url('/'), *urls)
        self.assertEqual(r.status, 1)
        rows = self.by_url(r.rows())
        self.assertEqual(rows[self.url('/')]['status'], 200)
        for url in urls[:3]:
            self.assertIsNone(rows[url]['status'])
            self.assertIn('timed out', rows[url]['error'])
            self.assertGreaterEqual(rows[url]['seconds'], 2)
        # Without an end it is too long or too large, whichever comes first.
        self.assertRegex(rows[urls[3]]['error'], r'timed out after \d+ bytes|larger than \d+ bytes')
        self.assertEqual(len(r.rows()), 5)

    def test_max_size(self):
        r = cli.hob('fetch', '--max-size', '10K', self.url('/big?bytes=10240'),
                    self.url('/big?bytes=10241'), self.url('/endless'))
        self.assertEqual(r.status, 1)
        rows = self.by_url(r.rows())
        self.assertEqual(rows[self.url('/big?bytes=10240')]['bytes'], 10240)
        for url in (self.url('/big?bytes=10241'), self.url('/endless')):
            self.assertIsNone(rows[url]['status'])
            self.assertIn('larger than', rows[url]['error'])


class Retries(Fetch):
    def test_they_go_on_until_it_works(self):
        for status in (429, 500, 503):
            target = '/flaky?fail=2&status=%d&x=a' % status
            r = cli.hob('fetch', '--retries', '2', self.url(target))
            self.assertEqual((r.status, r.rows()[0]['status']), (0, 200), r.err)
            self.assertEqual(len(self.asked(target)), 3)
            self.assertIn('2 retries', r.err)

    def test_the_last_answer_counts_when_they_are_used_up(self):
        target = '/flaky?fail=9&status=502&x=b'
        r = cli.hob('fetch', '--retries=1', self.url(target))
        self.assertEqual((r.status, r.rows()[0]['status']), (1, 502))
        self.assertEqual(len(self.asked(target)), 2)

    def test_none_unless_asked_for_and_none_of_what_will_not_change(self):
        for args, target in (([], '/status/500?x=c'), (['--retries=3'], '/status/404?x=c'),
                             (['--retries=3'], '/garbage?x=c'), (['--retries=3'], '/status/200?x=c')):
            cli.hob('fetch', *args, self.url(target))
            self.assertEqual(len(self.asked(target)), 1, target)

    def test_connections_that_break_are_tried_again(self):
        for target in ('/reset?x=d', '/short?x=d'):
            r = cli.hob('fetch', '--retries=1', self.url(target))
            self.assertEqual((r.status, len(self.asked(target))), (1, 2), r.out)
        r = cli.hob('fetch', '--retries=1', 'http://127.0.0.1:%d/' % dead_port())
        self.assertIn('1 retry', r.err)

    def test_retry_after_is_honoured(self):
        target = '/flaky?fail=1&status=503&retry-after=1&x=e'
        r = cli.hob('fetch', '--retries=1', self.url(target))
        self.assertEqual(r.rows()[0]['status'], 200)
        first, second = self.asked(target)
        self.assertGreaterEqual(second[0] - first[0], 1)

    def test_a_server_that_asks_for_too_much_patience_is_not_asked_again(self):
        target = '/status/503?retry-after=100000&x=f'
        r = cli.hob('fetch', '--retries=1', self.url(target))
        self.assertEqual((r.status, r.rows()[0]['status'], len(self.asked(target))), (1, 503, 1))


class Requests(Fetch):
    def echo(self, *args):
        r = cli.hob('fetch', '-o', self.path('d'), *args, self.url('/echo'))
        self.assertEqual(r.status, 0, r.err)
        head, body = self.read('d/' + r.rows()[0]['file']).split('\n\n', 1)
        lines = head.split('\n')
        return lines[0], dict(line.split(': ', 1) for line in lines[1:]), body

    def test_the_default_is_a_get_that_says_who_asks(self):
        line, headers, body = self.echo()
        self.assertEqual((line, body), ('GET /echo', ''))
        self.assertRegex(headers['User-Agent'], r'^hob/\d')

    def test_headers(self):
        _, headers, _ = self.echo('-H', 'X-One: 1', '--header=X-Two:  a: b ', '-HUser-Agent: me')
        self.assertEqual((headers['X-One'], headers['X-Two'].strip(), headers['User-Agent']),
                         ('1', 'a: b', 'me'))

    def test_method_and_data(self):
        line, headers, body = self.echo('--data', 'a=1&b=ä')
        self.assertEqual((line, body), ('POST /echo', 'a=1&b=ä'))
        self.assertEqual(self.echo('--method', 'PUT', '--data=x')[0::2], ('PUT /echo', 'x'))
        self.assertEqual(self.echo('--method=DELETE')[0], 'DELETE /echo')
        r = cli.hob('fetch', '--method=HEAD', self.url('/'))
        self.assertEqual((r.rows()[0]['status'], r.rows()[0]['bytes']), (200, 0))

    def test_data_from_a_file(self):
        path = self.write('body', 'line\n' * 20000)
        self.assertEqual(self.echo('--data', '@' + path)[2], 'line\n' * 20000)
        r = cli.hob('fetch', '--data', '@' + self.path('none'), self.url('/echo'))
        self.assertEqual((r.status, r.out), (1, ''))
        self.one_line(r.err, 'No such file')


class Mistakes(Fetch):
    def test_usage_errors_are_one_line_and_2_and_nothing_is_fetched(self):
        before = len(self.site.requests())
        for args, words in (
                ([], 'no URL'), (['--nonsense'], 'unknown option --nonsense'),
                (['-j', '0'], 'is not between 1 and'), (['-j', 'x'], 'not a whole number'),
                (['--timeout', '15'], 'not a duration'), (['--max-size=1X'], 'not a size'),
                (['--retries'], 'needs a value'), (['-H', 'no colon'], "not a header"),
                (['-H', 'a b: c'], "not a header"), (['-H', 'a: b\nc: d'], 'not a header'),
                (['--method', 'G T'], "'G T' is not one"), (['--method='], 'is not one'),
                (['--method=HEAD', '--data=x'], 'HEAD request has no body')):
            urls = [] if not args or args == ['--retries'] else [self.url('/')]
            r = cli.hob('fetch', *urls, *args)
            self.assertEqual((r.status, r.out), (2, ''), args)
            self.one_line(r.err, words)
        self.assertEqual(len(self.site.requests()), before)

    def test_a_bad_proxy_is_told_by_its_place_and_keeps_its_password(self):
        r = cli.hob('fetch', '--proxy=http://u:pw@127.0.0.1:1', '--proxy', 'gopher://u:secret@x:1',
                    self.url('/'))
        self.assertEqual((r.status, r.out), (2, ''))
        self.one_line(r.err, 'proxy 2')
        self.assertNotIn('secret', r.err)

    def test_rows_that_cannot_be_written(self):
        for path, words in ((self.folder, 'Is a directory'),
                            ('/dev/full', 'No space left on device'),
                            (self.path('none/rows'), 'No such file or directory')):
            r = cli.hob('fetch', '--jsonl', path, *[self.url('/c/%d.html' % k) for k in range(9)])
            self.assertEqual((r.status, r.out), (1, ''))
            said = [line for line in r.err.splitlines() if words in line]
            self.assertEqual(said, ['hob fetch: %s: %s' % (path, words)])

    def test_a_file_that_fills_up_keeps_whole_rows(self):
        def little():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

        r = cli.hob('fetch', '--jsonl', self.path('rows'),
                    *[self.url('/c/%d.html' % (k % 24)) for k in range(50)], preexec_fn=little)
        self.assertEqual(r.status, 1)
        self.assertEqual(r.err.count('File too large'), 1, r.err)
        rows = cli.rows_of(self.read('rows'))
        self.assertTrue(1 <= len(rows) <= 7, rows)

    def test_a_folder_that_cannot_be_written(self):
        path = self.write('file', '')
        for folder in (path, path + '/d', self.path('a/b')):
            r = cli.hob('fetch', '-o', folder, self.url('/'))
            self.assertEqual((r.status, r.out), (1, ''))
            self.one_line(r.err, folder + ': ')

    def test_a_disk_that_fills_up_under_bodies(self):
        def little():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

        r = cli.hob('fetch', '-o', self.path('d'), '-j1', self.url('/c/1.html'),
                    self.url('/p/000/000001.html'), self.url('/c/2.html'), preexec_fn=little)
        self.assertEqual(r.status, 1)
        self.assertEqual(r.err.count('File too large'), 1)
        rows = r.rows()
        self.assertEqual([row['url'] for row in rows], [self.url('/c/1.html')])
        self.assertEqual(os.listdir(self.path('d')), [rows[0]['file']])  # and no half of one

    def test_a_simulation_has_no_network(self):
        r = cli.hob('fetch', self.url('/'), env=dict(os.environ, HOB_SIM='1'))
        self.assertEqual((r.status, r.out), (1, ''))
        self.one_line(r.err, 'HOB_SIM')

    def test_an_environment_that_is_not_understood(self):
        for name in ('HOB_POLL', 'HOB_LOOPS', 'HOB_SIM'):
            r = cli.hob('fetch', self.url('/'), env={**os.environ, name: 'x'})
            self.assertEqual((r.status, r.out), (2, ''), name)
            self.one_line(r.err, name, 'not understood')


class Files(Fetch):
    def test_they_hold_the_bodies_under_names_of_their_own(self):
        paths = ['/c/1.html', '/c/1.html?x=1', '/c/1.html?x=2', '/c/1.html?x_1', '/c/1.html#x',
                 '/p/000/000003.html', '/']
        r = cli.hob('fetch', '-o', self.path('d'), *[self.url(p) for p in paths])
        self.assertEqual(r.status, 0)
        names = [row['file'] for row in r.rows()]
        self.assertEqual(sorted(os.listdir(self.path('d'))), sorted(names))
        self.assertEqual(len(set(names)), len(paths))
        for row in r.rows():
            self.assertEqual(os.path.getsize(self.path('d/' + row['file'])), row['bytes'])
            self.assertRegex(row['file'], r'^127\.0\.0\.1_\d+.*-[0-9a-f]{16}(\.html)?$')

    def test_names_never_leave_the_folder(self):
        evil = ['/../../x', '/..%2f..%2fx', '/.../.x', '//x', '/a\\..\\b', '/%00', '/' + 'y' * 5000,
                '/x.' + 'z' * 300, '/-rf', '/~', '/$(id)', '/echo?../../x=/etc/passwd']
        r = cli.hob('fetch', '-o', self.path('in/d'), self.url('/'))
        self.assertEqual(r.status, 1)  # only one folder is made, not all above it
        os.mkdir(self.path('in'))
        r = cli.hob('fetch', '-o', self.path('in/d'), '--method', 'GET',
                    *[self.url('/echo?' + e) for e in evil], *[self.url(e) for e in evil])
        self.assertEqual(len(r.rows()), 2 * len(evil))
        self.assertEqual(os.listdir(self.folder), ['in'])
        self.assertEqual(os.listdir(self.path('in')), ['d'])
        for name in os.listdir(self.path('in/d')):
            self.assertRegex(name, r'^[A-Za-z0-9][A-Za-z0-9._-]{1,159}$')

    def test_only_good_answers_are_kept(self):
        r = cli.hob('fetch', '-o', self.path('d'), self.url('/status/404'), self.url('/reset'))
        self.assertEqual([row['file'] for row in r.rows()], [None, None])
        self.assertEqual(os.listdir(self.path('d')), [])

    def test_the_same_url_twice_is_one_file_and_two_rows(self):
        r = cli.hob('fetch', '-o', self.path('d'), *[self.url('/p/000/000001.html')] * 20)
        self.assertEqual((r.status, len(r.rows()), len(os.listdir(self.path('d')))), (0, 20, 1))


class Stuck(Fetch):
    def stuck(self, n=20000, pad=''):
        """A run whose rows nobody reads: the pipe is full."""
        read, write = os.pipe()
        size = fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        urls = self.write('list', ''.join(self.url('/c/%d.html?x=%d%s\n' % (k % 24, k, pad))
                                          for k in range(n)))
        p = cli.hob_start('fetch', '-j', '20', '-i', urls, stdout=write)
        os.close(write)

        def full():
            have = bytearray(4)
            fcntl.ioctl(read, 0x541b, have)  # FIONREAD
            return int.from_bytes(have, 'little') > size - 400 - len(pad)
        cli.until('a full pipe', full)
        return p, read


class Interrupts(Stuck):
    def under_way(self, *args, sig=signal.SIGINT, **more):
        """Starts five URLs that are answered and fifteen that never are, and interrupts then."""
        with cli.Site() as site:
            urls = ([site.url('/c/%d.html' % k) for k in range(5)] +
                    [site.url('/silent?x=%d' % k) for k in range(15)])
            p = cli.hob_start('fetch', '--jsonl', self.path('rows'), *args, *urls, **more)
            cli.until('twenty requests', lambda: len(site.requests()) == 20)
            cli.until('five rows', lambda: self.read('rows').count('\n') == 5)
            p.send_signal(sig)
            out, err = p.communicate(timeout=cli.WAIT_MOST)
            return p.returncode, err.decode()

    def test_one_leaves_whole_rows_and_a_summary(self):
        for sig in (signal.SIGINT, signal.SIGTERM):
            status, err = self.under_way(sig=sig)
            self.assertEqual(status, 130)
            self.assertEqual(len(cli.rows_of(self.read('rows'))), 5)
            self.assertIn('5 URLs in ', err)
            self.assertIn('interrupted: 15 under way got no row', err)
            self.assertNotIn('one after another', err)  # waiting for the others is in the time

    def test_while_a_list_is_being_waited_for(self):
        read, write = os.pipe()
        p = cli.hob_start('fetch', '-', stdin=read)
        os.close(read)
        os.write(write, (self.url('/c/1.html') + '\n').encode())
        self.assertIn(b'/c/1.html', p.stdout.readline())
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=cli.WAIT_MOST)
        os.close(write)
        self.assertEqual(p.returncode, 130)
        self.assertIn(b'interrupted: 0 under way', err)

    def test_while_it_waits_to_try_again(self):
        with cli.Site() as site:
            p = cli.hob_start('fetch', '--retries=9', site.url('/status/503?retry-after=200'))
            cli.until('a request', site.requests)
            p.send_signal(signal.SIGINT)
            out, _ = p.communicate(timeout=cli.WAIT_MOST)
            self.assertEqual((p.returncode, out), (130, b''))

    def signals(self, pid, which):
        with open('/proc/%d/status' % pid, encoding='ascii') as f:
            return next(int(line.split()[1], 16) for line in f if line.startswith(which + ':'))

    def test_a_second_one_ends_it_at_once(self):
        p, read = self.stuck()
        p.send_signal(signal.SIGINT)
        caught = 1 << (signal.SIGINT - 1)
        cli.until('the first to be seen', lambda: not self.signals(p.pid, 'SigCgt') & caught)
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=cli.WAIT_MOST)
        os.close(read)
        self.assertEqual(p.returncode, -signal.SIGINT)


class Readers(Stuck):
    def test_a_slow_reader_holds_the_fetching_up_and_loses_nothing(self):
        p, read = self.stuck()
        # What may be in memory: pending rows and those of the fibers; far from all of the list.
        least = cli.until('a pause', lambda: self.pause())
        self.assertLess(least, 8000)
        with os.fdopen(read, encoding='utf-8') as f:
            rows = cli.rows_of(f.read())
        _, err = p.communicate(timeout=cli.WAIT_MOST)
        self.assertEqual(p.returncode, 0, err)
        self.assertEqual(len(self.by_url(rows)), 20000)

    def test_rows_longer_than_a_pipe_takes_at_once_never_mix(self):
        p, read = self.stuck(1000, 'y' * 5000)
        with os.fdopen(read, encoding='utf-8') as f:
            rows = cli.rows_of(f.read())
        _, err = p.communicate(timeout=cli.WAIT_MOST)
        self.assertEqual(p.returncode, 0, err)
        self.assertEqual(len(self.by_url(rows)), 1000)

    def pause(self):
        """How many requests there are once their number stands still, or nearly: that they are
        held up in the end is all that matters, a slow machine only looks earlier."""
        before = os.path.getsize(self.site.log)
        threading.Event().wait(0.3)
        return len(self.site.requests()) if os.path.getsize(self.site.log) == before else 0

    def test_a_reader_that_goes_away_ends_it(self):
        p, read = self.stuck()
        os.close(read)
        _, err = p.communicate(timeout=cli.WAIT_MOST)
        self.assertEqual(p.returncode, 1)
        self.assertEqual(err.count(b'standard output: Broken pipe'), 1)


class Terminals(Fetch):
    def on_terminal(self, rows_too, term='xterm'):
        """What comes to a terminal that is standard error, and perhaps standard output."""
        with cli.Site(latency='500ms') as site:
            master, slave = pty.openpty()
            p = cli.hob_start('fetch', '-j2', *[site.url('/c/%d.html' % k) for k in range(4)],
                              stderr=slave, stdout=slave if rows_too else subprocess.PIPE,
                              env=dict(os.environ, TERM=term))
            os.close(slave)
            shown = b''
            try:
                while piece := os.read(master, 4096):
                    shown += piece
            except OSError:
                pass  # the other side is closed
            os.close(master)
            p.communicate(timeout=cli.WAIT_MOST)
            return shown.decode()

    def test_progress_is_shown_on_a_terminal_and_taken_away(self):
        shown = self.on_terminal(False)
        self.assertRegex(shown, r'\r\x1b\[K\d of 4 done, 0 failed, 2 under way, ')
        self.assertIn('\r\x1b[Khob fetch: 4 URLs in ', shown)

    def test_none_where_the_rows_go_to_the_terminal(self):
        shown = self.on_terminal(True)
        self.assertNotIn('\x1b', shown)
        self.assertEqual(shown.count('"url"'), 4)

    def test_none_on_a_terminal_that_cannot(self):
        self.assertNotIn('\x1b', self.on_terminal(False, term='dumb'))

    def test_none_anywhere_else(self):
        r = cli.hob('fetch', self.url('/slow?ms=300'), env=dict(os.environ, TERM='xterm'))
        self.assertNotIn('\r', r.err)
        self.assertNotIn('under way', r.err)


class Proxy(http.server.BaseHTTPRequestHandler):
    """Answers for every host itself; counts; one that leads to `lead` when asked for /lead."""
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get('Proxy-Authorization')))
        lead = self.path.endswith('/lead')
        self.send_response(302 if lead else 200)
        if lead:
            self.send_header('Location', self.server.lead)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'ok')

    def log_message(self, *unused):
        pass


class Proxies(Fetch):
    def proxy(self, lead=''):
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Proxy)
        server.asked, server.lead = [], lead
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def end():
            server.shutdown()
            thread.join()
            server.server_close()
        self.addCleanup(end)
        return server, '127.0.0.1:%d' % server.server_address[1]

    def test_several_take_turns(self):
        (one, a), (two, b) = self.proxy(), self.proxy()
        r = cli.hob('fetch', '--proxy', 'http://' + a, '--proxy=http://me:pw@' + b,
                    *['http://shop.test/%d' % k for k in range(10)])
        self.assertEqual(r.status, 0, r.out)
        self.assertEqual((len(one.asked), len(two.asked)), (5, 5))
        self.assertTrue(all(login == 'Basic bWU6cHc=' for _, login in two.asked))
        self.assertTrue(all(login is None for _, login in one.asked))
        self.assertNotIn('pw', r.out + r.err)

    def test_a_dead_one_is_a_failure_and_the_next_try_takes_the_other(self):
        _, good = self.proxy()
        dead = 'http://me:pw@127.0.0.1:%d' % dead_port()
        r = cli.hob('fetch', '--proxy', dead, 'http://shop.test/')
        self.assertEqual(r.status, 1)
        self.assertIsNone(r.rows()[0]['status'])
        self.assertNotIn('pw', r.out + r.err)
        r = cli.hob('fetch', '--proxy', dead, '--proxy', 'http://' + good, '--retries=1',
                    'http://shop.test/')
        self.assertEqual((r.status, r.rows()[0]['status']), (0, 200))

    def test_a_redirect_from_a_public_name_to_a_private_address_is_refused(self):
        _, proxy = self.proxy(lead=self.url('/c/1.html'))
        args = ['fetch', '--proxy', 'http://' + proxy, 'http://shop.test/lead']
        r = cli.hob(*args)
        self.assertEqual(r.status, 1)
        self.assertRegex(r.rows()[0]['error'], 'private|guard|not public')
        self.assertEqual(cli.hob(*args, '--allow-private').rows()[0]['final_url'],
                         self.url('/c/1.html'))

    def test_private_addresses_that_are_given_are_fetched(self):
        port = self.site.base.rsplit(':', 1)[1]
        r = cli.hob('fetch', 'http://localhost:%s/' % port, 'http://127.0.0.1:%s/' % port,
                    'http://127.1:%s/c/1.html' % port, self.url('/redirect?n=2'))
        self.assertEqual(r.status, 0, r.out)


class Tls(Fetch):
    @unittest.skipUnless(shutil.which('openssl'), 'no openssl to make a certificate with')
    def test_a_certificate_nobody_knows_is_refused_unless_insecure(self):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
                        '-subj', '/CN=localhost', '-keyout', self.path('key'),
                        '-out', self.path('cert')], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path('cert'), self.path('key'))
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Proxy)
        server.asked, server.lead = [], ''
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
        server.handle_error = lambda *unused: None  # refused handshakes
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = 'https://127.0.0.1:%d/' % server.server_address[1]
        try:
            r = cli.hob('fetch', url)
            self.assertEqual(r.status, 1)
            self.assertRegex(r.rows()[0]['error'], '(?i)certificate')
            self.assertEqual(cli.hob('fetch', '--insecure', url).rows()[0]['status'], 200)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class RealServer(cli.Case):
    """A server and pages that nobody here wrote."""

    @unittest.skipUnless(shutil.which('nginx', path=os.environ['PATH'] + ':/usr/sbin'), 'no nginx')
    def test_debians_own_pages_from_nginx(self):
        files = []
        for folder, _, names in os.walk('/usr/share/doc'):
            files += [os.path.join(folder, n)[len('/usr/share'):] for n in names
                      if os.path.isfile(os.path.join(folder, n)) and n.isascii()]
        files = sorted(files)[:3000]
        if len(files) < 100:
            self.skipTest('no documentation is installed')
        port = free_port()
        conf = self.write('nginx.conf', '''
            daemon off; master_process off; pid %(d)s/pid; error_log %(d)s/error.log; %(user)s
            events { worker_connections 1024; }
            http { access_log off; gzip on; gzip_types *; %(temp)s
                   server { listen 127.0.0.1:%(port)d; root /usr/share; } }
            ''' % {'d': self.folder, 'port': port, 'user': 'user root;' if os.geteuid() == 0 else '',
                   'temp': ' '.join('%s_temp_path %s/%s;' % (k, self.folder, k) for k in (
                       'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))})
        nginx = shutil.which('nginx', path=os.environ['PATH'] + ':/usr/sbin')
        p = subprocess.Popen([nginx, '-e', self.path('error.log'), '-c', conf],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            cli.until('nginx listens', lambda: self.listens(port))
            r = cli.hob('fetch', '-o', self.path('out'), '-', stdin='\n'.join(
                'http://127.0.0.1:%d%s' % (port, quote(f)) for f in files))
        finally:
            p.terminate()
            p.wait(cli.WAIT_MOST)
        rows = {row['url']: row for row in r.rows()}
        self.assertEqual((r.status, len(rows)), (0, len(files)), r.err)
        for f in files:
            row = rows['http://127.0.0.1:%d%s' % (port, quote(f))]
            with open('/usr/share' + f, 'rb') as want, \
                    open(self.path('out/' + row['file']), 'rb') as got:
                self.assertEqual(got.read(), want.read(), f)

    def listens(self, port):
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', port)) == 0


if __name__ == '__main__':
    cli.main()
