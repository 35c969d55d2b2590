"""A person opens the asset graph, clicks an asset, chooses a day, launches, and sees the day turn green."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, expect

from scoopjoy_dagster_tests.browser.chromium import PATIENCE_MS, browser
from scoopjoy_dagster_tests.browser.conftest import Demo

LINEAGE = "locations/scoopjoy_dagster/asset-groups/nightly_close/lineage"


def colour_of(tag: Locator) -> tuple[int, int, int]:
    """Red, green and blue of the text of a tag, as the browser draws it."""
    shown: str = tag.evaluate("element => getComputedStyle(element).color")
    red, green, blue = (int(part) for part in re.findall(r"\d+", shown)[:3])
    return red, green, blue


@pytest.mark.timeout(480)
def test_a_day_that_is_materialized_by_clicking_in_the_asset_graph_turns_green(demo: Demo) -> None:
    day = (demo.closed - timedelta(days=1)).isoformat()
    expect.set_options(timeout=PATIENCE_MS)
    with browser() as context:
        page = context.new_page()
        page.goto(demo.address)  # once, as it was printed; from then on the browser is known
        page.goto(f"{demo.url}/{LINEAGE}")
        node = page.locator("foreignObject").filter(has_text=re.compile("^closed_shifts"))
        expect(node).to_contain_text("33% filled")

        node.get_by_text("closed_shifts", exact=True).click()
        page.get_by_role("button", name="Materialize selected").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("closed_shifts")
        choice = dialog.get_by_role("textbox").first
        choice.fill(day)
        choice.press("Enter")
        expect(dialog).to_contain_text("1 partition")
        dialog.get_by_role("button", name="Launch 1 run").click()
        expect(dialog).to_have_count(0)

        # The graph itself shows that one day more is there.
        expect(node).to_contain_text("66% filled")
        expect(node).to_contain_text("Passed")

        # And the day is green in the list of days.
        page.goto(f"{demo.url}/assets/closed_shifts?view=partitions&partition={day}")
        state = page.get_by_text("Materialized", exact=True)
        expect(state).to_be_visible()
        expect(page.get_by_text("sales_exact", exact=True)).to_be_visible()
        red, green, blue = colour_of(state)
        assert green > max(red, blue)
