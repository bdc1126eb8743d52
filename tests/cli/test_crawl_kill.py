#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_crawl_kill.py HOB HOB-SITE [SEED] - kill -9 of `hob crawl`, at seeded requests of its site

Several crawls of a site of a few hundred pages; each is killed a few times between its first and
its last commit: when so many pages are committed, and then the server has seen so many more
requests.  It is started again each time.  What comes out must be what an undisturbed crawl found
and what the site says of itself.
"""
import os
import random
import shutil
import sqlite3
import sys

from crawl_util import FAST, FIELDS, CrawlCase, main, until

KILLS, EACH, PAGES = 40, 7, 250  # kills that count, of one crawl, product pages
SEED = int(os.environ.get('CRAWL_KILL_SEED', '1'))


class Kill(CrawlCase):
    def args(self, site):
        return (*FAST, *FIELDS, '--jsonl', self.jsonl, site.url + '/')

    def committed(self, path):
        """Pages that count; read only, so that it repairs nothing."""
        try:
            return self.query('SELECT count(*) FROM result', path)[0][0]
        except sqlite3.OperationalError:  # no file or no table yet
            return 0

    def committed_at_death(self):
        """From a copy of what the dead process left."""
        copy = self.path('copy.db')
        for suffix in ('', '-wal'):
            if os.path.exists(self.db + suffix):
                shutil.copy(self.db + suffix, copy + suffix)
        n = self.committed(copy)
        for suffix in ('', '-wal', '-shm'):
            if os.path.exists(copy + suffix):
                os.remove(copy + suffix)
        return n

    def found(self, site):
        """What is in the database, the file being the same, without the site's port."""
        self.assertTruth(site)
        return {url.replace(site.url, ''): r for url, r in self.results().items()}

    def one_crawl(self, number, total, rng):
        """Killed and started again until it is through; the places of the kills, in pages."""
        self.db, self.jsonl = self.path('%d.db' % number), self.path('%d.jsonl' % number)
        site = self.site('-n', str(PAGES), '-l', '2ms-10ms')
        hits = []
        for k in range(EACH):
            target = 1 + int((total - 2) * (k + rng.random()) / EACH)
            p = self.start(*self.args(site))
            until('commits', lambda: p.poll() is not None or self.committed(self.db) >= target)
            if not site.wait(len(site.rows) + rng.randint(0, 12), p):
                break
            p.kill()
            if self.end(p).code != -9:
                break
            n = self.committed_at_death()
            if 0 < n < total:
                hits.append(n)
        self.whole(*self.args(site))
        return hits, self.found(site)

    def test_kills_between_the_first_commit_and_the_last(self):
        rng = random.Random(SEED)
        site = self.site('-n', str(PAGES))
        self.whole(*self.args(site))
        want = self.found(site)
        kills = number = 0
        while kills < KILLS:
            number += 1
            self.assertLess(number, 30, 'too few kills hit')
            hits, got = self.one_crawl(number, len(want), rng)
            self.assertEqual(got, want)
            kills += len(hits)
            print('crawl %d: killed with %s of %d pages committed' % (
                number, ', '.join(map(str, hits)), len(want)), flush=True)
        print('%d kills in %d crawls, seed %d' % (kills, number, SEED), flush=True)


if __name__ == '__main__':
    main(sys.argv)
