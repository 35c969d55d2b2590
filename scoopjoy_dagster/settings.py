"""Every setting of the program, read from the environment once and checked before anything is started.

A wrong or missing setting is one sentence that names it. Secrets are only looked at to see that they are there; the
values reach the resources through `dagster.EnvVar`, so that they are never part of a definition.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from scoopjoy_dagster.accounting.money import Rounding
from scoopjoy_dagster.accounting.policy import Base, LockedDays, NegativeDays, RoyaltyPolicy
from scoopjoy_dagster.erpnext.entry_fields import EntryFields
from scoopjoy_dagster.erpnext.naming_series import ROYALTY_SERIES, wrong_series
from scoopjoy_dagster.erpnext.report_role import REPORT_ROLE
from scoopjoy_dagster.hq import signature
from scoopjoy_dagster.nearest import nearest

CLOCK_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
WATCHDOG_AT = time(6, 0)
"""When the watchdog looks whether the night is closed: the close must have begun by then."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
PREFIXES = ("SCOOPJOY_", "ERPNEXT_", "SMTP_")
ELSEWHERE = {
    "SCOOPJOY_POSTGRES_URL": (
        "PostgreSQL for Dagster's record of runs, postgresql+psycopg2://USER:PASSWORD@HOST:PORT/DATABASE, "
        "an @ in the password as %40; empty: one is brought along and kept in SCOOPJOY_DIRECTORY"
    ),
    "SCOOPJOY_DIRECTORY": (
        "Where the `scoopjoy` command keeps local state; empty: `.scoopjoy` at the top of the project"
    ),
    "SCOOPJOY_UI_TOKEN": (
        "What Dagster's UI asks for, with a reverse proxy that sends it; empty: `scoopjoy dev` makes a new one at each start"
    ),
}
"""Variables that are no part of `Settings`, and what they mean: they say where the program itself runs."""


class SettingsError(Exception):
    """The settings cannot be used; the text says which and why, a sentence each, and quotes no text that was set:
    a secret may stand in the wrong variable.
    """


def _env(name: str, default: Any = ..., *, description: str, **constraints: Any) -> Any:
    return Field(default, validation_alias=AliasChoices(name), description=description, **constraints)


