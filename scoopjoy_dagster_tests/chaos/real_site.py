r"""Closes of one day of a real ERPNext through a proxy that cuts, delays, refuses and kills; then one that is clean.

    ERPNEXT_URL=... ERPNEXT_API_KEY=... (all settings of the close) \\
    python -m scoopjoy_dagster_tests.chaos.real_site --date 2026-11-12 --runs 10 --seed 1

Every run is a `scoopjoy close` of its own, and some are killed with SIGKILL in the middle of a request. The judge
reads the site directly: no key twice, and a last close that writes nothing. It is for a site made for trying things.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from scoopjoy_dagster_tests.chaos.proxy import FaultProxy

SCOOPJOY = str(Path(sys.executable).parent / "scoopjoy")
KINDS = (
    "refused_before_commit",
    "committed_never_answered",
    "reset_in_body",
    "truncated_page",
    "deadlock",
    "lock_timeout",
    "html_500",
    "bad_gateway_before_commit",
    "bad_gateway_after_commit",
    "gateway_timeout_after_commit",
    "rate_limited",
    "maintenance",
    "permission_lost",
)
KILLS = ("kill_before_commit", "kill_after_commit")


def close(day: str, url: str, proxy: FaultProxy | None, kill: bool, number: random.Random) -> tuple[str, str]:
    """One close; returns its status, or `killed`, and what it wrote."""
    environment = os.environ | {"ERPNEXT_URL": url}
    process = subprocess.Popen(
        [SCOOPJOY, "close", "--date", day, "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if proxy is not None and kill:
        proxy.faults.add(number.choice(KILLS), nth=number.randint(8, 60), hook=lambda _call: process.kill())
    output, problem = process.communicate(timeout=1800)
    if process.returncode == -9:
        return "killed", ""
    try:
        found: dict[str, Any] = json.loads(output)
    except ValueError:
        return f"exit {process.returncode}", problem.decode()[-300:]
    wrote = ", ".join(
        f"{name} {asset['written']}" for name, asset in found["assets"].items() if asset["written"]
    )
    return str(found["status"]), wrote or "nothing"


def keys_twice(day: str) -> dict[str, list[str]]:
    """Our keys of the day that more than one document of the site carries, compared as MariaDB does."""
    http = requests.Session()
    http.headers["Authorization"] = (
        f"token {os.environ['ERPNEXT_API_KEY']}:{os.environ['ERPNEXT_API_SECRET']}"
    )
    found: collections.defaultdict[str, list[str]] = collections.defaultdict(list)
    for doctype in ("Journal Entry", "POS Closing Entry", "ScoopJoy Delivery"):
        answer = http.post(
            f"{os.environ['ERPNEXT_URL']}/api/method/frappe.client.get_list",
            json={
                "doctype": doctype,
                "fields": ["name", "custom_scoopjoy_key"],
                "filters": [["custom_scoopjoy_key", "like", f"%:{day}:%"]],
                "limit_page_length": 0,
            },
            timeout=60,
        )
        answer.raise_for_status()
        for row in answer.json().get("message") or []:
            found[row["custom_scoopjoy_key"].rstrip().casefold()].append(row["name"])
    return {key: names for key, names in found.items() if len(names) > 1}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--date", required=True, help="business day, YYYY-MM-DD")
    parser.add_argument("--runs", type=int, default=10, help="closes through the proxy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--probability", type=float, default=0.04, help="of each kind of fault, for every request"
    )
    options = parser.parse_args()
    number = random.Random(options.seed)
    direct = os.environ["ERPNEXT_URL"]
    console = Console()
    struck: collections.Counter[str] = collections.Counter()
    table = Table("Close", "Faults", "Status", "Wrote")
    for run in range(options.runs):
        proxy = FaultProxy(direct, seed=number.randrange(2**32))
        for kind in KINDS:
            proxy.faults.add(kind, probability=options.probability / 3, seconds=0.5)
        status, wrote = close(options.date, proxy.start(), proxy, number.random() < 0.4, number)
        proxy.stop()
        hits = collections.Counter(kind for kind, *_ in proxy.faults.struck)
        struck.update(hits)
        table.add_row(str(run + 1), ", ".join(f"{k} {n}" for k, n in sorted(hits.items())), status, wrote)
    last = [close(options.date, direct, None, kill=False, number=number) for _ in range(2)]
    for label, (status, wrote) in zip(("clean", "clean again"), last, strict=True):
        table.add_row(label, "", status, wrote)
    console.print(table)
    twice = keys_twice(options.date)
    console.print(f"faults: {dict(sorted(struck.items()))}\nkeys twice: {twice or 'none'}")
    return int(bool(twice) or last[1] != ("Completed", "nothing"))


if __name__ == "__main__":
    sys.exit(main())
