"""What `scoopjoy init` asks: one table, from which the options of the command are made as well.

Nothing is imported here: the shell's completion reads the table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A setting that is asked.

    Attributes:
        name: of the environment variable.
        option: of the command; that of a secret names a file.
        text: the question.
        follows: asked only where this setting has a value, and needed then unless `may_be_empty`.
        may_be_empty: whether an empty answer is one.
    """

    name: str
    option: str
    text: str
    follows: str = ""
    may_be_empty: bool = False

    @property
    def secret(self) -> bool:
        """Whether it comes from a file or the environment, and is asked without an echo."""
        return self.option.endswith("-file")


COMPANY = "SCOOPJOY_COMPANY"
SITE = ("ERPNEXT_URL", "ERPNEXT_API_KEY", "ERPNEXT_API_SECRET")
QUESTIONS = (
    Question("ERPNEXT_URL", "--erpnext-url", "Address of ERPNext"),
    Question("ERPNEXT_API_KEY", "--api-key-file", "API key of the integration user"),
    Question("ERPNEXT_API_SECRET", "--api-secret-file", "API secret of the integration user"),
    Question(COMPANY, "--company", "Company", may_be_empty=True),
    Question("SCOOPJOY_GO_LIVE", "--go-live", "First business day to close (earlier days are never touched)"),
    Question("SMTP_HOST", "--smtp-host", "Mail server (empty: no reports and alerts)", may_be_empty=True),
    Question("SMTP_PORT", "--smtp-port", "Port of the mail server", "SMTP_HOST"),
    Question("SMTP_SECURITY", "--smtp-security", "Encryption: starttls, tls or none", "SMTP_HOST"),
    Question(
        "SMTP_USERNAME",
        "--smtp-username",
        "Login at the mail server (empty: none)",
        "SMTP_HOST",
        may_be_empty=True,
    ),
    Question("SMTP_PASSWORD", "--smtp-password-file", "Password at the mail server", "SMTP_USERNAME"),
    Question("SMTP_SENDER", "--smtp-sender", "From address of reports and alerts", "SMTP_HOST"),
    Question("SCOOPJOY_HQ_URL", "--hq-url", "Address of headquarters (empty: none)", may_be_empty=True),
    Question("SCOOPJOY_HQ_SECRET", "--hq-secret-file", "Secret shared with headquarters", "SCOOPJOY_HQ_URL"),
)
