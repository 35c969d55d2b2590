"""The lines of ERPNext that the contract knows. A test holds on both unless it is marked with the one that it is about (`marks`).

Belongs here: which line a site is of, and the two ways to write one request. Does not belong here: what a line does.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import requests

V15 = "v15"
V16 = "v16"  # and later
LINES = (V15, V16)

VERSIONS = "/api/method/frappe.utils.change_log.get_versions"


@cache
def real_line() -> str | None:
    """Line of the real site that the suite is to run on; None where there is none."""
    url = os.environ.get("SCOOPJOY_CONTRACT_URL")
    if not url:
        return None
    key, secret = os.environ["SCOOPJOY_CONTRACT_KEY"], os.environ["SCOOPJOY_CONTRACT_SECRET"]
    headers = {"Accept": "application/json", "Authorization": f"token {key}:{secret}"}
    answer = requests.get(url.rstrip("/") + VERSIONS, headers=headers, timeout=60)
    answer.raise_for_status()
    major = int(answer.json()["message"]["erpnext"]["version"].split(".")[0])
    return V15 if major == 15 else V16


def aggregate(line: str, function: str, field: str, alias: str) -> Any:
    """One aggregate of a list the way that the line takes it: neither takes the other's."""
    return f"{function}({field}) as {alias}" if line == V15 else {function.upper(): field, "as": alias}


def refusals(line: str, status: int, exc_type: str) -> set[tuple[int, str]]:
    """What whoever comes too late may be answered: on v16 also that the record has changed since the request began."""
    return {(status, exc_type)} | ({(500, "QueryDeadlockError")} if line == V16 else set())
