"""The mail server and the recipients of reports and alerts, as a resource."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from scoopjoy_dagster.erpnext.report_role import REPORT_ROLE

if TYPE_CHECKING:
    from scoopjoy_dagster.reporting.mail import Mailer


class MailResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """SMTP settings. The password is always given as `EnvVar` and never shown."""

    host: str = Field(default="", description="Mail server; empty: no mail is sent.")
    port: int = Field(default=587, description="Port of the mail server.")
    security: str = Field(default="starttls", description="`starttls`, `tls` or `none`.")
    username: str = Field(default="", description="Login; empty: none.")
    password: str = Field(default="", repr=False, description="Password.")
    sender: str = Field(default="", description="From address.")
    ehlo_name: str = Field(default="", description="Name in EHLO; empty: the domain of the sender.")
    timeout_s: float = Field(default=30.0, description="Seconds to wait for the mail server.")
    report_role: str = Field(default=REPORT_ROLE, description="Enabled users with this role get the report.")
    report_recipients: list[str] = Field(
        default=[], description="Addresses that get the report instead of the role."
    )
    report_outlets: list[str] = Field(
        default=[],
        description="`address=outlet` pairs: these addresses get the report of their outlets alone.",
    )
    alert_recipients: list[str] = Field(
        default=[], description="Addresses for alerts instead of the System Managers."
    )
    ui_url: str = Field(default="", description="Address of Dagster's UI, for links.")

    @property
    def configured(self) -> bool:
        """Whether there is a mail server."""
        return bool(self.host)

    @property
    def outlets_by_address(self) -> list[tuple[str, str]]:
        """The pairs of `report_outlets`: address and outlet."""
        parts = (pair.partition("=") for pair in self.report_outlets)
        return [(address.strip(), outlet.strip()) for address, _, outlet in parts]

    def mailer(self) -> "Mailer":
        """A connection for one step; use it as a context manager."""
        from scoopjoy_dagster.reporting.mail import Mailer, SMTPSettings

        return Mailer(
            SMTPSettings(
                host=self.host,
                port=self.port,
                security=self.security,  # type: ignore[arg-type]  # checked where settings are loaded
                username=self.username or None,
                password=self.password or None,
                sender=self.sender,
                timeout_s=self.timeout_s,
                ehlo_name=self.ehlo_name,
            )
        )
