from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.reporting import digest
from scoopjoy_dagster.reporting.digest import report_digest, statement_digest, statement_file_name
from scoopjoy_dagster.reporting.model import FRAMES, StatementEntry, empty_frame
from scoopjoy_dagster_tests.reporting.samples import DAY, FINDINGS, day_report, statement, with_past


def objects(values: list[Any]) -> pd.Series[Any]:
    return pd.Series(values, dtype=object)


def test_the_digest_is_32_hex_digits_and_the_same_in_another_process() -> None:
    program = (
        "from scoopjoy_dagster.reporting.digest import report_digest, statement_digest\n"
        "from scoopjoy_dagster_tests.reporting.samples import day_report, statement\n"
        "print(report_digest(day_report()), statement_digest(statement()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "4711"},
    )
    mine = [report_digest(day_report()), statement_digest(statement())]
    assert other.stdout.split() == mine
    assert all(len(value) == 32 and set(value) <= set("0123456789abcdef") for value in mine)


def test_history_revision_and_the_order_of_rows_and_findings_are_not_content() -> None:
    report = day_report(findings=FINDINGS)
    shuffled = {
        name: getattr(report, name).sample(frac=1, random_state=random.Random(7).randrange(1000))
        for name in FRAMES
        if name != "history"
    }
    same = replace(
        report, revision=3, history=empty_frame("history"), findings=tuple(reversed(FINDINGS)), **shuffled
    )
    assert report_digest(same) == report_digest(report)


def test_a_new_version_of_the_program_sends_no_old_day_again() -> None:
    # What was delivered is known by these: whoever changes them sends every report of the past again when its day is re-run.
    assert report_digest(day_report(findings=FINDINGS)) == "2646b7ef261e235189947e677489412c"
    assert statement_digest(statement()) == "baab6b71db5bbfe4fd0927c3cdb21cd6"


def test_the_days_before_are_not_content_and_the_outlets_that_a_report_is_about_are() -> None:
    report = day_report()
    assert report_digest(with_past(report)) == report_digest(report)
    assert report_digest(replace(report, view="POS Bandra")) != report_digest(report)


def test_an_outlet_without_sales_that_is_new_today_is_no_news_about_an_old_day() -> None:
    report = day_report()
    idle = {
        name: {"text": "", "count": 0, "money": Decimal(0)}[kind] for name, kind in FRAMES["outlets"].items()
    } | {"customer": "NEW", "customer_name": "Franchise New", "rate": Decimal(5)}
    more = pd.DataFrame(
        [*report.outlets.to_dict("records"), idle], columns=list(FRAMES["outlets"]), dtype=object
    )
    assert report_digest(replace(report, outlets=more)) == report_digest(report)
    more.loc[len(more) - 1, "invoices"] = 1
    assert report_digest(replace(report, outlets=more)) != report_digest(report)


def test_trailing_zeros_and_extra_columns_are_not_content() -> None:
    report = day_report()
    outlets = report.outlets.assign(rate=objects([Decimal("5.00")] * 10), colour="pink")
    totals = {key: value.quantize(Decimal("0.0001")) for key, value in report.totals.items()}
    assert report_digest(replace(report, outlets=outlets, totals=totals)) == report_digest(report)


@pytest.mark.parametrize(
    "change",
    [
        {"company": "Other"},
        {"business_day": DAY + timedelta(days=1)},
        {"currency": "USD"},
        {"policy": "default-5pct v2"},
        {"findings": (Finding("warning", "a", "b", "c", "d"),)},
        {"shifts": empty_frame("shifts")},
        {"payments": empty_frame("payments")},
        {"invoices": empty_frame("invoices")},
        {"outlets": empty_frame("outlets")},
        {"totals": dict(day_report().totals) | {"sales": Decimal(1)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_the_day_is_content(change: dict[str, Any]) -> None:
    report = day_report()
    assert report_digest(replace(report, **change)) != report_digest(report)


def test_a_count_of_nothing_differs_from_no_count() -> None:
    payments = day_report().payments
    zero, none = (
        payments.assign(counted=objects([first, *payments["counted"][1:]])) for first in (Decimal(0), None)
    )
    assert report_digest(day_report(payments=zero)) != report_digest(day_report(payments=none))


def test_a_new_template_version_is_a_new_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = report_digest(day_report()), statement_digest(statement())
    monkeypatch.setattr(digest, "TEMPLATE_VERSION", digest.TEMPLATE_VERSION + 1)
    after = report_digest(day_report()), statement_digest(statement())
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_statement_changes_with_its_entries_but_not_with_the_month_or_the_order() -> None:
    original = statement()
    same = replace(
        original, month_to_date_base=None, month_to_date_royalty=Decimal(9), lines=original.lines[::-1]
    )
    assert statement_digest(same) == statement_digest(original)
    more = (*original.entries, StatementEntry("ACC-JV-2026-00040", DAY, 2, Decimal("-1.00"), "returned"))
    assert statement_digest(replace(original, entries=more)) != statement_digest(original)
    assert statement_digest(replace(original, customer_name="Renamed")) != statement_digest(original)


def test_the_file_of_a_statement_is_named_after_day_entry_and_content() -> None:
    name = statement_file_name(DAY, "ACC-JV-2026-00012", "1a2b3c4d5e6f")
    assert name == "royalty-statement-2026-11-22-ACC-JV-2026-00012-1a2b3c4d.pdf"
    assert (
        statement_file_name(DAY, "JV/26 27/../7", "abcdef123456")
        == "royalty-statement-2026-11-22-JV-26-27-..-7-abcdef12.pdf"
    )
