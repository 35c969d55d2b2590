"""A small franchise chain on the embedded ERPNext, with headquarters and mail beside it, and the close run on it.

Here: starting the embedded servers, changing facts in ERPNext as a person would, running assets through Dagster, and
oracles that read the embedded database directly. Not here: expectations of a single test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg

from scoopjoy_dagster.accounting.totals import totals_of
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.definitions import JOB, build_defs
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.report_role import REPORT_ROLE
from scoopjoy_dagster.erpnext.royalty_shares import DOCTYPE, SALE_ENTRY, SALE_RATE, SALE_SHARE, TABLE
from scoopjoy_dagster.erpnext.session import RetryRule, Session
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.headquarters import HeadquartersResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster.settings import load_settings

DAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 23, 1, 0)
PAISA = Decimal("0.01")

KORAMANGALA = "Franchise Koramangala"  # 4.5 %, group Owned Outlets
INDIRANAGAR = "Franchise Indiranagar"  # no rate of its own: 5 %
HEBBAL = "Franchise Hebbal"  # exempt
THANE = "Franchise Thane"  # 7.5 %, group Partner Outlets
BANJARA = "Franchise Banjara Hills"  # 8 %, group Metro Partners, below Partner Outlets, below Franchise
GELATO = 'Gelato "N" Go / Pune & Co 🍦'  # 7.125 %, group Metro Partners
FRANCHISES = (KORAMANGALA, INDIRANAGAR, HEBBAL, THANE, BANJARA, GELATO)
RATES = {
    KORAMANGALA: Decimal("4.5"),
    INDIRANAGAR: Decimal(5),
    HEBBAL: Decimal(0),
    THANE: Decimal("7.5"),
    BANJARA: Decimal(8),
    GELATO: Decimal("7.125"),
}
BANDRA = "POS Bandra"
CASHIER = "cashier.bandra@scoopjoy.example"
MANAGERS = ("sales.head@scoopjoy.example", "ops.manager@scoopjoy.example")


def build_template(path: Path, line: str = "v15", invoice_type: str = "POS Invoice") -> None:
    """Write the site that every test starts from: masters, our custom fields, six franchises with their terms.

    `line`: of ERPNext; `invoice_type`: what its tills make.
    """
    made = SandboxERPNext(":memory:", clock=lambda: NOW, line=line)
    seed.master_data(made, invoice_type=invoice_type)
    for franchise in seed.FRANCHISES:
        if franchise.name in FRANCHISES:
            seed.add_franchise(made, franchise.name, group=franchise.group)
    made.start()
    with Session(made.url, made.robot.api_key, made.robot.api_secret) as session:
        client = Client(session)
        install(client, read_installation(client), lambda _step: None)
    seed.set_royalty_terms(made)
    seed.give_report_role(made, REPORT_ROLE)
    made.snapshot(path)
    made.close()


@contextmanager
def started_site(template: Path, line: str = "v15") -> Iterator[SandboxERPNext]:
    """An embedded ERPNext of its own, from the template."""
    with SandboxERPNext(
        ":memory:", clock=lambda: NOW, background_delay_s=0.0, template=template, line=line
    ) as made:
        yield made


def session_of(
    erpnext: SandboxERPNext,
    *,
    user: str = "robot@scoopjoy.example",
    attempts: int = 5,
    read_timeout_s: float = 60.0,
) -> Session:
    """A session of a user of the embedded ERPNext, with short waits."""
    who = erpnext.credentials(user)
    return Session(
        erpnext.url,
        who.api_key,
        who.api_secret,
        read_timeout_s=read_timeout_s,
        retry=RetryRule(attempts=attempts, first_wait_s=0.001, longest_wait_s=0.002),
    )


# -- facts, changed as a person at ERPNext's desk would ---------------------------------------------------------


def change(erpnext: SandboxERPNext, doctype: str, name: str, **values: Any) -> None:
    """Set fields of a document as Administrator, with ERPNext's validations."""
    session = erpnext.session()
    with erpnext.site.transaction():
        doc = session.load(doctype, name)
        session.amend(doc, values)
        session.save(doc)


