#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_crawl.py HOB HOB-SITE - `hob crawl` as its user meets it: what is found, and how politely"""
import email.utils
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

from crawl_util import FAST, FIELDS, PATIENCE, CrawlCase, links, main, page, until


class Found(CrawlCase):
    def test_the_whole_site_once_in_the_database_and_in_jsonl(self):
        site = self.site('-n', '150')
        r = self.whole(*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')
        self.assertTruth(site)
        self.assertEqual(len(site.targets()), len(set(site.targets())), 'a page was asked twice')
        self.assertIn('pages', r.err)
        for stage in ('fetch', 'parse', 'store'):
            self.assertRegex(r.err, r'\n  %s +\w+' % stage)

    def test_jsonl_on_standard_output(self):
        site = self.site('-n', '20')
        r = self.whole(*FAST, *FIELDS, '--jsonl', '-', site.url + '/')
        with open(self.jsonl, 'w', encoding='utf-8') as f:
            f.write(r.out)
        self.assertTruth(site)

    def test_a_finished_crawl_asks_for_nothing_again(self):
        site = self.site('-n', '20')
        self.whole(*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')
        asked = len(site.targets())
        self.whole(*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')
        self.assertEqual(len(site.targets()), asked)
        self.assertTruth(site)

    def test_a_jsonl_file_named_later_gets_every_row(self):
        site = self.site('-n', '20')
        self.whole(*FAST, *FIELDS, site.url + '/')
        self.whole(*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')
        self.assertTruth(site)

    def test_one_at_a_time(self):
        site = self.site('-n', '20')
        self.whole(*FAST, *FIELDS, '-j', '1', '--per-host', '1', '--jsonl', self.jsonl,
                   site.url + '/')
        self.assertTruth(site)
        self.assertEqual(max(row[2] for row in site.rows), 1)

    def test_spellings_of_one_url_are_one_page(self):
        server = self.scripted({'/a': page('here')})
        server.pages['/'] = links('/a', '/a#x', './a', '/b/../a', 'a', '/b/.%2e/a', ' /a ', '/a\n',
                                  '//127.0.0.1:%d/a' % server.port, '//127.1:%d/a' % server.port,
                                  'HTTP://0x7f000001:%d/a' % server.port)
        self.whole(*FAST, server.url)
        self.assertEqual(server.targets().count('/a'), 1)

    def test_a_seed_given_twice_is_one_page(self):
        server = self.scripted({'/': page('here')})
        self.whole(*FAST, server.url, server.url + '/', server.url + '/#x')
        self.assertEqual(server.targets(), ['/robots.txt', '/'])

    def test_bodies_that_are_no_html(self):
        server = self.scripted({
            '/': links('/empty', '/none', '/image', '/zero', '/text'),
            '/empty': page(b''), '/none': page(b'<a href="/more">x</a>', kind=None),
            '/more': page('more'), '/zero': page(bytes(3000)),
            '/image': page(b'<a href="/not">x</a>', 'image/png'),
            '/text': page(b'<a href="/not">x</a>', 'text/plain')})
        self.whole(*FAST, '--field', 't=css:title', '--jsonl', self.jsonl, server.url)
        self.assertEqual({u[len(server.url):] for u in self.rows()},
                         {'/', '/empty', '/none', '/image', '/zero', '/text', '/more'})

    def test_a_page_of_very_many_links(self):
        n = 20000
        pages = {'/': links(*('/x?%d' % i for i in range(n)))}
        server = self.scripted(pages)
        self.whole(*FAST, '--max-pages', '3', server.url)
        self.assertEqual(self.query('SELECT count(*) FROM url'), [(n + 1,)])
        self.assertEqual(self.query('SELECT count(*) FROM result'), [(3,)])


class Polite(CrawlCase):
    def test_what_robots_txt_forbids_is_never_requested(self):
        site = self.site('-n', '60')
        self.whole(*FAST, site.url + '/')
        self.assertEqual(site.targets()[0], '/robots.txt')
        self.assertEqual([t for t in site.targets() if t.startswith('/private')], [])
        forbidden = [u for u, s in self.states().items() if '/private/' in u]
        self.assertTrue(forbidden)
        for url in forbidden:
            self.assertEqual(self.states()[url], ('skipped: robots.txt', None))

    def test_connections_to_a_host_are_limited(self):
        site = self.site()
        # Answered when three are under way, and here there are no more than three to wait for.
        self.whole(*FAST, '--per-host', '3', '--depth', '0', '--timeout', '%ds' % PATIENCE,
                   *(site.url + '/together?n=3&x=%d' % k for k in range(24)))
        self.assertEqual(max(row[2] for row in site.rows), 3)

    def test_the_limit_is_the_hosts_whatever_the_port(self):
        one, two = self.site('-n', '30', '-l', '10ms'), self.site('-n', '30', '-l', '10ms')
        self.whole(*FAST, '--per-host', '1', one.url + '/', two.url + '/')
        # With one connection to the host no answer of 10 ms overlaps another, on any port.
        starts = sorted(row[0] for row in one.rows + two.rows)
        self.assertGreaterEqual(min(b - a for a, b in zip(starts, starts[1:])), 0.010)

    def assert_spaced(self, server, began, n, delay):
        """Each request came as many delays after the crawl began as there were requests before it.
        (How long a start takes to be a request is the machine's: of two neighbours the first may
        take longer.  That starts are never closer, tests/sim sees in virtual time.)"""
        at = sorted(server.arrived)  # the kernel notes when a request was sent
        self.assertEqual(len(at), n)
        for k, t in enumerate(at):
            self.assertGreaterEqual(t - began, k * delay, [a - began for a in at])

    def test_starts_on_a_host_are_spaced_by_default(self):
        server = self.scripted({'/': links(*('/%d' % i for i in range(5))),
                                **{'/%d' % i: page('here') for i in range(5)}})
        began = time.time()
        self.whole('--allow-private', server.url)
        self.assert_spaced(server, began, 7, 0.25)  # robots.txt among them

    def test_starts_on_a_host_are_spaced_however_many_connections_and_slow_answers(self):
        gate = threading.Event()
        self.addCleanup(gate.set)

        def late(n, _):
            gate.wait(0.35)  # longer than the delay, so several are under way
            return page('here')
        server = self.scripted({'/': links(*('/%d' % i for i in range(8))),
                                **{'/%d' % i: late for i in range(8)}})
        began = time.time()
        self.whole('--allow-private', '--delay', '150ms', '--per-host', '8', server.url)
        self.assert_spaced(server, began, 10, 0.15)

    def test_the_summary_says_when_politeness_is_what_holds_it(self):
        server = self.scripted({'/': links(*('/%d' % i for i in range(8))),
                                **{'/%d' % i: page('here') for i in range(8)}})
        r = self.whole('--allow-private', '--delay', '200ms', server.url)
        self.assertRegex(r.err, r'\n  fetch  held to the pace it was told \(--delay, --per-host.*\): '
                                r'\d+ % of the time')
        self.assertNotRegex(r.err, r'\n  fetch  .*more tasks at once')

    def test_the_summary_does_not_blame_politeness_for_the_concurrency(self):
        site = self.site('-n', '40', '-l', '20ms')
        r = self.whole(*FAST, '-j', '1', '--per-host', '2', site.url + '/')
        self.assertNotIn('held to the pace', r.err)

    def test_a_crawl_delay_counts_if_it_is_longer(self):
        server = self.scripted({'/': links('/a', '/b'), '/a': page(''), '/b': page('')},
                               robots=b'User-agent: *\nCrawl-delay: 0.3\n')
        began = time.time()
        self.whole(*FAST, server.url)
        server.arrived.sort()
        del server.arrived[0]  # the delay is known once robots.txt is there
        self.assert_spaced(server, began, 3, 0.3)

    def test_the_user_agent_is_sent_and_is_the_robots_token(self):
        robots = b'User-agent: *\nDisallow: /\n\nUser-agent: mine\nDisallow: /no\n'
        server = self.scripted({'/': links('/yes', '/no'), '/yes': page('')}, robots=robots)
        self.whole(*FAST, '--user-agent', 'Mine/2.0 (+http://example.org)', server.url)
        self.assertEqual(server.targets(), ['/robots.txt', '/', '/yes'])
        self.assertEqual({row[6] for row in server.rows}, {'Mine/2.0 (+http://example.org)'})

    def test_the_user_agent_of_hob(self):
        server = self.scripted({'/': page('')}, robots=b'User-agent: hob\nDisallow: /\n')
        r = self.crawl(*FAST, server.url)
        self.assertEqual(server.targets(), ['/robots.txt'])
        self.assertRegex(server.rows[0][6], r'^hob/\d')
        self.assertEqual(r.code, 0, r.err)
        self.assertIn(' 1 URL: 1 skipped: robots.txt', self.crawl('--status').out)

    def test_no_robots_txt_allows_all(self):
        server = self.scripted({'/': page('')})
        server.pages['/robots.txt'] = page('', status='404 Not Found')
        self.whole(*FAST, server.url)
        self.assertEqual(server.targets(), ['/robots.txt', '/'])

    def test_a_robots_txt_that_fails_and_comes(self):
        server = self.scripted({'/': links('/a'), '/a': page('')})
        server.pages['/robots.txt'] = lambda n, _: page('', status='503 No' if n == 1 else '200 OK')
        self.whole(*FAST, server.url)
        self.assertEqual(server.targets(), ['/robots.txt', '/robots.txt', '/', '/a'])

    def test_a_robots_txt_that_fails_forbids_everything(self):
        server = self.scripted({'/': page('')})
        server.pages['/robots.txt'] = page('', status='500 No')
        r = self.crawl(*FAST, '--retries', '1', server.url)
        self.last_line(r, 1, 'robots.txt', '500', 'tries again')
        self.assertEqual(set(server.targets()), {'/robots.txt'})
        self.assertEqual(list(self.states().values()), [('pending', None)])

    def test_a_dead_robots_txt_is_asked_for_a_few_times_not_for_each_page(self):
        server = self.scripted({'/': links(*('/%d' % i for i in range(40)))})
        self.whole(*FAST, '--max-pages', '1', server.url)
        del server.rows[:]
        server.pages['/robots.txt'] = page('', status='500 No')
        r = self.crawl(*FAST, '--retries', '1', server.url)
        self.assertEqual(server.targets(), ['/robots.txt', '/robots.txt'])
        self.last_line(r, 1, 'robots.txt', '500')
        self.assertIn('40 pending', r.err)
        server.pages['/robots.txt'] = page('')
        self.assertIn('40 failed', self.crawl(*FAST, server.url).err)  # they were asked for: 404

    def test_an_origin_that_is_away_does_not_hold_the_others_and_is_tried_again(self):
        other = self.scripted({'/': page('there'), '/x': page('x')})
        good = self.scripted({'/': links('/a', other.url + '/x'), '/a': page('')})
        other.pages['/robots.txt'] = page('', status='500 No')
        for depth in ((), ('--depth', '5')):
            self.db, self.jsonl = self.path('%d.db' % len(depth)), self.path('%d.l' % len(depth))
            args = (*FAST, '--retries', '0', '--jsonl', self.jsonl, *depth, other.url, good.url)
            r = self.whole(*args)
            self.assertIn('2 put off, the first of %s: robots.txt: HTTP 500; the same command '
                          'tries them again' % other.url, r.err)
            self.assertEqual(set(self.rows()), {good.url + '/', good.url + '/a'})
            other.pages['/robots.txt'] = page('')
            self.whole(*args)
            self.assertEqual(len(self.rows()), 4)
            self.assertEqual({s[0] for s in self.states().values()}, {'done'})
            other.pages['/robots.txt'] = page('', status='500 No')

    def test_a_page_put_off_after_a_try_is_tried_again(self):
        server = self.scripted({'/': page('', status='503 No', headers=['Retry-After: 7200'])})
        r = self.crawl(*FAST, server.url)
        self.last_line(r, 1, 'HTTP 503', 'not before 2', 'tries again')
        self.assertEqual(server.targets(), ['/robots.txt', '/'])
        server.pages['/'] = page('')
        self.time_goes_by()
        self.whole(*FAST, '--jsonl', self.jsonl, server.url)
        self.assertEqual(list(self.states().values()), [('done', None)])
        self.assertEqual(self.rows(), self.results())

    def time_goes_by(self):
        """As far as what hosts asked for is concerned."""
        c = sqlite3.connect(self.db, isolation_level=None)
        n = c.execute("UPDATE meta SET value = value - 100000000 WHERE key LIKE 'hold %'").rowcount
        c.close()
        self.assertEqual(n, 1)

    def test_a_host_that_asked_to_be_left_alone_is_by_the_next_run_too(self):
        server = self.scripted({'/': links('/a'), '/a': page('', status='503 No', headers=[
            'Retry-After: 7200'])})
        r = self.whole(*FAST, '--jsonl', self.jsonl, server.url)
        self.assertIn('1 put off, the first of %s: HTTP 503, not before 2' % server.url, r.err)
        asked = server.targets()
        for _ in range(2):
            r = self.crawl(*FAST, '--jsonl', self.jsonl, server.url)
            self.last_line(r, 1, 'Retry-After of an earlier run, not before ', 'tries again')
            self.assertEqual(server.targets(), asked)
            self.assertEqual(set(self.rows()), {server.url + '/'})
        said = subprocess.run(self.argv('--status'), stdout=subprocess.PIPE, text=True,
                              timeout=PATIENCE, check=True).stdout
        self.assertRegex(said, r'(?m)^  127\.0\.0\.1 asked for no request before \S+ .*from now')
        server.pages['/a'] = page('')
        self.time_goes_by()
        self.whole(*FAST, '--jsonl', self.jsonl, server.url)
        self.assertEqual(set(self.rows()), {server.url + '/', server.url + '/a'})

    def test_a_stop_does_not_shorten_what_a_host_asked_for(self):
        busy = page('', status='429 Slow', headers=['Retry-After: 3'])
        server = self.scripted({'/': links('/busy', '/a'), '/a': page('')})
        said = []

        def first_busy(n, _):
            said.append(time.monotonic())
            return busy if n == 1 else page('')
        server.pages['/busy'] = first_busy
        p = self.start(*FAST, '--per-host', '1', server.url)
        until('what it asked for to be kept', lambda: os.path.exists(self.db) and self.holds())
        p.send_signal(signal.SIGINT)
        self.last_line(self.end(p), 130, 'goes on')
        self.whole(*FAST, server.url)
        after = [row[0] for row in server.rows if row[0] > said[0]]
        self.assertGreaterEqual(min(after) - said[0], 3.0)

    def holds(self):
        try:
            return self.query("SELECT key FROM meta WHERE key LIKE 'hold %'")
        except sqlite3.OperationalError:  # no table yet
            return []

    def test_retry_after_holds_the_host(self):
        server = self.scripted({'/': links('/busy', *('/%d' % i for i in range(10))),
                                **{'/%d' % i: page('here') for i in range(10)}})
        said = []

        def busy(n, _):
            said.append(time.monotonic())
            return page('', status='429 Slow', headers=['Retry-After: 1']) if n == 1 else page('')
        server.pages['/busy'] = busy
        self.whole(*FAST, '--per-host', '1', server.url)
        after = [row[0] for row in server.rows if row[0] > said[0]]
        self.assertEqual(len(after), 11)
        self.assertGreaterEqual(min(after) - said[0], 1.0)

    def test_a_retry_after_that_is_a_date_holds_it_too(self):
        server = self.scripted({'/': page('')})
        said = []

        def busy(n, _):
            said.append(time.time())
            when = email.utils.formatdate(said[0] + 2, usegmt=True)  # whole seconds, cut off
            return page('', status='503 No', headers=['Retry-After: ' + when]) if n == 1 else page('')
        server.pages['/'] = busy
        self.whole(*FAST, server.url)
        self.assertEqual(len(said), 2)
        self.assertGreaterEqual(said[1], math.floor(said[0]) + 1.99)


class Fair(CrawlCase):
    """Several hosts: one that is slow does not hold back the others."""

    def test_a_host_that_stalls_does_not_hold_back_another(self):
        n = 700  # more than the window of leased pages, many times what a host's share may be
        rest = threading.Event()
        self.addCleanup(rest.set)

        def stalls(_n, _request):
            return page('late') if rest.wait(PATIENCE) else None
        slow = self.scripted({'/': links(*('/%d' % i for i in range(n))),
                              **{'/%d' % i: stalls for i in range(n)}}, address='127.0.0.2')
        quick = self.scripted({'/': links(*('/%d' % i for i in range(n))),
                               **{'/%d' % i: page('here') for i in range(n)}})
        p = self.start(*FAST, '--timeout', '%ds' % (2 * PATIENCE), slow.url, quick.url)
        self.assertTrue(quick.wait(n + 2, p), 'it ended before')
        self.assertLess(len(slow.targets()), 10)
        rest.set()
        r = self.end(p)
        self.assertEqual(r.code, 0, r.err)
        self.assertEqual(len(self.results()), 2 * n + 2)

    def test_each_of_very_many_hosts(self):
        servers = [self.scripted({'/': links('/a', '/b'), '/a': links('/b'), '/b': page('')},
                                 address='127.0.1.%d' % i) for i in range(1, 61)]
        self.whole(*FAST, '--jsonl', self.jsonl, *(s.url for s in servers))
        for s in servers:
            self.assertEqual(sorted(s.targets()), ['/', '/a', '/b', '/robots.txt'])
        self.assertEqual(len(self.rows()), 180)


class Limits(CrawlCase):
    CHAIN = {'/': links('/1'), '/1': links('/2', '/'), '/2': links('/3'), '/3': links('/4')}

    def test_depth(self):
        server = self.scripted(self.CHAIN)
        self.whole(*FAST, '--depth', '2', server.url)
        self.assertEqual(server.targets(), ['/robots.txt', '/', '/1', '/2'])
        self.assertEqual(self.states()[server.url + '/3'], ('skipped: too deep', None))
        self.assertNotIn(server.url + '/4', self.states())

    def test_depth_is_the_shortest_way_however_slow(self):
        # /slow is one link away and answers last; by it /deep is two away, by the others three.
        asked = threading.Event()
        self.addCleanup(asked.set)

        def slow(n, request):
            asked.wait(0.2)  # an answer that is never awaited by the rest: it only comes late
            return links('/deep')
        server = self.scripted({'/': links('/slow', '/a'), '/slow': slow, '/a': links('/b'),
                                '/b': links('/deep'), '/deep': links('/end'), '/end': page('')})
        self.whole(*FAST, '--depth', '3', server.url)
        self.assertIn('/end', server.targets())

    def test_depth_0_is_the_seeds_alone(self):
        server = self.scripted(self.CHAIN)
        r = self.whole(*FAST, '--depth', '0', server.url)
        self.assertEqual(server.targets(), ['/robots.txt', '/'])
        self.assertIn('hob crawl: 1 page, ', r.err)

    def test_max_pages_is_exact_over_all_runs(self):
        site = self.site('-n', '60')
        for limit in ('10', '10', '25', '26'):
            self.whole(*FAST, *FIELDS, '--max-pages', limit, '--jsonl', self.jsonl, site.url + '/')
            self.assertEqual(len(self.results()), int(limit))
            self.assertEqual(len(self.rows()), int(limit))
        self.whole(*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')
        self.assertTruth(site)

    def test_max_pages_with_pages_that_wait_to_be_tried_again(self):
        server = self.scripted({'/': links('/bad', '/a', '/b', '/c'),
                                '/bad': page('', status='503 No', headers=['Retry-After: 1'])})
        self.whole(*FAST, '--max-pages', '3', server.url)
        self.assertEqual(len(self.results()), 3)

    def test_every_url_ends_in_one_named_state(self):
        site = self.site('-n', '60')
        self.whole(*FAST, '--depth', '2', '--jsonl', self.jsonl, site.url + '/')
        names = {s for s, _ in self.states().values()}
        self.assertLessEqual(names, {'done', 'failed', 'skipped: robots.txt', 'skipped: too deep',
                                     'skipped: out of scope'})
        self.assertEqual(set(self.rows()), {u for u, s in self.states().items()
                                            if s[0] in ('done', 'failed')})

    def test_another_scope_on_the_database_is_refused(self):
        site = self.site('-n', '10')
        self.whole(*FAST, *FIELDS, site.url + '/')
        for args in (('http://localhost/',), (*FIELDS, '--depth', '3', site.url + '/'),
                     ('--field', 'title=css:h1', site.url + '/'),
                     ('--field', 'title=css:h2', '--field', 'price=css:.price', site.url + '/')):
            self.one_line(self.crawl(*FAST, *args), 1, self.db, 'another crawl')

    def test_a_jsonl_file_of_something_else_is_refused(self):
        with open(self.jsonl, 'w', encoding='utf-8') as f:
            f.write('mine\n')
        self.one_line(self.crawl(*FAST, '--jsonl', self.jsonl, 'http://127.0.0.1:1/'), 1,
                      self.jsonl, 'not empty')
        with open(self.jsonl, encoding='utf-8') as f:
            self.assertEqual(f.read(), 'mine\n')

    def test_redirects_in_and_out_of_scope(self):
        server = self.scripted({'/': links('/in', '/out', '/no', '/bare', '/self')})

        def to(where, status='302 Found'):
            return page('', status=status, headers=['Location: ' + where] if where else [])
        server.pages.update({'/in': to('/target'), '/target': page(''), '/no': to('/private'),
                             '/out': to('http://localhost:%d/x' % server.port, '301 Moved'),
                             '/bare': to(None), '/self': to('/self#here'),
                             '/robots.txt': page('User-agent: *\nDisallow: /private\n')})
        self.whole(*FAST, server.url)
        states = {u.replace(server.url, ''): s for u, s in self.states().items()}
        self.assertEqual(states['/in'], ('done', None))
        self.assertEqual(states['/target'], ('done', None))
        self.assertEqual(states['/private'], ('skipped: robots.txt', None))
        self.assertEqual(states['http://localhost:%d/x' % server.port],
                         ('skipped: out of scope', None))
        self.assertEqual(states['/bare'], ('failed', 'redirect without a usable target'))
        self.assertEqual(states['/self'], ('failed', 'redirect to itself'))
        self.assertNotIn('/x', server.targets())
        self.assertNotIn('/private', server.targets())
        final = dict(self.query('SELECT url, final_url FROM page'))
        self.assertEqual(final[server.url + '/in'], server.url + '/target')

    def test_a_redirect_without_an_end(self):
        def more(n, request):
            k = int(request.split(' ')[1].split('?')[1])
            return page('', status='302 Found', headers=['Location: /r?%d' % (k + 1)])

        class Any(dict):
            def get(self, key, default=None):
                return more if key.startswith('/r?') else dict.get(self, key, default)
        server = self.scripted({})
        server.pages = Any(server.pages)
        r = self.crawl(*FAST, '--depth', '3', '--max-pages', '200', server.url + '/r?0')
        self.assertEqual(r.code, 0, r.err)
        self.assertLess(len(server.targets()), 100)
        self.assertIn(('failed', 'too many redirects'), self.states().values())


class Status(CrawlCase):
    def status(self):
        r = self.crawl('--status')
        self.assertEqual((r.code, r.err), (0, ''))
        return r.out

    def test_during_and_after(self):
        site = self.site('-n', '60')
        held, go = self.held()
        p = self.start(*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/', held)
        site.wait(20)
        until('pages in --status', lambda: 'done' in self.status())
        self.assertIn('a crawl is running', self.status())
        go.set()
        self.assertEqual(self.end(p).code, 0)
        after = self.status()
        self.assertNotIn('running', after)
        self.assertIn('%d done' % len(self.results()), after)
        self.assertIn('%d rows in %s' % (len(self.rows()), self.jsonl), after)

    def test_reasons_of_failures_are_counted(self):
        server = self.scripted({'/': links('/a', '/b')})
        self.whole(*FAST, server.url)
        self.assertIn('2 failed: HTTP 404', self.status())

    def test_no_database(self):
        self.one_line(self.crawl('--status'), 1, self.db)

    def test_not_a_database(self):
        with open(self.db, 'w', encoding='utf-8') as f:
            f.write('something else, and long enough to be taken for more than a header\n' * 99)
        self.one_line(self.crawl('--status'), 1, self.db)


if __name__ == '__main__':
    main(sys.argv)
