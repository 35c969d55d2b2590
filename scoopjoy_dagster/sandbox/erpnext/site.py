"""The site: database, meta data, clock, names, switches. One per world; it knows nothing of HTTP.

Belongs here: what outlives a request. Does not belong here: documents (``session``), wire formats.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from scoopjoy_dagster.sandbox.erpnext.database import Database, column, table
from scoopjoy_dagster.sandbox.erpnext.doctypes import builtin
from scoopjoy_dagster.sandbox.erpnext.errors import not_found, thrown
from scoopjoy_dagster.sandbox.erpnext.lines import V15, Line
from scoopjoy_dagster.sandbox.erpnext.meta import Field, Meta
from scoopjoy_dagster.sandbox.erpnext.snapshots import Snapshots

#: DocTypes that are read far more often than written: their values are kept in memory.
MASTERS = frozenset(
    {
        "Account",
        "Company",
        "Cost Center",
        "Currency",
        "Customer",
        "Global Defaults",
        "Item",
        "POS Profile",
        "User",
    }
)

#: Properties of a field that a Property Setter may change here -> their column.
SETTABLE = {"options": "options", "default": column("default")}

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def site_clock() -> datetime:
    """The real time in Asia/Kolkata, without zone."""
    return datetime.now(ZoneInfo("Asia/Kolkata")).replace(tzinfo=None)


class Site:
    """State of the site that is shared by all sessions."""

    def __init__(
        self,
        database: Path | str,
        clock: Callable[[], datetime] | None = None,
        template: Path | str | None = None,
        line: Line = V15,
    ) -> None:
        self.line = line
        self.db = Database(database)
        if template is not None and not self.db.has_table("DocType"):
            self.db.restore_from(template)
        self.clock = clock or site_clock
        #: Stands for the RQ worker and its queue: without it jobs stay queued; without the queue they fail.
        self.background_worker = True
        self.queue_reachable = True
        self.snapshots = Snapshots()
        self._last: datetime | None = None
        self.metas: dict[str, Meta] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._masters: dict[tuple[str, str], dict[str, Any]] = {}
        self.open()

    def open(self) -> None:
        """Read what the database says: create tables in a new one, load customisations of an old one."""
        db = self.db
        with db.lock:
            db.create_system_tables()
            self.metas = builtin(self.line.changes)
            fresh = not db.has_table("DocType")
            db.begin()
            for meta in self.metas.values():  # an old database lacks what was added since
                db.sync(meta)
            if fresh:
                self._describe_builtins()
            else:
                self._load_customisations()
            self._keep_line(fresh=fresh)
            found = db.one("SELECT value FROM site WHERE key = 'opened'")
            self._hash_block = int(found[0]) + 1 if found else 1
            db.run("INSERT OR REPLACE INTO site VALUES ('opened', ?)", (str(self._hash_block),))
            db.commit()
            self._hash_count = 0
            self.forget(None)

    def _keep_line(self, *, fresh: bool) -> None:
        """A database is of one line; one that does not say which is older than the second line."""
        if fresh:
            self.db.run("INSERT INTO site VALUES ('line', ?)", (self.line.name,))
            return
        found = self.db.one("SELECT value FROM site WHERE key = 'line'")
        kept = str(found[0]) if found else V15.name
        if kept != self.line.name:
            self.db.rollback()
            raise ValueError(f"the database is of an ERPNext {kept}, not {self.line.name}: say line={kept!r}")

    # -- time and names -----------------------------------------------------------------------------

    def now(self) -> datetime:
        """The site's time; never the same twice, so that ``modified`` always tells two writes apart."""
        moment = self.clock()
        if self._last is not None and moment <= self._last < moment + timedelta(seconds=1):
            moment = self._last + timedelta(microseconds=1)
        self._last = moment
        return moment

    def hash_name(self) -> str:
        """A name as Frappe gives to rows and comments: ten letters and digits, no order in them."""
        self._hash_count += 1
        digest = int.from_bytes(hashlib.sha1(f"{self._hash_block}:{self._hash_count}".encode()).digest()[:8])  # noqa: S324 - a name, no secret
        letters = []
        for _ in range(10):
            digest, place = divmod(digest, 36)
            letters.append(_BASE36[place])
        return "".join(letters)

    def next_in_series(self, series: str) -> str:
        """The next name of a naming series such as ``ACC-JV-.YYYY.-`` or ``SJ-BATCH-.YYYY.-.#####``."""
        if not re.fullmatch(r"[\w\- /.#{}]+", series):
            raise thrown(
                "Special Characters except '-', '#', '.', '/', '{' and '}' not allowed in naming series"
                f" <strong>{series}.#####</strong>",
                "InvalidNamingSeriesError",
            )
        prefix, digits = self._prefix(series)
        self.snapshots.change("Series", prefix)
        self.db.run(
            "INSERT INTO series VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET current = current + 1",
            (prefix,),
        )
        found = self.db.one("SELECT current FROM series WHERE name = ?", (prefix,))
        assert found is not None  # noqa: S101 - inserted above
        return f"{prefix}{found[0]:0{digits}}"

    def set_counter(self, series: str, current: int) -> None:
        """Let a naming series go on after this number, whatever names there are."""
        prefix, _ = self._prefix(series)
        self.snapshots.change("Series", prefix)
        self.db.run("INSERT OR REPLACE INTO series VALUES (?, ?)", (prefix, current))

    def _prefix(self, series: str) -> tuple[str, int]:
        """What a naming series is counted by, and the digits of its numbers."""
        moment = self.clock()
        prefix, digits = "", 5
        for part in series.split("."):
            if part and set(part) == {"#"}:
                digits = len(part)
                break
            prefix += {
                "YYYY": f"{moment.year}",
                "YY": f"{moment:%y}",
                "MM": f"{moment:%m}",
                "DD": f"{moment:%d}",
            }.get(part, part)
        return prefix, digits

    def give_back(self, name: str) -> None:
        """A deleted last document of a series frees its number."""
        prefix = name.rstrip("0123456789")
        digits = name[len(prefix) :]
        if digits:
            self.snapshots.change("Series", prefix)
            self.db.run(
                "UPDATE series SET current = current - 1 WHERE name = ? AND current = ?",
                (prefix, int(digits)),
            )

    # -- meta data ----------------------------------------------------------------------------------

    def meta(self, doctype: str) -> Meta:
        """Meta data of a DocType; 404 for an unknown one."""
        found = self.metas.get(doctype)
        if found is None:
            raise not_found("DocType", doctype)
        return found

    def _describe_builtins(self) -> None:
        """Rows of DocType, DocField and DocPerm for the standard DocTypes, so that they can be read."""
        moment = "2024-01-01 00:00:00"
        doctypes, fields, perms = [], [], []
        for meta in self.metas.values():
            doctypes.append(
                (
                    meta.name,
                    moment,
                    moment,
                    meta.module,
                    meta.is_submittable,
                    meta.istable,
                    meta.issingle,
                    meta.autoname,
                )
            )
            for idx, f in enumerate(meta.fields, 1):
                head = (self.__name(meta.name, "f", idx), moment, moment, idx, meta.name)
                body = (
                    f.fieldname,
                    f.label,
                    f.fieldtype,
                    f.options or None,
                    f.default or None,
                    f.fetch_from or None,
                )
                fields.append((*head, *body, f.reqd, f.unique, f.allow_on_submit, f.no_copy, f.set_only_once))
            for idx, (role, rights) in enumerate(meta.permissions.items(), 1):
                start = (self.__name(meta.name, "p", idx), moment, moment, idx, meta.name, role)
                perms.append((*start, *(right in rights for right in _RIGHT_COLUMNS)))
        who = "'Administrator', 'Administrator'"
        self.db.run_many(
            f"INSERT INTO {table('DocType')} (name, creation, modified, owner, modified_by, module, is_submittable,"
            f" istable, issingle, autoname) VALUES (?, ?, ?, {who}, ?, ?, ?, ?, ?)",
            doctypes,
        )
        self.db.run_many(
            f"INSERT INTO {table('DocField')} (name, creation, modified, idx, parent, owner, modified_by, parenttype,"
            ' parentfield, fieldname, label, fieldtype, options, "default", fetch_from, reqd, "unique",'
            f" allow_on_submit, no_copy, set_only_once) VALUES (?, ?, ?, ?, ?, {who}, 'DocType', 'fields',"
            " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            fields,
        )
        granted = ", ".join(column(right) for right in _RIGHT_COLUMNS)
        self.db.run_many(
            f"INSERT INTO {table('DocPerm')} (name, creation, modified, idx, parent, role, owner, modified_by,"
            f" parenttype, parentfield, {granted}) VALUES (?, ?, ?, ?, ?, ?, {who}, 'DocType', 'permissions',"
            f" {', '.join('?' * len(_RIGHT_COLUMNS))})",
            perms,
        )

    @staticmethod
    def __name(doctype: str, kind: str, idx: int) -> str:
        return hashlib.sha1(f"{doctype}:{kind}:{idx}".encode()).hexdigest()[:10]  # noqa: S324 - a name, no secret

    def _load_customisations(self) -> None:
        for (name,) in self.db.rows(f"SELECT name FROM {table('DocType')} WHERE custom = 1"):
            self.metas[name] = self.read_meta(name)
        for (name,) in self.db.rows(f"SELECT DISTINCT dt FROM {table('Custom Field')}"):
            if name in self.metas and not self.metas[name].custom:
                self.metas[name] = self._with_custom_fields(self.metas[name])

        for row in self.db.rows(
            f"SELECT doc_type, field_name, property, value FROM {table('Property Setter')}"
        ):
            doctype, fieldname, name, value = map(str, row)
            if doctype in self.metas:
                self.metas[doctype] = self.metas[doctype].with_property(fieldname, name, value)

    def set_property(self, doctype: str, fieldname: str, name: str, value: str | None) -> None:
        """Give a property of a field another value; ``None`` gives it its own again."""
        if value is None:
            found = self.db.one(
                f"SELECT {SETTABLE[name]} FROM {table('DocField')} WHERE parent = ? AND fieldname = ?",
                (doctype, fieldname),
            )
            value = str(found[0] or "") if found else ""
        self.change_meta(self.meta(doctype).with_property(fieldname, name, value))

    def _with_custom_fields(self, meta: Meta) -> Meta:
        rows = self.db.rows(
            f"SELECT {_FIELD_COLUMNS} 0 FROM {table('Custom Field')} WHERE dt = ? ORDER BY creation",
            (meta.name,),
        )
        for row in rows:
            meta = meta.with_field(field_of_row(list(row)))
        return meta

    def read_meta(self, doctype: str) -> Meta:
        """Meta data of a custom DocType from its rows, with its Custom Fields."""
        head = self.db.one(
            f"SELECT autoname, is_submittable, istable, issingle, module FROM {table('DocType')} WHERE name = ?",
            (doctype,),
        )
        if head is None:
            raise not_found("DocType", doctype)
        rows = self.db.rows(
            f"SELECT {_FIELD_COLUMNS} set_only_once FROM {table('DocField')} WHERE parent = ? ORDER BY idx",
            (doctype,),
        )
        rights = ", ".join(column(right) for right in _RIGHT_COLUMNS)
        levels: dict[int, dict[str, set[str]]] = {0: {}}
        own: dict[str, set[str]] = {}
        for level, if_owner, role, *granted in self.db.rows(
            f"SELECT permlevel, if_owner, role, {rights} FROM {table('DocPerm')} WHERE parent = ?", (doctype,)
        ):
            of_level = own if if_owner and not level else levels.setdefault(level, {})
            have = of_level.setdefault(role, set())
            have |= {right for right, given in zip(_RIGHT_COLUMNS, granted, strict=True) if given}
        made = Meta(
            doctype,
            head[0] or "",
            is_submittable=bool(head[1]),
            istable=bool(head[2]),
            issingle=bool(head[3]),
            custom=True,
            module=head[4] or "Custom",
            fields=[field_of_row(list(row)) for row in rows],
            permissions=levels.pop(0),
            own_permissions=own,
            level_permissions=levels,
        )
        return self._with_custom_fields(made)

    def change_meta(self, meta: Meta) -> None:
        """Take over changed meta data, and its table."""
        self.db.sync(meta)
        self.metas = self.metas | {meta.name: meta}
        self.forget(None)

    def drop_meta(self, doctype: str) -> None:
        """Forget a DocType. Its table stays, as on a real site: the same DocType made again finds its documents."""
        self.metas = {name: meta for name, meta in self.metas.items() if name != doctype}
        self.forget(None)

    # -- names of existing documents -----------------------------------------------------------------

    def real_name(self, doctype: str, name: str) -> str | None:
        """The name as stored of a document that exists, whatever the letter case; ``None`` otherwise."""
        name = name.rstrip(" ")
        if (known := self._names.get((doctype, name))) is not None:
            return known
        found = self.db.one(f"SELECT name FROM {table(doctype)} WHERE name = ?", (name,))
        if found is None:
            return None
        self._names[doctype, name] = found[0]
        return str(found[0])

    def master(self, doctype: str, name: str) -> dict[str, Any]:
        """All values of a master, empty if there is none; kept until the DocType is written to."""
        found = self._masters.get((doctype, name))
        if found is None:
            names, rows = self.db.described(f"SELECT * FROM {table(doctype)} WHERE name = ?", (name,))
            found = dict(zip(names, rows[0], strict=True)) if rows else {}
            self._masters[doctype, name] = found
        return found

    def forget_master(self, doctype: str) -> None:
        """A master was written: read it again."""
        if doctype in MASTERS:
            self._masters = {key: value for key, value in self._masters.items() if key[0] != doctype}

    def forget(self, doctype: str | None) -> None:
        """Names were deleted or rolled back: look them up again."""
        if doctype is None:
            self._names.clear()
            self._masters.clear()
        else:
            self.forget_master(doctype)
            self._names = {key: value for key, value in self._names.items() if key[0] != doctype}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction: committed at the end, rolled back (meta data too) if the block raises."""
        with self.db.lock:
            metas = self.metas
            self.db.begin()
            try:
                yield
            except BaseException:
                self.db.rollback()
                self.snapshots.rolled_back()
                self.metas = metas
                self.forget(None)
                raise
            self.db.commit()
            self.snapshots.committed()

    def restart_transaction(self, *, keep: bool) -> None:
        """Commit (or roll back) in the middle of a request and go on in a new transaction."""
        if keep:
            self.db.commit()
            self.snapshots.committed()
        else:
            self.db.rollback()
            self.snapshots.rolled_back()
            self.forget(None)
        self.db.begin()
        self.snapshots.renew()


_RIGHT_COLUMNS = ("read", "write", "create", "delete", "submit", "cancel")
_FIELD_COLUMNS = (
    'fieldname, fieldtype, options, label, reqd, "unique", allow_on_submit, no_copy, "default", fetch_from, length,'
    " permlevel, is_virtual, search_index, "
)


def field_of_row(row: list[object]) -> Field:
    """A field from its row of DocField or Custom Field."""
    name, kind, options, label, reqd, unique, on_submit, no_copy, default, fetch, length, level, *more = row
    virtual, index, once = more
    made = Field(str(name), str(kind), str(options or ""), str(label or name))
    return replace(
        made,
        reqd=bool(reqd),
        unique=bool(unique),
        allow_on_submit=bool(on_submit),
        no_copy=bool(no_copy),
        default=str(default or ""),
        fetch_from=str(fetch or ""),
        length=int(str(length or 0)),
        permlevel=int(str(level or 0)),
        set_only_once=bool(once),
        is_virtual=bool(virtual),
        search_index=bool(index),
    )