def hide_a_closing(world: World, *, hidden: bool) -> None:
    """Cancel one POS Closing Entry by SQL, or take that back: the day tells of one shift less, and nothing is to be posted."""
    name = min(one["name"] for one in world.erpnext.documents("POS Closing Entry"))
    with world.erpnext.site.transaction():
        world.erpnext.site.db.run(
            'UPDATE "tabPOS Closing Entry" SET docstatus = ? WHERE name = ?', (2 if hidden else 1, name)
        )


PARTIES = (("GL Entry", "party"), ("Journal Entry Account", "party"), ("Royalty Share", "franchise"))
"""Fields beside the links to Customer that follow when one is renamed."""


def rename(erpnext: SandboxERPNext, old: str, new: str) -> None:
    """Rename a Customer as ERPNext does: whatever links to it follows, and no document is modified."""
    with erpnext.site.transaction():
        erpnext.site.db.run(
            'UPDATE "tabCustomer" SET name = ?, customer_name = ? WHERE name = ?', (new, new, old)
        )
        _relink(erpnext, old, new)
    erpnext.site.forget("Customer")  # it keeps the names that it has seen


def merge(erpnext: SandboxERPNext, old: str, new: str) -> None:
    """Merge a Customer into another as ERPNext does when it is renamed with `merge`."""
    with erpnext.site.transaction():
        erpnext.site.db.run('DELETE FROM "tabCustomer" WHERE name = ?', (old,))
        _relink(erpnext, old, new)
    erpnext.site.forget("Customer")


def _relink(erpnext: SandboxERPNext, old: str, new: str) -> None:
    links = erpnext.site.db.rows(
        "SELECT parent, fieldname FROM \"tabDocField\" WHERE fieldtype = 'Link' AND options = 'Customer'"
    )
    for doctype, column in {*PARTIES, *((str(parent), str(name)) for parent, name in links)}:
        erpnext.site.db.run(f'UPDATE "tab{doctype}" SET {column} = ? WHERE {column} = ?', (new, old))


def insert(erpnext: SandboxERPNext, doctype: str, *, user: str = "Administrator", **values: Any) -> str:
    """Insert a document; returns its name."""
    session = erpnext.session(user)
    with erpnext.site.transaction():
        return session.insert(session.new(doctype, values)).name


def dollar_debtors(erpnext: SandboxERPNext) -> str:
    """A receivable account in US dollars; returns its name."""
    return insert(
        erpnext,
        "Account",
        account_name="Dollar Debtors",
        company="ScoopJoy",
        parent_account="Accounts Receivable - SJ",
        account_type="Receivable",
        account_currency="USD",
    )


SHARE_FIELDS = ("document_type", "document", "business_day", "franchise", "royalty_base", "royalty_share")


def amend(erpnext: SandboxERPNext, entry: str, amount: Decimal, *, docstatus: int = 1) -> str:
    """Amend a cancelled Journal Entry to another amount, as the desk does, with its shares, and submit it. Returns the amendment."""
    old = erpnext.documents("Journal Entry", name=entry)[0]
    rows = [
        {
            "account": row["account"],
            "party_type": row["party_type"],
            "party": row["party"],
            "cost_center": row["cost_center"],
            "debit_in_account_currency": float(amount) if row["debit_in_account_currency"] else 0,
            "credit_in_account_currency": float(amount) if row["credit_in_account_currency"] else 0,
        }
        for row in old["accounts"]
    ]
    return insert(
        erpnext,
        "Journal Entry",
        voucher_type="Journal Entry",
        company="ScoopJoy",
        posting_date=old["posting_date"],
        amended_from=entry,
        accounts=rows,
        **{TABLE: [{name: row[name] for name in SHARE_FIELDS} for row in old[TABLE]]},
        docstatus=docstatus,
    )


