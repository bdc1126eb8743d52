#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_examples.py BUILD/examples - each program of examples/ does what it says it does"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from web import Web

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ARTICLE = os.path.join(ROOT, 'examples', 'article')
PEERS = os.path.join(ARTICLE, 'peers')
EXAMPLES = ''


def start(name, *args, **env):
    return subprocess.Popen([os.path.join(EXAMPLES, name), *args], env={**os.environ, **env},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(name, *args, **env):
    """(exit status, standard output, standard error)"""
    with start(name, *args, **env) as p:
        try:
            out, err = p.communicate(timeout=240)
        finally:
            p.kill()
        return p.returncode, out, err


class Ideas(unittest.TestCase):
    def test_hello(self):
        status, out, err = run('hello')
        self.assertEqual((status, sorted(out.splitlines()), err), (0, ['hello, cooks', 'hello, pots'], ''))

    def test_mirrors(self):
        for seed in range(10):  # virtual time; a seed may hold a mirror up before it starts
            status, out, err = run('mirrors', HOB_SIM=str(seed))
            self.assertEqual((status, err), (0, ''))
            self.assertRegex(out, r'^goodbye to the mirrors\n(near|far): 200\n'
                             r'[12] answered, [01] failed, [0-2] cancelled\n$')
            status, out, err = run('mirrors', '30ms', HOB_SIM=str(seed))
            self.assertEqual((status, err), (1, ''))
            self.assertRegex(out, r'^goodbye to the mirrors\nnobody: Connection timed out\n'
                             r'0 answered, [01] failed, [23] cancelled\n$')

    def test_tls_look(self):
        if not shutil.which('openssl'):
            self.skipTest('openssl is not installed')
        with tempfile.TemporaryDirectory() as d:
            cert = os.path.join(d, 'cert.pem')
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                            'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=here',
                            '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', cert + '.key',
                            '-out', cert], check=True, stderr=subprocess.DEVNULL)
            with subprocess.Popen(['openssl', 's_server', '-accept', '127.0.0.1:0', '-cert', cert,
                                   '-key', cert + '.key', '-www', '-alpn', 'http/1.1'],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as s:
                port = next(line for line in s.stdout if line.startswith('ACCEPT')).split(':')[-1].strip()
                good = run('tls_look', '--ca', cert, '127.0.0.1', port)
                bad = run('tls_look', '127.0.0.1', port)
                s.kill()
        self.assertEqual((good[0], good[2]), (0, ''))
        self.assertRegex(good[1], r'^TLS 1\.3, TLS_\w+\nprotocol: http/1\.1\ncertificate: CN = here\n$')
        self.assertEqual(bad[:2], (1, ''))
        self.assertIn('self-signed certificate', bad[2])

    def test_pipeline(self):
        for n in (0, 1, 1000):
            self.assertEqual(run('pipeline', str(n)), (
                0, 'the squares of 1 to %d add up to %d\n' % (n, sum(i * i for i in range(n + 1))), ''))

    def test_select(self):
        for n in (0, 1, 1000):
            self.assertEqual(run('select', str(n)), (
                0, '%d urgent and %d other jobs add up to %d\n' % (n, n, n * (n + 1)), ''))

    def test_flow(self):
        with tempfile.TemporaryDirectory() as d:
            paths = []
            for i in range(40):
                paths.append(os.path.join(d, str(i)))
                with open(paths[-1], 'w', encoding='utf-8') as f:
                    f.write(' \n'.join(['word'] * i))
            status, out, err = run('flow', *paths)
        self.assertEqual((status, err), (0, ''))
        self.assertEqual(sorted(out.splitlines()), sorted(
            ['%8d %s' % (i, p) for i, p in enumerate(paths)] + ['%8d total' % sum(range(40))]))

    def test_flow_goes_on_without_a_file_that_is_not_there(self):
        with tempfile.NamedTemporaryFile('w') as f:
            f.write('two words')
            f.flush()
            status, out, err = run('flow', '/nowhere/at-all', f.name)
        self.assertEqual(status, 1)
        self.assertEqual(out, '%8d %s\n%8d total\n' % (2, f.name, 2))
        self.assertRegex(err, '^flow: /nowhere/at-all: .+\n$')

    def test_bakery_as_the_tutorial_has_it(self):
        self.assertEqual(run('bakery'), (0, '3 loaves sold, 0 left\n', ''))
        self.assertEqual(run('bakery', 'fixed', HOB_SIM='search:300'),
                         (0, '', 'hob: simulation: 300 seeds, none fails\n'))
        self.assertEqual(run('bakery', 'cancel', HOB_SIM='search:50'),
                         (0, '', 'hob: simulation: 50 seeds, none fails\n'))
        status, out, err = run('bakery', 'cancel')
        self.assertEqual((status, err), (0, ''))
        self.assertRegex(out, r'^closed early at \d+ moments\n$')
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, 'schedule')
            status, out, err = run('bakery', HOB_SIM='search:1000:' + path)
            self.assertEqual((status, out), (1, ''))
            m = re.search(r'seed (\d+) fails: a deadlock; replay: HOB_SIM=(\d+)\n'
                          r'hob: simulation: it fails with (\d+) of its (\d+) choices too; '
                          r'replay: HOB_SIM=@(.+)\n$', err)
            self.assertTrue(m, err)
            self.assertEqual((m[1], m[5]), (m[2], path))
            self.assertLess(int(m[3]), int(m[4]))
            with open(path, encoding='ascii') as f:
                self.assertRegex(f.read(), r'\n\d+ leap 15\n')
            for again in (m[1], '@' + path):
                status, out, err = run('bakery', HOB_SIM=again)
                self.assertEqual((status, out), (1, ''))
                self.assertIn('deadlock', err)
                self.assertIn('event', err)
                self.assertNotIn('another program', err)

    def searched(self, how, sim):
        """A mistake of votes is found, and what it is made simpler to fails again."""
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, 'schedule')
            status, out, err = run('votes', *how, HOB_SIM=sim + ':' + path)
            self.assertEqual((status, out), (1, ''))
            m = re.search(r'seed (\d+) fails: not always so: every vote counts, and once; '
                          r'replay: HOB_SIM=(\S+)\n'
                          r'hob: simulation: it fails with (\d+) of its (\d+) choices too; '
                          r'replay: HOB_SIM=@(.+)\n$', err)
            self.assertTrue(m, err)
            self.assertEqual(m[2], sim.replace('search:1000', m[1]))
            self.assertLess(int(m[3]), int(m[4]))
            with open(path, encoding='ascii') as f:
                choices = f.read().split('\n')[4:-1]
            self.assertEqual(len(choices), int(m[3]))
            for again in (m[2], '@' + path):
                first, second = (run('votes', *how, HOB_SIM=again) for _ in range(2))
                self.assertEqual(first, second)
                self.assertLess(first[0], 0)  # aborted
                self.assertIn('not always so: every vote counts, and once', first[2])
                self.assertNotIn('another program', first[2])
            return choices, first[2]

    def test_votes_as_the_tutorial_has_it(self):
        for how in ([], ['lines'], ['fixed']):
            self.assertEqual(run('votes', *how), (0, '5 of 5 votes\n', ''))
        choices, _ = self.searched([], 'search:1000')
        self.assertTrue(all(re.match(r'\d+ cut \d+$', c) for c in choices), choices)
        self.assertEqual(run('votes', 'lines', HOB_SIM='search:300'),
                         (0, '', 'hob: simulation: 300 seeds, none fails\n'))
        choices, said = self.searched(['lines'], 'search:1000,faults=10')
        self.assertEqual(len(choices), 1)
        self.assertRegex(choices[0], r'^\d+ fault 1$')
        self.assertEqual(len(re.findall('hob: simulation: fault: ', said)), 1)
        self.assertEqual(run('votes', 'fixed', HOB_SIM='search:300,faults=20'),
                         (0, '', 'hob: simulation: 300 seeds, none fails\n'))

    def test_echo_serves_clients_side_by_side_and_ends_in_order(self):
        with start('echo', '0') as server:
            try:
                port = int(re.match(r'listening on 127\.0\.0\.1:(\d+)', server.stdout.readline())[1])
                clients = [socket.create_connection(('127.0.0.1', port), timeout=240) for _ in range(20)]
                for i, c in reversed(list(enumerate(clients))):
                    c.sendall(b'%d' % i)
                for i, c in enumerate(clients):
                    self.assertEqual(c.recv(100), b'%d' % i)
                clients.pop().close()
                server.send_signal(signal.SIGINT)
                for c in clients:
                    self.assertEqual(c.recv(100), b'')
                    c.close()
                self.assertEqual(server.wait(240), 0)
                self.assertEqual(server.stderr.read(), '')
            finally:
                server.kill()


