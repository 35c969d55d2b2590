"""What is kept of a day's sales: sums that name nobody, so that renaming and merging customers changes no day."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.inputs import Sold, together

MOMENTS = st.sampled_from(["2026-11-22 09:00:00.000000", "2026-11-22 12:00:00", "2026-11-23 01:00:00.000000"])
SOLD = st.builds(Sold, st.integers(1, 9), st.decimals(-100_000, 100_000, places=2), MOMENTS)


def test_nothing_was_sold_where_there_is_nothing() -> None:
    assert together([]) == Sold(0, Decimal(0), "")


@given(st.lists(SOLD, max_size=6), st.integers(0, 6))
def test_it_does_not_matter_whose_the_sales_are_called(parts: list[Sold], cut: int) -> None:
    whole = together(parts)
    assert together([together(parts[:cut]), together(parts[cut:])]) == whole
    assert together(reversed(parts)) == whole
    assert (whole.invoices, whole.sales) == (
        sum(one.invoices for one in parts),
        sum((one.sales for one in parts), Decimal(0)),
    )


@given(st.lists(SOLD, max_size=6), SOLD)
def test_one_sale_more_is_another_day(parts: list[Sold], more: Sold) -> None:
    assert together([*parts, more]) != together(parts)
