from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from io import BytesIO

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scoopjoy_dagster.reporting.charts import pictures, royalties_by_day, sales_by_outlet
from scoopjoy_dagster_tests.reporting.samples import DAY, day_report, empty_report, frame, outlet_row

AMOUNTS = st.decimals(-10_000_000, 10_000_000, places=2)


def opened(png: bytes | None) -> Image.Image:
    assert png is not None
    image = Image.open(BytesIO(png))
    image.load()
    assert image.format == "PNG"
    return image


def test_equal_days_give_equal_pictures() -> None:
    assert pictures(day_report()) == pictures(day_report())
    assert list(pictures(day_report())) == ["sales_by_outlet", "royalties_by_day"]


def test_a_day_without_franchises_or_history_has_no_pictures() -> None:
    assert pictures(empty_report()) == {}


def test_sixty_outlets_make_no_taller_picture_than_thirteen() -> None:
    thirteen, sixty = (
        opened(
            sales_by_outlet(
                day_report([f"ScoopJoy {'Very ' * 20}Long Name {number}" for number in range(outlets)])
            )
        )
        for outlets in (13, 60)
    )
    assert sixty.size == thirteen.size
    assert sixty.width == 1080


def test_the_thirteenth_outlet_is_shown_rather_than_called_one_other() -> None:
    twelve, thirteen = (opened(sales_by_outlet(day_report(["x"] * number))) for number in (12, 13))
    assert thirteen.height > twelve.height


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=60), AMOUNTS), min_size=1, max_size=5))
def test_any_name_and_any_amount_can_be_drawn(rows: list[tuple[str, Decimal]]) -> None:
    # Warnings are errors here: a glyph that the font lacks would be one.
    outlets = frame("outlets", [outlet_row(number, name, base) for number, (name, base) in enumerate(rows)])
    opened(sales_by_outlet(day_report(outlets=outlets)))


def test_dollar_signs_in_a_name_are_not_mathematics() -> None:
    opened(sales_by_outlet(day_report([r"$\frac{Scoop}{", "$x$ Joy_^", "100% \\$"])))


@settings(max_examples=10, deadline=None)
@given(st.lists(AMOUNTS, min_size=1, max_size=3))
def test_any_history_can_be_drawn(amounts: list[Decimal]) -> None:
    history = [
        {"day": DAY.replace(day=22 - 3 * back), "sales": amount, "royalty": amount}
        for back, amount in enumerate(amounts)
    ]
    opened(royalties_by_day(day_report(history=frame("history", history))))


def test_drawing_leaves_pyplot_out() -> None:
    program = (
        "import sys\n"
        "from scoopjoy_dagster.reporting.charts import pictures\n"
        "assert 'matplotlib' not in sys.modules and 'pandas' not in sys.modules, 'heavy imports at import'\n"
        "from scoopjoy_dagster_tests.reporting.samples import day_report\n"
        "pictures(day_report())\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
