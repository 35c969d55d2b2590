"""What Dagster shows of every day: the same keys of the same types for every asset, right or wrong, and safe tables."""

from __future__ import annotations

import json
from decimal import Decimal

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.assets.outcome import TABLE_ROWS, Outcome, PlanLine, cell, exception_table, plan_table
from scoopjoy_dagster.assets.runner import failure
from scoopjoy_dagster_tests.world import DAY, THANE, World, change

ASSETS = ("closed_shifts", "royalties", "invoices", "reports", "hq_sync")
CONTRACT = {
    "business_day": dg.TextMetadataValue,
    "seen": dg.IntMetadataValue,
    "written": dg.IntMetadataValue,
    "adopted": dg.IntMetadataValue,
    "skipped": dg.IntMetadataValue,
    "exceptions": dg.IntMetadataValue,
    "warnings": dg.IntMetadataValue,
    "exception_table": dg.MarkdownMetadataValue,
    "documents": dg.MarkdownMetadataValue,
    "requests": dg.IntMetadataValue,
    "seconds": dg.FloatMetadataValue,
    "outcome": dg.JsonMetadataValue,
}
# The amounts that each asset plots, first the one that it stands for.
PLOTS = {
    "closed_shifts": ["sales"],
    "royalties": ["royalty", "sales"],
    "invoices": ["royalty"],
    "reports": ["sales", "royalty"],
    "hq_sync": ["royalty", "sales"],
}


def assert_contract(metadata: dict[str, dg.MetadataValue]) -> None:
    assert {name: type(metadata[name]) for name in CONTRACT} == CONTRACT
    outcome = metadata["outcome"].value
    assert outcome["business_day"] == metadata["business_day"].value == DAY.isoformat()
    for name in {"sales", "royalty"} & metadata.keys():
        assert isinstance(metadata[name], dg.FloatMetadataValue)
        assert float(Decimal(metadata[f"{name}_exact"].value)) == metadata[name].value
    errors = [row for row in outcome["exceptions"] if row["severity"] == "error"]
    assert metadata["exceptions"].value == len(errors)
    assert metadata["warnings"].value == len(outcome["exceptions"]) - len(errors)


def test_every_materialization_keeps_the_contract(full_chain: World) -> None:
    full_chain.shift(2)
    full_chain.a_day()
    day = full_chain.close()
    assert day.success
    for asset in ASSETS:
        (materialization,) = day.materializations(asset)
        assert materialization.partition == DAY.isoformat()
        assert_contract(materialization.metadata)
        assert materialization.metadata["requests"].value >= 0  # another asset may have read it all
        assert materialization.metadata["seconds"].value > 0
        assert [name for name in materialization.metadata if name in {"sales", "royalty"}] == PLOTS[asset]
        amounts = [materialization.metadata[f"{name}_exact"].value for name in PLOTS[asset]]
        assert amounts[0] == materialization.metadata["outcome"].value["amount"]
        assert all(Decimal(amount) > 0 for amount in amounts)
        assert materialization.metadata["outcome"].value["asset"] == asset


def test_the_figures_are_named_alike_and_shown_before_the_tables_and_the_details(full_chain: World) -> None:
    full_chain.shift(2)
    full_chain.a_day()
    day = full_chain.close()
    equal: dict[str, set[str]] = {"sales": set(), "royalty": set()}
    for asset in ASSETS:
        (materialization,) = day.materializations(asset)
        order = list(materialization.metadata)
        figures = [name for plot in PLOTS[asset] for name in (plot, f"{plot}_exact")]
        begin = ["business_day", *figures, "exceptions", "warnings", "exception_table", "documents", "seen"]
        assert order[: len(begin)] == begin
        assert order[-3:] == ["requests", "seconds", "outcome"]
        if asset != "closed_shifts":  # its sales are those of the tills, not of the franchises
            for plot in PLOTS[asset]:
                equal[plot].add(materialization.metadata[f"{plot}_exact"].value)
    assert {plot: len(values) for plot, values in equal.items()} == {"sales": 1, "royalty": 1}


