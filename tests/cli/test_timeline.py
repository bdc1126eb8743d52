# SPDX-License-Identifier: MIT
"""test_timeline.py - hob timeline: recordings in, pictures out, each read back"""
import html
import html.parser
import json
import os
import re
import shutil
import struct
import subprocess
import termios
import unittest
import xml.etree.ElementTree

import cli
from screen import COLOURS, plain
from screen import Terminal as Screen

REC_MAKE = os.environ['REC_MAKE']
VOID = {'meta', 'link', 'img', 'br', 'hr', 'input', 'base'}


def scene(case, name):
    path = case.path(name + '.rec')
    subprocess.run([REC_MAKE, name, path], check=True, timeout=cli.WAIT_MOST)
    return path


class Page(html.parser.HTMLParser):
    """The elements of a page and the text of each kind; complains about what is not closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], {}
        self.feed(text)
        self.close()
        if self.open:
            raise AssertionError('not closed: %r' % self.open)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            raise AssertionError('closed out of order: ' + tag)

    def handle_data(self, data):
        where = self.open[-1] if self.open else ''
        self.text[where] = self.text.get(where, '') + data


# Protobuf, as Perfetto's published trace.proto numbers its fields.
def fields(data):
    """[(field, value)]: numbers are int, doubles float, the rest bytes"""
    at, found = 0, []

    def number():
        nonlocal at
        value = shift = 0
        while True:
            octet = data[at]
            at += 1
            value |= (octet & 0x7f) << shift
            shift += 7
            if octet < 0x80:
                return value

    while at < len(data):
        key = number()
        field, wire = key >> 3, key & 7
        if wire == 0:
            found.append((field, number()))
        elif wire == 1:
            found.append((field, struct.unpack_from('<d', data, at)[0]))
            at += 8
        elif wire == 2:
            size = number()
            if at + size > len(data):
                raise AssertionError('a field longer than its message')
            found.append((field, data[at:at + size]))
            at += size
        else:
            raise AssertionError('wire type %d' % wire)
    return found


def one(message, field, otherwise=None):
    values = [v for f, v in message if f == field]
    return values[0] if values else otherwise


class Perfetto:
    """tracks {uuid: (name, parent)}, slices {uuid: [(from, to, name)]}, counters {uuid: [...]}"""
    PACKET, TIMESTAMP, SEQUENCE, EVENT, INTERNED, FLAGS, TRACK = 1, 8, 10, 11, 12, 13, 60

    def __init__(self, data):
        self.tracks, self.slices, self.counters, self.names = {}, {}, {}, {}
        self.flows, self.flow_ends = {}, {}
        self.categories, running, cleared = {}, {}, False
        for field, packet in fields(data):
            if field != self.PACKET:
                raise AssertionError('field %d in a trace' % field)
            p = fields(packet)
            if one(p, self.SEQUENCE) is None:
                raise AssertionError('a packet without a sequence')
            cleared |= one(p, self.FLAGS, 0) & 1 == 1
            for f, interned in p:
                if f == self.INTERNED:
                    self.intern(fields(interned))
            if one(p, self.TRACK) is not None:
                self.track(fields(one(p, self.TRACK)))
            if one(p, self.EVENT) is not None:
                if not cleared or not one(p, self.FLAGS, 0) & 2:
                    raise AssertionError('an event without its state')
                self.event(one(p, self.TIMESTAMP), fields(one(p, self.EVENT)), running)
        if any(running.values()):
            raise AssertionError('slices that never end')

    def intern(self, message):
        for field, entry in message:
            e = fields(entry)
            {1: self.categories, 2: self.names}[field][one(e, 1)] = one(e, 2, b'').decode()

    def track(self, t):
        uuid, name = one(t, 1), one(t, 2)
        if uuid in self.tracks:
            raise AssertionError('a track told twice')
        parent = one(t, 5)
        if parent is not None and parent not in self.tracks:
            raise AssertionError('a child before its parent')
        if one(t, 3) is not None:
            name = one(fields(one(t, 3)), 6)
        if one(t, 4) is not None:
            name = one(fields(one(t, 4)), 5)
        self.tracks[uuid] = ((name or b'').decode(), parent)
        if one(t, 8) is not None:
            self.counters[uuid] = []

    def event(self, at, e, running):
        kind, track = one(e, 9), one(e, 11)
        if track not in self.tracks:
            raise AssertionError('an event on no track')
        if kind == 1:
            running.setdefault(track, []).append((at, self.names[one(e, 10)]))
            for field, value in e:
                if field in (47, 48):
                    flow = struct.unpack('<Q', struct.pack('<d', value))[0]
                    (self.flows if field == 47 else self.flow_ends)[flow] = (track, at)
            if len(running[track]) > 1:
                raise AssertionError('slices of one track overlap')
        elif kind == 2:
            begun, name = running[track].pop()
            self.slices.setdefault(track, []).append((begun, at, name))
        elif kind == 4:
            self.counters[track].append((at, one(e, 44)))
        else:
            raise AssertionError('an event of type %r' % kind)

    def named(self, name):
        return [uuid for uuid, (n, _) in self.tracks.items() if n == name]


class Terminal(cli.Case):
    def draw(self, name, *args, **env):
        r = cli.hob('timeline', scene(self, name), *args,
                    env={**os.environ, 'LC_ALL': 'C.UTF-8', **env})
        self.assertEqual((r.status, r.err), (0, ''))
        return r.out

    def test_lanes_legend_and_axis(self):
        out = self.draw('mixed', '--width', '100')
        lines = out.splitlines()
        self.assertTrue(all(len(line) <= 100 for line in lines), out)
        self.assertIn('core 0', lines[0])
        self.assertIn('core 1', lines[1])
        self.assertRegex(lines[2], r'^ main .*╳.*▏ lock 92 %$')
        self.assertRegex(out, r'in flight')
        self.assertRegex(lines[-1], r'█ on CPU.*╳ lock')
        self.assertNotIn('\x1b', out)

    def test_control_characters_of_names_are_escaped(self):
        out = self.draw('mixed', '--width', '200')
        self.assertIn(r'\x1b', out)
        self.assertIn(r'\xff', out)
        self.assertIn(r'\u202e', out)
        self.assertFalse(set(out) & set('\x1b\x01\u202e'))

    def test_ascii_where_the_locale_is_not_utf8(self):
        for env in ({'LC_ALL': 'C'}, {'LC_ALL': '', 'LC_CTYPE': '', 'LANG': 'de_DE.ISO-8859-1'}):
            out = self.draw('mixed', **env)
            self.assertTrue(out.isascii(), out)
            self.assertIn('# on CPU', out)

    def test_columns_of_wide_characters(self):
        line = [s for s in self.draw('mixed', '--width', '80').splitlines() if '日本語' in s][0]
        self.assertEqual(line.index('▕'), 14 - 3)

    def test_threads_that_do_not_fit_are_counted(self):
        out = self.draw('many')
        self.assertIn('the one', out)
        self.assertIn('+9989 more threads', out)

    def test_tasks(self):
        out = self.draw('tasks', '-n', '6')
        self.assertIn('loop 0', out)
        self.assertIn('+45 more tasks', out)

    def test_taking_turns(self):
        lines = self.draw('turns', '--width', '110').splitlines()
        self.assertRegex(lines[1], r'^ A .*(█+▒+){15,}')
        self.assertRegex(lines[2], r'^ B .*(▒+█+){15,}')

    def test_curves_say_what_their_figure_is(self):
        out = self.draw('mixed', '--width', '80')
        self.assertRegex(out, r'(?m)^ in flight .*▏ mean \d[0-9.]* of \d[0-9.]*$')
        self.assertRegex(out, r'(?m)^ cores .*▏ mean \d[0-9.]* of 2$')

    def test_nothing_seen(self):
        self.assertIn('0', self.draw('empty'))


class OnATerminal(cli.Case):
    def test_a_picture_is_as_wide_as_the_terminal(self):
        for columns in (200, 80, 41, 40, 23, 9, 2, 1):
            t = Screen(self, ['timeline', scene(self, 'mixed')], columns=columns)
            out, status = t.ended()
            self.assertEqual(status, 0)
            lines = COLOURS.sub('', out).replace('\r', '').splitlines()
            self.assertGreater(len(lines), 10)
            for line in lines:
                wide = sum('\u2e80' <= c <= '\ua4cf' for c in line)
                self.assertLessEqual(len(line) + wide, columns, line)
            if columns > 20:
                self.assertTrue(lines[0].startswith(' core 0 '), lines[0])

    def interactive(self, *args, **more):
        t = Screen(self, ['timeline', '-i', *args, scene(self, 'mixed')], **more)
        t.sees(re.escape('\x1b[?1049h'))
        return t

    def test_it_is_drawn_anew_for_another_size(self):
        t = self.interactive()
        page = plain(t.picture())
        self.assertIn('main', page)
        self.assertIn('0 to 1.36 s of 1.36 s', page)
        for rows, columns in ((50, 160), (12, 30), (1, 3), (30, 80)):
            t.resize(rows, columns)

            def fits(lines, rows=rows, columns=columns):
                return (max(lines) == rows and
                        max(len(COLOURS.sub('', s)) for s in lines.values()) <= columns)
            t.picture(fits)
        t.types('q')
        rest, status = t.ended()
        self.assertEqual(status, 0)
        self.assertIn('\x1b[?1049l', rest)
        self.assertEqual(termios.tcgetattr(t.there), t.was)

    def test_keys_zoom_and_pan(self):
        t = self.interactive('--ascii')
        t.picture()
        for keys, says in (('+', '340 ms to 1.02 s'), ('+', '510 ms to 850 ms'),
                           ('\x1b[C', '595 ms to 935 ms'), ('\x1b[D\x1bOD', '425 ms to 765 ms'),
                           ('-', '255 ms to 935 ms'), ('\x1b[H', '0 to 1.36 s'),
                           ('--', '0 to 1.36 s'), ('x\x1b[Z', '0 to 1.36 s')):
            t.types(keys)
            t.picture(lambda lines, says=says: says + ' of' in plain(lines))
        t.types('+')
        t.picture(lambda lines: re.search(r" '0\.6 s +'0\.8 s", plain(lines)))  # not from 0
        t.types('++++++++++++++++++++++++++++++++')  # no closer than a microsecond
        t.picture(lambda lines: re.search(r' 680\.00\d\d ms \+ 1\.00 us of', plain(lines)))
        t.types('\x03')
        self.assertEqual(t.ended()[1], 0)
        self.assertEqual(termios.tcgetattr(t.there), t.was)

    def test_what_the_keys_do_is_not_cut(self):
        for columns, keys in ((120, 'arrows pan, + - zoom, 0 all, q ends'),
                              (80, 'arrows pan, + - zoom, 0 all, q ends'), (40, 'q ends')):
            t = self.interactive(columns=columns)
            t.picture(lambda lines, keys=keys: COLOURS.sub('', lines[1]).endswith('   ' + keys))
            t.types('q')
            self.assertEqual(t.ended()[1], 0)

    def test_it_wants_a_terminal_and_a_file(self):
        r = cli.hob('timeline', '-i', scene(self, 'mixed'))
        self.assertEqual((r.status, r.out), (2, ''))
        self.one_line(r.err, '-i wants standard output to be a terminal')
        r = cli.hob('timeline', '-i', '--demo')
        self.assertEqual(r.status, 2)


class Pages(cli.Case):
    def page(self, name, suffix, *args):
        path = self.path(name + suffix)
        r = cli.hob('timeline', scene(self, name), '-o', path, *args)
        self.assertEqual((r.status, r.out, r.err), (0, '', ''))
        return self.read(path)

    def test_html_is_whole_and_fetches_nothing(self):
        for name in ('mixed', 'dense', 'many', 'tasks', 'turns', 'empty'):
            text = self.page(name, '.html')
            page = Page(text)
            for tag, attrs in page.elements:
                self.assertNotIn(tag, ('link', 'img', 'iframe', 'object', 'base'))
                for key, value in attrs.items():
                    self.assertNotIn(key, ('href', 'src', 'xlink:href'))
                    self.assertFalse(key.startswith('on'), (key, value))
            self.assertEqual(re.findall(r'https?://(?!www\.w3\.org/)', text), [])
            self.assertLess(len(text.encode()), 300000)
            self.assertEqual(len([t for t, _ in page.elements if t == 'script']), 2)

    def test_html_says_what_a_lane_did(self):
        page = Page(self.page('mixed', '.html'))
        data = json.loads(page.text['script'].split('\n(function')[0]
                          if '\n(function' in page.text['script'] else page.text['script'])
        self.assertIn('network tcp 127.0.0.1:18080', data['words'])
        names = [lane['n'] for lane in data['lanes']]
        self.assertEqual(names[:3], ['core 0', 'core 1', 'main'])
        self.assertIn('</script><script>alert(1)</scri', names)
        main = [part.split(',') for part in data['lanes'][2]['d'].split(';')[:-1]]
        self.assertEqual([data['words'][int(p[2])] for p in main], ['on CPU', 'lock', 'on CPU'])
        self.assertAlmostEqual(int(main[1][1]) * data['range'] / 1e6, 1250e6, delta=2000)

    def test_html_has_a_table(self):
        page = Page(self.page('mixed', '.html'))
        self.assertIn('lock', page.text['th'])
        self.assertIn('1.25 s (92 %)', page.text['td'])

    def test_svg_is_xml_without_scripts(self):
        for name in ('mixed', 'dense', 'many', 'tasks', 'turns', 'empty'):
            text = self.page(name, '.svg')
            root = xml.etree.ElementTree.fromstring(text)
            kinds = {e.tag.split('}')[1] for e in root.iter()}
            self.assertFalse(kinds & {'script', 'image', 'a', 'foreignObject'}, kinds)
            self.assertLess(len(text.encode()), 300000)
        self.assertIn('prefers-color-scheme:dark', text)

    def test_size_has_a_bound(self):
        wide = self.page('dense', '.html', '--max-size', '2MB')
        small = self.page('dense', '.html', '--max-size', '100kB')
        self.assertLess(len(small), 100000)
        self.assertGreater(len(wide), 2 * len(small))

    def test_title_and_width(self):
        root = xml.etree.ElementTree.fromstring(
            self.page('turns', '.svg', '--title', 'A & B', '--width', '800'))
        self.assertEqual(root.get('width'), '800')
        self.assertIn('A & B', [e.text for e in root.iter()])


class Browser(cli.Case):
    """The page in a browser, used as somebody does who has just opened it."""
    CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
    USE = '''<script>
        var said = {}, moves = document.querySelector('.z'), svg = document.getElementById('timeline');
        var box = svg.getBoundingClientRect(), data = JSON.parse(document.getElementById('data').textContent);
        function see(name) { said[name] = [moves.getAttribute('transform'),
                                           document.querySelector('.axis').textContent]; }
        function key(name, at) {
          at.dispatchEvent(new KeyboardEvent('keydown', {key: name, bubbles: true}));
        }
        function point(lane, share) {
          var k = box.width / data.width, y = data.lanes[lane].y + data.lanes[lane].h / 2;
          svg.dispatchEvent(new PointerEvent('pointermove', {bubbles: true,
            clientX: box.left + k * (data.left + share * data.plot), clientY: box.top + k * y}));
          return document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent;
        }
        key('Home', document.body); see('whole');
        key('+', document.body); see('zoomed');
        key('ArrowRight', document.getElementById('box')); see('panned');
        key('+', document.querySelector('summary')); see('elsewhere');
        key('-', document.body); see('back');
        key('Home', document.body); see('home');
        said.tip = point(2, .5);
        said.none = point(2, -.01);
        var e = document.createElement('pre');
        e.id = 'said';
        e.textContent = JSON.stringify(said);
        document.body.appendChild(e);
        </script></body>'''

    @unittest.skipUnless(CHROMIUM, 'no Chromium here')
    def test_keys_and_pointer(self):
        path = self.path('page.html')
        r = cli.hob('timeline', scene(self, 'mixed'), '-o', path)
        self.assertEqual((r.status, r.err), (0, ''))
        text = self.read(path)
        self.assertEqual(text.count('</body>'), 1)
        self.write('page.html', text.replace('</body>', self.USE))
        r = subprocess.run([self.CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu',
                            '--user-data-dir=' + self.path('profile'), '--window-size=1200,900',
                            '--dump-dom', 'file://' + path], capture_output=True, text=True,
                           timeout=cli.WAIT_MOST, cwd=self.folder,
                           env={**os.environ, 'HOME': self.folder})
        found = re.search(r'<pre id="said">(.*?)</pre>', r.stdout)
        if not found and '</html>' not in r.stdout:
            self.skipTest('Chromium does not run here: ' + r.stderr.strip()[-200:])
        said = json.loads(html.unescape(found[1]))
        self.assertNotEqual(said['zoomed'], said['whole'])
        self.assertNotEqual(said['panned'], said['zoomed'])
        self.assertEqual(said['elsewhere'], said['panned'])  # other elements have their own keys
        self.assertNotEqual(said['back'], said['panned'])
        self.assertEqual(said['home'], said['whole'])
        self.assertRegex(said['tip'], r'^main: lock')
        self.assertEqual(said['none'], '')


class Viewers(cli.Case):
    def output(self, name, suffix):
        path = self.path(name + suffix)
        r = cli.hob('timeline', scene(self, name), '-o', path)
        self.assertEqual((r.status, r.err), (0, ''))
        with open(path, 'rb') as f:
            return f.read()

    def test_arrows_from_who_woke_to_who_was_woken(self):
        t = Perfetto(self.output('wakes', '.pftrace'))
        boss, worker = t.named('boss')[0], t.named('worker')[0]
        self.assertEqual(len(t.flows), 20)
        self.assertEqual(len(t.flow_ends), 19)  # the last one wakes for what was not recorded
        for flow, (track, at) in t.flow_ends.items():
            by, began = t.flows[flow]
            self.assertEqual({by, track}, {boss, worker})
            self.assertLess(began, at)
        ends = sorted(at for track, at in t.flow_ends.values() if track == worker)
        self.assertEqual(ends[0], 1000000)  # where it was ready to go on

    def test_perfetto_reads_back(self):
        t = Perfetto(self.output('mixed', '.pftrace'))
        [main] = t.named('main')
        self.assertEqual(t.slices[main], [(0, 80000000, 'on CPU'),
                                          (80000000, 1330000000, 'lock'),
                                          (1330000000, 1360000000, 'on CPU')])
        [cores] = t.named('CPU cores')
        [core] = t.named('core 1')
        self.assertEqual(t.tracks[core][1], cores)
        self.assertEqual(t.slices[core][0], (0, 80000000, 'main'))
        [flight] = t.named('in flight')
        self.assertGreater(max(v for _, v in t.counters[flight]), 3)
        [peer] = t.named('waits for tcp 127.0.0.1:18080')
        self.assertAlmostEqual(max(v for _, v in t.counters[peer]), 2, delta=.01)
        self.assertIn('network', t.categories.values())

    def test_perfetto_of_the_others(self):
        for name in ('many', 'tasks', 'turns', 'empty', 'dense'):
            t = Perfetto(self.output(name, '.pftrace'))
            for spans in t.slices.values():
                for (_, end, _), (begin, _, _) in zip(spans, spans[1:]):
                    self.assertLessEqual(end, begin)

    def test_chrome_is_json(self):
        for name in ('mixed', 'tasks', 'turns', 'empty'):
            events = json.loads(self.output(name, '.json'))['traceEvents']
            for e in events:
                self.assertIn(e['ph'], 'XMC')
                if e['ph'] == 'X':
                    self.assertGreater(e['dur'], 0)
        [a] = [e['tid'] for e in json.loads(self.output('turns', '.json'))['traceEvents']
               if e['ph'] == 'M' and e['args']['name'] == 'A']
        events = json.loads(self.output('turns', '.json'))['traceEvents']
        runs = [(e['ts'], e['dur']) for e in events
                if e['ph'] == 'X' and e['tid'] == a and e['cat'] == 'cpu']
        self.assertEqual(runs[:2], [(0, 3000), (6000, 3000)])


class Demo(cli.Case):
    def test_a_title_stands_above_both_runs(self):
        r = cli.hob('timeline', '--demo', '--title', 'two models')
        self.assertEqual((r.status, r.err), (0, ''))
        self.assertRegex(r.out, r'^ two models\n one core, ')

    def test_on_the_terminal(self):
        r = cli.hob('timeline', '--demo', '--width', '90', env={**os.environ, 'LC_ALL': 'C.UTF-8'})
        self.assertEqual((r.status, r.err), (0, ''))
        self.assertRegex(r.out, r'^ one core, \d+ ms: A and B take turns')
        self.assertEqual(len(re.findall('(?m)^ +█ on CPU( |$)', r.out)), 1, r.out)  # one legend
        if len(os.sched_getaffinity(0)) > 1:
            self.assertRegex(r.out, r'\n two cores, \d+ ms, [0-9.]+ times as fast: A and B at once')
            self.assertRegex(r.out, r'\n core \d+ .*\n core \d+ .*\n A .*\n B ')
        else:
            self.assertIn('there is one core here', r.out)

    def test_one_core_runs_one_at_a_time(self):
        path = self.path('demo.json')
        self.assertEqual(cli.hob('timeline', '--demo', '-o', path).status, 0)
        events = json.loads(self.read(path))['traceEvents']
        runs = [(e['tid'], e['ts'], e['ts'] + e['dur'], e['name']) for e in events
                if e['ph'] == 'X' and e['pid'] == 0]
        self.assertEqual({name for _, _, _, name in runs}, {'A', 'B'})
        for (core, _, end, _), (other, begin, _, _) in zip(runs, runs[1:]):
            if core == other:
                self.assertLessEqual(end, begin + 1e-6)

    def test_pages(self):
        path = self.path('demo.html')
        self.assertEqual(cli.hob('timeline', '--demo', '-o', path).status, 0)
        page = Page(self.read(path))
        self.assertIn('one core', page.text['text'])


class Mistakes(cli.Case):
    def test_what_is_no_recording(self):
        for text in ('', 'hobrec01', 'hobtrc01', 'x' * 1000):
            r = cli.hob('timeline', self.write('f', text))
            self.assertEqual(r.status, 1)
            self.one_line(r.err, 'hob timeline: ', 'not a recording')
        r = cli.hob('timeline', self.path('none'))
        self.assertEqual(r.status, 1)
        self.one_line(r.err, 'No such file')

    def test_a_recording_cut_anywhere_is_drawn_up_to_the_cut(self):
        with open(scene(self, 'mixed'), 'rb') as f:
            whole = f.read()
        for n in range(0, len(whole), max(1, len(whole) // 40)):
            r = cli.hob('timeline', self.write('cut.rec', whole[:n]), '--width', '60')
            self.assertIn(r.status, (0, 1), r.err)
            if r.status == 1:
                self.one_line(r.err, 'not a recording')
            else:
                self.assertEqual(r.err, '')

    def test_command_lines(self):
        rec = scene(self, 'turns')
        for args in ([], [rec, rec], ['--demo', rec], [rec, '-o', 'x.txt'], [rec, '-f', 'gif'],
                     [rec, '-f', 'term', '-o', 'x'], [rec, '--width', '3']):
            r = cli.hob('timeline', *args)
            self.assertEqual(r.status, 2, args)
            self.one_line(r.err, 'hob timeline: ')

    def test_what_would_do_nothing_in_the_form_that_is_drawn(self):
        rec, out = scene(self, 'turns'), self.path('x')
        for args in (['-o', out + '.html', '--ascii'], ['-o', out + '.svg', '-n', '3'],
                     ['-f', 'json', '-n', '3'], ['--max-size', '100kB'],
                     ['-f', 'pftrace', '--max-size', '100kB'], ['-f', 'json', '-w', '800'],
                     ['-f', 'pftrace', '--title', 'x']):
            r = cli.hob('timeline', *args, rec)
            self.assertEqual((r.status, r.out), (2, ''), args)
            self.one_line(r.err, 'hob timeline: ' + args[-1 if args[-1] == '--ascii' else -2] +
                          ' goes with ')
        self.assertEqual([n for n in os.listdir(self.folder) if n.startswith('x')], [])

    def test_a_file_that_cannot_be_written(self):
        rec = scene(self, 'turns')
        r = cli.hob('timeline', rec, '-o', self.path('no/x.svg'))
        self.assertEqual(r.status, 1)
        self.one_line(r.err, 'x.svg', 'No such file')
        if os.path.exists('/dev/full'):
            for name in ('html', 'pftrace', 'json'):
                r = cli.hob('timeline', rec, '-f', name, '-o', '/dev/full')
                self.assertEqual(r.status, 1, name)
                self.one_line(r.err, 'No space left')

    def test_standard_output(self):
        r = cli.hob('timeline', scene(self, 'turns'), '-f', 'svg')
        self.assertEqual(r.status, 0)
        xml.etree.ElementTree.fromstring(r.out)


if __name__ == '__main__':
    cli.main()
