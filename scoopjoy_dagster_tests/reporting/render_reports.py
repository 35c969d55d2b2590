"""Render every kind of report to PNG, to be looked at: samples, sixty outlets with long names, one outlet's manager.

    .venv/bin/python -m scoopjoy_dagster_tests.reporting.render_reports /tmp/reports [DIRECTORY ...]

Needs `chromium` and `pdftoppm` (poppler-utils) on the path. Each DIRECTORY is one that `scoopjoy report` wrote: its files are
rendered too. Mails are rendered as wide as a phone (340 pixels) and as a desktop (680), light and dark.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from openpyxl import load_workbook
from playwright.sync_api import Browser, sync_playwright

from scoopjoy_dagster.accounting.figures import Change
from scoopjoy_dagster.reporting.model import DayReport, StatementEntry
from scoopjoy_dagster.reporting.pdf_statement import statement_pdf
from scoopjoy_dagster.reporting.render import render_report_mail
from scoopjoy_dagster_tests.reporting.samples import (
    DAY,
    FINDINGS,
    day_report,
    empty_report,
    frame,
    statement,
    with_past,
)

WIDTHS = {"phone": 340, "desktop": 680}
INDIC = [
    "ScoopJoy कोरमंगला",
    "ScoopJoy கோரமங்களா",
    "ಸ್ಕೂಪ್‌ಜಾಯ್ ಇಂದಿರಾನಗರ",
    "స్కూప్ జాయ్ హైదరాబాద్",
    "കൊച്ചി 🍦",
    "কলকাতা",
    "冰淇淋",
]


def samples() -> dict[str, DayReport]:
    """Reports by name."""
    month_end = date(2026, 11, 30)
    ten = with_past(day_report(findings=FINDINGS))
    sixty = day_report(
        [
            f"ScoopJoy Phoenix Marketcity and Convention Centre, Whitefield Main Road, Unit {number}"
            for number in range(60)
        ],
        findings=FINDINGS * 8,
        revision=2,
        changes=(
            Change(
                "ScoopJoy Koramangala",
                "3 invoices, base 966.68",
                "4 invoices, base 1966.68",
                "SINV-9 was added",
            ),
        ),
    )
    return {
        "ten-sunday": ten,
        "ten-month-end": with_past(day_report(findings=FINDINGS[:1], business_day=month_end)),
        "ten-tuesday": with_past(day_report(business_day=DAY + timedelta(days=2))),
        "sixty": with_past(sixty),
        "indic": with_past(day_report(INDIC)),
        "returns": below_zero(ten),
        "first-day": day_report(history=frame("history", [])),
        "empty": empty_report(),
        "one-outlet": one_outlet(ten),
        "one-till": one_till(ten),
    }


def below_zero(report: DayReport) -> DayReport:
    """A day on which two outlets took back more than they sold, after days on which the chain did."""
    outlets, history = report.outlets.copy(), report.history.copy()
    for frame_, column, rows in ((outlets, "base", (0, 4)), (history, "royalty", (3, 9))):
        for row in rows:
            frame_.loc[row, column] = -frame_.loc[row, column] / 3
    return replace(report, outlets=outlets, history=history)


def one_outlet(report: DayReport) -> DayReport:
    """What the manager of the first outlet sees: its till and its franchise."""
    outlets, shifts = report.outlets.iloc[:1], report.shifts.iloc[:1]
    customer, profile = outlets["customer"].iloc[0], shifts["pos_profile"].iloc[0]
    past = report.past.only({customer}, {profile})
    days = [DAY - timedelta(days=back) for back in range(13, -1, -1)]
    history = [
        {"day": day, "sales": past.figures(day, day).sales, "royalty": past.figures(day, day).royalty}
        for day in days
    ]
    return replace(
        report,
        history=frame("history", history),
        outlets=outlets,
        shifts=shifts,
        payments=report.payments[report.payments["pos_profile"] == profile],
        invoices=report.invoices[report.invoices["customer"] == customer],
        findings=(),
        totals={
            "sales": outlets["base"].iloc[0],
            "royalty": outlets["royalty"].iloc[0],
            "pos_sales": shifts["sales"].iloc[0],
            "invoices": Decimal(2),
        },
        past=past,
        view=f"{profile}, {customer}",
    )


def one_till(report: DayReport) -> DayReport:
    """What a manager sees who is named with a till alone."""
    one = one_outlet(report)
    profile = one.shifts["pos_profile"].iloc[0]
    return replace(
        one,
        outlets=one.outlets.iloc[:0],
        invoices=one.invoices.iloc[:0],
        totals={**one.totals, "sales": Decimal(0), "royalty": Decimal(0), "invoices": Decimal(0)},
        past=one.past.only(set(), {profile}),
        view=profile,
    )


def write_samples(directory: Path) -> None:
    """The files of every sample, as `scoopjoy report` would write them."""
    for name, report in samples().items():
        rendered = render_report_mail(report, links={"Open in Dagster": "https://dagster.example/"})
        (directory / f"{name}.html").write_text(rendered.html, encoding="utf-8")
        (directory / f"{name}.txt").write_text(rendered.text, encoding="utf-8")
        for attachment in rendered.attachments:
            (directory / f"{name}{Path(attachment.file_name).suffix}").write_bytes(attachment.content)
    lines = statement().lines * 12
    many = statement(
        customer_name="स्कूपजॉय Phoenix Marketcity and Convention Centre, Whitefield Main Road 🍦",
        lines=lines,
        base=sum((line.base for line in lines), Decimal(0)),
        royalty=sum((line.share for line in lines), Decimal(0)),
        entries=(
            StatementEntry("ACC-JV-2026-00012", DAY, 0, Decimal("6283.22"), ""),
            StatementEntry(
                "ACC-JV-2026-00031",
                DAY + timedelta(2),
                1,
                Decimal("-12.50"),
                "ACC-SINV-2026-00017 was returned; " * 6,
            ),
        ),
    )
    (directory / "statement.pdf").write_bytes(statement_pdf(statement()))
    (directory / "statement-long.pdf").write_bytes(statement_pdf(many))


def photograph(browser: Browser, page_file: Path, directory: Path) -> None:
    """The page as a phone and a desktop show it, light and dark, and whether it is wider than the screen."""
    for device, width in WIDTHS.items():
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto(page_file.as_uri())
            wide: Any = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                sys.stdout.write(f"{page_file.name}: {wide} px wide on a {device} of {width} px\n")
            page.screenshot(path=directory / f"{page_file.stem}-{device}-{scheme}.png", full_page=True)
            page.close()


def dump(workbook: Path, directory: Path) -> None:
    """The workbook's cells, formulas beside the values that they carry, as text."""
    formulas, values = load_workbook(workbook), load_workbook(workbook, data_only=True)
    lines = []
    for sheet in formulas:
        lines.append(f"== {sheet.title} (frozen at {sheet.freeze_panes})")
        for row in list(sheet.iter_rows())[:12] + list(sheet.iter_rows())[12:][-2:]:
            lines.append(
                " | ".join(
                    f"{cell.value} -> {values[sheet.title][cell.coordinate].value}"
                    if cell.data_type == "f"
                    else str(cell.value if cell.value is not None else "")
                    for cell in row
                )
            )
    (directory / f"{workbook.stem}-workbook.txt").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Write the samples into the first argument, and the pictures of all files beside them."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    write_samples(directory)
    for given in map(Path, sys.argv[2:]):
        for file in given.rglob("*.*"):
            shutil.copyfile(file, directory / f"given-{file.relative_to(given).as_posix().replace('/', '-')}")
    for pdf in directory.glob("*.pdf"):
        subprocess.run(["pdftoppm", "-png", "-r", "70", pdf, pdf.with_suffix("")], check=True)
    for workbook in directory.glob("*.xlsx"):
        dump(workbook, directory)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for page in directory.glob("*.html"):
            photograph(browser, page, directory)
        browser.close()


if __name__ == "__main__":
    main()
