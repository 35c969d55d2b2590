"""The launchpad: what a run may set, what it leaves out stays as the settings say, and what is wrong is said at once."""

import re
from decimal import ROUND_DOWN, Decimal
from typing import Any

import dagster as dg
import pytest
from dagster._config.field_utils import Shape

from scoopjoy_dagster.accounting.policy import Base, LockedDays, RoyaltyPolicy
from scoopjoy_dagster.definitions import JOB, OVERRIDABLE, build_defs
from scoopjoy_dagster.local.home import PROJECT
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.launchpad import bound, overrides
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.world import DAY, INDIRANAGAR, World

VALUES = {
    "ERPNEXT_URL": "http://127.0.0.1:9",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "secret",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
    "SCOOPJOY_DEFAULT_RATE": "6",
    "SCOOPJOY_ROYALTY_BASE": "net_total",
    "ERPNEXT_READ_TIMEOUT_S": "7",
}


def seen_by_a_run(monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]) -> dict[str, Any]:
    """The resources as a run with this configuration gets them."""
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SCOOPJOY_POSTGRES_URL", "postgresql+psycopg2://db.example/scoopjoy")
    resources = build_defs(load_settings()).resources or {}
    found: dict[str, Any] = {}

    @dg.op(required_resource_keys={"royalty_policy", "close", "erpnext"})
    def look(context: dg.OpExecutionContext) -> None:
        found.update(
            policy=context.resources.royalty_policy.policy,
            close=context.resources.close,
            erpnext=context.resources.erpnext,
        )

    @dg.job(resource_defs=resources)
    def looking() -> None:
        look()

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        shown = {name: {"config": one} for name, one in config.items()}
        assert looking.execute_in_process(run_config={"resources": shown, **quiet}, instance=instance).success
    return found


def test_a_policy_option_in_the_launchpad_leaves_rate_and_base_as_the_settings_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = seen_by_a_run(monkeypatch, {})["policy"]
    assert plain == RoyaltyPolicy(default_rate=Decimal(6), base=Base.NET_TOTAL)
    changed = seen_by_a_run(monkeypatch, {"royalty_policy": {"locked_days": "next_open_day"}})["policy"]
    assert changed.locked_days is LockedDays.NEXT_OPEN_DAY
    assert (changed.default_rate, changed.base, changed.version) == (
        plain.default_rate,
        plain.base,
        plain.version,
    )


def test_an_option_of_the_close_in_the_launchpad_leaves_its_lock_on(monkeypatch: pytest.MonkeyPatch) -> None:
    close: CloseResource = seen_by_a_run(monkeypatch, {"close": {"dry_run": True}})["close"]
    assert close.dry_run
    assert close.postgres_url == "postgresql+psycopg2://db.example/scoopjoy"


def job() -> dg.JobDefinition:
    return build_defs(load_settings(VALUES)).resolve_job_def(JOB)


def rejected(config: dict[str, Any]) -> str:
    """What the launchpad says of a configuration, in the place where a person reads it."""
    shown = {name: {"config": one} for name, one in config.items()}
    with pytest.raises(dg.DagsterInvalidConfigError) as problem:
        dg.validate_run_config(job(), {"resources": shown})
    (error,) = problem.value.errors
    return str(error.message)


def test_the_launchpad_shows_how_the_close_runs_and_the_policy_and_nothing_else() -> None:
    """Not whom our credentials go to: whoever may launch a run could else send them to an address of his own."""
    schema = job().run_config_schema.run_config_schema_type
    assert isinstance(schema, Shape)
    resources = schema.fields["resources"].config_type
    assert isinstance(resources, Shape)
    shown = {
        name: set(one.config_type.fields["config"].config_type.fields)  # type: ignore[attr-defined]
        for name, one in resources.fields.items()
    }
    shown = {name: fields for name, fields in shown.items() if fields}
    assert shown == {
        "close": {"dry_run", "resend", "re_rate", "lock_wait_s"},
        "royalty_policy": {"base", "rounding", "negative_days", "locked_days"},
    }


@pytest.mark.parametrize("name", ["name", "default_rate"])
def test_a_text_can_not_be_made_overridable(name: str) -> None:
    """Dagster would read it from a variable."""
    with pytest.raises(TypeError, match=f"RoyaltyPolicyResource.{name} cannot be overridable"):
        bound(RoyaltyPolicyResource(), [name])


@pytest.mark.parametrize("field", ["name", "default_rate", "base"])
def test_a_run_that_names_a_secret_for_a_policy_books_nothing_and_does_not_show_it(
    full_chain: World, field: str
) -> None:
    full_chain.a_day()
    full_chain.erpnext.requests.reset()
    source = {"env": "TEST_ERPNEXT_SECRET"}
    with pytest.raises(dg.DagsterInvalidConfigError) as problem:
        full_chain.close(launchpad={"royalty_policy": {field: source}})
    assert f"royalty_policy:config{':base' if field == 'base' else ''}" in str(problem.value)
    assert full_chain.environment["TEST_ERPNEXT_SECRET"] not in str(problem.value)
    assert full_chain.erpnext.requests.entries == []


