"""The Batch Run desk's documents on the site: what is shown of a run, and what people ask for there.

What belongs here: reading and writing the three DocTypes, and who may ask. What does not: what a document should say,
and what becomes of a request (`automation.desk`); the DocTypes themselves (`desk_schema`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from scoopjoy_dagster.accounting.keys import normalised
from scoopjoy_dagster.clean_text import shown
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client, Filter, Row
from scoopjoy_dagster.erpnext.desk_schema import BATCH_RUN, BATCH_RUN_REQUEST, BATCH_RUN_STEP
from scoopjoy_dagster.erpnext.errors import Excessive

ADMINISTRATOR = "Administrator"
"""Holds every right, whatever the roles say."""


Content = Mapping[str, Any]
"""What a Batch Run says: fields of the DocType, with all rows of `steps`."""

RUN_FIELDS = (
    "run_date", "status", "triggered_by", "started_at", "completed_at", "dagster_run", "dagster_url", "execution_log",
)  # fmt: skip
STEP_FIELDS = (
    "step_name", "step_order", "status", "started_at", "completed_at", "is_critical", "retry_count", "error_message",
)  # fmt: skip
_NUMBERS = {"step_order", "is_critical", "retry_count"}
_LONG = {"execution_log", "error_message"}
"""Texts of any length; whoever may write Batch Run can make them megabytes."""

PER_LIST = 20
"""Documents that ERPNext is asked for in one list, with their texts. A list that is too large all the same is halved."""

_TAG_BEGINS = re.compile(r"<(?=[A-Za-z/!?])")
"""What ERPNext takes for the beginning of a tag. A text with one is rewritten or cut as it is stored."""


@dataclass(frozen=True, slots=True)
class Request:
    """A Batch Run Request that nobody has answered.

    Attributes:
        name: its name.
        made: the server's moment of creation: when a request is deleted, its name can come again.
        batch_run: the document that it was made at.
        action: one of `desk_schema.ACTIONS`, if the site is up to date.
        attempt: number of the click.
        user: its owner. The server sets it, whatever a request says.
    """

    name: str
    made: str
    batch_run: str
    action: str
    attempt: int
    user: str

    @property
    def mark(self) -> str:
        """This request for ever: its name alone may come again."""
        return f"{self.name} @ {self.made}"


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A row of Batch Run Step as the site has it."""

    title: str
    state: str
    retries: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A Batch Run as the site has it.

    Attributes:
        key: empty for one that a person made and no run has taken up.
        modified: the server's moment of the last change to it or to one of its rows.
        saved_by: who saved the document last.
        content: what it says, comparable with `comparable(...)` of what it must say. Empty where its texts were not read, or
            are too large to be read.
    """

    name: str
    day: date
    status: str
    run_id: str
    key: str
    modified: str
    saved_by: str
    steps: tuple[ShownStep, ...] = ()
    content: Content = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changed:
    """A Batch Run of which somebody has saved the document or a row: when, and which runs it names (`run_id` its newest, in
    its key its first).
    """

    name: str
    modified: str
    key: str
    run_id: str


def comparable(content: Content) -> dict[str, Any]:
    """What a document says in a form in which ERPNext's answer equals what was sent: no nulls, moments and numbers alike."""
    rows = [{name: _value(name, row.get(name)) for name in STEP_FIELDS} for row in content["steps"]]
    return {**{name: _value(name, content.get(name)) for name in RUN_FIELDS}, "steps": rows}


def storable(content: Content) -> dict[str, Any]:
    """The same content with every text as ERPNext stores it and tells it again: no `<` that could begin a tag, no control character."""
    found: dict[str, Any] = {
        name: _TAG_BEGINS.sub("&lt;", shown(value)) if isinstance(value, str) else value
        for name, value in content.items()
    }
    if "steps" in found:
        found["steps"] = [storable(row) for row in found["steps"]]
    return found


def _value(name: str, value: Any) -> str | int:
    return int(value or 0) if name in _NUMBERS else str(value or "")


