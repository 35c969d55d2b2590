"""A world whose days are closed, by the command itself, and changes to it that no client of ERPNext could make."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster_tests.cli.command import environment
from scoopjoy_dagster_tests.cli.conftest import in_this_process
from scoopjoy_dagster_tests.cli.world import Templates, running_world

KORAMANGALA = "Franchise Koramangala"  # 4.5 %
INDIRANAGAR = "Franchise Indiranagar"  # no rate of its own
HEBBAL = "Franchise Hebbal"  # exempt
KEY = "custom_scoopjoy_key"


@cache
def closed_database(templates: Templates, directory: Path, postgres_url: str) -> Path:
    """The site's database after `scoopjoy backfill` of its open days; made once in each test process."""
    path = templates.installed.with_name("closed.db")
    with running_world(templates.installed, templates.last_day) as world:
        variables = environment(directory, {**world.settings, "SCOOPJOY_POSTGRES_URL": postgres_url})
        days = ("--from", world.go_live.isoformat(), "--to", world.last_day.isoformat())
        done = in_this_process(("backfill", *days, "--mail"), variables)
        assert done.code == 0, done.text
        world.erpnext.snapshot(path)
    return path


# -- past ERPNext's checks: as somebody with access to the database -----------------------------------------------


def set_values(erpnext: SandboxERPNext, doctype: str, name: str, **values: Any) -> None:
    """Set columns of a row, whatever ERPNext would say."""
    with erpnext.site.transaction():
        for key, value in values.items():
            erpnext.site.db.run(
                f"UPDATE {table(doctype)} SET {column(key)} = ? WHERE name = ?", (value, name)
            )


def delete_rows(erpnext: SandboxERPNext, doctype: str, names: Iterable[str]) -> None:
    """Delete rows, whatever ERPNext would say."""
    with erpnext.site.transaction():
        for name in names:
            erpnext.site.db.run(f"DELETE FROM {table(doctype)} WHERE name = ?", (name,))


def copy_row(erpnext: SandboxERPNext, doctype: str, name: str, new_name: str, **values: Any) -> None:
    """Insert a row a second time under another name."""
    with erpnext.site.transaction():
        names, rows = erpnext.site.db.described(f"SELECT * FROM {table(doctype)} WHERE name = ?", (name,))
        row = {**dict(zip(names, rows[0], strict=True)), "name": new_name, **values}
        erpnext.site.db.run(
            f"INSERT INTO {table(doctype)} ({', '.join(map(column, row))}) VALUES ({', '.join('?' * len(row))})",
            row.values(),
        )


def ledger_rows(erpnext: SandboxERPNext, entry: str) -> list[str]:
    """Names of a Journal Entry's rows in the general ledger."""
    return [row["name"] for row in erpnext.documents("GL Entry", voucher_no=entry)]
