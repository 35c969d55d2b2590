"""Keys identify a document for ever, as MariaDB compares them, within the length of a Data field."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting import keys

DAY = date(2026, 11, 22)


def test_a_royalty_key_reads_as_documented() -> None:
    assert keys.royalty_key("ScoopJoy", DAY, "CUST-0001", 0) == "royalty:ScoopJoy:2026-11-22:CUST-0001:0"


@given(customer=st.text(min_size=1, max_size=200), revision=st.integers(0, 10_000))
def test_a_key_fits_into_a_data_field_and_gives_its_revision_back(customer: str, revision: int) -> None:
    key = keys.royalty_key("ScoopJoy Ice Creams Private Limited", DAY, customer, revision)
    assert len(key) <= keys.MAX_KEY_LENGTH
    assert keys.revision_of(key) == revision
    assert keys.without_revision(key) == keys.without_revision(
        keys.royalty_key("ScoopJoy Ice Creams Private Limited", DAY, customer, revision + 1)
    )


def test_long_names_that_differ_only_at_the_end_have_different_keys() -> None:
    one, other = (keys.royalty_key("ScoopJoy", DAY, "x" * 139 + end, 0) for end in "ab")
    assert keys.normalised(one) != keys.normalised(other)


def test_case_and_trailing_spaces_do_not_make_another_key() -> None:
    one, other = (keys.royalty_key("ScoopJoy", DAY, name, 0) for name in ("Adyar ", "ADYAR"))
    assert keys.normalised(one) == keys.normalised(other)


def test_a_key_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="does not end in a revision"):
        keys.revision_of("royalty:manual")


def test_a_digest_is_the_same_in_every_process_and_sees_every_paisa() -> None:
    payload = {"amount": Decimal("10.10"), "day": DAY}
    assert keys.digest(payload) == keys.digest({"day": DAY, "amount": Decimal("10.1000")})
    assert keys.digest(payload) == "53cb699f209802345002d3ab3ceb21e8"
    assert keys.digest(payload) != keys.digest({"amount": Decimal("10.11"), "day": DAY})


def test_a_float_cannot_enter_a_digest_unnoticed() -> None:
    with pytest.raises(TypeError, match="cannot be part of a digest"):
        keys.digest({"amount": object()})
