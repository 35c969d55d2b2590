"""The Batch Run desk's documents on the site: what is shown of a run, and what people ask for there.

What belongs here: reading and writing the three DocTypes, and who may ask. What does not: what a document should say,
and what becomes of a request (`automation.desk`); the DocTypes themselves (`desk_schema`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from scoopjoy_dagster.accounting.keys import digest, normalised
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, Client, Row
from scoopjoy_dagster.erpnext.desk_schema import BATCH_RUN, BATCH_RUN_REQUEST, BATCH_RUN_STEP

ADMINISTRATOR = "Administrator"
"""Holds every right, whatever the roles say."""

MOST_REQUESTS = 50
"""Requests that are looked at in one go; the next look takes the rest."""


@dataclass(frozen=True, slots=True)
class Request:
    """A Batch Run Request that nobody has answered. `user` is its owner, which the server sets.

    `made` is the server's moment of creation: when the newest Batch Run is deleted, ERPNext gives its number to the
    next one, and the name of a request with it.
    """

    name: str
    made: str
    batch_run: str
    action: str
    attempt: int
    user: str


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A row of Batch Run Step as the site has it."""

    title: str
    state: str
    retries: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A Batch Run as the site has it. `key` is empty for one that a person made and no run has taken up."""

    name: str
    day: date
    status: str
    run_id: str
    key: str
    digest: str
    steps: tuple[ShownStep, ...] = ()


class BatchRuns:
    """The desk's documents on a site."""

    def __init__(self, client: Client) -> None:
        self._client = client

    # -- the mirror -------------------------------------------------------------------------------------------

    def shown(self, *, keys: Collection[str] = (), names: Collection[str] = ()) -> list[Shown]:
        """The Batch Runs with these keys, and those with these names. Without their steps.

        Raises:
            NotFound: the desk is not installed on the site.
        """
        found = {
            str(row["name"]): _shown(row)
            for column, wanted in ((KEY_FIELD, sorted(keys)), ("name", sorted(names)))
            if wanted
            for row in self._client.rows(BATCH_RUN, _COLUMNS, [[column, "in", wanted]])
        }
        return list(found.values())

    def write(self, name: str, key: str, content: Mapping[str, Any]) -> str:
        """Make a Batch Run say `content` (fields of the DocType, with all rows of `steps`); returns its name.

        Without a `name` a new one is made. Its key is unique: a second writer is refused, and finds it at its next look.
        """
        stamped = {**content, KEY_FIELD: key, DIGEST_FIELD: digest(content)}
        if not name:
            return str(self._client.insert(BATCH_RUN, stamped)["name"])
        # The business day can be set once, by whoever made the document.
        values = {field: value for field, value in stamped.items() if field != "run_date"}
        self._client.update(BATCH_RUN, name, values)
        return name

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
            for row in rows[:MOST_REQUESTS]
        ]

    def with_steps(self, names: Collection[str]) -> dict[str, Shown]:
        """These Batch Runs with their steps, by name; one that is gone is missing."""
        steps: dict[str, list[ShownStep]] = {}
        rows = self._client.rows(
            BATCH_RUN_STEP,
            ["parent", "step_name", "status", "retry_count"],
            [["parent", "in", sorted(names)], ["parenttype", "=", BATCH_RUN]],
            order_by="parent asc, idx asc",
            parent=BATCH_RUN,
        )
        for row in rows:
            step = ShownStep(str(row["step_name"]), str(row["status"]), int(row["retry_count"] or 0))
            steps.setdefault(str(row["parent"]), []).append(step)
        found = self._client.rows(BATCH_RUN, _COLUMNS, [["name", "in", sorted(names)]])
        return {str(row["name"]): _shown(row, steps.get(str(row["name"]), ())) for row in found}

    def may_write(self, users: Collection[str]) -> set[str]:
        """Those of these users who are enabled and may write Batch Run, by the roles that the site grants it to.

        The server sets the owner of a request, but not whether that person may still start a run.
        """
        if not users:
            return set()
        roles = self._writing_roles()
        rows = self._client.rows(
            "User",
            ["name"],
            [
                ["Has Role", "role", "in", sorted(roles)],
                ["User", "enabled", "=", 1],
                ["User", "name", "in", sorted(users)],
            ],
        )
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


_COLUMNS = ["name", "run_date", "status", "dagster_run", KEY_FIELD, DIGEST_FIELD]


def _shown(row: Row, steps: Sequence[ShownStep] = ()) -> Shown:
    return Shown(
        str(row["name"]),
        date.fromisoformat(str(row["run_date"])),
        str(row["status"]),
        str(row["dagster_run"] or ""),
        normalised(str(row[KEY_FIELD] or "")),
        str(row[DIGEST_FIELD] or ""),
        tuple(steps),
    )
