"""A dry run from the launchpad: the plan of all that is selected is shown, and nothing is written, sent or recorded."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import dagster as dg
import pytest

from scoopjoy_dagster.assets.preview import Preview, preview_day
from scoopjoy_dagster.assets.tools import TOOLS, Tools
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.steps import STEPS
from scoopjoy_dagster_tests.assets.test_locked_days import close_period, close_year, disable_year, freeze
from scoopjoy_dagster_tests.world import (
    DAY,
    FRANCHISES,
    INDIRANAGAR,
    MANAGERS,
    NOW,
    THANE,
    Close,
    World,
    change,
    dollar_debtors,
    entries,
)

ASSETS = ("closed_shifts", "royalties", "invoices", "reports", "hq_sync")


def dry_run(chain: World, *assets: str) -> Close:
    """What "Materialize" with `dry_run: true` in the launchpad does."""
    with mock.patch.dict(os.environ, chain.environment):
        result = chain.job().execute_in_process(
            instance=chain.instance,
            partition_key=DAY.isoformat(),
            asset_selection=[dg.AssetKey(name) for name in assets] or None,
            raise_on_error=False,
            run_config={
                "resources": {"close": {"config": {"dry_run": True}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
    return Close(result, chain.instance)


def plan_of(run: Close, asset: str) -> str:
    (observed,) = run.observations(asset)
    assert observed.partition == DAY.isoformat()
    assert observed.metadata["dry_run"].value is True
    assert observed.metadata["business_day"].value == DAY.isoformat()
    return str(observed.metadata["plan"].value)


def counted(chain: World) -> tuple[int, int, int]:
    """Writes at ERPNext, attempts at headquarters, mails."""
    return (
        chain.erpnext.requests.writes,
        len(chain.headquarters.attempts) if chain.headquarters else 0,
        len(chain.mail.messages) if chain.mail else 0,
    )


@pytest.fixture
def fresh(full_chain: World) -> World:
    """An ordinary day that nobody has closed."""
    full_chain.shift(2)
    full_chain.a_day()
    full_chain.erpnext.requests.reset()
    return full_chain


def test_it_shows_the_plan_of_every_asset_and_writes_nothing(fresh: World) -> None:
    run = dry_run(fresh)
    assert run.success
    assert counted(fresh) == (0, 0, 0)
    assert [run.materializations(asset) for asset in ASSETS] == [[]] * 5
    assert run.result.get_asset_check_evaluations() == []

    shifts = plan_of(run, "closed_shifts")
    assert "| **complete** " in shifts or "| **create** " in shifts
    royalties = plan_of(run, "royalties")
    assert f"| {THANE} | 72.50 | **create** " in royalties
    assert "7.5 % of 966.68" in royalties
    for asset in ASSETS[2:]:
        assert "after the shifts are closed" in plan_of(run, asset)
    (observed,) = run.observations("royalties")
    assert "shifts not closed yet" in str(observed.metadata["exception_table"].value)
    # The first step has shown everything; what is behind it has nothing to do.
    assert {asset: run.status(asset) for asset in ASSETS} == {"closed_shifts": "success"} | dict.fromkeys(
        ASSETS[1:], "skipped"
    )


def test_what_a_person_should_know_is_shown_too(fresh: World) -> None:
    change(fresh.erpnext, "Customer", THANE, custom_royalty_percentage=250)
    run = dry_run(fresh)
    assert run.success  # a plan that needs a person is a plan
    (observed,) = run.observations("royalties")
    assert "royalty rate out of range" in str(observed.metadata["exception_table"].value)
    assert f"| {THANE} | 0.00 | **refuse** " in plan_of(run, "royalties")


def test_of_a_closed_day_it_shows_that_everything_is_there(fresh: World) -> None:
    assert fresh.close().success
    fresh.erpnext.requests.reset()
    before = counted(fresh)
    run = dry_run(fresh)
    assert run.success
    assert counted(fresh) == before
    for asset in ASSETS:
        kinds = Counter(re.findall(r"\| \*\*(\w+)\*\* ", plan_of(run, asset)))
        assert kinds.total() == len(plan_of(run, asset).splitlines()) - 2
        assert set(kinds) <= {"adopt", "skip"}, asset
    shown = plan_of(run, "invoices")
    assert f"royalty-statement-{DAY}-{entries(fresh.erpnext, THANE)[0]['name']}-" in shown
    assert "revision 0 is acknowledged" in plan_of(run, "hq_sync")


def test_of_a_late_change_it_shows_the_adjustment_with_its_reason(fresh: World) -> None:
    assert fresh.close().success
    fresh.invoice(THANE, "1000")
    fresh.erpnext.requests.reset()
    run = dry_run(fresh)
    first = entries(fresh.erpnext, THANE)[0]["name"]
    table = plan_of(run, "royalties")
    assert re.search(rf"\| {THANE} \| 75\.00 \| \*\*adjust\*\* [^|]+ \| {first} \|", table)
    assert "base 966.68 -&gt; 1966.68" in table
    assert fresh.erpnext.requests.writes == 0


@pytest.mark.parametrize(
    ("selected", "skipped"),
    [
        (("royalties",), ()),
        (("royalties", "reports"), ("reports",)),
        (("closed_shifts", "royalties"), ("royalties",)),
        (("reports",), ()),
        (("reports", "hq_sync", "invoices"), ()),
        (("closed_shifts", "reports"), ()),
    ],
    ids=lambda one: "+".join(one) or "none",
)
def test_only_what_is_selected_is_shown_and_each_once(
    fresh: World, selected: tuple[str, ...], skipped: tuple[str, ...]
) -> None:
    run = dry_run(fresh, *selected)
    assert run.success
    assert {asset: len(run.observations(asset)) for asset in ASSETS} == {
        asset: int(asset in selected) for asset in ASSETS
    }
    assert counted(fresh) == (0, 0, 0)
    assert [asset for asset in selected if run.status(asset) == "skipped"] == list(skipped)


def test_what_is_told_waits_for_the_royalties(fresh: World) -> None:
    assert fresh.close("closed_shifts").success
    run = dry_run(fresh)
    for asset in ASSETS[2:]:
        assert f"| {DAY} | {sum(fresh.expected().values())} | **wait** " in plan_of(run, asset)
        assert "after the royalties are posted" in plan_of(run, asset)


def test_a_real_run_after_it_is_as_if_it_had_not_been(fresh: World) -> None:
    assert dry_run(fresh).success
    day = fresh.close()
    assert day.success
    assert all(len(day.materializations(asset)) == 1 for asset in ASSETS)
    assert fresh.owed() == fresh.expected()


def test_a_site_that_cannot_be_reached_is_a_failure_of_a_dry_run_too(fresh: World) -> None:
    fresh.options = {"url": "http://127.0.0.1:9", "attempts": 1}
    run = dry_run(fresh, "royalties")
    assert not run.success
    assert "no connection to" in (run.failure("royalties").user_failure_data.description or "")


# -- the plan itself ------------------------------------------------------------------------------------------------


def previews(chain: World) -> dict[str, Preview]:
    with mock.patch.dict(os.environ, chain.environment):
        resources: dict[str, Any] = {
            name: resource for name, resource in (chain.defs().resources or {}).items() if name in TOOLS
        }
        with dg.build_resources(resources) as built, built.erpnext.open() as site:
            return {one.asset: one for one in preview_day(site, Tools.of(built), DAY)}


@pytest.mark.parametrize(("tags", "mails"), [({}, True), ({"scoopjoy/backfill": "b"}, False)])
def test_the_plan_of_a_backfill_shows_no_mails_as_it_sends_none(
    fresh: World, tags: dict[str, str], mails: bool
) -> None:
    assert fresh.close("closed_shifts", "royalties").success
    run = fresh.close(launchpad={"close": {"dry_run": True}}, tags=tags)
    assert all((manager in plan_of(run, "reports")) is mails for manager in MANAGERS)


def lines(shown: Preview) -> set[tuple[str, str, Decimal]]:
    return {(one.action, one.who, one.amount) for one in shown.lines}


def test_the_plan_covers_statements_mails_and_headquarters_once_the_royalties_are_posted(
    fresh: World,
) -> None:
    assert fresh.close("closed_shifts", "royalties").success
    fresh.erpnext.requests.reset()
    shown = previews(fresh)
    assert list(shown) == list(ASSETS)
    assert counted(fresh) == (0, 0, 0)
    due = {name: amount for name, amount in fresh.expected().items() if amount}
    assert lines(shown["invoices"]) == {("create", name, amount) for name, amount in due.items()}
    names = {one.reason for one in shown["invoices"].lines if one.reason.startswith("royalty-statement-")}
    assert len(names) == len(due)
    assert {(one.action, one.who, one.reason) for one in shown["reports"].lines} == {
        ("create", manager, "revision 0") for manager in MANAGERS
    }
    assert lines(shown["hq_sync"]) == {("create", "headquarters", sum(due.values()))}


def test_a_statement_that_must_be_replaced_is_planned_as_one(fresh: World) -> None:
    assert fresh.close().success
    fresh.invoice(THANE, "1000")
    assert fresh.close("royalties").success
    shown = previews(fresh)
    statements = lines(shown["invoices"])
    assert ("create", THANE, Decimal("147.50")) in statements
    assert {kind for kind, name, _ in statements if name != THANE} == {"adopt"}
    assert {one.reason for one in shown["reports"].lines} == {"revision 1"}
    assert [one.reason for one in shown["hq_sync"].lines] == ["revision 1"]


def test_the_plan_of_the_chain_without_mail_and_headquarters_is_empty_there(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    shown = previews(chain)
    assert (shown["reports"].lines, shown["hq_sync"].lines) == ((), ())


def test_an_adjustment_of_nothing_that_moves_shares_is_planned(fresh: World) -> None:
    assert fresh.close().success
    (gone,) = fresh.erpnext.documents("Sales Invoice", customer=INDIRANAGAR)
    seed.cancel_document(fresh.erpnext, "Sales Invoice", gone["name"])
    with seed.at(fresh.erpnext, NOW + timedelta(hours=1)):
        new = fresh.invoice(INDIRANAGAR, "333.33")
    fresh.erpnext.requests.reset()
    (line,) = (one for one in previews(fresh)["royalties"].lines if one.who == INDIRANAGAR)
    assert (line.action, line.amount) == ("adjust", Decimal("0.00"))
    assert line.reason.endswith(f"; {new} added; {gone['name']} cancelled")
    assert fresh.erpnext.requests.writes == 0


def _freeze(chain: World) -> None:
    chain.erpnext.settings.frozen_upto = DAY


def _freeze_until_today(chain: World) -> None:
    chain.erpnext.settings.frozen_upto = chain.now.date()


def _dollars(chain: World) -> None:
    account = dollar_debtors(chain.erpnext)
    change(chain.erpnext, "Customer", THANE, accounts=[{"company": "ScoopJoy", "account": account}])


def _no_franchise(chain: World) -> None:
    for name in FRANCHISES:
        change(chain.erpnext, "Customer", name, customer_group="Commercial")


@pytest.mark.parametrize("lock", [freeze, close_period, close_year, disable_year])
def test_it_says_which_shifts_a_lock_will_keep_open(
    chain: World, lock: Callable[[SandboxERPNext], object]
) -> None:
    chain.shift(2)
    lock(chain.erpnext)

    def rows(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
        return [(one["severity"], one["what"], one["who"]) for one in found]

    shown = [one.as_dict() for one in previews(chain)["closed_shifts"].findings]
    run = chain.close("closed_shifts")
    assert rows(shown) == rows(run.outcome("closed_shifts")["exceptions"])
    assert run.success == (lock is close_period)  # for Journal Entries only: it locks no sales


@pytest.mark.parametrize("policy", ["exception", "next_open_day"])
@pytest.mark.parametrize("spoil", [_freeze, _freeze_until_today, _dollars, _no_franchise])
def test_its_findings_and_reasons_are_those_of_the_run(
    chain: World, spoil: Callable[[World], None], policy: str
) -> None:
    chain.policy = {"locked_days": policy}
    chain.a_day()
    spoil(chain)
    chain.erpnext.requests.reset()
    shown = previews(chain)["royalties"]
    assert chain.erpnext.requests.writes == 0
    run = chain.close("royalties")
    assert [one.as_dict() for one in shown.findings] == run.outcome("royalties")["exceptions"]
    posted = {one["posting_date"] for one in chain.erpnext.documents("Journal Entry")}
    later = {found[1] for one in shown.lines if (found := re.search(r"posted on (\S+)$", one.reason))}
    assert posted - {DAY.isoformat()} == later


def test_the_order_in_which_the_plan_is_shown_is_that_of_the_definitions(chain: World) -> None:
    """Behind a step that materializes nothing the others are skipped: the first one shows their plans."""
    graph = chain.defs().resolve_asset_graph()
    for asset in ASSETS:
        parents = {key.to_user_string() for key in graph.get(dg.AssetKey(asset)).parent_keys}
        assert parents == {step.upstream for step in STEPS if step.asset == asset} - {""}
