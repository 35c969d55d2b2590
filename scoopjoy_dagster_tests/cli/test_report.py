"""`scoopjoy report`: the day's reports and statements as files, without a mail and without a write."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from scoopjoy_dagster_tests.cli.closed_world import closed_database
from scoopjoy_dagster_tests.cli.command import environment
from scoopjoy_dagster_tests.cli.conftest import Command, in_this_process
from scoopjoy_dagster_tests.cli.world import Templates, World, running_world


@pytest.fixture
def closed_world(templates: Templates, directory: Path, postgres_url: str) -> Iterator[World]:
    with running_world(closed_database(templates, directory, postgres_url), templates.last_day) as world:
        yield world


@pytest.fixture
def closed_command(closed_world: World, directory: Path) -> Command:
    """The command on a closed world. No PostgreSQL: a report needs none."""
    variables = environment(directory, closed_world.settings)
    return lambda *args, **changes: in_this_process(args, {**variables, **changes})


def files(directory: Path) -> dict[str, bytes]:
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*.*")}


def test_it_writes_everything_and_neither_mails_nor_changes_anything(
    closed_world: World, closed_command: Command, tmp_path: Path
) -> None:
    mails, day = len(closed_world.mail.messages), closed_world.last_day
    out = tmp_path / "new" / "reports"
    done = closed_command("report", "--date", str(day), "--out", str(out))
    assert done.code == 0, done.text
    found = files(out)
    stem = f"nightly-close-{day}"
    assert {f"{stem}.html", f"{stem}.txt", f"{stem}.pdf", f"{stem}.xlsx"} <= found.keys()
    statements = [name for name in found if name.startswith(f"statements/royalty-statement-{day}")]
    assert statements
    assert all(str(out / name) in done.out for name in found)
    html = found[f"{stem}.html"].decode()
    assert "Sales by outlet" in html
    assert "<img" not in html
    assert "Summary" in load_workbook(BytesIO(found[f"{stem}.xlsx"])).sheetnames
    text = PdfReader(BytesIO(found[statements[0]])).pages[0].extract_text()
    assert "not a tax invoice" in text
    assert "up to and including this day" in text
    assert (closed_world.writes, len(closed_world.mail.messages)) == (0, mails)


def test_each_view_of_the_setting_has_a_directory_of_its_own(
    closed_world: World, closed_command: Command, tmp_path: Path
) -> None:
    pairs = "a@x.example=POS Bandra; b@x.example=Franchise Koramangala; c@x.example=POS Nowhere"
    done = closed_command(
        "report", "--date", str(closed_world.last_day), "--out", str(tmp_path), SCOOPJOY_REPORT_OUTLETS=pairs
    )
    assert done.code == 0, done.text
    assert "'POS Nowhere'" in done.text
    views = {name.split("/")[1].rpartition("-")[0] for name in files(tmp_path) if name.startswith("outlets/")}
    assert views == {"POS-Bandra", "Franchise-Koramangala"}
    (bandra,) = [
        text for name, text in files(tmp_path).items() if "POS-Bandra" in name and name.endswith(".txt")
    ]
    assert "POS Bandra" in bandra.decode()
    assert "Koramangala" not in bandra.decode()


def test_a_day_that_is_not_settled_has_no_report(command: Command, world: World, tmp_path: Path) -> None:
    done = command("report", "--date", str(world.last_day), "--out", str(tmp_path / "none"))
    assert done.code == 3
    assert f"There is no report of {world.last_day} yet" in done.sentences
    assert f"scoopjoy close --date {world.last_day}" in done.sentences
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--date", "2026-13-01"), "is no date"),
        (("--date", "2099-01-01"), "has not ended yet"),
    ],
)
def test_a_day_that_cannot_be_reported_is_one_sentence(
    command: Command, tmp_path: Path, args: tuple[str, ...], said: str
) -> None:
    done = command("report", *args, "--out", str(tmp_path))
    assert done.code == 3
    assert said in done.sentences


def test_a_directory_that_cannot_be_written_is_one_sentence(
    closed_world: World, closed_command: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    done = closed_command(
        "report", "--date", str(closed_world.last_day), "--out", str(tmp_path / "file" / "below")
    )
    assert done.code == 3
    assert "cannot be written" in done.sentences


@pytest.mark.parametrize("value", ["bandra", "a@x.example=", "=POS Bandra", "a@x.example POS=Bandra"])
def test_a_wrong_setting_of_outlets_is_one_sentence_that_shows_the_right_form(
    command: Command, tmp_path: Path, value: str
) -> None:
    done = command("report", "--out", str(tmp_path), SCOOPJOY_REPORT_OUTLETS=value)
    assert done.code == 3
    assert "SCOOPJOY_REPORT_OUTLETS" in done.sentences
    assert "address=outlet" in done.sentences