class BatchRuns:
    """The desk's documents on a site."""

    def __init__(self, client: Client) -> None:
        self._client = client

    # -- the mirror -------------------------------------------------------------------------------------------

    def shown(
        self, *, keys: Collection[str] = (), names: Collection[str] = (), texts: bool = True
    ) -> list[Shown]:
        """The Batch Runs with these keys, and those with these names; without `texts` no `content`.

        Raises:
            NotFound: the desk is not installed on the site.
        """
        found: dict[str, Shown] = {}
        for column, wanted in ((KEY_FIELD, sorted(keys)), ("name", sorted(names))):
            for at in range(0, len(wanted), PER_LIST):
                some = self._shown(column, wanted[at : at + PER_LIST], texts)
                found |= {one.name: one for one in some}
        return list(found.values())

    def _shown(self, column: str, wanted: Sequence[str], texts: bool) -> list[Shown]:
        """The Batch Runs with these values. A Batch Run that is too large for one answer is read without its texts and steps."""
        left_out = set() if texts else _LONG
        steps: dict[str, list[Row]] = defaultdict(list)
        try:
            rows = self._runs(column, wanted, left_out)
            for step in self._steps(
                [["parent", "in", [str(row["name"]) for row in rows]]],
                ["parent", "modified", *(name for name in STEP_FIELDS if name not in left_out)],
                "parent asc, idx asc",
            ):
                steps[str(step["parent"])].append(step)
        except Excessive:
            half = len(wanted) // 2
            if half:
                some = (wanted[:half], wanted[half:])
                return [one for part in some for one in self._shown(column, part, texts)]
            rows, texts = self._runs(column, wanted, _LONG), False
            steps.clear()
        return [_shown(row, steps[str(row["name"])], texts) for row in rows]

    def _runs(self, column: str, wanted: Sequence[str], left_out: Collection[str]) -> list[Row]:
        columns = [name for name in _COLUMNS if name not in left_out]
        return self._client.rows(BATCH_RUN, columns, [[column, "in", wanted]])

    def _steps(self, filters: Sequence[Filter], columns: Sequence[str], order_by: str) -> list[Row]:
        of_runs = [*filters, ["parenttype", "=", BATCH_RUN]]
        return self._client.rows(BATCH_RUN_STEP, columns, of_runs, order_by=order_by, parent=BATCH_RUN)

    def changed(self, since: str) -> list[Changed]:
        """The Batch Runs of which the document or a row was saved at `since` (a moment of the site, as it writes `modified`) or
        later, oldest first. A row can be saved by itself: its document's moment stays then.

        Raises:
            NotFound: the desk is not installed on the site.
        """
        new = [["modified", ">=", since]]
        columns = ["name", "modified", "dagster_run", KEY_FIELD]
        rows = self._client.rows(BATCH_RUN, columns, new)
        newest = {str(row["name"]): str(row["modified"]) for row in rows}
        for row in self._steps(new, ["parent", "modified"], "name asc"):
            name, moment = str(row["parent"]), str(row["modified"])
            newest[name] = max(moment, newest.get(name, ""))
        by_rows = sorted(newest.keys() - {str(row["name"]) for row in rows})
        rows += self._client.rows(BATCH_RUN, columns, [["name", "in", by_rows]])
        found = [
            Changed(
                str(row["name"]),
                newest[str(row["name"])],
                normalised(str(row[KEY_FIELD] or "")),
                str(row["dagster_run"] or ""),
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: (one.modified, one.name))

    def write(self, name: str, key: str, content: Content) -> tuple[str, str]:
        """Make a Batch Run say `content`; returns its name, and the moment of the change.

        Without a `name` a new one is made. Its key is unique: a second writer is refused, and finds it at its next look.
        """
        stamped = {**storable(content), KEY_FIELD: key or None}
        if name:
            # The business day can be set once, by whoever made the document.
            values = {column: value for column, value in stamped.items() if column != "run_date"}
            saved = self._client.update(BATCH_RUN, name, values)
        else:
            saved = self._client.insert(BATCH_RUN, stamped)
        return str(saved["name"]), str(saved["modified"])

    # -- requests ---------------------------------------------------------------------------------------------

    def requests(self) -> list[Request]:
        """Requests that wait for an answer, oldest first.

        Raises:
            NotFound: the desk is not installed on the site.
        """
        rows = self._client.rows(
            BATCH_RUN_REQUEST,
            ["name", "creation", "batch_run", "action", "attempt", "owner"],
            [["status", "=", "Pending"]],
            order_by="creation asc, name asc",
        )
        return [
            Request(
                str(row["name"]),
                str(row["creation"]),
                str(row["batch_run"]),
                str(row["action"]),
                int(row["attempt"] or 0),
                str(row["owner"]),
            )
            for row in rows
        ]

    def may_write(self, users: Collection[str]) -> set[str]:
        """Those of these users who are enabled and may write Batch Run, by the roles that the site grants it to.

        The server sets the owner of a request, but not whether that person may still start a run.
        """
        if not users:
            return set()
        roles = self._writing_roles()
        # Not as a filter of the User list: v16 and later refuse that to whoever is no System Manager.
        holders = self._client.rows(
            "Has Role",
            ["parent"],
            [["role", "in", sorted(roles)], ["parent", "in", sorted(users)], ["parenttype", "=", "User"]],
            parent="User",
        )
        names = sorted({str(row["parent"]) for row in holders})
        rows = self._client.rows("User", ["name"], [["name", "in", names], ["enabled", "=", 1]])
        allowed = {str(row["name"]) for row in rows} | {ADMINISTRATOR}
        return {user for user in users if user in allowed}

    def _writing_roles(self) -> set[str]:
        # What the desk itself loads: permissions as the site has changed them in the Role Permissions Manager.
        answer = self._client.session.request(
            "GET",
            "/api/method/frappe.desk.form.load.getdoctype",
            doing=f"read who may write {BATCH_RUN}",
            kind="read",
            params={"doctype": BATCH_RUN},
        )
        meta = next(one for one in answer["docs"] if one["name"] == BATCH_RUN)
        return {
            str(row["role"])
            for row in meta["permissions"]
            if row.get("write") and not row.get("permlevel") and not row.get("if_owner")
        }

    def started(self, request: str, run_id: str) -> None:
        """Answer a request: this run of Dagster does it."""
        self._client.update(BATCH_RUN_REQUEST, request, {"status": "Started", "dagster_run": run_id})

    def refused(self, request: str, why: str) -> None:
        """Answer a request: it is not done, and why."""
        self._client.update(BATCH_RUN_REQUEST, request, {"status": "Refused", "answer": why})


_COLUMNS = ["name", "modified", "modified_by", KEY_FIELD, *RUN_FIELDS]


def _shown(row: Row, steps: Sequence[Row], texts: bool) -> Shown:
    return Shown(
        str(row["name"]),
        date.fromisoformat(str(row["run_date"])),
        str(row["status"]),
        str(row["dagster_run"] or ""),
        normalised(str(row[KEY_FIELD] or "")),
        max(str(one["modified"]) for one in (row, *steps)),
        str(row["modified_by"]),
        tuple(
            ShownStep(str(one["step_name"]), str(one["status"]), int(one["retry_count"] or 0))
            for one in steps
        ),
        comparable({**row, "steps": steps}) if texts else {},
    )
