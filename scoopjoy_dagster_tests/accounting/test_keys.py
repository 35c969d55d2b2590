"""Keys identify a document for ever, as MariaDB compares them, within the length of a Data field."""

from __future__ import annotations

from datetime import date, timedelta
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


# -- a day's keys in a list call --------------------------------------------------------------------------------

ANY_DAY = st.dates(date(2020, 1, 1), date(2035, 12, 30))
COMPANIES = st.one_of(
    st.sampled_from(
        [
            "ScoopJoy",
            "scoopjoy",
            "Scoop:Joy",
            "2026-11-22",
            "Straße 2026-11-22",
            "İçe Cream",
            "Joy: 2026",
            "ﬁne Ice",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=30).map(str.strip),
).filter(bool)


def collated(key: str) -> str:
    """Stands for MariaDB's order of keys: without regard to case, shorter first, trailing spaces nothing."""
    return key.rstrip(" ").casefold()


@given(
    COMPANIES,
    st.text(min_size=1, max_size=60),
    ANY_DAY,
    st.integers(-40, 40),
    st.integers(0, 40),
    st.integers(0, 99),
)
def test_a_range_of_keys_holds_exactly_those_whose_day_is_in_it(
    company: str, customer: str, first: date, offset: int, length: int, revision: int
) -> None:
    last, day = first + timedelta(days=length), first + timedelta(days=offset)
    lowest, after = keys.key_range("royalty", company, first, last)
    key = keys.royalty_key(company, day, customer, revision)
    assert (collated(lowest) <= collated(key) < collated(after)) is (first <= day <= last)
    one_day = keys.day_prefix("royalty", company, day)
    assert collated(key).startswith(collated(one_day))  # what a filter `like 'prefix%'` would find


@given(COMPANIES, st.text(min_size=1, max_size=60), ANY_DAY, st.integers(0, 99))
def test_the_day_of_a_key_is_read_back_however_mariadb_gives_the_key(
    company: str, customer: str, day: date, revision: int
) -> None:
    key = keys.royalty_key(company, day, customer, revision)
    for read in (key, key.casefold(), key + "  "):
        assert keys.day_of_key(read, "royalty", company) == day
    assert keys.day_of_key(key, "closing", company) is None
    assert keys.day_of_key(key, "royalty", f"{company} & Sons") is None


@pytest.mark.parametrize(
    "key",
    [
        "royalty:ScoopJoy:soon:CUST-0001:0",
        "royalty:ScoopJoy:2026-13-01:CUST-0001:0",
        "royalty:ScoopJoy:",
        "royalty:Scoop:2026-11-22:CUST-0001:0",
        "",
    ],
)
def test_a_key_of_no_day_or_of_another_company_has_no_day(key: str) -> None:
    assert keys.day_of_key(key, "royalty", "ScoopJoy") is None


@pytest.mark.parametrize("customer", ["2026-11-23", "2026-11-23:Adyar", "a:b:7"])
def test_a_customer_that_looks_like_a_day_or_a_revision_is_a_customer(customer: str) -> None:
    key = keys.royalty_key("ScoopJoy", DAY, customer, 3)
    assert keys.day_of_key(key, "royalty", "ScoopJoy") == DAY
    assert keys.revision_of(key) == 3
    assert keys.without_revision(key) == keys.without_revision(keys.royalty_key("ScoopJoy", DAY, customer, 0))


def test_case_and_trailing_spaces_of_the_company_do_not_hide_a_key() -> None:
    key = keys.royalty_key("SCOOPJOY", DAY, "Adyar", 0)
    assert keys.day_of_key(key, "royalty", "ScoopJoy") == DAY


def test_a_company_of_any_length_leaves_room_for_whose_key_it_is() -> None:
    companies = [
        "ScoopJoy " + "Frozen Desserts " * 8 + "Private Limited",
        "ScoopJoy " + "Frozen Desserts " * 8 + "Ltd",
    ]
    found = {
        keys.royalty_key(company, date(2026, 11, 22), "Franchise " + "x" * 140, revision)
        for company in companies
        for revision in (0, 12)
    }
    assert len(found) == 4
    assert all(len(key) <= keys.MAX_KEY_LENGTH for key in found)
    for company in companies:
        own = [key for key in found if keys.day_of_key(key, "royalty", company)]
        assert len(own) == 2


def test_all_revisions_of_one_subject_share_the_rest_of_the_key_however_long_it_is() -> None:
    found = [
        keys.royalty_key("ScoopJoy", date(2026, 11, 22), "x" * 120, revision) for revision in (0, 9, 10, 9999)
    ]
    assert len({keys.without_revision(key) for key in found}) == 1
    assert [keys.revision_of(key) for key in found] == [0, 9, 10, 9999]
    assert max(len(key) for key in found) == keys.MAX_KEY_LENGTH
