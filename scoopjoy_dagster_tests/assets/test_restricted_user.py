"""A User Permission on the integration user hides rows from every list: nothing is posted, and the night says why."""

from __future__ import annotations

import pytest

from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster_tests.world import (
    KORAMANGALA,
    THANE,
    World,
    change,
    entries,
    insert,
    submitted_closings,
)

ROBOT = "robot@scoopjoy.example"


def restrict(chain: World, allow: str, value: str, **more: object) -> str:
    session = chain.erpnext.session()
    values = {"user": ROBOT, "allow": allow, "for_value": value, **more}
    with chain.erpnext.site.transaction():
        return session.insert(session.new("User Permission", values)).name


@pytest.fixture
def restricted(chain: World) -> World:
    chain.a_day()
    restrict(chain, "Customer", THANE)
    return chain


def test_nothing_is_closed_or_posted_and_the_restriction_is_named(restricted: World) -> None:
    shift = restricted.shift(2)
    restricted.erpnext.requests.reset()
    day = restricted.close()
    assert not day.success
    (row,) = day.exceptions("closed_shifts")
    assert f"User Permissions let it see only Customer {THANE}" in row["message"]
    assert restricted.erpnext.requests.writes == 0
    assert submitted_closings(restricted.erpnext, shift.opening) == []
    assert entries(restricted.erpnext) == []


@pytest.mark.parametrize("asset", ["closed_shifts", "royalties", "invoices"])
def test_each_step_by_itself_stops_at_it(restricted: World, asset: str) -> None:
    day = restricted.close(asset)
    (row,) = day.exceptions(asset)
    assert "User Permissions let it see only" in row["message"]
    assert "delete them in ERPNext" in row["message"]


def test_a_dry_run_stops_at_it_too(restricted: World) -> None:
    day = restricted.close("royalties", launchpad={"close": {"dry_run": True}})
    (row,) = day.exceptions("royalties")
    assert "User Permissions let it see only" in row["message"]


def test_once_it_is_gone_the_same_run_posts_everything(chain: World) -> None:
    chain.a_day()
    name = restrict(chain, "Customer Group", "Owned Outlets")
    assert not chain.close("royalties").success
    session = chain.erpnext.session()
    with chain.erpnext.site.transaction():
        session.delete("User Permission", name)
    assert chain.close("royalties").success
    assert chain.owed() == chain.expected()


def test_harmless_ones_hold_nothing_up(chain: World) -> None:
    chain.a_day()
    restrict(chain, "Company", "ScoopJoy")
    restrict(chain, "Customer", KORAMANGALA, apply_to_all_doctypes=0, applicable_for="ToDo")
    assert chain.close("royalties").success
    assert chain.owed() == chain.expected()


def test_a_company_that_is_not_ours_is_named_and_not_taken_for_ours(chain: World) -> None:
    insert(chain.erpnext, "Company", company_name="Other", abbr="OT", default_currency="INR", country="India")
    restrict(chain, "Company", "Other")
    chain.options = {"company": "ScoopJoy"}
    with chain.site() as site, pytest.raises(Rejected, match="only Company Other"):
        site.books()


def test_a_session_asks_once(chain: World) -> None:
    chain.a_day()
    chain.erpnext.requests.reset()
    chain.close()
    asked = [one for one in chain.erpnext.requests.entries if "get_user_permissions" in one.path]
    assert len(asked) == 1


@pytest.mark.parametrize("asset", ["closed_shifts", "royalties"])
def test_a_role_that_shows_only_its_own_documents_stops_what_would_post_and_nothing_else(
    chain: World, asset: str
) -> None:
    chain.a_day()
    chain.shift(2)
    roles = [{"role": "Accounts Manager"}, {"role": "Sales Manager"}]
    change(chain.erpnext, "User", ROBOT, roles=roles)
    sql = (
        "UPDATE \"tabDocPerm\" SET if_owner = ? WHERE parent = 'POS Opening Entry' AND role = 'Sales Manager'"
    )
    with chain.erpnext.site.transaction():
        chain.erpnext.site.db.run(sql, (1,))
    chain.erpnext.requests.reset()
    day = chain.close(asset)
    (row,) = day.exceptions(asset)
    assert "its roles show it only documents of its own: POS Opening Entry" in row["message"]
    assert chain.erpnext.requests.writes == 0
    with chain.erpnext.site.transaction():
        chain.erpnext.site.db.run(sql, (0,))
    assert chain.close(asset).success
