"""Further fields of a royalty entry: what the setting takes, and what it refuses in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.erpnext.entry_fields import OURS, EntryFields
from scoopjoy_dagster.settings import SettingsError, load_settings

NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,20}", fullmatch=True).filter(
    lambda name: (
        not any(name in ours for ours in OURS.values())
        and not name.startswith(("custom_scoopjoy_", "custom_royalty_"))
    )
)
VALUES = (
    st.text(st.characters(blacklist_characters=";", blacklist_categories=("Cs", "Cc")), min_size=1)
    .map(str.strip)
    .filter(bool)
)


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES))
def test_what_is_written_is_what_is_read(entry: dict[str, str], rows: dict[str, str]) -> None:
    written = [f"Journal Entry.{name}={value}" for name, value in entry.items()]
    written += [f" {name} = {value} " for name, value in rows.items()]
    assert EntryFields.parse(";".join(written)) == EntryFields(entry, rows)


@pytest.mark.parametrize(
    "text",
    ["branch", "branch=", "=Pune", "two words=x", "Sales Invoice.branch=x", "Journal Entry.=x", "a.b.c=x"],
)
def test_what_cannot_be_read_is_named_by_its_place_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^its part 2 cannot be read; write fieldname=value"):
        EntryFields.parse(f"project=P1; ; {text}")


@pytest.mark.parametrize(
    "text",
    [
        "account=Cash - SJ",
        "party=Somebody",
        "debit=1",
        "cost_center=Main - SJ",
        "Journal Entry.posting_date=2026-01-01",
        "Journal Entry.docstatus=0",
        "Journal Entry.custom_scoopjoy_key=x",
        "Journal Entry.custom_royalty_rate=9",
    ],
)
def test_what_the_program_sets_itself_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the program sets itself"):
        EntryFields.parse(text)


def test_a_field_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="its part 2 names a field for the second time"):
        EntryFields.parse("branch=Pune; branch=Thane")


def test_a_wrong_setting_is_one_sentence_that_names_it() -> None:
    needed = {
        "ERPNEXT_URL": "http://127.0.0.1:9",
        "ERPNEXT_API_KEY": "k",
        "ERPNEXT_API_SECRET": "s",
        "SCOOPJOY_GO_LIVE": "2026-11-01",
    }
    assert load_settings({**needed, "SCOOPJOY_ENTRY_FIELDS": "branch=Pune"}).entry_fields == "branch=Pune"
    with pytest.raises(SettingsError, match="SCOOPJOY_ENTRY_FIELDS is wrong: its part 1"):
        load_settings({**needed, "SCOOPJOY_ENTRY_FIELDS": "Pune"})
