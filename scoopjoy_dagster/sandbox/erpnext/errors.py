"""The errors of a Frappe site: their class names, HTTP status and the messages that travel with them.

Belongs here: what an error is called on the wire. Does not belong here: when it is raised.
"""

from __future__ import annotations

from typing import Any

_FRAPPE = "frappe.exceptions"

#: exc_type -> (module of the class, HTTP status), as real servers answer.
KNOWN: dict[str, tuple[str, int]] = {
    "ValidationError": (_FRAPPE, 417),
    "AuthenticationError": (_FRAPPE, 401),
    "PermissionError": (_FRAPPE, 403),
    "DoesNotExistError": (_FRAPPE, 404),
    "DuplicateEntryError": (_FRAPPE, 409),
    "UniqueValidationError": (_FRAPPE, 417),
    "MandatoryError": (_FRAPPE, 417),
    "NameError": (_FRAPPE, 409),
    "CannotChangeConstantError": (_FRAPPE, 417),
    "LinkValidationError": (_FRAPPE, 417),
    "CancelledLinkError": (_FRAPPE, 417),
    "LinkExistsError": (_FRAPPE, 417),
    "TimestampMismatchError": (_FRAPPE, 417),
    "UpdateAfterSubmitError": (_FRAPPE, 417),
    "DocstatusTransitionError": (_FRAPPE, 417),
    "CharacterLengthExceededError": (_FRAPPE, 417),
    "DataError": (_FRAPPE, 417),
    "InvalidEmailAddressError": (_FRAPPE, 417),
    "OutgoingEmailError": (_FRAPPE, 501),
    "SessionStopped": (_FRAPPE, 503),
    "InReadOnlyMode": (_FRAPPE, 503),
    "TooManyRequestsError": (_FRAPPE, 429),
    "QueryDeadlockError": (_FRAPPE, 500),
    "QueryTimeoutError": (_FRAPPE, 500),
    "InvalidNamingSeriesError": ("frappe.model.naming", 417),
    "WrongOptionsDoctypeLinkError": ("frappe.core.doctype.doctype.doctype", 417),
    "HiddenAndMandatoryWithoutDefaultError": ("frappe.core.doctype.doctype.doctype", 417),
    "PartyDisabled": ("erpnext.exceptions", 417),
    "DuplicatePartyAccountError": ("erpnext.accounts.party", 417),
    "PartialPaymentValidationError": ("erpnext.accounts.doctype.sales_invoice.sales_invoice", 417),
    "FiscalYearError": ("erpnext.accounts.utils", 417),
    "InvalidQtyError": ("erpnext.controllers.accounts_controller", 417),
    "ClosedAccountingPeriod": ("erpnext.accounts.doctype.accounting_period.accounting_period", 417),
    "OverlapError": ("erpnext.accounts.doctype.accounting_period.accounting_period", 417),
    "ProgrammingError": ("pymysql.err", 500),
    "OperationalError": ("pymysql.err", 500),
    "JSONDecodeError": ("json.decoder", 500),
    "ConnectionError": ("redis.exceptions", 500),
    "PdfReadError": ("pypdf.errors", 500),
    "AttributeError": ("", 500),
    "TypeError": ("", 500),
    "IndexError": ("", 500),
    "ValueError": ("", 500),
    "KeyError": ("", 500),
    "ImportError": ("", 500),
    "SandboxNotImplemented": ("scoopjoy_dagster.sandbox.erpnext", 501),
}


class SiteError(Exception):
    """An error that the site answers with.

    Attributes:
        exc_type: Class name as the client sees it, e.g. ``ValidationError``.
        text: Message behind ``exception``; may be empty.
        server_messages: What ``_server_messages`` will hold beside the session's own messages.
        error_message: ``_error_message`` of permission errors.
        headers: Extra response headers (``Retry-After`` ...).
        doctype: Of the document that is missing.
        traceback: Whether ``exception`` and ``exc`` may be in the answer.
    """

    def __init__(
        self,
        exc_type: str,
        text: str = "",
        *,
        server_messages: list[dict[str, Any]] | None = None,
        error_message: str = "",
        headers: dict[str, str] | None = None,
        doctype: str = "",
        traceback: bool = True,
    ) -> None:
        super().__init__(f"{exc_type}: {text}")
        self.exc_type = exc_type
        self.text = text
        self.server_messages = server_messages or []
        self.error_message = error_message
        self.headers = headers or {}
        self.doctype = doctype
        self.traceback = traceback

    @property
    def status(self) -> int:
        return KNOWN[self.exc_type][1]

    @property
    def exception(self) -> str:
        """The ``exception`` string: module, class and text."""
        module = KNOWN[self.exc_type][0]
        if self.exc_type == "ImportError":
            return f"Error: {self.text}"
        qualified = f"{module}.{self.exc_type}" if module else self.exc_type
        return f"{qualified}: {self.text}" if self.text else qualified


def thrown(text: str | list[str], exc_type: str = "ValidationError", *, title: str = "Message") -> SiteError:
    """The error of ``frappe.throw``: its text is also a server message. A list is sent ``as_list``."""
    message: dict[str, Any] = {"message": text}
    if isinstance(text, list):
        message["as_list"] = 1
    message |= {"title": title, "indicator": "red", "raise_exception": 1}
    shown = text if isinstance(text, str) else "[" + ", ".join(f'"{line}"' for line in text) + "]"
    return SiteError(exc_type, shown, server_messages=[message])


def noted(text: str, exc_type: str, message: str) -> SiteError:
    """An error raised beside a plain message (``frappe.msgprint``), as for unique and mandatory fields."""
    return SiteError(exc_type, text, server_messages=[{"message": message, "title": "Message"}])


def unknown_to_the_sandbox(what: str) -> SiteError:
    """Refusal of something that this server does not imitate; loud, so that no test passes by accident."""
    return SiteError("SandboxNotImplemented", f"the embedded ERPNext does not imitate: {what}")


def not_found(doctype: str, name: str) -> SiteError:
    """404 for a missing document."""
    error = thrown(f"{doctype} {name} not found", "DoesNotExistError")
    error.doctype = doctype
    return error
