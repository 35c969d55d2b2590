"""SQLite underneath the documents: one table per DocType, one real transaction per request.

Belongs here: tables, indexes, transactions. Does not belong here: what a document means.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import collation
from scoopjoy_dagster.sandbox.erpnext.meta import CHILD, DECIMALS, INTEGERS, STANDARD, Field, Meta

#: Columns that lists and loads look up often, beside those that belong to every child table.
_INDEXES = {
    "Sales Invoice": ("posting_date", "customer"),
    "POS Invoice": ("pos_profile", "consolidated_invoice"),
    "POS Closing Entry": ("pos_opening_entry",),
    "POS Opening Entry": ("status",),
    "POS Invoice Merge Log": ("pos_closing_entry",),
    "Journal Entry": ("posting_date",),
    "GL Entry": ("voucher_no", "party"),
    "Payment Ledger Entry": ("voucher_no",),
    "Customer": ("customer_group",),
    "Comment": ("reference_name",),
    "File": ("attached_to_name",),
}

#: Names and links: compared by SQLite's own code, which is much faster; they never end in a space.
_NAME_TYPE = "TEXT COLLATE NOCASE"

Row = tuple[Any, ...]


def table(doctype: str) -> str:
    """Quoted table name of a DocType."""
    return '"tab' + doctype.replace('"', '""') + '"'


def column(name: str) -> str:
    """Quoted column name."""
    return '"' + name.replace('"', '""') + '"'


def _column_type(field: Field) -> str:
    if field.fieldtype in INTEGERS:
        return "INTEGER NOT NULL DEFAULT 0"
    if field.fieldtype in DECIMALS:
        return "REAL NOT NULL DEFAULT 0"
    if field.fieldtype in {"Date", "Datetime", "Time"}:
        return "TEXT"
    if field.fieldtype in {"Link", "Dynamic Link"}:
        return _NAME_TYPE
    return f"TEXT COLLATE {collation.NAME}"


def _scramble(name: Any) -> int:
    """Sort key of lists without ``order_by``: deterministic, and of no use to anybody."""
    return zlib.crc32(str(name).encode())


class Database:
    """The site's database. ``lock`` is held for the length of a transaction: one writer, as in SQLite."""

    def __init__(self, path: Path | str) -> None:
        self.lock = threading.RLock()
        self._conn = sqlite3.connect(str(path), isolation_level=None, check_same_thread=False)
        self._conn.create_collation(collation.NAME, collation.compare)
        self._conn.create_function("scramble", 1, _scramble, deterministic=True)
        self._conn.execute("PRAGMA journal_mode = WAL")
        self._conn.execute("PRAGMA synchronous = NORMAL")
        self._conn.execute("PRAGMA cache_size = -65536")
        #: Set when a transaction has changed something.
        self.dirty = False
        #: Committed transactions that have changed something.
        self.commits = 0

    def close(self) -> None:
        with self.lock:
            self._conn.close()

    def backup_to(self, path: Path | str) -> None:
        """Copy the whole database into a file."""
        with self.lock:
            target = sqlite3.connect(str(path))
            try:
                self._conn.backup(target)
            finally:
                target.close()

    def restore_from(self, path: Path | str) -> None:
        """Replace the whole database by the content of a file."""
        with self.lock:
            source = sqlite3.connect(str(path))
            try:
                source.backup(self._conn)
            finally:
                source.close()

    # -- statements ---------------------------------------------------------------------------------

    def rows(self, sql: str, params: Iterable[Any] = ()) -> list[Row]:
        return self._conn.execute(sql, tuple(params)).fetchall()

    def described(self, sql: str, params: Iterable[Any] = ()) -> tuple[list[str], list[Row]]:
        """Column names and rows of a query."""
        cursor = self._conn.execute(sql, tuple(params))
        return [entry[0] for entry in cursor.description], cursor.fetchall()

    def one(self, sql: str, params: Iterable[Any] = ()) -> Row | None:
        found: Row | None = self._conn.execute(sql, tuple(params)).fetchone()
        return found

    def run(self, sql: str, params: Iterable[Any] = ()) -> int:
        """Execute a change and return the number of rows that it touched."""
        self.dirty = True
        return self._conn.execute(sql, tuple(params)).rowcount

    def run_many(self, sql: str, params: Iterable[Sequence[Any]]) -> None:
        self.dirty = True
        self._conn.executemany(sql, params)

    # -- transactions -------------------------------------------------------------------------------

    def begin(self) -> None:
        self.dirty = False
        self._conn.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        if self._conn.in_transaction:
            self._conn.execute("COMMIT")
            self.commits += self.dirty

    def rollback(self) -> None:
        if self._conn.in_transaction:
            self._conn.execute("ROLLBACK")

    # -- schema -------------------------------------------------------------------------------------

    def has_table(self, doctype: str) -> bool:
        found = self.one("SELECT 1 FROM sqlite_master WHERE type='table' AND name = ?", ("tab" + doctype,))
        return found is not None

    def create_system_tables(self) -> None:
        """Naming series, stored files, secrets: what is no DocType."""
        self._conn.execute(
            "CREATE TABLE IF NOT EXISTS series (name TEXT PRIMARY KEY, current INTEGER NOT NULL)"
        )
        self._conn.execute("CREATE TABLE IF NOT EXISTS site (key TEXT PRIMARY KEY, value TEXT)")
        self._conn.execute(
            "CREATE TABLE IF NOT EXISTS auth (api_key TEXT PRIMARY KEY, secret TEXT, user TEXT)"
        )
        self._conn.execute("CREATE TABLE IF NOT EXISTS content (url TEXT PRIMARY KEY, body BLOB)")
        self._conn.execute(
            "CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY, kind TEXT, key TEXT, payload TEXT,"
            " ready_at REAL)"
        )

    def sync(self, meta: Meta) -> None:
        """Create the table of a DocType or add what is missing from it."""
        name = table(meta.name)
        if not self.has_table(meta.name):
            self._create(meta, name)
        else:
            have = {row[1] for row in self.rows(f"PRAGMA table_info({name})")}
            for field in meta.stored:
                if field.fieldname not in have:
                    self.run(f"ALTER TABLE {name} ADD COLUMN {column(field.fieldname)} {_column_type(field)}")
        indexed = _INDEXES.get(meta.name, ())
        for field in meta.stored:
            if field.unique:
                self._index(meta.name, field.fieldname, unique=True)
            elif field.search_index or field.fieldname in indexed:
                self._index(meta.name, field.fieldname)
        if meta.istable:
            self._index(meta.name, "parent")

    def _create(self, meta: Meta, name: str) -> None:
        text = _NAME_TYPE
        standard = dict.fromkeys(STANDARD, "TEXT") | {
            "name": f"{text} PRIMARY KEY",
            "owner": text,
            "modified_by": text,
            "docstatus": "INTEGER NOT NULL DEFAULT 0",
            "idx": "INTEGER NOT NULL DEFAULT 0",
        }
        columns = [f"{column(key)} {kind}" for key, kind in standard.items()]
        if meta.istable:
            columns += [f"{column(key)} {text}" for key in CHILD]
        columns += [f"{column(f.fieldname)} {_column_type(f)}" for f in meta.stored]
        self.run(f"CREATE TABLE {name} ({', '.join(columns)}) WITHOUT ROWID")

    def _index(self, doctype: str, fieldname: str, *, unique: bool = False) -> None:
        label = column(f"{'unique' if unique else 'index'} {doctype} {fieldname}")
        kind = "UNIQUE INDEX" if unique else "INDEX"
        self.run(f"CREATE {kind} IF NOT EXISTS {label} ON {table(doctype)} ({column(fieldname)})")

    def drop_unique(self, doctype: str, fieldname: str) -> None:
        self.run(f"DROP INDEX IF EXISTS {column(f'unique {doctype} {fieldname}')}")