class Settings(BaseSettings):
    """The settings, by the name of their environment variable. `docs/configuration.md` is made from this class."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    erpnext_url: str = _env(
        "ERPNEXT_URL", description="Root address of the ERPNext site, e.g. https://erp.example.com"
    )
    erpnext_api_key: SecretStr = _env("ERPNEXT_API_KEY", description="API key of the integration user")
    erpnext_api_secret: SecretStr = _env(
        "ERPNEXT_API_SECRET", description="API secret of the integration user"
    )
    erpnext_connect_timeout_s: float = _env(
        "ERPNEXT_CONNECT_TIMEOUT_S", 5.0, gt=0, description="Seconds to wait for a connection to ERPNext"
    )
    erpnext_read_timeout_s: float = _env(
        "ERPNEXT_READ_TIMEOUT_S",
        60.0,
        gt=0,
        description="Seconds to wait for an answer of ERPNext; must be longer than its slowest request; the whole answer may take twice as long",
    )
    erpnext_attempts: int = _env(
        "ERPNEXT_ATTEMPTS", 5, ge=1, le=10, description="How often a request that may be repeated is tried"
    )
    erpnext_ca_bundle: str = _env(
        "ERPNEXT_CA_BUNDLE",
        "",
        description="PEM file with the certificates of a private authority that signed ERPNext's; empty: the public ones",
    )
    go_live: date = _env(
        "SCOOPJOY_GO_LIVE",
        description="First business day to close, YYYY-MM-DD; earlier days are never touched",
    )
    company: str = _env(
        "SCOOPJOY_COMPANY", "", description="ERPNext company; empty: the only one of the site"
    )
    receivable_account: str = _env(
        "SCOOPJOY_RECEIVABLE_ACCOUNT",
        "",
        description="Account to debit; empty: as ERPNext would choose for each party: the Customer's, its group's, the company's default",
    )
    income_account: str = _env(
        "SCOOPJOY_ROYALTY_ACCOUNT", "", description="Account to credit; empty: `Royalty Income - <abbr>`"
    )
    cost_center: str = _env(
        "SCOOPJOY_COST_CENTER", "", description="Cost center; empty: the company's default"
    )
    entry_fields: str = _env(
        "SCOOPJOY_ENTRY_FIELDS",
        "",
        description="Fields that a royalty entry needs besides: `fieldname=value` for its account rows (accounting dimensions), "
        "`Journal Entry.fieldname=value` for the entry, separated by semicolons",
    )
    franchise_group: str = _env(
        "SCOOPJOY_FRANCHISE_GROUP",
        "Franchise",
        description="Customer Group of the franchises; groups below it count too",
    )
    royalty_series: Annotated[tuple[str, ...], NoDecode] = _env(
        "SCOOPJOY_ROYALTY_SERIES",
        ROYALTY_SERIES,
        description="Comma-separated naming series of royalty entries, one for each parallel request to ERPNext",
    )
    royalty_batch: int = _env(
        "SCOOPJOY_ROYALTY_BATCH",
        100,
        ge=1,
        le=200,
        description="Royalty entries per request at most; they are stored all or none",
    )
    policy_name: str = _env(
        "SCOOPJOY_POLICY_NAME", "standard", description="What finance calls the royalty policy"
    )
    default_rate: Decimal = _env(
        "SCOOPJOY_DEFAULT_RATE",
        Decimal(5),
        ge=0,
        le=100,
        description="Royalty in percent of a franchise without its own rate",
    )
    royalty_base: Base = _env(
        "SCOOPJOY_ROYALTY_BASE",
        Base.GRAND_TOTAL,
        description="`grand_total` or `net_total` of the Sales Invoices",
    )
    rounding: Rounding = _env(
        "SCOOPJOY_ROUNDING",
        Rounding.HALF_UP,
        description="`half_up`, `half_even` or `down`, once per franchise and day",
    )
    negative_days: NegativeDays = _env(
        "SCOOPJOY_NEGATIVE_DAYS",
        NegativeDays.SKIP,
        description="`skip` posts nothing for a negative base, `reverse` swaps the sides",
    )
    locked_days: LockedDays = _env(
        "SCOOPJOY_LOCKED_DAYS",
        LockedDays.EXCEPTION,
        description="`exception` keeps what a locked day does not take as an exception, `next_open_day` posts it then",
    )
    day_ends_at: time = _env(
        "SCOOPJOY_DAY_ENDS_AT",
        time(0, 0),
        description="When a business day ends, HH:MM on the next date; sales before it belong to the day before; "
        "at most SCOOPJOY_CLOSE_AT",
    )
    close_at: time = _env(
        "SCOOPJOY_CLOSE_AT",
        time(1, 0),
        description="When the business day that has ended is closed, HH:MM; before 06:00, when the watchdog looks",
    )
    closing_deadline_s: float = _env(
        "SCOOPJOY_CLOSING_DEADLINE_S",
        300.0,
        gt=0,
        description="Seconds to wait for a POS closing in the background, and for other writers to let us through",
    )
    last_sale_minutes: float = _env(
        "SCOOPJOY_LAST_SALE_MINUTES",
        15.0,
        ge=0,
        le=240,
        description="Minutes for which a till must have sold nothing before its shift is closed; 0: close it at once",
    )
    selling_deadline_minutes: float = _env(
        "SCOOPJOY_SELLING_DEADLINE_MINUTES",
        30.0,
        ge=0,
        le=240,
        description="Minutes for which the close waits for shifts that still sell; then they are exception rows",
    )
    lookback_days: int = _env(
        "SCOOPJOY_LOOKBACK_DAYS",
        7,
        ge=1,
        le=92,
        description="Days back that the nightly schedule catches up by itself",
    )
    night_minutes: int = _env(
        "SCOOPJOY_NIGHT_MINUTES",
        15,
        ge=1,
        le=360,
        description="Minutes that the close of a night may take; a run that is older excuses no day at the watchdog's look",
    )
    late_change_days: int = _env(
        "SCOOPJOY_LATE_CHANGE_DAYS",
        45,
        ge=1,
        le=400,
        description="Days back in which changes after the close are looked for",
    )
    smtp_host: str = _env(
        "SMTP_HOST", "", description="Mail server; empty: no mail is sent, and every run says so"
    )
    smtp_port: int = _env("SMTP_PORT", 587, ge=1, le=65535, description="Port of the mail server")
    smtp_security: Literal["none", "starttls", "tls"] = _env(
        "SMTP_SECURITY",
        "starttls",
        description="`starttls`, `tls`, or `none` (only for a server on this machine)",
    )
    smtp_username: str = _env("SMTP_USERNAME", "", description="Login at the mail server; empty: none")
    smtp_password: SecretStr = _env("SMTP_PASSWORD", SecretStr(""), description="Password at the mail server")
    smtp_sender: str = _env("SMTP_SENDER", "", description="From address of reports and alerts")
    smtp_ehlo_name: str = _env(
        "SMTP_EHLO_NAME",
        "",
        pattern=r"^(|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[A-Za-z0-9:.]+\])$",
        description="Name that this machine gives itself to the mail server; empty: the domain of SMTP_SENDER",
    )
    report_role: str = _env(
        "SCOOPJOY_REPORT_ROLE",
        REPORT_ROLE,
        description="Enabled users with this role get the daily report; `scoopjoy setup` makes the default",
    )
    report_recipients: Annotated[tuple[str, ...], NoDecode] = _env(
        "SCOOPJOY_REPORT_RECIPIENTS",
        (),
        description="Comma-separated addresses that get the report instead of the role",
    )
    report_outlets: Annotated[tuple[str, ...], NoDecode] = _env(
        "SCOOPJOY_REPORT_OUTLETS",
        (),
        description="Who gets the report of some outlets alone: `address=outlet` pairs separated by semicolons; see docs/reports.md",
    )
    alert_recipients: Annotated[tuple[str, ...], NoDecode] = _env(
        "SCOOPJOY_ALERT_RECIPIENTS",
        (),
        description="Comma-separated addresses for alerts; empty: ERPNext's System Managers",
    )
    alert_channels: SecretStr = _env(
        "SCOOPJOY_ALERT_CHANNELS",
        SecretStr(""),
        description="URLs of channels for alerts, by apprise, separated by spaces or line breaks; see docs/alerts.md",
    )
    heartbeat_url: SecretStr = _env(
        "SCOOPJOY_HEARTBEAT_URL",
        SecretStr(""),
        description="Address that is called after every settled night and every good watchdog; empty: none",
    )
    runbook_url: str = _env(
        "SCOOPJOY_RUNBOOK_URL",
        "",
        description="Address of the runbook for links in alerts; empty: its path, docs/operations.md, is shown",
    )
    hq_url: str = _env(
        "SCOOPJOY_HQ_URL",
        "",
        description="Where headquarters takes the day's totals; empty: none, and every run says so",
    )
    hq_secret: SecretStr = _env(
        "SCOOPJOY_HQ_SECRET",
        SecretStr(""),
        description="Secret that deliveries to headquarters are signed with: `whsec_...` (shared), `whsk_...` (private ed25519 key), "
        "or any other text of at least 24 bytes (shared); see docs/hq-protocol.md",
    )
    hq_previous_secret: SecretStr = _env(
        "SCOOPJOY_HQ_PREVIOUS_SECRET",
        SecretStr(""),
        description="The secret before, while it is being replaced: deliveries are signed with both; empty: none",
    )
    clear_text_hosts: Annotated[tuple[str, ...], NoDecode] = _env(
        "SCOOPJOY_CLEAR_TEXT_HOSTS",
        (),
        description="Comma-separated hosts to which ERPNEXT_URL and SCOOPJOY_HQ_URL may be http://: whoever is on the way reads "
        "the keys and the sales, and may change what is posted; empty: this machine only",
    )
    ui_url: str = _env(
        "SCOOPJOY_UI_URL", "http://127.0.0.1:3000", description="Address of Dagster's UI, for links in alerts"
    )
    batch_run_desk: Literal["on", "off"] = _env(
        "SCOOPJOY_BATCH_RUN_DESK",
        "on",
        description="`on` shows every run as a Batch Run in ERPNext and starts the runs that people ask for there",
    )
    automation: Literal["on", "off"] = _env(
        "SCOOPJOY_AUTOMATION",
        "on",
        description="`off` leaves schedules and sensors stopped until someone starts them in the UI",
    )
    executor: Literal["in_process", "multiprocess", "celery", "k8s"] = _env(
        "SCOOPJOY_EXECUTOR",
        "in_process",
        description="What works on the steps of a run: `in_process`, `multiprocess`, `celery` or `k8s`; see docs/scale.md",
    )
    celery_broker: SecretStr = _env(
        "SCOOPJOY_CELERY_BROKER",
        SecretStr(""),
        description="Redis that carries Celery's tasks and their results, redis://HOST:PORT/NUMBER; for SCOOPJOY_EXECUTOR=celery",
    )
    celery_queue: str = _env(
        "SCOOPJOY_CELERY_QUEUE",
        "dagster",
        description="Queue of the Celery workers of this ERPNext site; each site has its own",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
    )
    step_pods: str = _env(
        "SCOOPJOY_STEP_PODS",
        "",
        description="YAML file with the Kubernetes settings of single steps, by asset, for SCOOPJOY_EXECUTOR=k8s; empty: "
        "all as the run",
    )

    event_log_days: int = _env(
        "SCOOPJOY_EVENT_LOG_DAYS",
        90,
        ge=0,
        description="Days that Dagster keeps the details of an ended run's event log, purged once a week; 0: for good",
    )

    @field_validator("erpnext_url", "hq_url", "ui_url", "runbook_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "must be a full address that begins with http:// or https://"
            raise ValueError(message)
        if parts.username or parts.password:
            message = "must not carry a user name or password; keys have settings of their own"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("erpnext_url")
    @classmethod
    def _is_root(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.path or parts.query or parts.fragment:
            message = f"must be the root address of the site: use {parts.scheme}://{parts.netloc}"
            raise ValueError(message)
        return value

    @field_validator(
        "erpnext_api_key",
        "erpnext_api_secret",
        "smtp_password",
        "hq_secret",
        "hq_previous_secret",
        mode="before",
    )
    @classmethod
    def _is_one_word(cls, value: object, info: ValidationInfo) -> object:
        # A line break from a secret file: HTTP refuses such a header, and the message would not say why.
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and (text != text.strip() or not text.isprintable()):
            message = "must have no space or line break at its ends, and no control characters"
            raise ValueError(message)
        # Those of headquarters only sign, so they may have any characters.
        if not str(info.field_name).startswith("hq_") and isinstance(text, str) and not text.isascii():
            message = "must have ASCII characters only: no request header and no mail login can carry others"
            raise ValueError(message)
        return value

    @field_validator("hq_secret", "hq_previous_secret")
    @classmethod
    def _can_sign(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        text = value.get_secret_value()
        replaced = info.field_name == "hq_previous_secret"
        wrong = signature.problem(text, replaced=replaced) if text else ""
        if wrong:
            raise ValueError(wrong)
        return value

    @field_validator("clear_text_hosts", mode="before")
    @classmethod
    def _are_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(part.strip().lower() for part in value.split(",") if part.strip())
        for host in value if isinstance(value, tuple) else ():
            if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:]+", host):
                message = f"{host!r} is no host name; name hosts alone, without http:// and port"
                raise ValueError(message)
        return value

    @field_validator("day_ends_at", "close_at", mode="before")
    @classmethod
    def _is_clock_time(cls, value: object) -> object:
        # Pydantic would take seconds since midnight, fractions and time zones, too.
        if isinstance(value, str) and not CLOCK_TIME.fullmatch(value):
            message = "must be a time of day as HH:MM, e.g. 03:00"
            raise ValueError(message)
        return value

    @field_validator("alert_channels")
    @classmethod
    def _are_channels(cls, value: SecretStr) -> SecretStr:
        # What apprise makes of them is seen by `scoopjoy check` and at every tick: it takes a second to load.
        for number, url in enumerate(value.get_secret_value().split(), start=1):
            if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
                message = f"its part {number} is no URL; each must look like scheme://..."
                raise ValueError(message)
        return value

    @field_validator("heartbeat_url")
    @classmethod
    def _is_secret_address(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (parts.scheme not in {"http", "https"} or not parts.hostname):
            message = "must be a full address that begins with http:// or https://"
            raise ValueError(message)
        return value

    @field_validator("report_recipients", "alert_recipients", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, tuple) and any("@" not in str(one) for one in value):
            message = "must be e-mail addresses separated by commas"
            raise ValueError(message)
        return value

    @field_validator("royalty_series", mode="before")
    @classmethod
    def _are_series(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip()) or ROYALTY_SERIES
        wrong = wrong_series(value) if isinstance(value, tuple) else ""
        if wrong:
            raise ValueError(wrong)
        return value

    @field_validator("entry_fields")
    @classmethod
    def _are_entry_fields(cls, value: str) -> str:
        EntryFields.parse(value)
        return value

    @field_validator("report_outlets", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = tuple(part.strip() for part in value.split(";") if part.strip())
        for number, pair in enumerate(pairs, start=1):
            address, equals, outlet = (part.strip() for part in pair.partition("="))
            if not equals or not outlet or "@" not in address or " " in address:
                message = f"its part {number} is not of the form address=outlet, e.g. bandra@example.com=POS Bandra; separate pairs with semicolons"
                raise ValueError(message)
        return pairs

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        if self.close_at >= WATCHDOG_AT:
            message = (
                f"SCOOPJOY_CLOSE_AT is {self.close_at:%H:%M}, but the watchdog looks at {WATCHDOG_AT:%H:%M} whether the "
                "night is closed; set it to an earlier time"
            )
            raise ValueError(message)
        if self.day_ends_at > self.close_at:
            message = (
                f"SCOOPJOY_DAY_ENDS_AT is {self.day_ends_at:%H:%M}, later than SCOOPJOY_CLOSE_AT ({self.close_at:%H:%M}); "
                "a business day can be closed only after it has ended: set SCOOPJOY_CLOSE_AT to the same time or a later one"
            )
            raise ValueError(message)
        if self.erpnext_ca_bundle and not Path(self.erpnext_ca_bundle).is_file():
            message = "ERPNEXT_CA_BUNDLE does not name a file"
            raise ValueError(message)
        if self.smtp_host and not self.smtp_sender:
            message = "SMTP_HOST is set but SMTP_SENDER is not; set it to the address that reports come from"
            raise ValueError(message)
        if bool(self.smtp_username) != bool(self.smtp_password.get_secret_value()):
            message = "SMTP_USERNAME and SMTP_PASSWORD belong together; set both or neither"
            raise ValueError(message)
        if self.smtp_username and self.smtp_security == "none" and self.smtp_host not in LOOPBACK:
            message = (
                "SMTP_SECURITY is none: the password would cross the network unencrypted; set starttls or tls"
            )
            raise ValueError(message)
        if self.executor == "celery" and not re.match(r"rediss?://.", self.celery_broker.get_secret_value()):
            message = (
                "SCOOPJOY_EXECUTOR is celery but SCOOPJOY_CELERY_BROKER does not name a Redis; "
                "set it to redis://HOST:PORT/NUMBER (or rediss://... with TLS)"
            )
            raise ValueError(message)
        if self.hq_url and not self.hq_secret.get_secret_value():
            message = "SCOOPJOY_HQ_URL is set but SCOOPJOY_HQ_SECRET is not; headquarters needs a signature"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _encrypted(self) -> Settings:
        for name, url in (("ERPNEXT_URL", self.erpnext_url), ("SCOOPJOY_HQ_URL", self.hq_url)):
            parts = urlsplit(url)
            if parts.scheme == "http" and not self._may_be_clear_text(parts.hostname or ""):
                message = (
                    f"{name} is http://: keys and amounts would cross the network unencrypted; use https://, or name "
                    f"{parts.hostname} in SCOOPJOY_CLEAR_TEXT_HOSTS if nobody else is on the way"
                )
                raise ValueError(message)
        return self

    def _may_be_clear_text(self, host: str) -> bool:
        try:
            local = ip_address(host).is_loopback
        except ValueError:
            local = host in LOOPBACK
        return local or host in self.clear_text_hosts

    @property
    def policy(self) -> RoyaltyPolicy:
        """The royalty policy in force."""
        return RoyaltyPolicy(
            self.policy_name,
            self.default_rate,
            self.royalty_base,
            self.rounding,
            self.negative_days,
            self.locked_days,
        )

    # The settings come from a mapping that is passed in or from the environment; never from a file in the
    # working directory, so that where a command is started does not change what it does.
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only explicit values and the environment."""
        return init_settings, env_settings


