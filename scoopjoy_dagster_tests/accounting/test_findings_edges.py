"""A row of the exception table, and which rows stop the day."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.findings import Finding, Severity, errors, gathered


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


def _unset(who: str) -> Finding:
    return Finding("warning", "no royalty rate set", who, "the default was used", "Set it.")


def test_many_warnings_that_differ_only_in_whose_they_are_become_one_row_where_the_first_stood() -> None:
    other = Finding("warning", "no shift", "Thane", "none was opened", "Ask.")
    rows = gathered([*map(_unset, "ABC"), other, *map(_unset, "DE")])
    assert rows == [_unset("A, B, C and 2 more"), other]


def test_up_to_four_alike_are_a_row_each() -> None:
    rows = [*map(_unset, "ABCD")]
    assert gathered(rows) == rows


def test_errors_come_first_and_stay_a_row_each_however_many_are_alike() -> None:
    errors_alike = [replace(_unset(who), severity="error") for who in "ABCDEF"]
    assert gathered([_unset("Z"), *errors_alike]) == [*errors_alike, _unset("Z")]


@given(st.lists(st.tuples(st.sampled_from(["error", "warning"]), st.sampled_from("xy"), st.text(max_size=2))))
def test_no_finding_is_lost_by_gathering(given_rows: list[tuple[Severity, str, str]]) -> None:
    rows = [Finding(severity, what, who, "m", "a") for severity, what, who in given_rows]
    shown = gathered(rows)
    for what in "xy":
        of_it = [one for one in rows if (one.severity, one.what) == ("warning", what)]
        left = [one for one in shown if (one.severity, one.what) == ("warning", what)]
        if len(of_it) > 4:
            assert left == [
                replace(of_it[0], who=", ".join(one.who for one in of_it[:3]) + f" and {len(of_it) - 3} more")
            ]
        else:
            assert left == of_it
    assert errors(shown) == errors(rows)
