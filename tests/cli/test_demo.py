#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_demo.py HOB SITE DEMO - ./run demo, with few pages: four ways, the same pages, one picture

Which way is the faster is the machine's affair; nothing here looks at a time.
"""
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree

import cli

PAGES = 12
DEMO = os.path.abspath(sys.argv.pop(3))
WAYS = ['one at a time', '50 at once, parsed on the loop',
        '50 at once, parsed by the pool, 1 core', '50 at once, parsed by the pool, all cores']
BOUGHT = ['', 'concurrency: ', 'parallel code on one core: ', 'parallelism: ']


def demo(*args):
    r = subprocess.run([DEMO, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, timeout=cli.WAIT_MOST)
    return cli.Ended(r.returncode, r.stdout, r.stderr)


class Demo(cli.Case):
    def pages(self, way):
        """{path: (status, bytes, price)} of every page this way found."""
        db = sqlite3.connect('file:%s/%d.db?mode=ro' % (self.folder, way), uri=True)
        rows = db.execute('SELECT url, status, bytes, fields FROM page').fetchall()
        db.close()
        found = {re.sub('^http://[^/]*', '', url): (status, size, json.loads(fields or '{}'))
                 for url, status, size, fields in rows}
        self.assertEqual(len(found), len(rows), 'a page twice')
        return found

    def test_four_ways_to_the_same_pages(self):
        picture = self.path('demo.svg')
        r = demo(picture, str(PAGES), self.folder)
        self.assertEqual((r.status, r.err), (0, ''))
        self.table(r.out)
        with cli.Site(pages=PAGES, seed=1, page_size=120000) as site:
            truth = {path: price for path, (_, price) in site.truth().items()}
        for way in range(4):
            found = self.pages(way)
            self.assertEqual({path: page[2]['price'] for path, page in found.items()
                              if page[2].get('price')}, truth)
            self.assertEqual(found, self.pages(0))
        self.panels(picture)

    def table(self, out):
        """A row a way, in order; each but the first against the one above, and what it bought."""
        rows = re.findall(r'(?m)^  (.{42}) +(\d\S* \w+) +(\d+)(?: +([0-9.]+)x  (.*))?$', out)
        self.assertEqual([row[0].rstrip() for row in rows], WAYS, out)
        self.assertEqual([row[3] != '' for row in rows], [False, True, True, True], out)
        for row, words in zip(rows, BOUGHT):
            self.assertTrue(row[4].startswith(words), out)
        self.assertRegex(out, r'(?m)^  fetch  \S.*\n  parse  \S')
        self.assertIn('build/hob crawl --field', out)

    def panels(self, picture):
        """One panel a way, in order."""
        text = ' '.join(xml.etree.ElementTree.parse(picture).getroot().itertext())
        at = [text.find(name) for name in WAYS]
        self.assertNotIn(-1, at)
        self.assertEqual(at, sorted(at))

    def test_ctrl_c_leaves_nothing_behind(self):
        tmp = self.path('tmp')
        os.mkdir(tmp)
        for number in (signal.SIGINT, signal.SIGTERM):
            p = subprocess.Popen([DEMO, self.path('x.svg')], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, env=dict(os.environ, TMPDIR=tmp))
            cli.until('a database', lambda: any('0.db' in names for _, _, names in os.walk(tmp)))
            p.send_signal(number)
            _, err = p.communicate(timeout=cli.WAIT_MOST)
            self.assertEqual((p.returncode, err), (-number, b''))
            self.assertEqual(os.listdir(tmp), [])
            self.assertFalse(os.path.exists(self.path('x.svg')))

    def test_mistakes(self):
        for args in (['x.svg', 'many'], ['x.svg', '0'], ['x.svg', '5', self.folder, 'more']):
            r = demo(*args)
            self.assertEqual((r.status, r.out), (2, ''))
            self.one_line(r.err, 'usage: hob-demo')


if __name__ == '__main__':
    cli.main()
