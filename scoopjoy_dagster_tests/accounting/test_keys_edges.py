"""Keys at the edges: the last character that fits, what MariaDB folds, and digests that are the same everywhere."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting import keys

DAY = date(2026, 11, 22)
ROOM = keys.MAX_KEY_LENGTH - len("royalty:ScoopJoy:2026-11-22::9999")


def test_each_kind_of_key_reads_as_documented() -> None:
    assert keys.closing_key("ScoopJoy", DAY, "POS-OPE-1", 2) == "closing:ScoopJoy:2026-11-22:POS-OPE-1:2"
    assert (
        keys.delivery_key("mail", "ScoopJoy", DAY, "a@b.example", 0)
        == "mail:ScoopJoy:2026-11-22:a@b.example:0"
    )
    assert keys.day_prefix("royalty", "ScoopJoy", DAY) == "royalty:ScoopJoy:2026-11-22:"
    assert keys.key_range("royalty", "ScoopJoy", DAY, date(2026, 12, 31)) == (
        "royalty:ScoopJoy:2026-11-22:",
        "royalty:ScoopJoy:2027-01-01:",
    )


def test_a_name_that_just_fits_is_kept_and_one_more_letter_is_shortened() -> None:
    """Data fields of Frappe hold 140 characters."""
    fits = keys.royalty_key("ScoopJoy", DAY, "x" * ROOM, 9999)
    assert (len(fits), keys.MAX_KEY_LENGTH) == (140, 140)
    assert "~" not in fits
    cut = keys.royalty_key("ScoopJoy", DAY, "x" * (ROOM + 1), 9999)
    assert len(cut) == 140
    subject = cut.split(":")[3]
    assert subject[: ROOM - 16] == "x" * (ROOM - 17) + "~"
    assert (
        subject[ROOM - 16 :] == "b3f4776624ede9f8"
    )  # the same in every process, or no entry would be met again


def test_a_shortened_name_is_the_same_in_any_case_and_with_spaces_around() -> None:
    long = "Franchise " * 20
    one, other = (keys.royalty_key("ScoopJoy", DAY, name, 0) for name in (long, f"  {long.upper()} "))
    assert keys.normalised(one) == keys.normalised(other)


def test_a_name_is_not_cut_to_a_trailing_space() -> None:
    name = "x" * (ROOM - 18) + " " + "y" * 40
    assert " ~" not in keys.royalty_key("ScoopJoy", DAY, name, 0)


def test_a_company_is_kept_up_to_sixty_letters_and_then_shortened_like_a_name() -> None:
    """ERPNext allows 140, which would leave no room for whose key it is."""
    fits, cut = "C" * 60, "C" * 61
    assert keys.day_prefix("royalty", fits, DAY) == f"royalty:{fits}:2026-11-22:"
    assert keys.day_prefix("royalty", cut, DAY) == f"royalty:{'C' * 43}~b3f77e3181c8adfa:2026-11-22:"
    for company in (fits, cut):
        key = keys.royalty_key(company, DAY, "Adyar", 0)
        assert key == keys.day_prefix("royalty", company, DAY) + "Adyar:0"
        assert keys.day_of_key(key, "royalty", company) == DAY
        assert keys.key_range("royalty", company, DAY, DAY)[0] == keys.day_prefix("royalty", company, DAY)


def test_spaces_in_front_of_a_key_count_and_those_behind_it_do_not() -> None:
    assert keys.normalised(" A ") == " a"
    assert keys.revision_of("royalty:x:7  ") == 7
    assert keys.without_revision("A:b:C:10") == keys.without_revision("a:B:c:9") == "a:b:c"


def test_a_key_without_a_revision_is_named() -> None:
    with pytest.raises(ValueError, match=r"^the key 'royalty:manual' does not end in a revision$"):
        keys.revision_of("royalty:manual")


def test_a_digest_is_32_hex_digits_and_the_same_for_names_of_any_script() -> None:
    assert keys.digest({"b": "अड्यार", "a": [Decimal("1.50"), None, 3]}) == "11bb49cf5b4e7bf51847934db39450d5"


def test_a_digest_tells_days_from_times_and_knows_only_one_zero() -> None:
    assert keys.digest({"a": Decimal("0.00")}) == keys.digest({"a": Decimal("-0")}) == keys.digest({"a": "0"})
    assert (
        keys.digest({"a": Decimal("1E+3")}) == keys.digest({"a": Decimal(1000)}) == keys.digest({"a": "1000"})
    )
    assert keys.digest({"a": DAY}) == keys.digest({"a": "2026-11-22"})
    moment = datetime(2026, 11, 22, 9, 30)
    assert keys.digest({"a": moment}) == keys.digest({"a": "2026-11-22T09:30:00"})


def test_what_cannot_be_part_of_a_digest_is_named_by_its_type() -> None:
    with pytest.raises(TypeError, match=r"^a set cannot be part of a digest$"):
        keys.digest({"a": {1}})
