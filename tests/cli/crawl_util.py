# SPDX-License-Identifier: MIT
"""What the tests of `hob crawl` share: sites, runs of the tool, and what is in its database."""
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from cli import WAIT_MOST, at_rest, rows_of, signals_plain, until  # until: for the tests

HOB, SITE = '', ''  # the programs: set by the test's main
PATIENCE = WAIT_MOST
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
FAST = ('--allow-private', '--delay', '0')
FIELDS = ('--field', 'title=css:h1', '--field', 'price=css:.price')


class Requests:
    """What a site was asked for, as its log says it, in order."""

    def __init__(self):
        self.news = threading.Condition()
        self.rows = []  # (seconds, connection, under way, method, host, target, user agent)

    def add(self, row):
        with self.news:
            self.rows.append(row)
            self.news.notify_all()

    def wait(self, n, process=None):
        """Until n requests came; False: the process ended before."""
        end = time.monotonic() + PATIENCE
        with self.news:
            while len(self.rows) < n:
                if process and process.poll() is not None:
                    return False
                if time.monotonic() > end:
                    raise AssertionError('%d requests came, not %d' % (len(self.rows), n))
                self.news.wait(0.01 if process else 1)
        return True

    def targets(self):
        with self.news:
            return [row[5] for row in self.rows]