class Article(unittest.TestCase):
    """The programs that fetch get their URLs from a site of our own: see web.py."""

    def setUp(self):
        self.web = Web().__enter__()
        self.addCleanup(self.web.__exit__)

    def fetched(self, name, *args):
        status, out, err = run('article/' + name, *args, ALLOW_PRIVATE='1')
        self.assertEqual((status, err), (0, ''))
        return out.splitlines()

    def meeting(self, n):
        """n URLs that are answered only once all of them have been asked for."""
        return [self.web.url('/meet?n=%d&who=%s' % (n, 'x' * i)) for i in range(n)]

    def test_without_urls_they_say_what_to_give_them(self):
        for name in ('gather', 'gather_proxy', 'three', 'crawl'):
            status, out, err = run('article/' + name)
            self.assertEqual((status, out), (2, ''))
            self.assertRegex(err, '^usage: %s .*URL' % name)

    def test_gather_has_a_hundred_under_way_and_not_more(self):
        urls = [url + '&hold=100' for url in self.meeting(100)] * 2
        out = self.fetched('gather', *urls)
        self.assertEqual(out, ['200 %d bytes  %s' % (i % 100, u) for i, u in enumerate(urls)])
        self.assertEqual(self.web.most, 100)

    def test_gather_starts_all_at_once_and_keeps_their_order(self):
        urls = self.meeting(60)
        self.assertEqual(self.fetched('gather', *urls),
                         ['200 %d bytes  %s' % (i, url) for i, url in enumerate(urls)])

    def test_gather_gives_null_for_a_failure_and_goes_on(self):
        cut, good = self.web.url('/cut'), self.web.url('/hello')
        out = self.fetched('gather', cut, good, self.web.url('/missing'), 'not-a-url')
        self.assertRegex(out[0], '^null .+  ' + re.escape(cut) + '$')
        self.assertEqual(out[1], '200 5 bytes  ' + good)
        self.assertRegex(out[2], '^404 0 bytes  ')
        self.assertRegex(out[3], '^null .+  not-a-url$')

    def test_gather_refuses_private_addresses_unless_told(self):
        status, out, err = run('article/gather', self.web.url('/hello'))
        self.assertEqual((status, err, self.web.requests), (0, '', []))
        self.assertRegex(out, '^null .+')

    def test_gather_proxy_gives_its_credentials_to_the_proxy(self):
        proxy = self.web.proxy('cook', 'p:t')
        out = self.fetched('gather_proxy', proxy, 'http://a.example/hello', 'http://b.example/hello')
        self.assertEqual(out, ['200 5 bytes  http://a.example/hello', '200 5 bytes  http://b.example/hello'])
        self.assertEqual(sorted(self.web.requests), [
            ('cook', 'a.example', '/hello'), ('cook', 'b.example', '/hello')])

    def test_three_are_under_way_together(self):
        self.assertEqual(self.fetched('three', *self.meeting(3)),
                         ['prices 0 bytes, inventory 1 bytes, competitors 2 bytes'])

    def test_three_fail_as_one(self):
        never = self.web.url('/meet?n=9&who=x')
        status, out, err = run('article/three', never, self.web.url('/cut'), never, ALLOW_PRIVATE='1')
        self.assertEqual((status, out), (1, ''))
        self.assertRegex(err, '^three: .+\n$')

    def test_crawl_has_fifty_under_way_and_not_more(self):
        urls = [url + '&hold=100' for url in self.meeting(50)] * 3
        out = self.fetched('crawl', *urls)
        self.assertEqual(out, ['200 %d bytes  %s' % (i % 50, u) for i, u in enumerate(urls)] +
                         ['150 of 150 pages'])
        self.assertEqual(self.web.most, 50)

    def test_crawl_takes_a_random_proxy_for_each_and_null_for_a_failure(self):
        users = ['a', 'b', 'c']
        proxies = [arg for u in users for arg in ('-x', self.web.proxy(u, 'secret'))]
        urls = ['http://shop.example/hello'] * 200 + ['http://shop.example/cut']
        out = self.fetched('crawl', *proxies, *urls)
        self.assertEqual(out[:200], ['200 5 bytes  http://shop.example/hello'] * 200)
        self.assertRegex(out[200], '^null .+  http://shop.example/cut$')
        self.assertEqual(out[201], '200 of 201 pages')
        self.assertEqual({user for user, _, _ in self.web.requests}, set(users))

    def test_map(self):
        status, out, err = run('article/map', HOB_CORES='3')
        self.assertEqual((status, out, err),
                         (0, '1000000 points on 3 cores, the last is 999998001001.0\n', ''))

    def test_worker(self):
        status, out, err = run('article/worker', '100000')
        self.assertEqual((status, err), (0, ''))
        self.assertRegex(out, r'^9592 primes below 100000; the loop ticked \d+ times meanwhile\n$')


