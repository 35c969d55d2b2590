"""Resources: configuration becomes values and clients; a secret is never shown."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import dagster as dg
import pytest

from scoopjoy_dagster.accounting.money import Rounding
from scoopjoy_dagster.accounting.policy import Base, NegativeDays
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, UnsupportedSite
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.partitions import ZONE
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.headquarters import HeadquartersResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource
from scoopjoy_dagster_tests.erpnext.scripted import Answer, answering
from scoopjoy_dagster_tests.world import World

SECRET = "s3cret-value-of-24-bytes-or-more"


@pytest.mark.parametrize(
    "resource",
    [
        ERPNextResource(url="http://erp.example", api_key=SECRET, api_secret=SECRET),
        HeadquartersResource(url="http://hq.example", secret=SECRET),
        MailResource(host="mail.example", username="robot", password=SECRET, sender="a@b.example"),
    ],
    ids=lambda resource: type(resource).__name__,
)
def test_no_secret_is_in_a_repr(resource: dg.ConfigurableResource) -> None:
    assert SECRET not in repr(resource)
    assert SECRET not in str(resource)


def test_definitions_name_their_secrets_by_variable_and_never_hold_them() -> None:
    from scoopjoy_dagster.definitions import build_defs, site_resources
    from scoopjoy_dagster.settings import load_settings

    settings = load_settings(
        {
            "ERPNEXT_URL": "https://erp.example",
            "ERPNEXT_API_KEY": "the-public-half",
            "ERPNEXT_API_SECRET": SECRET,
            "SCOOPJOY_GO_LIVE": "2026-11-01",
            "SCOOPJOY_HQ_URL": "https://hq.example",
            "SCOOPJOY_HQ_SECRET": SECRET,
            "SMTP_HOST": "mail.example",
            "SMTP_SENDER": "a@b.example",
            "SMTP_USERNAME": "robot",
            "SMTP_PASSWORD": SECRET,
        }
    )
    resources = build_defs(settings).resources or {}
    shown = json.dumps({name: repr(resource) for name, resource in resources.items()})
    assert SECRET not in shown
    assert SECRET not in repr(settings)
    raw = {
        name: dict(resource)
        for name, resource in {**resources, **site_resources(settings)}.items()
        if isinstance(resource, dg.ConfigurableResource)
    }
    assert SECRET not in repr(raw)
    assert raw["erpnext"]["api_secret"] == dg.EnvVar("ERPNEXT_API_SECRET")


def test_the_policy_is_a_value_with_a_version() -> None:
    resource = RoyaltyPolicyResource(
        name="tier two", default_rate="4.5", base="net_total", rounding="half_even", negative_days="reverse"
    )
    policy = resource.policy
    assert (policy.default_rate, policy.base, policy.rounding, policy.negative_days) == (
        Decimal("4.5"),
        Base.NET_TOTAL,
        Rounding.HALF_EVEN,
        NegativeDays.REVERSE,
    )
    assert policy.version.startswith("tier two-")
    assert policy.version != RoyaltyPolicyResource(name="tier two").policy.version


def test_a_clock_may_be_stopped_and_tells_site_time() -> None:
    clock = ClockResource(fixed="2026-11-22T19:30:00+00:00")
    assert clock.now() == datetime(2026, 11, 23, 1, 0, tzinfo=ZONE)
    assert clock.site_now() == datetime(2026, 11, 23, 1, 0)


def test_a_clock_that_runs_tells_the_real_time_in_the_business_day_s_zone() -> None:
    before = datetime.now(ZONE)
    assert before <= ClockResource().now() <= datetime.now(ZONE)
    assert ClockResource().now().utcoffset().total_seconds() == 5.5 * 3600


@pytest.mark.parametrize(
    ("doctype", "name", "url"),
    [
        ("Journal Entry", "ACC-JV-2026-00001", "http://erp.example/app/journal-entry/ACC-JV-2026-00001"),
        ("POS Closing Entry", "a/b c", "http://erp.example/app/pos-closing-entry/a%2Fb%20c"),
    ],
)
def test_a_document_has_an_address_in_the_desk(doctype: str, name: str, url: str) -> None:
    resource = ERPNextResource(url="http://erp.example/", api_key="k", api_secret="s")
    assert resource.document_url(doctype, name) == url


def test_the_books_are_opened_with_erpnext_s_defaults_or_the_settings(chain: World) -> None:
    with chain.site() as site:
        books = site.books()
    assert (books.company, books.currency, books.cost_center) == ("ScoopJoy", "INR", "Main - SJ")
    assert (books.receivable_account, books.income_account) == ("Debtors - SJ", "Royalty Income - SJ")
    chain.options = {"income_account": "Sales - SJ", "cost_center": "Other - SJ"}
    with chain.site() as site:
        assert (site.books().income_account, site.books().cost_center) == ("Sales - SJ", "Other - SJ")


def test_waits_and_attempts_are_configuration() -> None:
    resource = ERPNextResource(
        url="http://x.example", api_key="k", api_secret="s", closing_deadline_s=7, closing_poll_s=2
    )
    assert (resource.patience.deadline_s, resource.patience.interval_s) == (7, 2)
    with answering(Answer(503, "<html></html>")) as site:
        busy = ERPNextResource(url=site.url, api_key="k", api_secret="s", attempts=3, first_wait_s=0.001)
        with pytest.raises(ERPNextError), busy.open():
            pass
        assert len(site.asked) == 3


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"frappe": {"version": "15.1.0"}}, "has no ERPNext"),
        ({"erpnext": {"version": "14.9.9"}}, "runs ERPNext 14.9.9, and this program knows v15 and later"),
        ({"erpnext": {"version": "develop"}}, "has no ERPNext"),
        (None, "has no ERPNext"),
    ],
)
def test_a_line_of_erpnext_that_is_not_known_is_refused(versions: object, message: str) -> None:
    with answering(Answer(200, {"message": versions})) as site:
        resource = ERPNextResource(url=site.url, api_key="k", api_secret="s")
        with pytest.raises(UnsupportedSite, match=message), resource.open():
            pass


def test_a_wrong_key_is_one_sentence(chain: World) -> None:
    chain.options = {"api_key": "nobody", "api_secret": SECRET}
    with pytest.raises(LoginFailed, match="does not accept the API key and secret") as caught, chain.site():
        pass
    assert SECRET not in str(caught.value)


def test_headquarters_and_mail_are_optional() -> None:
    assert not HeadquartersResource().configured
    assert not MailResource().configured
    assert HeadquartersResource(url="http://hq.example", secret="x").configured
    assert MailResource(host="mail.example", sender="a@b.example").configured


# -- one session for a run ------------------------------------------------------------------------------------------


def in_a_run(resource: ERPNextResource) -> ERPNextResource:
    """The resource as Dagster has set it up for a run."""
    resource.setup_for_execution(dg.build_init_resource_context())
    return resource


def asked_for_versions(chain: World) -> int:
    return sum("get_versions" in one.path for one in chain.erpnext.requests.entries)


def test_within_a_run_the_session_is_shared_and_the_site_is_asked_once_what_it_is(chain: World) -> None:
    resource = in_a_run(chain.erpnext_resource)
    chain.erpnext.requests.reset()
    with resource.open({"custom_scoopjoy_run": "one"}) as first:
        rows = first.client.rows("Customer", ["name"], [], remember=True)
    with resource.open() as second:
        assert second.client.session is first.client.session
        assert second.client.rows("Customer", ["name"], [], remember=True) == rows
    # What a document of ours says of its run is of each step, not of the session.
    assert (first.client.stamp, second.client.stamp) == ({"custom_scoopjoy_run": "one"}, {})
    assert asked_for_versions(chain) == 1
    assert sum(one.doctype == "Customer" for one in chain.erpnext.requests.entries) == 1
    resource.teardown_after_execution(dg.build_init_resource_context())


def test_outside_of_a_run_each_opening_has_a_session_of_its_own_and_closes_it(chain: World) -> None:
    resource = chain.erpnext_resource
    with resource.open() as first, resource.open() as second:
        assert first.client.session is not second.client.session
        assert first.client.remembered is not second.client.remembered


def test_the_session_of_a_run_stays_open_between_its_steps_and_is_closed_at_its_end(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Session] = []
    monkeypatch.setattr(Session, "close", lambda self: closed.append(self))  # noqa: PLW0108 - bound to the session
    resource = in_a_run(chain.erpnext_resource)
    with resource.open() as site:
        pass
    with resource.open():
        assert closed == []
    resource.teardown_after_execution(dg.build_init_resource_context())
    assert closed == [site.client.session]
    # Once more is no error, and a run that never opened it has nothing to close.
    resource.teardown_after_execution(dg.build_init_resource_context())
    in_a_run(chain.erpnext_resource).teardown_after_execution(dg.build_init_resource_context())
    assert closed == [site.client.session]


def test_a_step_that_fails_leaves_the_session_to_the_others(chain: World) -> None:
    resource = in_a_run(chain.erpnext_resource)
    with pytest.raises(ZeroDivisionError), resource.open() as first:
        raise ZeroDivisionError
    with resource.open() as second:
        assert second.client.session is first.client.session
        assert second.client.exists("Company", "ScoopJoy")
    resource.teardown_after_execution(dg.build_init_resource_context())


def test_a_site_that_could_not_be_opened_is_tried_again_by_the_next_step(chain: World) -> None:
    resource = in_a_run(chain.erpnext_resource)
    chain.erpnext.faults.add("maintenance", path="get_versions", times=None)
    with pytest.raises(ERPNextError), resource.open():
        pass
    chain.erpnext.faults.clear()
    with resource.open() as site:
        assert site.company["name"] == "ScoopJoy"
    resource.teardown_after_execution(dg.build_init_resource_context())


def test_a_copy_with_other_settings_has_a_session_of_its_own(chain: World) -> None:
    resource = in_a_run(chain.erpnext_resource)
    copy = resource.model_copy(update={"read_timeout_s": 1.0})
    with resource.open() as shared, copy.open() as own, resource.glance() as glance:
        assert own.client.session is not shared.client.session
        assert glance.session is not shared.client.session
    with resource.open() as again:
        assert again.client.session is shared.client.session
        assert again.client.exists("Company", "ScoopJoy")
    resource.teardown_after_execution(dg.build_init_resource_context())


def test_all_steps_of_a_run_use_one_session(chain: World) -> None:
    chain.a_day()
    chain.shift(1)
    chain.erpnext.requests.reset()
    assert chain.close("closed_shifts", "royalties", "invoices").success
    assert asked_for_versions(chain) == 1
    assert chain.close("royalties").success
    assert asked_for_versions(chain) == 2
