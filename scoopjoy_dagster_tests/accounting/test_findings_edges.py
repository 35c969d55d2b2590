"""A row of the exception table, and which rows stop the day."""

from __future__ import annotations

from scoopjoy_dagster.accounting.findings import Finding, errors


def test_a_row_is_told_whole() -> None:
    row = Finding("error", "shift without a closing", "POS-OPE-1", "it is Closed", "Look at it.")
    assert row.as_dict() == {
        "severity": "error",
        "what": "shift without a closing",
        "who": "POS-OPE-1",
        "message": "it is Closed",
        "action": "Look at it.",
    }


def test_warnings_stop_nothing_and_errors_keep_their_order() -> None:
    rows = [
        Finding("error", "first", "", "", ""),
        Finding("warning", "second", "", "", ""),
        Finding("error", "third", "", "", ""),
    ]
    assert errors(iter(rows)) == [rows[0], rows[2]]