def lines_of_code(path):
    """Without blank lines and comments, as the table of examples/README.md counts them."""
    with open(path, encoding='utf-8') as f:
        text = f.read()
    comment = {'.c': r'/\*.*?\*/', '.py': r'^#.*?$|^""".*?"""', '.mjs': r'^//.*?$'}
    text = re.sub(comment[os.path.splitext(path)[1]], '', text, flags=re.S | re.M)
    return sum(1 for line in text.split('\n') if line.strip())


class Table(unittest.TestCase):
    """The table in examples/README.md, and the programs that ours are counted against."""

    def test_says_how_long_each_is(self):
        with open(os.path.join(ROOT, 'examples', 'README.md'), encoding='utf-8') as f:
            rows = re.findall(r'`article/(\w+\.c)` \| (\d+) \| `([\w.]+)`.*? \| (\d+) \|', f.read())
        self.assertEqual(sorted(c for c, *_ in rows),
                         sorted(n for n in os.listdir(ARTICLE) if n.endswith('.c')))
        self.assertEqual(sorted(peer for *_, peer, _ in rows), sorted(os.listdir(PEERS)))
        for c, n, peer, n_peer in rows:
            self.assertEqual((c, lines_of_code(os.path.join(ARTICLE, c))), (c, int(n)))
            self.assertEqual((peer, lines_of_code(os.path.join(PEERS, peer))), (peer, int(n_peer)))

    def test_the_python_peer_that_needs_no_package_prints_the_same(self):
        out = subprocess.run([sys.executable, os.path.join(PEERS, 'map.py')], check=True, text=True,
                             stdout=subprocess.PIPE, timeout=240).stdout
        self.assertRegex(out, r'^1000000 points on \d+ cores, the last is 999998001001\.0\n$')


if __name__ == '__main__':
    EXAMPLES = sys.argv.pop(1)
    unittest.main()
