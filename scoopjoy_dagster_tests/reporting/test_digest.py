from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import fields, replace
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
    assert report_digest(day_report(findings=FINDINGS)) == "a7c24e51e5fbe2cbbddf036b1deab691"
    assert statement_digest(statement()) == "53cb675a78d2ff3e49e2ad45ff28a7d6"


def test_neither_the_days_before_are_content_nor_how_a_setting_calls_the_outlets_nor_whether_a_cause_passes() -> (
    None
):
    report = day_report(findings=FINDINGS)
    assert report_digest(with_past(report)) == report_digest(report)
    assert report_digest(replace(report, view="pos bandra")) == report_digest(report)
    passing = tuple(replace(one, passes=True) for one in FINDINGS)
    assert report_digest(replace(report, findings=passing)) == report_digest(report)


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


def test_what_a_franchise_is_called_and_the_policy_in_words_are_no_content() -> None:
    """A renamed Customer must not send the reports and statements of its days again, and neither another default rate."""
    report = day_report(findings=FINDINGS)
    outlets = report.outlets.copy()
    outlets.loc[0, "customer"], outlets.loc[0, "customer_name"] = "ZZZ", "Renamed"
    newest = {("ZZZ" if one == "CUST-0000" else one): at for one, at in report.newest_invoices.items()}
    findings = tuple(replace(one, who="Renamed") for one in FINDINGS)
    renamed = replace(
        report,
        outlets=outlets,
        newest_invoices=newest,
        findings=findings,
        policy="as posted, by standard-c2757abb",
    )
    assert report_digest(renamed) == report_digest(report)
    told = statement(customer="ZZZ", customer_name="Renamed", policy="another sentence")
    assert statement_digest(told) == statement_digest(statement())


def test_trailing_zeros_and_extra_columns_are_not_content() -> None:
    report = day_report()
    outlets = report.outlets.assign(rate=objects([Decimal("5.00")] * 10), colour="pink")
    totals = {key: value.quantize(Decimal("0.0001")) for key, value in report.totals.items()}
    assert report_digest(replace(report, outlets=outlets, totals=totals)) == report_digest(report)


def with_one(name: str, column: str, value: Any) -> pd.DataFrame:
    """A frame of the day with another value in its first row."""
    frame: pd.DataFrame = getattr(day_report(), name).copy()
    assert frame.loc[0, column] != value
    frame.loc[0, column] = value
    return frame


def test_the_rows_of_the_invoices_are_no_content_so_a_report_is_known_without_reading_them() -> None:
    report = day_report(findings=FINDINGS)
    assert len(report.invoices) == 20
    assert report_digest(replace(report, invoices=empty_frame("invoices"))) == report_digest(report)
    turned = dict(reversed(list(report.newest_invoices.items())))
    assert report_digest(replace(report, newest_invoices=turned)) == report_digest(report)


def test_an_invoice_in_place_of_another_of_the_same_amount_is_another_report_and_another_statement() -> None:
    """Cancelled and made again: numbers and sums are the same, and only the newest tells of it."""
    report, later = day_report(), f"{DAY} 23:10:00.000000"
    other = replace(report, newest_invoices={**report.newest_invoices, "CUST-0000": later})
    assert report_digest(other) != report_digest(report)
    assert statement_digest(statement(newest_invoice=later)) != statement_digest(statement())


@pytest.mark.parametrize(
    "change",
    [
        {"company": "Other"},
        {"business_day": DAY + timedelta(days=1)},
        {"currency": "USD"},
        {"policy_version": "standard-00000000"},
        {"findings": (Finding("warning", "a", "b", "c", "d"),)},
        {"shifts": empty_frame("shifts")},
        {"payments": empty_frame("payments")},
        {"newest_invoices": dict(day_report().newest_invoices) | {"CUST-0003": f"{DAY} 23:59:59.000001"}},
        {"newest_invoices": {}},
        {"outlets": empty_frame("outlets")},
        {"outlets": with_one("outlets", "invoices", 21)},
        {"outlets": with_one("outlets", "base", Decimal("184350.01"))},
        {"outlets": with_one("outlets", "royalty", Decimal("0.01"))},
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


def test_a_statement_is_the_same_with_and_without_its_lines() -> None:
    """Whether it is attached already is known from the sums; the lines are read for one that is written."""
    assert len(statement().lines) == 24
    assert statement_digest(statement(lines=())) == statement_digest(statement())


NOT_CONTENT = {
    *("lines", "by_person", "month_to_date_base", "month_to_date_royalty"),
    *("customer", "customer_name", "policy"),
}


@pytest.mark.parametrize(
    "change",
    [
        {"company": "Other"},
        {"business_day": DAY + timedelta(days=1)},
        {"currency": "USD"},
        {"policy_version": "v2"},
        {"rate": Decimal("5.1")},
        {"base": Decimal(1)},
        {"royalty": Decimal(1)},
        {"invoices": 25},
        {"newest_invoice": f"{DAY} 22:41:07.123457"},
        {"entries": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_a_statement_is_content(change: dict[str, Any]) -> None:
    assert statement_digest(statement(**change)) != statement_digest(statement())


def test_every_field_of_a_statement_is_known_to_be_content_or_not() -> None:
    (marks,) = [one for one in test_every_part_of_a_statement_is_content.pytestmark if one.args]
    changed = {next(iter(change)) for change in marks.args[1]}
    assert changed | NOT_CONTENT == {one.name for one in fields(statement())}


def test_the_file_of_a_statement_is_named_after_day_entry_and_content() -> None:
    name = statement_file_name(DAY, "ACC-JV-2026-00012", "1a2b3c4d5e6f")
    assert name == "royalty-statement-2026-11-22-ACC-JV-2026-00012-1a2b3c4d.pdf"
    assert (
        statement_file_name(DAY, "JV/26 27/../7", "abcdef123456")
        == "royalty-statement-2026-11-22-JV-26-27-..-7-abcdef12.pdf"
    )