@pytest.mark.parametrize("wait_s", [-1.0, 3601.0, 1e308, float("inf"), float("nan")])
def test_a_wait_out_of_bounds_is_one_sentence_that_does_not_quote_it_and_nothing_is_done(
    chain: World, wait_s: float
) -> None:
    chain.a_day()
    chain.erpnext.requests.reset()
    day = chain.close("royalties", launchpad={"close": {"lock_wait_s": wait_s}})
    assert not day.success
    assert day.failure("royalties").user_failure_data.description == (
        "close.lock_wait_s must be a number of seconds from 0 to 3600. Nothing was done; correct it in the launchpad and "
        "launch again."
    )
    assert chain.erpnext.requests.writes == 0


@pytest.mark.parametrize("wait_s", [0.0, 3600.0])
def test_a_wait_may_be_as_short_and_as_long_as_its_bounds(chain: World, wait_s: float) -> None:
    chain.a_day()
    assert chain.close("royalties", launchpad={"close": {"lock_wait_s": wait_s}}).success


def test_every_option_of_the_launchpad_is_described() -> None:
    kinds = {"close": CloseResource, "royalty_policy": RoyaltyPolicyResource}
    for resource, names in OVERRIDABLE.items():
        for name in names:
            assert len((kinds[resource].model_fields[name].description or "").split()) >= 6, (resource, name)


def test_the_table_in_the_documents_has_what_can_be_overridden_and_nothing_else() -> None:
    page = (PROJECT / "docs" / "dagster-ui.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)\.(\w+)` \|", page, re.MULTILINE)
    assert listed == [(resource, name) for resource, names in OVERRIDABLE.items() for name in names]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"royalty_policy": {"base": "gross"}}, "royalty_policy:config:base not in enum type"),
        ({"royalty_policy": {"rounding": "up"}}, "royalty_policy:config:rounding not in enum type"),
        ({"royalty_policy": {"negative_days": "no"}}, "royalty_policy:config:negative_days not in enum type"),
        ({"close": {"dry_run": "yes"}}, "close:config:dry_run"),
        ({"royalty_policy": {"rate": "5"}}, 'unexpected config entry "rate"'),
        ({"royalty_policy": {"default_rate": "5"}}, 'unexpected config entry "default_rate"'),
        ({"royalty_policy": {"name": "mine"}}, 'unexpected config entry "name"'),
    ],
)
def test_a_wrong_option_is_refused_before_the_run_in_one_sentence(config: dict[str, Any], said: str) -> None:
    message = rejected(config)
    assert said in message
    assert "\n" not in message.strip()


def test_a_policy_of_one_run_is_told_with_every_amount_that_it_made_and_books_by_it(
    full_chain: World,
) -> None:
    full_chain.shift(1)
    full_chain.a_day()
    day = full_chain.close(launchpad={"royalty_policy": {"rounding": "down"}})
    assert day.success
    changed = "rounding down instead of half_up"
    for asset in ("royalties", "invoices", "reports", "hq_sync"):
        (warning,) = day.warnings(asset, "royalty policy overridden")
        assert changed in warning["message"]
        assert day.metadata(asset)["policy_override"].value == changed
    logged = [record.user_message for record in full_chain.instance.all_logs(day.result.run_id)]
    assert f"This run computes royalties by other terms: {changed}" in logged
    rounded_down = (owed_base(full_chain) / 20).quantize(Decimal("0.01"), ROUND_DOWN)
    assert full_chain.owed()[INDIRANAGAR] == rounded_down < full_chain.expected()[INDIRANAGAR]

    # What was posted keeps its terms; by a person's wish the settings hold for the day.
    assert full_chain.close().success
    assert full_chain.owed()[INDIRANAGAR] == rounded_down
    back = full_chain.close(launchpad={"close": {"re_rate": True}})
    assert back.success
    assert full_chain.owed() == full_chain.expected()
    (warning,) = back.warnings("royalties", "royalty policy overridden")
    assert "launched with re_rate" in warning["message"]
    after = full_chain.close()
    assert full_chain.owed() == full_chain.expected()
    assert "policy_override" not in after.metadata("royalties")
    assert after.warnings("royalties", "royalty policy overridden") == []


def owed_base(chain: World) -> Decimal:
    """What the franchise without a rate of its own has sold."""
    rows = chain.erpnext.documents(
        "Sales Invoice", customer=INDIRANAGAR, posting_date=DAY.isoformat(), docstatus=1
    )
    return sum((Decimal(str(row["base_grand_total"])) for row in rows), Decimal(0))


def test_a_dry_run_with_another_policy_says_so(chain: World) -> None:
    chain.a_day()
    day = chain.close(
        "royalties",
        launchpad={"close": {"dry_run": True}, "royalty_policy": {"base": "net_total"}},
    )
    (observed,) = day.observations("royalties")
    assert "base net_total instead of grand_total" in str(observed.metadata["exception_table"].value)


def test_of_a_resource_that_nobody_configured_no_override_is_known() -> None:
    assert overrides(RoyaltyPolicyResource(default_rate="7")) == {}
    with dg.build_resources({"policy": bound(RoyaltyPolicyResource(default_rate="7"))}) as opened:
        assert overrides(opened.policy) == {}