def by_hand(
    erpnext: SandboxERPNext,
    customer: str,
    day: date,
    *,
    amount: float = 96.66,
    remark: str = "settled on the phone",
    income: str = "Royalty Income - SJ",
    party_on_income: bool = False,
    **fields: Any,
) -> str:
    """A royalty entry of a person; a negative amount is a credit. Returns its name."""
    side, other = ("debit", "credit") if amount > 0 else ("credit", "debit")
    party = {"party_type": "Customer", "party": customer}
    row = {"cost_center": "Main - SJ"}
    return insert(
        erpnext,
        "Journal Entry",
        **{"docstatus": 1, **fields},
        voucher_type="Journal Entry",
        company="ScoopJoy",
        posting_date=day.isoformat(),
        user_remark=remark,
        accounts=[
            {"account": "Debtors - SJ", f"{side}_in_account_currency": abs(amount), **party, **row},
            {
                "account": income,
                f"{other}_in_account_currency": abs(amount),
                **(party if party_on_income else {}),
                **row,
            },
        ],
    )


# -- oracles ----------------------------------------------------------------------------------------------------


def exact(value: object) -> Decimal:
    return Decimal(str(value or 0)).quantize(PAISA)


def entries(erpnext: SandboxERPNext, customer: str = "", day: date = DAY) -> list[dict[str, Any]]:
    """Royalty Journal Entries of the day with our key, in order of name; all docstatus."""
    found = [
        doc for doc in erpnext.documents("Journal Entry", posting_date=day.isoformat()) if doc.get(KEY_FIELD)
    ]
    return [doc for doc in found if not customer or doc["accounts"][0]["party"] == customer]


def owed(erpnext: SandboxERPNext, customer: str, day: date = DAY) -> Decimal:
    """What the ledger says that a customer owes by Journal Entries of the day: debit minus credit."""
    rows = erpnext.documents(
        "GL Entry", voucher_type="Journal Entry", party=customer, posting_date=day.isoformat(), is_cancelled=0
    )
    return sum((exact(row["debit"]) - exact(row["credit"]) for row in rows), Decimal(0))


def shown(erpnext: SandboxERPNext, name: str, doctype: str = "Sales Invoice") -> tuple[Decimal, Decimal, str]:
    """Royalty rate, share and entries of a sale, as ERPNext answers who reads it."""
    with session_of(erpnext) as session:
        document = Client(session).get(doctype, name)
    return Decimal(str(document[SALE_RATE])), exact(document[SALE_SHARE]), document[SALE_ENTRY]


NO_ROYALTY = (Decimal(0), Decimal("0.00"), "")
"""What a sale shows that bears none."""


def carried(erpnext: SandboxERPNext, customer: str, day: date = DAY) -> Decimal:
    """The shares of sales in the entries of a customer that stand."""
    rows = erpnext.documents(DOCTYPE, franchise=customer, business_day=day.isoformat(), docstatus=1)
    return sum((exact(row["royalty_share"]) for row in rows if row["document"]), Decimal(0))


def by_rule(erpnext: SandboxERPNext, customer: str, rate: Decimal, day: date = DAY) -> Decimal:
    """What the rule says, computed here a second time from the invoices in the database."""
    of_day = {"customer": customer, "posting_date": day.isoformat(), "docstatus": 1}
    sales = [
        *erpnext.documents("Sales Invoice", is_consolidated=0, **of_day),
        *(doc for doc in erpnext.documents("POS Invoice", **of_day) if doc.get("consolidated_invoice")),
    ]
    sales = [
        doc
        for doc in sales
        if doc.get("is_opening") != "Yes" and doc.get("represents_company") != doc["company"]
    ]
    base = sum((exact(doc["base_grand_total"]) for doc in sales), Decimal(0))
    return (max(base, Decimal(0)) * rate / 100).quantize(PAISA, ROUND_HALF_UP)


