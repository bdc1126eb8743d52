#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_crawl_faults.py HOB HOB-SITE - `hob crawl` when things go wrong: nothing lost, one line why"""
import errno
import fcntl
import os
import pty
import re
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import termios

import crawl_util
from crawl_util import FAST, FIELDS, PATIENCE, CrawlCase, links, main, page, until


class Pages(CrawlCase):
    """A page that fails is recorded with its reason, and the others come all the same."""

    def fails(self, target, *args, retries='0', site=None):
        """The page's (status, reason) beside a page that must come."""
        site = site or self.site('-n', '5')
        url = target if '://' in target else site.url + target
        good = site.url + '/p/000/000001.html'
        r = self.whole(*FAST, '--retries', retries, '--depth', '0', '--jsonl', self.jsonl, *args,
                       url, good)
        rows = self.rows()
        self.assertEqual(rows, self.results())
        self.assertEqual(rows[good][:1], (200,))
        self.assertEqual({u: s for u, s in self.states().items() if s[0] == 'failed'},
                         {url: ('failed', rows[url][2])})
        self.assertIn('1 failed', r.err)
        self.assertIn(rows[url][2], r.err)
        return rows[url][0], rows[url][2]

    def put_off(self, url, *args, site=None):
        """Why the page was put off, for a server that is not there for now, beside one that is."""
        site = site or self.site('-n', '5')
        good = site.url + '/p/000/000001.html'
        r = self.whole(*FAST, '--retries', '0', '--depth', '0', '--jsonl', self.jsonl, *args, url,
                       good)
        self.assertEqual(set(self.rows()), {good})
        self.assertEqual(self.states()[url], ('pending', None))
        said = re.search(r'\n  1 put off, the first of (\S+): (.*); the same command tries them '
                         r'again\n', r.err)
        self.assertTrue(said, r.err)
        self.assertTrue(url.startswith(said[1]), r.err)
        return said[2]

    def test_404(self):
        self.assertEqual(self.fails('/status/404'), (404, 'HTTP 404'))

    def test_503_each_time(self):
        site = self.site('-n', '5')
        self.assertEqual(self.fails('/status/503', retries='1', site=site), (503, 'HTTP 503'))
        self.assertEqual(site.targets().count('/status/503'), 2)

    def test_500_and_then_200(self):
        site = self.site('-n', '5')
        self.whole(*FAST, '--depth', '0', '--jsonl', self.jsonl, site.url + '/status/500-then-200')
        self.assertEqual(site.targets().count('/status/500-then-200'), 2)
        self.assertEqual([row[0] for row in self.rows().values()], [200])
        self.assertEqual(self.query('SELECT attempts FROM result'), [(2,)])

    def test_retry_after_is_waited_for(self):
        server = self.scripted({'/': lambda n, _: page('', status='429 Slow', headers=[
            'Retry-After: 1']) if n == 1 else page('')})
        self.whole(*FAST, server.url)
        at = [row[0] for row in server.rows if row[5] == '/']
        self.assertEqual(len(at), 2)
        self.assertGreaterEqual(at[1] - at[0], 0.95)  # the first came to the server at some time

    def test_reset(self):
        self.assertIn('reset', self.fails('/reset')[1].lower())

    def test_an_answer_cut_short(self):
        self.assertTrue(self.fails('/short')[1])

    def test_a_stall(self):
        self.assertIn('timed out', self.fails('/stall', '--timeout', '2s')[1].lower())

    def test_silence(self):
        self.assertIn('timed out', self.fails('/silent', '--timeout', '2s')[1].lower())

    def test_a_body_without_an_end(self):
        self.assertIn('larger', self.fails('/endless', '--max-size', '100kB')[1])

    def test_garbage(self):
        self.assertTrue(self.fails('/garbage')[1])

    def test_a_redirect_to_itself(self):
        self.assertEqual(self.fails('/loop')[1], 'redirect to itself')

    def test_connection_refused(self):
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        self.assertIn('refused', self.put_off('http://127.0.0.1:%d/' % port))

    def test_an_unknown_host(self):
        self.assertIn('nowhere.invalid', self.put_off('http://nowhere.invalid/'))

    def test_no_tls_where_tls_is_asked_for(self):
        site = self.site('-n', '5')
        self.assertTrue(self.put_off(site.url.replace('http:', 'https:') + '/', '--timeout', '2s',
                                     site=site))

    def test_a_certificate_nobody_signed(self):
        if not shutil.which('openssl'):
            self.skipTest('no openssl to make a certificate with')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
                        '-subj', '/CN=127.0.0.1', '-keyout', self.path('key'), '-out',
                        self.path('cert')], check=True, capture_output=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.path('cert'), self.path('key'))
        server = self.scripted({'/': page('')}, tls=tls)
        self.assertIn('certificate', self.put_off(server.url + '/').lower())
        self.assertEqual(server.targets(), [])

    def test_all_that_fails_on_one_site(self):
        site = self.site('-n', '40')
        bad = ['/status/404', '/reset', '/stall', '/silent', '/short', '/garbage', '/endless',
               '/loop', '/status/500']
        r = self.whole(*FAST, *FIELDS, '--retries', '1', '--timeout', '2s', '--max-size', '200kB',
                       '--jsonl', self.jsonl, site.url + '/', *(site.url + b for b in bad))
        self.assertTruth(site)
        failed = {u[len(site.url):] for u, s in self.states().items() if s[0] == 'failed'}
        self.assertEqual(failed, set(bad), r.err)

    def test_nothing_could_be_fetched(self):
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        args = (*FAST, '--retries', '0', 'http://127.0.0.1:%d/' % port)
        for _ in range(2):
            self.last_line(self.crawl(*args), 1, 'no page could be fetched', 'refused',
                           'the same command tries again')

    def test_every_page_failed(self):
        server = self.scripted({})
        self.last_line(self.crawl(*FAST, server.url), 1, 'no page could be fetched', 'HTTP 404')
        self.last_line(self.crawl(*FAST, server.url), 1, self.db, 'remove it')

    def test_few_descriptors(self):
        site = self.site('-n', '60', '-l', '5ms')
        args = (*FAST, *FIELDS, '-j', '200', '--per-host', '200', '--jsonl', self.jsonl,
                site.url + '/')
        for limit, room in ((16, 0), (64, None)):
            def few():
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit // 2, limit))
            r = self.crawl(*args, preexec_fn=few)
            if room == 0:
                self.one_line(r, 1, '16 file descriptors are too few', 'ulimit -n')
                self.assertFalse(os.path.exists(self.db))
            else:
                self.assertEqual(r.code, 0, r.err)
                said = re.match(r'hob crawl: 64 file descriptors are enough for (\d+) at once, not '
                                r'200; see ulimit -n\n', r.err)
                self.assertTrue(said, r.err)
                self.assertLessEqual(max(row[2] for row in site.rows), int(said[1]))
        self.assertTruth(site)

    def test_ipv6(self):
        try:
            server = self.scripted({'/': links('/a'), '/a': page('')}, family=socket.AF_INET6)
        except OSError as e:
            self.skipTest('no IPv6 on loopback: %s' % e)
        self.whole(*FAST, server.url)
        self.assertEqual(server.targets(), ['/robots.txt', '/', '/a'])