class Site(Requests):
    """hob-site on a port of its own, its log read as it is written: through a FIFO."""

    def __init__(self, directory, *args):
        super().__init__()
        fifo = tempfile.mktemp(dir=directory, prefix='log')
        os.mkfifo(fifo)
        log = os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
        self.args = args
        self.process = subprocess.Popen([SITE, '--log', fifo, *args], stdout=subprocess.PIPE,
                                        text=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url, 'hob-site does not serve'
        os.set_blocking(log.fileno(), True)
        self.reader = threading.Thread(target=self.read, args=(log,), daemon=True)
        self.reader.start()

    def read(self, log):
        with log:
            for line in log:
                row = line.rstrip('\n').split('\t')
                self.add((float(row[0]), int(row[1]), int(row[2]), *row[3:]))

    def truth(self):
        """{URL: (title, price)} of the pages that have a price."""
        args = [a for i, a in enumerate(self.args)
                if a not in ('-l', '--latency') and self.args[i - 1] not in ('-l', '--latency')]
        out = subprocess.run([SITE, '--truth', *args], capture_output=True, text=True, check=True)
        rows = [line.split('\t') for line in out.stdout.splitlines()]
        return {self.url + path: (title, price) for path, title, price in rows}

    def close(self):
        at_rest(self.process.pid)
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.reader.join()


class Scripted(Requests):
    """A server of the test's own: path -> bytes of a whole response, or a function of (the number
    of times the path was asked, the request) that gives them; None answers nothing and closes."""

    def __init__(self, pages, tls=None, robots=b'', family=socket.AF_INET, address='127.0.0.1'):
        super().__init__()
        self.pages = {'/robots.txt': page(robots, 'text/plain')}
        self.pages.update(pages)
        self.tls = tls
        self.listener = socket.create_server(('::1' if family == socket.AF_INET6 else address, 0),
                                             family=family)
        self.listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.port = self.listener.getsockname()[1]
        host = '[::1]' if family == socket.AF_INET6 else address
        self.arrived = []  # when the kernel took a request from its sender, this process busy or not
        self.url = '%s://%s:%d' % ('https' if tls else 'http', host, self.port)
        self.asked = {}
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            if self.tls:
                s = self.tls.wrap_socket(s, server_side=True)
            while self.answer(s):
                pass
        except OSError:
            pass
        finally:
            s.close()

    def receive(self, s, first):
        more, notes, _, _ = s.recvmsg(65536, 256)
        for level, kind, data in notes:
            if first and level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, ns = struct.unpack('qq', data)
                with self.news:
                    self.arrived.append(seconds + ns / 1e9)
        return more

    def answer(self, s):
        head = b''
        while b'\r\n\r\n' not in head:
            more = s.recv(65536) if self.tls else self.receive(s, not head)
            if not more:
                return False
            head += more
        text = head.decode('latin-1')
        method, target = text.split(' ')[:2]
        header = dict(re.findall(r'^([\w-]+): *(.*)\r$', text, re.M))
        with self.news:
            n = self.asked[target] = self.asked.get(target, 0) + 1
        self.add((time.monotonic(), 0, 0, method, header.get('Host', ''), target,
                  header.get('User-Agent', '')))
        reply = self.pages.get(target, page(b'not here', status='404 Not Found'))
        if callable(reply):
            reply = reply(n, text)
        if reply is None:
            return False
        s.sendall(reply)
        return True

    def close(self):
        self.listener.close()


def page(body, kind='text/html', status='200 OK', headers=()):
    """A whole response."""
    body = body.encode() if isinstance(body, str) else body
    head = ['HTTP/1.1 ' + status, 'Content-Length: %d' % len(body)]
    if kind:
        head.append('Content-Type: ' + kind)
    return '\r\n'.join([*head, *headers, '', '']).encode() + body


def links(*targets):
    return page(''.join('<a href="%s">x</a>' % t for t in targets))


class Run:
    """What a run of the tool came to."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


class CrawlCase(unittest.TestCase):
    """A directory, sites and processes that end with the test."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='hob-crawl-')
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.db, self.jsonl = self.path('c.db'), self.path('c.jsonl')

    def path(self, name):
        return os.path.join(self.dir, name)

    def site(self, *args):
        site = Site(self.dir, *args)
        self.addCleanup(site.close)
        return site

    def scripted(self, pages, **kw):
        server = Scripted(pages, **kw)
        self.addCleanup(server.close)
        return server

    def held(self):
        """A page that is not answered before the event is set: no crawl of it ends earlier,
        however slow the machine and however fast the rest."""
        go = threading.Event()
        server = self.scripted({'/held': lambda *_: page('') if go.wait(PATIENCE) else None})
        self.addCleanup(go.set)
        return server.url + '/held', go

    def argv(self, *args, db=None):
        return [HOB, 'crawl', '--db', db or self.db, *args]

    def start(self, *args, **kw):
        """The crawl, running; its standard error is read at its end."""
        db = kw.pop('db', None)
        p = subprocess.Popen(self.argv(*args, db=db), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, cwd=self.dir, **kw)
        self.addCleanup(self.stop, p)
        return p

    @staticmethod
    def stop(p):
        if p.poll() is None:
            p.kill()
        p.communicate()

    @staticmethod
    def end(p):
        out, err = p.communicate(timeout=PATIENCE)
        return Run(p.returncode, out, err)

    def crawl(self, *args, **kw):
        return self.end(self.start(*args, **kw))

    def whole(self, *args, **kw):
        """A crawl that ends well."""
        r = self.crawl(*args, **kw)
        self.assertEqual(r.code, 0, r.err)
        return r

    def one_line(self, r, code, *words):
        """It ended with this status and one line that says why."""
        self.assertEqual(r.code, code, r.err)
        lines = r.err.rstrip('\n').split('\n')
        self.assertEqual(len(lines), 1, r.err)
        self.assertTrue(lines[0].startswith('hob crawl: '), r.err)
        for word in words:
            self.assertIn(word, lines[0])

    def last_line(self, r, code, *words):
        """As one_line, where the crawl had begun and its summary comes before."""
        self.assertEqual(r.code, code, r.err)
        last = r.err.rstrip('\n').split('\n')[-1]
        self.assertTrue(last.startswith('hob crawl: '), r.err)
        for word in words:
            self.assertIn(word, last)

    def query(self, sql, db=None):
        c = sqlite3.connect('file:%s?mode=ro' % (db or self.db), uri=True, timeout=30)
        try:
            return c.execute(sql).fetchall()
        finally:
            c.close()

    def states(self, db=None):
        """{URL: (state, reason)} of every URL known."""
        rows = self.query('SELECT url, state.text, reason FROM url JOIN state USING(state) '
                          'LEFT JOIN result USING(id)', db)
        self.assertEqual(len(rows), len({row[0] for row in rows}), 'a URL twice')
        return {url: (state, reason) for url, state, reason in rows}

    def results(self, db=None):
        """{URL: (status, bytes, reason, fields)} of the pages in the database, each once."""
        rows = self.query('SELECT url, status, bytes, reason, fields FROM page', db)
        self.assertEqual(len(rows), len({row[0] for row in rows}), 'a page twice')
        return {row[0]: (row[1], row[2], row[3], json.loads(row[4] or '{}')) for row in rows}

    def rows(self, path=None):
        """The same from the JSONL file."""
        with open(path or self.jsonl, encoding='utf-8') as f:
            rows = rows_of(f.read())
        self.assertEqual(len(rows), len({row['url'] for row in rows}), 'a row twice')
        return {r['url']: (r['status'], r['bytes'], r['error'], r['fields']) for r in rows}

    def assertTruth(self, site, jsonl=True):
        """Every page of the truth is there exactly once, with its title and price."""
        pages = self.results()
        got = {url: (f['title'], f['price']) for url, (_, _, _, f) in pages.items()
               if f.get('price')}
        self.assertEqual(got, site.truth())
        if jsonl:
            self.assertEqual(self.rows(), pages)
        left = {url: s for url, s in self.states().items()
                if s[0] in ('pending', 'waiting to be tried again')}
        self.assertEqual(left, {})


def main(argv):
    """argv: the test, hob, hob-site, and what unittest takes."""
    global HOB, SITE
    HOB, SITE = os.path.abspath(argv.pop(1)), os.path.abspath(argv.pop(1))
    signals_plain()
    unittest.main(module='__main__', verbosity=2)
