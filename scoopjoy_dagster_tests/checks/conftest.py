"""Something happens between an asset's work and its control totals; a server that cuts its lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scoopjoy_dagster.assets import closed_shifts, hq_sync, invoices, royalties
from scoopjoy_dagster.sandbox.erpnext import lists

After = Callable[[str, Callable[[], object]], None]
CutList = Callable[[str, int], None]

WORK: dict[str, tuple[Any, str]] = {
    "closed_shifts": (closed_shifts, "close_shifts"),
    "royalties": (royalties, "post_royalties"),
    "invoices": (invoices, "settle_statements"),
    "hq_sync": (hq_sync, "sync_day"),
}


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> After:
    """Let something happen after the work of an asset, before its control totals are taken."""

    def arrange(asset: str, happens: Callable[[], object]) -> None:
        module, name = WORK[asset]
        work = getattr(module, name)

        def work_then(*args: Any, **options: Any) -> Any:
            outcome = work(*args, **options)
            happens()
            return outcome

        monkeypatch.setattr(module, name, work_then)

    return arrange


@pytest.fixture
def cut_list(monkeypatch: pytest.MonkeyPatch) -> CutList:
    """The server shows so many rows of a DocType's plain lists (of those grouped by a column: `by`) and no more, from now on."""

    def arrange(doctype: str, rows: int, by: str = "") -> None:
        page = lists._page

        def short(call: lists.ListCall) -> str:
            meant = by in (call.group_by or "") if by else not call.group_by
            return f" LIMIT {rows}" if call.doctype == doctype and meant else page(call)

        monkeypatch.setattr(lists, "_page", short)

    return arrange
