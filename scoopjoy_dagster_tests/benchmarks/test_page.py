"""docs/performance.md says what docs/performance.json holds."""

from __future__ import annotations

from scoopjoy_dagster_tests.benchmarks import page


def test_the_page_shows_the_stored_figures_and_the_latency_model_as_it_is() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_sections(text, page.stored()) == text, (
        "run: python -m scoopjoy_dagster_tests.benchmarks.page"
    )


def test_the_figures_name_the_machine_and_no_host() -> None:
    machine = page.stored()["machine"]
    assert set(machine) == {"cores", "memory_gib", "architecture", "system", "python", "dagster"}
