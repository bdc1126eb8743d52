# SPDX-License-Identifier: MIT
import os
import sqlite3
import sys

ROWS, PER_COMMIT = 300, int(sys.argv[1])
PATH = os.path.join(os.environ["LATE_DIR"], "rows.db")

for path in (PATH, PATH + "-journal"):
    if os.path.exists(path):
        os.unlink(path)
db = sqlite3.connect(PATH, isolation_level=None)
db.execute("create table t(a, b)")
for first in range(0, ROWS, PER_COMMIT):
    db.execute("begin")
    for i in range(first, first + PER_COMMIT):
        db.execute("insert into t values(?, ?)", (i, "x" * 100))
    db.execute("commit")