def ledger_balance(erpnext: SandboxERPNext) -> Decimal:
    """Debit minus credit of the whole ledger: nothing, whatever happened."""
    rows = erpnext.documents("GL Entry")
    return sum((exact(row["debit"]) - exact(row["credit"]) for row in rows), Decimal(0))


def submitted_closings(erpnext: SandboxERPNext, opening: str) -> list[dict[str, Any]]:
    return [
        doc
        for doc in erpnext.documents("POS Closing Entry", pos_opening_entry=opening)
        if doc["docstatus"] == 1
    ]


def unconsolidated(erpnext: SandboxERPNext, invoices: list[str]) -> list[str]:
    """Those of these POS Invoices that have no consolidated Sales Invoice, so no ledger entry."""
    return [
        name
        for name in invoices
        if not erpnext.documents("POS Invoice", name=name)[0]["consolidated_invoice"]
    ]


# -- the close ----------------------------------------------------------------------------------------------------


@dataclass
class Close:
    """What one run came to."""

    result: dg.ExecuteInProcessResult
    instance: dg.DagsterInstance

    @property
    def success(self) -> bool:
        return self.result.success

    @cached_property
    def logged(self) -> list[dg.DagsterEvent]:
        """Every event of the run as the instance keeps it: also those that a step logged before it failed."""
        records = self.instance.all_logs(self.result.run_id)
        return [record.dagster_event for record in records if record.dagster_event]

    def status(self, asset: str) -> str:
        """`success`, `failure`, `skipped`, or `never` for an asset that did not come to its turn."""
        kinds = {
            dg.DagsterEventType.STEP_SUCCESS: "success",
            dg.DagsterEventType.STEP_FAILURE: "failure",
            dg.DagsterEventType.STEP_SKIPPED: "skipped",
        }
        found = [
            kinds[event.event_type]
            for event in self.result.all_events
            if event.event_type in kinds and event.step_key == asset
        ]
        return found[-1] if found else "never"

    def materializations(self, asset: str) -> list[dg.AssetMaterialization]:
        return [
            event.step_materialization_data.materialization
            for event in self.logged
            if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION
            and event.asset_key == dg.AssetKey(asset)
        ]

    def observations(self, asset: str) -> list[dg.AssetObservation]:
        return [
            event.asset_observation_data.asset_observation
            for event in self.logged
            if event.event_type == dg.DagsterEventType.ASSET_OBSERVATION
            and event.asset_key == dg.AssetKey(asset)
        ]

    def failure(self, asset: str) -> dg.StepFailureData:
        for event in self.result.get_step_failure_events():
            if event.step_key == asset:
                return event.step_failure_data
        raise AssertionError(f"{asset} did not fail: {self.status(asset)}")

    def metadata(self, asset: str) -> Mapping[str, dg.MetadataValue[Any]]:
        """Metadata of the only day of a run, of the materialization or of the failure."""
        found = self.materializations(asset)
        if found:
            assert len(found) == 1, found
            return found[0].metadata
        data = self.failure(asset).user_failure_data
        assert data is not None, self.failure(asset)
        return data.metadata

    def outcome(self, asset: str) -> dict[str, Any]:
        """The outcome as the `scoopjoy` command reads it."""
        return json.loads(json.dumps(self.metadata(asset)["outcome"].value))

    def exceptions(self, asset: str, what: str = "", severity: str = "error") -> list[dict[str, str]]:
        return [
            row
            for row in self.outcome(asset)["exceptions"]
            if row["severity"] == severity and what in row["what"]
        ]

    def warnings(self, asset: str, what: str = "") -> list[dict[str, str]]:
        return self.exceptions(asset, what, "warning")

    def check(self, name: str) -> dg.AssetCheckEvaluation:
        """The one answer of a control total in this run."""
        (found,) = [one for one in self.result.get_asset_check_evaluations() if one.check_name == name]
        return found


_jobs: dict[str, dg.JobDefinition] = {}


