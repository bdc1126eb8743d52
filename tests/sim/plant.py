#!/usr/bin/env python3
"""plant.py SOURCE.C OUT.C - the crawl's source with an ordering bug it once had: a commit of before
the store was asked is taken for one meanwhile, and so the answer for out of date."""
import pathlib
import sys

BEFORE = "    c->asked = hob_now();\n    c->committed = false;\n"
AFTER = "static void lease_end(struct crawl *c, const struct lease *l)\n{\n"
PLANTED = "    if (l->n == 0 && c->committed) {\n        c->committed = false;\n        return;\n    }\n"


def main(source, out):
    text = pathlib.Path(source).read_text(encoding="utf-8")
    for part in (BEFORE, AFTER, "&& c->committed); /* meanwhile */"):
        if text.count(part) != 1:
            sys.exit(f"{source} has this {text.count(part)} times, not once:\n{part}")
    text = text.replace(BEFORE, "    c->asked = hob_now();\n")
    text = text.replace(AFTER, AFTER + PLANTED)
    text = text.replace("&& c->committed); /* meanwhile */", "&& false);")
    pathlib.Path(out).write_text(text, encoding="utf-8")


main(*sys.argv[1:])
