# SPDX-License-Identifier: MIT
"""A commit for each row: each waits until the disk has it."""
import os
import sqlite3
import tempfile

with tempfile.TemporaryDirectory(dir=".") as folder:
    db = sqlite3.connect(os.path.join(folder, "rows.db"))
    db.execute("create table rows(a, b)")
    for row in range(300):
        db.execute("insert into rows values(?, ?)", (row, "x" * 100))
        db.commit()
