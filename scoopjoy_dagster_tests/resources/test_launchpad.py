"""The launchpad: what a run may set, what it leaves out stays as the settings say, and what is wrong is said at once."""

from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
from dagster._config.field_utils import Shape

from scoopjoy_dagster.accounting.policy import Base, LockedDays, RoyaltyPolicy
from scoopjoy_dagster.definitions import JOB, build_defs
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.launchpad import overridable, overrides
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
        if name != "io_manager"  # Dagster's own; no asset has an output that it would store
    }
    shown = {name: fields for name, fields in shown.items() if fields}
    assert shown == {
        "close": {
            "dry_run",
            "resend",
            "re_rate",
            "lock_wait_s",
            "postgres_url",
            "one_process",
            "window_days",
        },
        "royalty_policy": {*("name", "default_rate", "base", "rounding", "negative_days", "locked_days")},
    }


@pytest.mark.parametrize(
    ("resource", "field"), [("erpnext", "url"), ("headquarters", "url"), ("mail", "host"), ("clock", "fixed")]
)
def test_the_launchpad_takes_no_address(resource: str, field: str) -> None:
    assert f'unexpected config entry "{field}"' in rejected({resource: {field: "http://127.0.0.1:1"}})


def test_every_option_of_the_launchpad_is_described() -> None:
    for kind in (CloseResource, RoyaltyPolicyResource):
        for name, field in kind.model_fields.items():
            assert len((field.description or "").split()) >= 6, (kind, name)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"royalty_policy": {"base": "gross"}}, "royalty_policy:config:base not in enum type"),
        ({"royalty_policy": {"rounding": "up"}}, "royalty_policy:config:rounding not in enum type"),
        ({"royalty_policy": {"negative_days": "no"}}, "royalty_policy:config:negative_days not in enum type"),
        ({"close": {"dry_run": "yes"}}, "close:config:dry_run"),
        ({"royalty_policy": {"rate": "5"}}, 'unexpected config entry "rate"'),
    ],
)
def test_a_wrong_option_is_refused_before_the_run_in_one_sentence(config: dict[str, Any], said: str) -> None:
    message = rejected(config)
    assert said in message
    assert "\n" not in message.strip()


@pytest.mark.parametrize("rate", ["abc", "", "-1", "101", "NaN", "Infinity"])
def test_a_rate_that_is_no_percentage_is_one_sentence_and_books_nothing(chain: World, rate: str) -> None:
    chain.a_day()
    chain.erpnext.requests.reset()
    day = chain.close("royalties", launchpad={"royalty_policy": {"default_rate": rate}})
    assert not day.success
    said = day.failure("royalties").user_failure_data.description
    assert said.startswith(f"royalty_policy.default_rate is {rate!r}: it must be a percentage from 0 to 100")
    assert "\n" not in said
    assert chain.erpnext.requests.writes == 0


def test_a_policy_of_one_run_is_told_with_every_amount_that_it_made_and_books_by_it(
    full_chain: World,
) -> None:
    full_chain.shift(1)
    full_chain.a_day()
    day = full_chain.close(launchpad={"royalty_policy": {"default_rate": "10"}})
    assert day.success
    changed = "default_rate 10 instead of 5"
    for asset in ("royalties", "invoices", "reports", "hq_sync"):
        (warning,) = day.warnings(asset, "royalty policy overridden")
        assert changed in warning["message"]
        assert day.metadata(asset)["policy_override"].value == changed
    logged = [record.user_message for record in full_chain.instance.all_logs(day.result.run_id)]
    assert f"This run computes royalties by other terms: {changed}" in logged
    base = owed_base(full_chain)
    assert full_chain.owed()[INDIRANAGAR] == (base / 10).quantize(Decimal("0.01"))

    # What was posted keeps its terms; by a person's wish the settings hold for the day.
    assert full_chain.close().success
    assert full_chain.owed()[INDIRANAGAR] == (base / 10).quantize(Decimal("0.01"))
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
    assert overrides(overridable(RoyaltyPolicyResource(default_rate="7"))) == {}


@pytest.mark.parametrize("name", ["erpnext", "royalty_policy", "headquarters", "mail", "clock", "close"])
def test_no_secret_is_in_the_text_of_a_resource(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable, value in VALUES.items():
        monkeypatch.setenv(variable, value)
    resource = (build_defs(load_settings()).resources or {})[name]
    assert "secret" not in repr(resource).replace("api_secret", "").replace("secret=", "")
