# SPDX-License-Identifier: MIT
"""web.py - a small web site and a proxy for the tests of the examples; loopback only.

    with Web() as web:
        web.url('/hello')            answers "hello"
        web.url('/meet?n=3&who=a')   answers who, once 3 such requests are under way: then and
                                     only then is it shown that they were started together
             (&hold=MS)              and that much later: were there more, they would come
        web.url('/missing')          404
        web.url('/cut')              closes the connection without an answer
        web.proxy(user='u', password='p')  the URL of a proxy that wants these; it answers itself,
                                           as this site, whatever host it is asked for
"""
import base64
import http.server
import threading
import urllib.parse

WAIT = 240


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        web, at = self.server.web, urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(at.query, keep_blank_values=True))
        web.begin(at, self.headers)
        status, body = 404, b''
        if at.netloc and not web.knows(self.headers):
            status = 407
        elif at.path == '/hello':
            status, body = 200, b'hello'
        elif at.path == '/meet':
            together = web.meet(int(query['n']), float(query.get('hold', 0)) / 1e3)
            status, body = (200 if together else 503), query['who'].encode()
        web.end()  # before the answer: after it the client's next request may be here already
        if at.path == '/cut':
            self.close_connection = True
        else:
            self.answer(status, body)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1000
    daemon_threads = True


class Web:
    def __enter__(self):
        self.server = Server(('127.0.0.1', 0), Handler)
        self.server.web = self
        self.lock, self.meeting = threading.Lock(), {}
        self.requests, self.live, self.most, self.logins = [], 0, 0, set()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path):
        return 'http://127.0.0.1:%d%s' % (self.server.server_address[1], path)

    def proxy(self, user, password):
        self.logins.add(base64.b64encode(('%s:%s' % (user, password)).encode()).decode())
        return 'http://%s:%s@127.0.0.1:%d' % (user, password, self.server.server_address[1])

    def knows(self, headers):
        kind, _, login = headers.get('Proxy-Authorization', '').partition(' ')
        return kind == 'Basic' and login in self.logins

    def begin(self, at, headers):
        with self.lock:
            login = headers.get('Proxy-Authorization', '').partition(' ')[2]
            user = base64.b64decode(login).decode().partition(':')[0]
            self.requests.append((user, at.netloc, at.path))
            self.live += 1
            self.most = max(self.most, self.live)

    def end(self):
        with self.lock:
            self.live -= 1

    def meet(self, n, hold):
        with self.lock:
            barrier = self.meeting.setdefault(n, threading.Barrier(n))
        try:
            barrier.wait(WAIT)
            threading.Event().wait(hold)
            return True
        except threading.BrokenBarrierError:
            return False