class Refused(CrawlCase):
    """What cannot begin ends with one line and leaves no database behind."""

    def test_usage(self):
        for args, word in (((), 'URL'), (('--no-such-flag', 'http://x/'), '--no-such-flag'),
                           (('-j', 'many', 'http://x/'), 'many'), (('-j', '0', 'http://x/'), '0'),
                           (('--delay', 'soon', 'http://x/'), 'soon'),
                           (('--max-size', '-1', 'http://x/'), '-1'),
                           (('http://',), 'http://'), (('ftp://x/',), 'ftp://x/'),
                           (('no url',), 'no url'), (('http://x/', '/y'), '/y'),
                           (('http://x:99999/',), '99999'), (('http://' + 9000 * 'x',), 'longer'),
                           (('--field', 'price', 'http://x/'), 'price'),
                           (('--field', 'price=css:[', 'http://x/'), 'price=css:['),
                           (('--field', 'price=xpath://[', 'http://x/'), 'price=xpath'),
                           (('--field', 'a=css:b', '--field', 'a=css:c', 'http://x/'), 'twice'),
                           (('--user-agent', '', 'http://x/'), 'must begin with a name'),
                           (('--user-agent', '/1 (x)', 'http://x/'), 'must begin with a name'),
                           (('--user-agent', 'x\r\nX: y', 'http://x/'), 'control character')):
            with self.subTest(args=args):
                self.one_line(self.crawl(*args), 2, word)
                self.assertFalse(os.path.exists(self.db))

    def test_loopback_without_allow_private(self):
        for url in ('http://127.0.0.1/', 'http://localhost:8080/', 'http://[::1]/',
                    'http://10.1.2.3/', 'http://[::ffff:127.0.0.1]/', 'http://2130706433/'):
            with self.subTest(url=url):
                self.one_line(self.crawl(url), 1, url, '--allow-private')
                self.assertFalse(os.path.exists(self.db))

    def test_no_directory_for_the_database(self):
        self.one_line(self.crawl(*FAST, 'http://127.0.0.1:1/', db=self.path('no/c.db')), 1,
                      self.path('no/c.db'), os.strerror(errno.ENOENT))

    def test_a_database_that_is_a_directory(self):
        self.one_line(self.crawl(*FAST, 'http://127.0.0.1:1/', db=self.dir), 1, self.dir)

    def test_a_database_nobody_may_write(self):
        where = self.path('locked')
        os.mkdir(where)
        if os.geteuid() == 0:
            where = '/proc'  # the one directory root cannot make files in
        else:
            os.chmod(where, 0o500)
        self.one_line(self.crawl(*FAST, 'http://127.0.0.1:1/', db=where + '/c.db'), 1, where)

    def test_a_jsonl_file_nobody_may_write(self):
        for path in ('/proc/version', self.dir, self.path('no/x.jsonl')):
            self.one_line(self.crawl(*FAST, '--jsonl', path, 'http://127.0.0.1:1/'), 1, path)

    def test_the_simulator_has_no_network(self):
        self.one_line(self.crawl(*FAST, 'http://127.0.0.1:1/', env={**os.environ, 'HOB_SIM': '1'}),
                      1, 'HOB_SIM')

    def test_two_crawls_on_one_database(self):
        site = self.site('-n', '20')
        held, go = self.held()
        args = (*FAST, *FIELDS, site.url + '/', held)
        first = self.start(*args)
        site.wait(2)
        self.one_line(self.crawl(*args), 1, self.db, 'another')
        go.set()
        self.assertEqual(self.end(first).code, 0)
        self.assertTruth(site, jsonl=False)


