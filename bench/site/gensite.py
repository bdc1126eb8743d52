#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A product site for benches: large, imperfect HTML, the same bytes for the same arguments.

usage: gensite.py OUT [--pages N] [--seed S] [--variants fragment|query] [--jobs J]

Writes OUT/p/<shard>/<id>.html (about 29 KB each), 24 category pages, index.html, robots.txt,
sitemap.xml, urls.txt, truth.tsv (path, title, price, currency, number of <a href>) and
MANIFEST.sha256.  The HTML is deliberately untidy: unclosed and mis-nested tags, implied end tags,
unquoted attributes, script and style full of markup, entities, relative and dotted links.

Links to one page come in variants.  `fragment`: they differ in the fragment only, which every
crawler drops, so that all of them see the same pages.  `query`: they carry ?ref= and ?utm_ too,
and a crawler that does not know better fetches each of them.
"""
import argparse
import hashlib
import html
import json
import multiprocessing
import os
import random

WORDS = (
    "alpine amber anvil arbor atlas basalt beacon birch bronze cable canvas cedar chrome cinder "
    "cobalt copper coral cotton crystal dune ebony ember fabric falcon fern flint forge frost "
    "garnet glacier granite harbor hazel hollow indigo iron ivory jasper kettle lantern larch "
    "linen lunar maple marble meadow mesa mineral mirror nickel oak ocean olive onyx opal orchid "
    "otter paper pebble pewter pine plume prairie quartz quill raven reed ridge river rustic "
    "saddle sage sapphire shadow silver slate solar spruce steel stone summit thistle timber "
    "topaz tundra valley velvet walnut willow winter wool the of and with for from into over "
    "under which that these every never soft quiet strong durable light heavy simple modern "
    "classic handmade recycled certified tested washable portable adjustable").split()
ENTITIES = ["&amp;", "&nbsp;", "&eacute;", "&mdash;", "&quot;", "&#39;", "&hellip;", "&copy;",
            "&reg;", "&lt;b&gt;"]
FOREIGN = ["café", "naïve", "Größe", "日本語", "пример", "€", "–", "“quoted”", "Ångström", "señor"]
CURRENCIES = [("USD", "$"), ("EUR", "€"), ("GBP", "£"), ("JPY", "¥")]
CATEGORIES = 24


def path_of(i):
    return f"/p/{i // 100:03d}/{i:06d}.html"


class Page:
    """One product page; every choice comes from a generator seeded with (seed, page)."""

    def __init__(self, i, count, seed, variants):
        self.i, self.count, self.variants = i, count, variants
        self.rand = random.Random(f"{seed}/{i}")
        self.title = self.words(self.rand.randint(3, 6), str.title) + f" {i}"
        self.currency, self.sign = CURRENCIES[i % len(CURRENCIES)]
        self.price = f"{self.rand.randint(3, 4999)}.{self.rand.randint(0, 99):02d}"
        self.nlink = 0
        self.out = []

    def words(self, n, case=str):
        return " ".join(case(self.rand.choice(WORDS)) for _ in range(n))

    def sentence(self, low=8, high=22):
        r = self.rand
        w = [r.choice(WORDS) for _ in range(r.randint(low, high))]
        if r.random() < .30:
            w[r.randrange(len(w))] = r.choice(FOREIGN)
        if r.random() < .25:
            w.insert(r.randrange(len(w)), r.choice(ENTITIES))
        if r.random() < .15:
            k = r.randrange(len(w))
            w[k] = f"<em>{w[k]}</em>"
        if r.random() < .10:
            k = r.randrange(len(w))
            w[k] = f'<strong class="hl">{w[k]}</strong>'
        return " ".join(w).capitalize() + "."

    def sentences(self, low, high):
        return " ".join(self.sentence() for _ in range(self.rand.randint(low, high)))

    def add(self, text):
        self.out.append(text)

    def head(self):
        r = self.rand
        self.add('<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset="utf-8">\n'
                 f"<title>{html.escape(self.title)} | Example Shop</title>\n"
                 f'<link rel="canonical" href="{path_of(self.i)}">\n'
                 "<link rel=stylesheet href=\"/static/site.css?v=31\">\n"
                 f'<meta name="description" content="{html.escape(self.sentence())}">\n')
        for k in range(12):
            self.add(f'<meta property="og:x{k}" content="{self.words(6)}"/>\n')
        product = {
            "@context": "https://schema.org", "@type": "Product", "name": self.title,
            "sku": f"SKU-{self.i:06d}", "brand": {"@type": "Brand", "name": self.words(1, str.title)},
            "offers": {"@type": "Offer", "price": self.price, "priceCurrency": self.currency},
            "aggregateRating": {"ratingValue": f"{1 + r.random() * 4:.1f}",
                                "reviewCount": r.randint(0, 999)},
            "description": self.words(40)}
        self.add('<script type="application/ld+json">'
                 f"{json.dumps(product, ensure_ascii=False)}</script>\n")
        code = ";".join(f'var v{k}="{self.words(1)}<\\/b>";if(a<{k}&&b>{k}){{f({r.randrange(9999)})}}'
                        for k in range(60))
        self.add(f"<script>\n//<![CDATA[\n(function(a,b){{{code}}})(1,2);\n//]]>\n</script>\n")
        rules = "".join(f".c{k}>.d{k * 3}:hover{{margin:{k}px;color:#{r.randrange(1 << 24):06x}}}\n"
                        for k in range(50))
        self.add(f"<style>\n{rules}</style>\n</head>\n<body class='page product p{self.i % 7}'>\n")

    def nav(self):
        self.add('<nav id=top><ul class="menu">\n')
        for k in range(CATEGORIES):
            tail = f"?utm_source=nav&utm_medium=m{k}" if self.variants == "query" else f"#nav{k}"
            self.add(f'<li class="menu-item lvl{k % 3}"><a class="nav-link" href="/c/{k}.html{tail}">'
                     f"<span>{self.words(1, str.title)}</span></a>\n")
            self.nlink += 1
        self.add("</ul></nav>\n<main>\n")

    def product(self):
        r = self.rand
        self.add(f"<div class=product data-id={self.i}>\n"
                 f'<h1 class="product-title" itemprop="name">{html.escape(self.title)}</h1>\n'
                 f'<p class="price"><span class="cur">{self.sign}</span><span class="amount" '
                 f'itemprop="price" content="{self.price}">{self.price}</span></p>\n')
        for k in range(6):
            self.add(f'<img src="/img/{self.i:06d}-{k}.jpg" alt="{html.escape(self.sentence(3, 6))}"'
                     " width=320 height=240 loading=lazy>\n")
        self.add('<div class="description" itemprop="description">\n')
        for _ in range(14):
            self.add(f"<p>{self.sentences(2, 4)}")
            self.add("\n" if r.random() < .4 else "</p>\n")
        if r.random() < .5:
            self.add("<b><i>mis-nested</b> text</i> & stray < signs <br></br>\n")
        self.add("</div>\n<table class=spec>\n")
        for k in range(22):
            end = "</td></tr>" if k % 3 else ""
            self.add(f"<tr><th>{self.words(1)}<td>{self.sentence(2, 6)}{end}\n")
        self.add("</table>\n<!-- related -- products > -->\n")

    def link(self, k, target):
        """The k-th related link: each in another notation, all to `target`."""
        href = path_of(target)
        if k % 9 == 4:
            href = f"../{target // 100:03d}/{target:06d}.html"
        if k % 9 == 7:
            href = f"/p/./{target // 100:03d}/../{target // 100:03d}/{target:06d}.html"
        if k >= 21:
            href += "#reviews"
        elif k >= 18:
            ref = self.rand.randrange(50)
            href += f"?ref={ref}" if self.variants == "query" else f"#ref{ref}"
        return ('"%s"', "'%s'", "%s")[k % 3] % href

    def related(self):
        r, n = self.rand, self.count
        self.add("<section class=related>\n")
        targets = [(self.i + 1) % n, (self.i - 1) % n] + [r.randrange(n) for _ in range(22)]
        for k, target in enumerate(targets):
            href = self.link(k, target)
            self.add(f'<div class="card c{k % 5}"><a class="card-link" href={href}>'
                     f'<h3>{self.words(4)}</h3></a><span class="card-price">'
                     f"{self.sign}{r.randint(1, 999)}.{r.randint(0, 99):02d}</span>"
                     f"<p class=snip>{self.sentence(6, 12)}</p></div>\n")
            self.nlink += 1
        self.add("</section>\n")

    def tail(self):
        r = self.rand
        self.add("<section id=reviews>\n")
        for _ in range(12):
            day = f"2026-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"
            self.add(f'<article class="review" data-r="{r.randint(1, 5)}"><header>'
                     f'<b>{self.words(1, str.title)}</b> <time datetime="{day}">d</time></header>'
                     f"<div>{self.sentences(2, 4)}</div>"
                     f"{'</article>' if r.random() < .9 else ''}\n")
        self.add("</section>\n</div></main>\n<footer><ul>\n")
        for k in range(20):
            self.add(f'<li><a rel="nofollow" href="/c/{k}.html">{self.words(1)}</a></li>\n')
        self.add('<li><a href="mailto:x@example.test">mail</a>'
                 '<li><a href="javascript:void(0)">js</a>'
                 f'<li><a href="https://other.example.test/{self.i}">out</a></ul>\n'
                 "</footer>\n</body>\n</html>\n")
        self.nlink += 23

    def bytes(self):
        self.head()
        self.nav()
        self.product()
        self.related()
        self.tail()
        return "".join(self.out).encode()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def shard(job):
    """A hundred pages in a process of its own; returns their rows and hashes."""
    args, first = job
    os.makedirs(os.path.dirname(args.out + path_of(first)), exist_ok=True)
    rows = []
    for i in range(first, min(first + 100, args.pages)):
        page = Page(i, args.pages, args.seed, args.variants)
        data = page.bytes()
        write(args.out + path_of(i), data)
        row = f"{path_of(i)}\t{page.title}\t{page.price}\t{page.currency}\t{page.nlink}\n"
        rows.append((row, hashlib.sha256(data).digest(), len(data)))
    return rows


def small_files(out, count):
    os.makedirs(out + "/c", exist_ok=True)
    for k in range(CATEGORIES):
        items = "".join(f'<li><a href="{path_of((k * 977 + j * 31) % count)}">x</a>\n'
                        for j in range(200))
        write(f"{out}/c/{k}.html", f"<!DOCTYPE html><title>Category {k}</title>"
                                   f"<h1>Category {k}</h1><ul>\n{items}</ul>\n")
    menu = "".join(f'<a href="/c/{k}.html">c{k}</a>\n' for k in range(CATEGORIES))
    write(out + "/index.html", f"<!DOCTYPE html><title>Shop</title><h1>Shop</h1>\n{menu}"
                               f'<a href="{path_of(0)}">first</a>\n')
    write(out + "/robots.txt", "User-agent: *\nDisallow: /private/\nAllow: /\n"
                               "Sitemap: http://127.0.0.1/sitemap.xml\n")
    urls = [path_of(i) for i in range(count)]
    write(out + "/urls.txt", "".join(u + "\n" for u in urls))
    locs = "".join(f"<url><loc>http://127.0.0.1{u}</loc></url>\n" for u in urls)
    write(out + "/sitemap.xml", '<?xml version="1.0" encoding="UTF-8"?>\n'
          f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{locs}</urlset>\n')


def main():
    ap = argparse.ArgumentParser(description="write a deterministic product site")
    ap.add_argument("out")
    ap.add_argument("--pages", type=int, default=1000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--variants", choices=["fragment", "query"], default="fragment")
    ap.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    digest, total = hashlib.sha256(), 0
    with multiprocessing.Pool(args.jobs) as pool, \
            open(args.out + "/truth.tsv", "w", encoding="utf-8") as truth:
        for rows in pool.imap(shard, [(args, first) for first in range(0, args.pages, 100)]):
            for row, page_digest, size in rows:
                truth.write(row)
                digest.update(page_digest)
                total += size
    small_files(args.out, args.pages)
    manifest = f"{digest.hexdigest()} pages={args.pages} seed={args.seed} bytes={total}\n"
    write(args.out + "/MANIFEST.sha256", manifest)
    print(manifest, end="")


if __name__ == "__main__":
    main()
