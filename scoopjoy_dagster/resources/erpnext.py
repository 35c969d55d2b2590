"""The ERPNext site as a resource of the assets."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import time, timedelta

import dagster as dg
from pydantic import Field, PrivateAttr

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.entry_fields import EntryFields
from scoopjoy_dagster.erpnext.naming_series import ROYALTY_SERIES
from scoopjoy_dagster.erpnext.pos import Patience
from scoopjoy_dagster.erpnext.session import RetryRule, Session
from scoopjoy_dagster.erpnext.site import BookSettings, Site


class ERPNextResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The REST API of an ERPNext site. Key and secret are always given as `EnvVar` and never shown."""

    url: str = Field(description="Root address of the site.")
    api_key: str = Field(repr=False, description="API key of the integration user.")
    api_secret: str = Field(repr=False, description="API secret of the integration user.")
    company: str = Field(default="", description="Company; empty: the only one of the site.")
    receivable_account: str = Field(
        default="", description="Account to debit; empty: as ERPNext would choose for each party."
    )
    income_account: str = Field(
        default="", description="Account to credit; empty: `Royalty Income - <abbr>`."
    )
    cost_center: str = Field(default="", description="Cost center; empty: the company's default.")
    franchise_group: str = Field(default="Franchise", description="Customer Group of the franchises.")
    royalty_series: list[str] = Field(
        default=list(ROYALTY_SERIES),
        description="Naming series of royalty entries, one for each parallel request.",
    )
    royalty_batch: int = Field(default=100, description="Royalty entries per request at most.")
    entry_fields: str = Field(
        default="", description="Further fields of an entry and its account rows, `fieldname=value` pairs."
    )
    day_ends_at: str = Field(
        default="00:00", description="When a business day ends, HH:MM on the next date, in site time."
    )
    connect_timeout_s: float = Field(default=5.0, description="Seconds to wait for a connection.")
    read_timeout_s: float = Field(default=60.0, description="Seconds to wait for an answer.")
    ca_bundle: str = Field(default="", description="PEM file with the certificates of a private authority.")
    attempts: int = Field(default=5, description="How often a request that may be repeated is tried.")
    first_wait_s: float = Field(
        default=0.5, description="Seconds before the first repetition; doubles each time."
    )
    closing_deadline_s: float = Field(
        default=300.0,
        description="Seconds to wait for a POS closing in the background, and for other writers to let us through.",
    )
    last_sale_minutes: float = Field(
        default=15.0,
        description="Minutes for which a till must have sold nothing before its shift is closed.",
    )
    selling_deadline_minutes: float = Field(
        default=30.0, description="Minutes for which a shift that still sells is waited for."
    )
    closing_poll_s: float = Field(
        default=1.0, description="Seconds between two looks at a POS closing in the background."
    )

    _run: "_RunSession | None" = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 - Dagster's signature
        """Dagster calls this once for a run (in process) or for a step (in a process of its own)."""
        self._run = _RunSession(self)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 - Dagster's signature
        """Dagster calls this when the run or the step has ended."""
        if self._run is not None:
            self._run.close()

    @contextmanager
    def open(self, stamp: Mapping[str, str] | None = None) -> Iterator[Site]:
        """A session with the site. `stamp`: see `erpnext.client.Client`.

        All steps that Dagster runs in one process share one: ERPNext is asked once what it is, and what one asset has
        read another need not read again. Elsewhere it is closed after the block.

        Raises:
            ERPNextError: the site cannot be reached, refuses the key, or runs a line of ERPNext that is not known.
        """
        # A copy with other settings has a session of its own.
        if self._run is not None and self._run.resource is self:
            yield self._run.site(stamp)
            return
        with self.session() as session:
            yield Site.open(session, self.book_settings, stamp)

    @contextmanager
    def glance(self) -> Iterator[Client]:
        """A session for what never holds up a close: nothing is asked about the site, and no request is repeated.

        Sensors look at the site every few seconds; their next look is the retry.

        Raises:
            ERPNextError: by the requests; opening asks nothing.
        """
        with self.impatient(8.0).session() as session:
            yield Client(session)

    def impatient(self, read_timeout_s: float) -> "ERPNextResource":
        """The same for a sensor: a tick has 60 seconds for everything, and the next one is the retry."""
        return self.model_copy(
            update={
                "connect_timeout_s": min(self.connect_timeout_s, 3.0),
                "read_timeout_s": min(self.read_timeout_s, read_timeout_s),
                "attempts": 1,
                "closing_deadline_s": 0.0,
            }
        )

    def session(self) -> Session:
        """A session by this configuration, for a `with` statement. Nothing is sent yet."""
        return Session(
            self.url,
            self.api_key,
            self.api_secret,
            connect_timeout_s=self.connect_timeout_s,
            read_timeout_s=self.read_timeout_s,
            ca_bundle=self.ca_bundle,
            retry=RetryRule(
                attempts=self.attempts,
                first_wait_s=self.first_wait_s,
                conflicts_s=self.closing_deadline_s,
            ),
        )

    @property
    def book_settings(self) -> BookSettings:
        """What the configuration says about the books."""
        return BookSettings(
            company=self.company,
            receivable_account=self.receivable_account,
            income_account=self.income_account,
            cost_center=self.cost_center,
            franchise_group=self.franchise_group,
            royalty_series=tuple(self.royalty_series),
            royalty_batch=self.royalty_batch,
            entry_fields=EntryFields.parse(self.entry_fields),
            day_ends_at=time.fromisoformat(self.day_ends_at),
        )

    @property
    def patience(self) -> Patience:
        """How long closings, other writers and shifts that still sell are waited for."""
        return Patience(
            self.closing_deadline_s,
            self.closing_poll_s,
            timedelta(minutes=self.last_sale_minutes),
            self.selling_deadline_minutes * 60,
        )

    def document_url(self, doctype: str, name: str) -> str:
        """Address of a document in ERPNext's desk."""
        from urllib.parse import quote

        return f"{self.url.rstrip('/')}/app/{quote(doctype.lower().replace(' ', '-'))}/{quote(name, safe='')}"


class _RunSession:
    """The session that the steps of a run share, opened when the first of them needs it."""

    def __init__(self, resource: ERPNextResource) -> None:
        self.resource = resource
        self._site: Site | None = None

    def site(self, stamp: Mapping[str, str] | None) -> Site:
        if self._site is None:
            with ExitStack() as opened:
                session = opened.enter_context(self.resource.session())
                self._site = Site.open(session, self.resource.book_settings)
                opened.pop_all()  # it stays open
        return self._site.stamped(stamp)

    def close(self) -> None:
        if self._site is not None:
            self._site.client.session.close()
            self._site = None