class Full(CrawlCase):
    def tmpfs(self, size):
        where = self.path('small')
        os.mkdir(where)
        if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%d' % size, 'none', where],
                          capture_output=True).returncode != 0:
            return None
        self.addCleanup(subprocess.run, ['umount', '-l', where], capture_output=True)
        return where

    def test_status_where_nothing_may_be_written(self):
        where = self.tmpfs(16 << 20)
        if not where:
            self.skipTest('a file system of its own could not be mounted here')
        site = self.site('-n', '5')
        self.db = os.path.join(where, 'a %3f?.db')
        self.whole(*FAST, site.url + '/')
        before = self.crawl('--status')
        subprocess.run(['mount', '-o', 'remount,ro', where], check=True)
        after = self.crawl('--status')
        self.assertEqual((after.code, after.out, after.err), (0, before.out, ''))
        self.one_line(self.crawl(*FAST, site.url + '/'), 1, os.strerror(errno.EROFS))
        subprocess.run(['mount', '-o', 'remount,rw', where], check=True)
        with open(self.db + '-wal', 'w', encoding='ascii'):
            pass  # as if a crawl had been killed
        subprocess.run(['mount', '-o', 'remount,ro', where], check=True)
        self.assertEqual(self.crawl('--status').out, before.out)

    def test_a_disk_that_is_full(self):
        where = self.tmpfs(256 << 10)
        if not where:
            self.skipTest('a file system of its own could not be mounted here')
        site = self.site('-n', '300')
        self.db, self.jsonl = where + '/c.db', where + '/c.jsonl'
        args = (*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')
        self.last_line(self.crawl(*args), 1, where, os.strerror(errno.ENOSPC))
        subprocess.run(['mount', '-o', 'remount,size=64m', where], check=True)
        self.whole(*args)
        self.assertTruth(site)

    def test_a_file_larger_than_allowed(self):
        site = self.site('-n', '300')
        args = (*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (60000, resource.RLIM_INFINITY))
        self.last_line(self.crawl(*args, preexec_fn=limit), 1, self.dir)
        self.whole(*args)
        self.assertTruth(site)

    def test_standard_output_that_is_full(self):
        site = self.site('-n', '20')
        with open('/dev/full', 'w', encoding='utf-8') as full:
            p = subprocess.run(self.argv(*FAST, *FIELDS, '--jsonl', '-', site.url + '/'),
                               stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        self.last_line(crawl_util.Run(p.returncode, '', p.stderr), 1, 'standard output')
        self.assertNotIn('nothing was left', p.stderr)  # a crawl that broke off is not complete
        self.whole(*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')
        self.assertTruth(site)


class Stopped(CrawlCase):
    def test_ctrl_c_leaves_whole_rows_and_the_same_command_goes_on(self):
        site = self.site('-n', '200', '-l', '2ms')
        held, go = self.held()
        args = (*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/', held)
        for n in (5, 60, 150):
            p = self.start(*args)
            self.assertTrue(site.wait(n, p), 'it ended before it could be stopped')
            p.send_signal(signal.SIGINT)
            self.last_line(self.end(p), 130, 'goes on')
            self.assertEqual(self.rows(), self.results())
        go.set()
        self.whole(*args)
        self.assertTruth(site)

    def test_sigterm_is_the_same(self):
        site = self.site('-n', '50', '-l', '5ms')
        held, go = self.held()
        args = (*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/', held)
        p = self.start(*args)
        site.wait(20)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(p).code, 130)
        go.set()
        self.whole(*args)
        self.assertTruth(site)

    def test_a_request_under_way_does_not_hold_ctrl_c(self):
        site = self.site('-n', '5')
        p = self.start(*FAST, site.url + '/silent')
        site.wait(2)
        p.send_signal(signal.SIGINT)
        self.last_line(self.end(p), 130, 'goes on')
        self.assertEqual(list(self.states().values()), [('pending', None)])

    def test_a_second_ctrl_c_ends_it_at_once(self):
        site = self.site('-n', '400', '-l', '10ms')  # far from its end when the lock is taken
        args = (*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')
        p = self.start(*args)
        site.wait(20)
        lock = sqlite3.connect(self.db, timeout=30, isolation_level=None)
        lock.execute('BEGIN IMMEDIATE')  # now the crawl's writer waits, and an orderly stop with it
        p.send_signal(signal.SIGINT)

        def seen():
            with open('/proc/%d/status' % p.pid, encoding='ascii') as f:
                caught = [line for line in f if line.startswith('SigCgt')]
            return not int(caught[0].split()[1], 16) & 1 << (signal.SIGINT - 1)
        until('the first to arrive', seen)
        p.send_signal(signal.SIGINT)
        self.assertEqual(self.end(p).code, -signal.SIGINT)
        lock.close()
        self.whole(*args)
        self.assertTruth(site)

    def test_a_reader_that_goes_away(self):
        site = self.site('-n', '200')
        held, go = self.held()
        p = self.start(*FAST, *FIELDS, '--jsonl', '-', site.url + '/', held)
        p.stdout.readline()
        p.stdout.close()
        p.stdout = None
        go.set()
        _, err = p.communicate(timeout=PATIENCE)
        self.assertNotEqual(p.returncode, 0)
        self.whole(*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/', held)
        self.assertTruth(site)


class Terminal(CrawlCase):
    def on_terminal(self, *args):
        """What a crawl writes to a terminal 100 columns wide."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 100, 0, 0))
        p = subprocess.Popen(self.argv(*args), stdout=subprocess.DEVNULL, stderr=theirs,
                             env=dict(os.environ, TERM='xterm'))
        os.close(theirs)
        said = b''
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # EIO: the last writer is gone
                break
            if not more:
                break
            said += more
        os.close(ours)
        self.assertEqual(p.wait(), 0)
        return said.decode()

    def test_progress_on_a_terminal_only(self):
        site = self.site('-n', '20')
        args = (*FAST, site.url + '/', site.url + '/slow?ms=1000')
        self.assertRegex(self.on_terminal(*args), r'\r.*pages, .*in flight')
        self.db = self.path('other.db')
        r = self.whole(*args)
        self.assertNotIn('\r', r.err)
        self.assertNotIn('in flight', r.err)


if __name__ == '__main__':
    main(sys.argv)