def load_settings(values: Mapping[str, str] | None = None) -> Settings:
    """The settings from the environment; `values` (by environment name) come before it.

    Raises:
        SettingsError: with one sentence for each setting that is missing or wrong.
    """
    try:
        return Settings(**dict(values or {}))  # type: ignore[arg-type]  # the aliases are the environment's names
    except ValidationError as problem:
        raise SettingsError(
            " ".join(_sentence(error) for error in problem.errors(include_input=False))
        ) from None


def variable(field: str) -> str:
    """Name of the environment variable of a setting."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field


def refusal(name: str, values: Mapping[str, str]) -> str:
    """Why the setting `name` cannot have the value that it has in `values`: a sentence, or empty when it can.

    Settings are judged alone; that several belong together is seen by `load_settings`.
    """
    try:
        Settings(**dict(values))  # type: ignore[arg-type]  # the aliases are the environment's names
    except ValidationError as problem:
        errors = problem.errors(include_input=False)
        return " ".join(_sentence(error) for error in errors if error["loc"][:1] == (name,))
    return ""


def unread(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that look like settings and that nothing reads, each with the setting that it resembles, or empty.

    Every unknown SCOOPJOY_... is one; ERPNEXT_... and SMTP_... may be another program's, so that they must resemble a
    setting to count.
    """
    known = {variable(field) for field in Settings.model_fields} | set(ELSEWHERE)
    found = {}
    for name in sorted(environment):
        if name in known or not name.startswith(PREFIXES):
            continue
        near = nearest(name, known, enough=0.85)
        if near or name.startswith("SCOOPJOY_"):
            found[name] = near
    return found


def _sentence(error: Any) -> str:
    reason = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return f"{reason}."
    name = str(error["loc"][0])
    meaning = next(
        (one.description for key, one in Settings.model_fields.items() if variable(key) == name), ""
    )
    if error["type"] == "missing":
        misspelt = [one for one, meant in unread(os.environ).items() if meant == name]
        asked = f" Is {misspelt[0]} meant to be {name}? Nothing reads it." if misspelt else ""
        return f"{name} is not set: {meaning}.{asked}"
    return f"{name} is wrong: {reason[0].lower()}{reason[1:]} ({meaning})."