@pytest.mark.parametrize("asset", ASSETS)
def test_every_failure_keeps_the_contract_and_is_one_sentence_for_people(
    full_chain: World, asset: str
) -> None:
    full_chain.shift(1)
    full_chain.a_day()
    if asset == "closed_shifts":
        change(full_chain.erpnext, "Customer", "Walk-in Customer", disabled=1)
    elif asset == "royalties":
        change(full_chain.erpnext, "Customer", THANE, custom_royalty_percentage=-3)
    day = full_chain.close(asset)  # the other three: royalties are not settled
    assert not day.success
    data = day.failure(asset).user_failure_data
    assert_contract(data.metadata)
    assert data.description.startswith(f"{asset} {DAY}: ")
    assert "Traceback" not in data.description
    assert day.materializations(asset) == []
    (observed,) = day.observations(asset)
    assert (observed.asset_key, observed.partition) == (dg.AssetKey(asset), DAY.isoformat())
    assert_contract(observed.metadata)


@pytest.mark.parametrize("asset", ASSETS)
@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("unreachable", "no connection to"),
        ("wrong secret", "does not accept the API key and secret"),
        ("maintenance", "Session Stopped"),
        ("other version", "has no ERPNext"),
    ],
)
def test_a_site_that_cannot_be_worked_with_is_a_failure_with_the_contract_and_no_secret(
    full_chain: World, monkeypatch: pytest.MonkeyPatch, asset: str, trouble: str, said: str
) -> None:
    full_chain.options = {"attempts": 2}
    match trouble:
        case "unreachable":
            full_chain.options["url"] = "http://127.0.0.1:9"
        case "wrong secret":
            full_chain.options["api_secret"] = "wrong-secret-value"
        case "maintenance":
            full_chain.erpnext.settings.maintenance = True
        case "other version":
            from scoopjoy_dagster.sandbox.erpnext import methods

            monkeypatch.setitem(
                methods.METHODS,
                "frappe.utils.change_log.get_versions",
                methods.Method(lambda *_: {"frappe": {"version": "15.1"}}),
            )
    day = full_chain.close(asset)
    assert not day.success
    data = day.failure(asset).user_failure_data
    assert_contract(data.metadata)
    assert said in data.description
    everything = json.dumps([str(event) for event in day.result.all_events])
    for secret in (full_chain.erpnext.robot.api_secret, "wrong-secret-value", full_chain.headquarters.secret):
        assert secret not in everything


def test_dagster_is_told_not_to_retry_what_the_client_has_retried() -> None:
    finding = Finding("error", "royalty not posted", THANE, "no", "do")
    assert failure(Outcome("royalties", DAY, findings=(finding,))).allow_retries is False


names = st.text(min_size=1, max_size=60)


@given(names, names)
def test_a_name_can_neither_break_a_table_nor_become_html_or_a_link(name: str, message: str) -> None:
    table = exception_table([Finding("error", name, name, message, message)])
    assert len(table.splitlines()) == 3
    row = table.splitlines()[2]
    assert row.count("|") == 4
    assert "<" not in row
    assert "](" not in row
    lines = plan_table(
        [PlanLine("create", name, Decimal(1), message, "DOC-1", "http://x.example/1")]
    ).splitlines()
    assert len(lines) == 3
    assert lines[2].count("|") == 5
    assert lines[2].count("](") == 1


def test_cells_keep_what_can_be_read() -> None:
    assert cell("a | b\n<i>c</i> [d](e) & f") == "a &#124; b &lt;i&gt;c&lt;/i&gt; &#91;d&#93;(e) &amp; f"


def test_long_tables_are_cut_and_the_rest_is_counted() -> None:
    findings = [Finding("warning", "w", "x", f"m{number}", "a") for number in range(TABLE_ROWS + 7)]
    findings.append(Finding("error", "the error", "x", "m", "a"))
    table = exception_table(findings)
    assert "... and 8 more rows." in table
    assert table.index("**error: the error**") < table.index("**warning: w**")


def test_a_summary_names_the_first_error_and_counts_the_others() -> None:
    findings = tuple(Finding("error", "not posted", f"F{number}", "no", "do") for number in range(3))
    outcome = Outcome("royalties", DAY, seen=3, findings=findings)
    assert outcome.failed
    assert outcome.summary == (
        "royalties 2026-11-22: not posted - F0: no and 2 more (3 seen, 0 written, 0 adopted, 0 skipped)"
    )
    assert not Outcome("royalties", DAY, findings=(Finding("warning", "w", "x", "m", "a"),)).failed
