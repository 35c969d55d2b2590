from __future__ import annotations

import unicodedata
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.reporting.fonts import EMOJI, SCRIPTS, identified, printable, runs, shorten
from scoopjoy_dagster.reporting.model import FRAMES, StatementEntry, empty_frame, read_rows
from scoopjoy_dagster.reporting.numbers import count, group_indian, money, percent, short_money
from scoopjoy_dagster.reporting.summary import ModeTotal, counted_differences, headline, mode_totals, verdict
from scoopjoy_dagster_tests.reporting.samples import DAY, FINDINGS, day_report, empty_report, frame, statement


def test_an_amount_that_is_not_a_decimal_is_refused_where_the_report_is_made() -> None:
    outlets = day_report().outlets.assign(base=1.5)
    with pytest.raises(TypeError, match=r"outlets\.base in row 0 is 1\.5 \(float\)"):
        day_report(outlets=outlets)
    with pytest.raises(TypeError, match="amount of ACC-JV-9"):
        statement(entries=(StatementEntry("ACC-JV-9", DAY, 0, 12.5, ""),))  # type: ignore[arg-type]


def test_a_missing_column_total_or_a_nan_amount_is_refused_by_name() -> None:
    report = day_report()
    with pytest.raises(ValueError, match=r"'shifts' lacks the columns cashier"):
        day_report(shifts=report.shifts.drop(columns="cashier"))
    with pytest.raises(ValueError, match="'pos_sales' is missing"):
        day_report(totals={key: value for key, value in report.totals.items() if key != "pos_sales"})
    with pytest.raises(ValueError, match=r"totals\['sales'\] is NaN"):
        day_report(totals=dict(report.totals) | {"sales": Decimal("NaN")})


def test_only_counted_and_difference_may_be_unknown_and_nan_of_a_join_reads_as_uncounted() -> None:
    payments = day_report().payments
    holes = payments.assign(counted=pd.Series([float("nan")] * len(payments), dtype=object), difference=None)
    rows = read_rows(day_report(payments=holes), "payments")
    assert {(row["counted"], row["difference"]) for row in rows} == {(None, None)}
    with pytest.raises(TypeError, match=r"payments\.expected in row 0"):
        day_report(payments=payments.assign(expected=None))


def test_dates_and_missing_texts_are_read_as_plain_values() -> None:
    invoices = day_report().invoices
    invoices["posting_date"] = pd.to_datetime(invoices["posting_date"])
    invoices["customer_name"] = None
    row = read_rows(day_report(invoices=invoices), "invoices")[0]
    assert type(row["posting_date"]) is type(DAY)
    assert row["posting_date"] == DAY
    assert row["customer_name"] == ""


@pytest.mark.parametrize("name", FRAMES)
def test_an_empty_frame_has_the_columns_of_its_name(name: str) -> None:
    assert list(empty_frame(name).columns) == list(FRAMES[name])
    assert len(empty_frame(name)) == 0


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00"),
        ("999.994", "999.99"),
        ("999.995", "1,000.00"),
        ("123456.78", "1,23,456.78"),
        ("10000000", "1,00,00,000.00"),
        ("-123456.7", "-1,23,456.70"),
        ("-0.004", "0.00"),
    ],
)
def test_digits_are_grouped_by_thousand_lakh_and_crore(amount: str, shown: str) -> None:
    assert group_indian(Decimal(amount)) == shown


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_grouping_only_adds_commas(amount: Decimal) -> None:
    shown = group_indian(amount)
    whole, _, decimals = shown.partition(".")
    groups = whole.lstrip("-").split(",")
    assert len(decimals) == 2
    assert [len(group) for group in groups[1:]] == [2] * (len(groups) - 2) + [3] * (len(groups) > 1)
    assert abs(Decimal(shown.replace(",", "")) - amount) <= Decimal("0.005")


def test_a_number_without_a_value_is_not_shown() -> None:
    with pytest.raises(ValueError, match="NaN cannot be shown"):
        group_indian(Decimal("NaN"))


def test_money_percent_and_counts_are_written_as_people_in_india_write_them() -> None:
    assert money(Decimal("-1234.5"), "INR") == "-₹1,234.50"
    assert money(Decimal("1234.5"), "USD") == "USD 1,234.50"
    assert short_money(Decimal(834120), "INR") == "₹8.34 L"
    assert short_money(Decimal(-12000000), "INR") == "-₹1.20 Cr"
    assert short_money(Decimal("99999.4"), "INR") == "₹99,999"
    assert [percent(Decimal(rate)) for rate in ("5.00", "4.5", "0", "10", "1E+1")] == [
        "5 %",
        "4.5 %",
        "0 %",
        "10 %",
        "10 %",
    ]
    assert [count(number, "shift") for number in (0, 1, 120000)] == ["0 shifts", "1 shift", "1,20,000 shifts"]


