"""A whole night with the documented roles and no others, on each line and in both modes of its tills."""

from __future__ import annotations

from datetime import datetime

import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.contract.conftest import SMALL_ROLES
from scoopjoy_dagster_tests.contract.night_calls import COVERED
from scoopjoy_dagster_tests.world import DAY, World

SMALL = "small@scoopjoy.example"
OUR_OWN = {"ScoopJoy Delivery", "Royalty Share"}
STEPS = ("closed_shifts", "royalties", "invoices", "reports", "hq_sync")


@pytest.fixture
def small(chain: World) -> World:
    """The chain, closed by a user with the documented roles; reports go to those who have the role."""
    session = chain.erpnext.session()
    roles = [{"role": role} for role in SMALL_ROLES]
    values = {"email": SMALL, "first_name": "Small", "enabled": 1, "roles": roles}
    with chain.erpnext.site.transaction():
        session.insert(session.new("User", values))
    who = chain.erpnext.credentials(SMALL)
    chain.options = {"api_key": who.api_key, "api_secret": who.api_secret}
    chain.mail_options = {"report_recipients": []}
    with seed.at(chain.erpnext, datetime.combine(DAY, datetime.min.time()).replace(hour=10)):
        chain.a_day()
        chain.shift(3)
    return chain


def test_a_night_passes_with_the_documented_roles_and_all_its_calls_are_in_the_contract(small: World) -> None:
    small.erpnext.requests.reset()
    night = small.close()
    assert {step: night.status(step) for step in STEPS} == dict.fromkeys(STEPS, "success")
    assert [one.check_name for one in night.result.get_asset_check_evaluations() if not one.passed] == []
    assert small.owed() == small.expected()
    assert small.mail is not None
    assert small.mail.messages  # somebody has the role
    called = set()
    for one in small.erpnext.requests.entries:
        assert one.status == 200, one
        method = one.path.removeprefix("/api/method/") if one.path.startswith("/api/method/") else one.method
        if one.doctype not in OUR_OWN:
            called.add((method, one.doctype))
    assert called - COVERED == set()