@dataclass
class World:
    """The chain, and the five assets pointed at it."""

    erpnext: SandboxERPNext
    instance: dg.DagsterInstance
    headquarters: SandboxHQ | None = None
    mail: MailSink | None = None
    policy: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """Overrides for the ERPNext resource."""
    mail_options: dict[str, Any] = field(default_factory=dict)
    """Overrides for the mail resource."""
    now: datetime = NOW
    day_ends_at: str = "00:00"

    @property
    def erpnext_options(self) -> dict[str, Any]:
        return {
            "first_wait_s": 0.001,
            "closing_poll_s": 0.02,
            "closing_deadline_s": 20.0,
            "day_ends_at": self.day_ends_at,
            **self.options,
        }

    @property
    def erpnext_resource(self) -> ERPNextResource:
        """The resource as a step sees it, for tests that work without Dagster."""
        who = self.erpnext.robot
        return ERPNextResource(
            **{
                "url": self.erpnext.url,
                "api_key": who.api_key,
                "api_secret": who.api_secret,
                **self.erpnext_options,
            }
        )

    def tools(self, **others: Any) -> Tools:
        """What a step works with, for tests that work without Dagster: no mail server and no headquarters, unless given."""
        given = {
            "erpnext": self.erpnext_resource,
            "royalty_policy": RoyaltyPolicyResource(**self.policy),
            "mail": MailResource(),
            "headquarters": HeadquartersResource(),
            "clock": ClockResource(fixed=f"{self.now.isoformat()}+05:30"),
            "close": CloseResource(),
        }
        return Tools(**{**given, **others})

    @property
    def environment(self) -> dict[str, str]:
        """Addresses and secrets of the embedded servers, as the definitions name them."""
        who = self.erpnext.robot
        found = {
            "TEST_ERPNEXT_URL": self.erpnext.url,
            "TEST_ERPNEXT_KEY": who.api_key,
            "TEST_ERPNEXT_SECRET": who.api_secret,
        }
        if self.headquarters:
            found |= {"TEST_HQ_URL": self.headquarters.url, "TEST_HQ_SECRET": self.headquarters.secret}
        if self.mail:
            found["TEST_SMTP_PORT"] = str(self.mail.smtp_port)
        return found

    def job(self) -> dg.JobDefinition:
        """The nightly job, made once for each configuration: only addresses and secrets differ between worlds."""
        key = repr(
            (
                self.erpnext_options,
                self.mail_options,
                self.policy,
                self.now,
                bool(self.headquarters),
                bool(self.mail),
                "SCOOPJOY_POSTGRES_URL"
                in os.environ,  # the definitions name the variable only where it is set
            )
        )
        if key not in _jobs:
            _jobs[key] = self.defs().resolve_job_def(JOB)
        return _jobs[key]

    def defs(self) -> dg.Definitions:
        """The program's definitions, with resources that point at the embedded servers."""
        settings = load_settings(
            {
                "ERPNEXT_URL": "http://127.0.0.1:9",
                "ERPNEXT_API_KEY": "not used",
                "ERPNEXT_API_SECRET": "not used",
                "SCOOPJOY_GO_LIVE": "2026-11-01",
                "SCOOPJOY_DAY_ENDS_AT": self.day_ends_at,
                "SCOOPJOY_CLOSE_AT": "05:00",
            }
        )
        erpnext: dict[str, Any] = {
            "url": dg.EnvVar("TEST_ERPNEXT_URL"),
            "api_key": dg.EnvVar("TEST_ERPNEXT_KEY"),
            "api_secret": dg.EnvVar("TEST_ERPNEXT_SECRET"),
            **self.erpnext_options,
        }
        mail: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": dg.EnvVar.int("TEST_SMTP_PORT"),
            "security": "none",
            "sender": "ScoopJoy Nightly Close <close@scoopjoy.example>",
            "report_recipients": list(MANAGERS),
            **self.mail_options,
        }
        headquarters: dict[str, Any] = {
            "url": dg.EnvVar("TEST_HQ_URL"),
            "secret": dg.EnvVar("TEST_HQ_SECRET"),
            "backoff_s": [0.0],
        }
        return build_defs(
            settings,
            resources={
                "erpnext": ERPNextResource(**erpnext),
                "royalty_policy": RoyaltyPolicyResource(**self.policy),
                "headquarters": HeadquartersResource(**(headquarters if self.headquarters else {})),
                "mail": MailResource(**(mail if self.mail else {})),
                "clock": ClockResource(fixed=f"{self.now.isoformat()}+05:30"),
            },
        )

    def close(
        self,
        *assets: str,
        day: date = DAY,
        launchpad: Mapping[str, Mapping[str, Any]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Close:
        """Run these assets (none: all five) for a day.

        `launchpad`: what a person sets there for this run, by resource. `tags`: further tags of the run.
        """
        job = self.job()
        selection = [dg.AssetKey(name) for name in assets] or None
        with mock.patch.dict(os.environ, self.environment):
            result = job.execute_in_process(
                instance=self.instance,
                partition_key=day.isoformat(),
                asset_selection=selection,
                raise_on_error=False,
                tags=tags,
                # Thousands of log lines would bury the one assertion that failed.
                run_config={
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                    "resources": {name: {"config": one} for name, one in (launchpad or {}).items()},
                },
            )
        return Close(result, self.instance)

    def judge(self, *assets: str, day: date = DAY) -> Close:
        """Answer the control totals of these assets for a day, without the assets."""
        job = self.job().get_subset(
            asset_selection=set(),
            asset_check_selection={
                dg.AssetCheckKey(dg.AssetKey(asset), one.name) for asset in assets for one in totals_of(asset)
            },
        )
        with mock.patch.dict(os.environ, self.environment):
            return Close(
                job.execute_in_process(
                    instance=self.instance, partition_key=day.isoformat(), raise_on_error=False
                ),
                self.instance,
            )

    @contextmanager
    def site(self) -> Iterator[Site]:
        """The site as the assets open it."""
        with self.erpnext_resource.open() as site:
            yield site

    # -- facts --------------------------------------------------------------------------------------------

    def invoice(self, customer: str, amount: str, day: date = DAY, **options: Any) -> str:
        return seed.add_invoice(self.erpnext, customer, day, amount, **options)

    def shift(
        self, how_many: int | list[Any], *, opened: datetime | None = None, cashier: str = CASHIER
    ) -> seed.Shift:
        """A shift at Bandra with so many sales of 100.00 INR (and GST), or with these."""
        sales = ["100"] * how_many if isinstance(how_many, int) else how_many
        begin = opened or datetime.combine(DAY, datetime.min.time()) + timedelta(hours=10)
        return seed.add_shift(self.erpnext, BANDRA, cashier, begin, sales)

    def a_day(self) -> dict[str, str]:
        """Invoices of an ordinary day for every franchise, awkward amounts. Returns the first one of each."""
        made = {
            KORAMANGALA: self.invoice(KORAMANGALA, "12345.67"),
            INDIRANAGAR: self.invoice(INDIRANAGAR, "333.33"),
            HEBBAL: self.invoice(HEBBAL, "5000"),
            THANE: self.invoice(THANE, "1000.01"),
            BANJARA: self.invoice(BANJARA, "2718.28"),
            GELATO: self.invoice(GELATO, "99.99"),
        }
        self.invoice(THANE, "66.67")
        self.invoice(THANE, "100", is_return=True, return_against=made[THANE])
        return made

    def expected(self, day: date = DAY) -> dict[str, Decimal]:
        """Every franchise's royalty by the rule."""
        return {name: by_rule(self.erpnext, name, RATES[name], day) for name in FRANCHISES}

    def owed(self, day: date = DAY) -> dict[str, Decimal]:
        """Every franchise's royalty by the ledger."""
        return {name: owed(self.erpnext, name, day) for name in FRANCHISES}
