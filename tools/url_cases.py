#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn web-platform-tests' URL cases into the lines tests/unit/test_url.c reads.

    tools/url_cases.py DIR > tests/data/url/url.tsv         DIR holds urltestdata.json
    tools/url_cases.py DIR --hosts > tests/data/url/host.tsv   and toascii.json

Kept are the cases whose base is absent or http(s).  A result in another scheme becomes the word
OTHER, a failure the word FAIL (of those only the ones whose input names no other scheme: the rest
are refused for their scheme before anything else is looked at).  The fragment is cut off.
"""
import json
import re
import sys


def escape(text):
    def one(byte):
        char = chr(byte)
        if char in "\n\r\t\\":
            return {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}[char]
        return char if 0x20 <= byte < 0x7F else "\\x%02x" % byte
    text = "".join(map(one, text.encode("utf-8", "surrogatepass")))
    return "\\x23" + text[1:] if text.startswith("#") else text  # not a comment


def scheme_of(text):
    text = re.sub("[\t\n\r]", "", text.strip("".join(map(chr, range(33)))))
    found = re.match("([A-Za-z][A-Za-z0-9+.-]*):", text)
    return found and found.group(1).lower()


def url_rows(cases):
    for case in cases:
        base = case.get("base") or ""
        if base and scheme_of(base) not in ("http", "https"):
            continue
        if re.search("[\ud800-\udfff]", case["input"]):
            continue  # not UTF-8: no such input can reach us
        if case.get("failure"):
            if scheme_of(case["input"]) in ("http", "https", None):
                yield [case["input"], base, "FAIL", "", "", ""]
        elif case["protocol"] not in ("http:", "https:"):
            yield [case["input"], base, "OTHER", "", "", ""]
        else:
            yield [case["input"], base, case["href"].split("#")[0], case.get("origin", ""),
                   case["hostname"], case["pathname"] + case["search"]]


def host_rows(cases):
    for case in cases:
        if not re.search("[\ud800-\udfff]", case["input"]):
            yield [case["input"], "FAIL" if case["output"] is None else case["output"]]


def main():
    hosts = "--hosts" in sys.argv
    name = "/toascii.json" if hosts else "/urltestdata.json"
    with open(sys.argv[1] + name, encoding="utf-8") as f:
        cases = [c for c in json.load(f) if isinstance(c, dict)]
    print("# input\thost" if hosts else "# input\tbase\thref\torigin\thost\tpath and query")
    for row in host_rows(cases) if hosts else url_rows(cases):
        print("\t".join(map(escape, row)))


main()
