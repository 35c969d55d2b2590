"""What a run's configuration leaves out stays as the settings say."""

from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from scoopjoy_dagster.accounting.policy import Base, LockedDays, RoyaltyPolicy
from scoopjoy_dagster.definitions import build_defs
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.settings import load_settings

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


def test_a_timeout_in_the_launchpad_leaves_address_and_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    erpnext = seen_by_a_run(monkeypatch, {"erpnext": {"connect_timeout_s": 1.5}})["erpnext"]
    assert (erpnext.connect_timeout_s, erpnext.read_timeout_s) == (1.5, 7.0)
    assert (erpnext.url, erpnext.api_key, erpnext.api_secret) == ("http://127.0.0.1:9", "key", "secret")


@pytest.mark.parametrize("name", ["erpnext", "royalty_policy", "headquarters", "mail", "clock", "close"])
def test_no_secret_is_in_the_text_of_a_resource(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable, value in VALUES.items():
        monkeypatch.setenv(variable, value)
    resource = (build_defs(load_settings()).resources or {})[name]
    assert "secret" not in repr(resource).replace("api_secret", "").replace("secret=", "")