@given(st.text())
def test_printable_text_is_one_line_of_characters_that_the_font_has(text: str) -> None:
    shown = printable(text)
    assert shown == printable(shown)
    assert shown == shown.strip()
    assert not any(char in shown for char in "\n\r\t\x00\u2028")


def test_what_the_font_lacks_is_marked_and_never_dropped_in_silence() -> None:
    assert printable("₹ Кофе Ωμέγα Łódź") == "₹ Кофе Ωμέγα Łódź"
    assert printable("Kulfi 中文 冰") == "Kulfi � �"
    assert printable("a\r\nb\x00c") == "a b c"


def test_the_scripts_of_india_and_emoji_are_printed_in_fonts_that_have_them() -> None:
    text = "Kulfi 🍦 मैंगो தமிழ் ಕನ್ನಡ తెలుగు മലയാളം বাংলা ગુજરાતી ਪੰਜਾਬੀ ଓଡ଼ିଆ සිංහල"
    assert printable(text) == unicodedata.normalize("NFC", text)
    families = [family for family, _ in runs(printable(text)) if family]
    assert families == [EMOJI, *(f"Noto Sans {script}" for script in SCRIPTS)]


@given(st.text())
def test_every_character_of_a_printable_text_is_in_one_of_its_runs(text: str) -> None:
    shown = printable(text)
    assert "".join(piece for _, piece in runs(shown)) == shown


def test_a_name_that_no_font_has_is_shown_with_its_document_name() -> None:
    assert identified("冰淇淋", "CUST-0007") == "� (CUST-0007)"
    assert identified("मैंगो", "CUST-0007") == "मैंगो"
    assert identified(" ", "CUST-0007") == "CUST-0007"


@given(st.text(min_size=1), st.integers(4, 40))
def test_a_shortened_name_keeps_to_its_length(name: str, length: int) -> None:
    assert len(shorten(name, length)) <= length


def test_a_shortened_name_keeps_the_end_that_tells_outlets_apart() -> None:
    assert shorten("Phoenix Marketcity Unit 1", 15) != shorten("Phoenix Marketcity Unit 2", 15)


def test_payments_add_up_by_mode_and_uncounted_drawers_are_kept_apart() -> None:
    payments = [
        {
            "mode_of_payment": "Cash",
            "expected": Decimal(100),
            "counted": Decimal(90),
            "difference": Decimal(-10),
        },
        {"mode_of_payment": "Cash", "expected": Decimal(50), "counted": None, "difference": None},
        {"mode_of_payment": "UPI", "expected": Decimal(700), "counted": None, "difference": None},
    ]
    rows = [
        {"pos_profile": "Till", "opening": f"OPE-{n}", "opening_amount": Decimal(0)} | row
        for n, row in enumerate(payments)
    ]
    report = day_report(payments=frame("payments", rows))
    upi, cash = mode_totals(report)
    assert upi == ModeTotal("UPI", 1, Decimal(700), None, None, 1, Decimal(700))
    assert cash == ModeTotal("Cash", 2, Decimal(150), Decimal(90), Decimal(-10), 1, Decimal(50))
    assert [row["opening"] for row in counted_differences(report)] == ["OPE-0"]


def test_the_verdict_counts_only_shifts_that_have_a_closing_entry() -> None:
    shifts = day_report().shifts
    shifts.loc[0, "closing"] = ""
    assert verdict(day_report(shifts=shifts)).text.startswith("9 of 10 shifts closed")
    assert verdict(day_report(findings=FINDINGS)).level == "error"
    assert verdict(day_report(findings=FINDINGS[:1])).level == "warning"
    assert verdict(empty_report()).level == "ok"


def test_the_headline_names_money_and_exceptions() -> None:
    report = day_report(findings=FINDINGS)
    totals = {
        "sales": Decimal("834120.5"),
        "royalty": Decimal("41706.03"),
        "pos_sales": Decimal(0),
        "invoices": Decimal(3),
    }
    assert (
        headline(replace(report, totals=totals))
        == "₹8,34,120.50 sales, ₹41,706.03 royalty, 1 error, 2 warnings"
    )


def test_the_sample_statement_adds_up() -> None:
    assert statement().posted == statement().royalty
    assert statement().royalty.quantize(Decimal("0.01"), ROUND_HALF_UP) == statement().royalty
