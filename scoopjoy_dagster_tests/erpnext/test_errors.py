"""What ERPNext's answers mean: bodies of real v15 servers, in short form, and the family that each belongs to."""

from __future__ import annotations

import json

import pytest

from scoopjoy_dagster.erpnext.errors import (
    MESSAGE_LIMIT,
    Ambiguous,
    Duplicate,
    ERPNextError,
    Forbidden,
    LoginFailed,
    NameTaken,
    NotFound,
    Rejected,
    Stale,
    Transient,
    classify,
    plain_text,
    server_messages,
)


def said(*texts: object) -> str:
    """`_server_messages` as Frappe sends it: a JSON list of JSON strings."""
    return json.dumps([json.dumps({"message": text, "title": "Message"}) for text in texts])


PROXY_PAGE = None  # an answer that is no JSON: nginx, gunicorn, or a server that is starting

REAL_ANSWERS: list[tuple[str, int, dict[str, object] | None, type[ERPNextError], str]] = [
    (
        "wrong secret",
        401,
        {"exception": "frappe.exceptions.AuthenticationError", "exc_type": "AuthenticationError"},
        LoginFailed,
        "does not accept the API key",
    ),
    (
        "list without permission",
        403,
        {
            "exc_type": "PermissionError",
            "_server_messages": said(
                "User <strong>limited@scoopjoy.example</strong> does not have doctype access via role permission for"
                " document <strong>Journal Entry</strong>"
            ),
            "_error_message": "No permission for Journal Entry",
        },
        Forbidden,
        "User limited@scoopjoy.example does not have doctype access",
    ),
    (
        "method that is not whitelisted",
        403,
        {
            "exception": "frappe.exceptions.PermissionError: x",
            "exc_type": "PermissionError",
            "_server_messages": said(
                "<details><summary>You are not permitted to access this resource.</summary>Function"
                " <strong>make_closing_entry_from_opening</strong> is not whitelisted.</details>"
            ),
        },
        Forbidden,
        "make_closing_entry_from_opening is not whitelisted",
    ),
    (
        "unknown document",
        404,
        {"exc_type": "DoesNotExistError", "_server_messages": said("Customer No Such not found")},
        NotFound,
        "Customer No Such not found",
    ),
    ("deleting what is gone", 404, {"exc_type": "DoesNotExistError"}, NotFound, "DoesNotExistError"),
    (
        "unknown DocType is a 500",
        500,
        {
            "exception": "Error: No module named 'frappe.core.doctype.nonexistent_thing'",
            "exc_type": "ImportError",
        },
        Rejected,
        "No module named",
    ),
    (
        "programming error is a 500",
        500,
        {"exception": "IndexError: list index out of range", "exc_type": "IndexError"},
        Rejected,
        "list index out of range",
    ),
    (
        "redis queue down",
        500,
        {
            "exception": "redis.exceptions.ConnectionError: Error 111 connecting to 127.0.0.1:11000. Connection refused.",
            "exc_type": "ConnectionError",
        },
        Rejected,
        "Error 111 connecting",
    ),
    (
        "unknown method",
        417,
        {
            "exc_type": "ValidationError",
            "_server_messages": said(
                "App foo is not installed", "Failed to get method for command foo.bar.baz"
            ),
        },
        Rejected,
        "App foo is not installed; Failed to get method",
    ),
    (
        "link that is missing",
        417,
        {
            "exc_type": "LinkValidationError",
            "_server_messages": said("Could not find Customer Group: NoSuchGroup"),
        },
        Rejected,
        "Could not find Customer Group: NoSuchGroup",
    ),
    (
        "disabled customer",
        417,
        {"exc_type": "PartyDisabled", "_server_messages": said("Customer Franchise Saket is disabled")},
        Rejected,
        "PartyDisabled: Customer Franchise Saket is disabled",
    ),
    (
        "no fiscal year, message taken out of the log",
        417,
        {
            "exception": "erpnext.accounts.utils.FiscalYearError: Date 15-01-2035 is not in any active Fiscal Year for"
            " <strong>ScoopJoy</strong>",
            "exc_type": "FiscalYearError",
        },
        Rejected,
        "Date 15-01-2035 is not in any active Fiscal Year for ScoopJoy",
    ),
    (
        "messages as a list inside a message",
        417,
        {
            "exc_type": "ValidationError",
            "_server_messages": said(
                ["Row #1: POS Invoice is already consolidated", "Row #2: POS Profile doesn't match"]
            ),
        },
        Rejected,
        "Row #1: POS Invoice is already consolidated; Row #2: POS Profile doesn't match",
    ),
    (
        "traceback switched off",
        417,
        {
            "exc_type": "MandatoryError",
            "_server_messages": said("Error: Value missing for Customer: Customer Name"),
        },
        Rejected,
        "MandatoryError: Error: Value missing for Customer",
    ),
    (
        "change of a submitted document",
        417,
        {
            "exc_type": "UpdateAfterSubmitError",
            "_server_messages": said(" Not allowed to change <strong>Locked</strong> after submission"),
        },
        Rejected,
        "Not allowed to change Locked after submission",
    ),
    (
        "name taken",
        409,
        {
            "exc_type": "DuplicateEntryError",
            "_server_messages": said("Mode of Payment <strong>Cash</strong> already exists"),
        },
        NameTaken,
        "Mode of Payment Cash already exists",
    ),
    (
        "unique key taken is a 417",
        417,
        {
            "exc_type": "UniqueValidationError",
            "_server_messages": said("SJ Automation Key must be unique"),
        },
        Duplicate,
        "SJ Automation Key must be unique",
    ),
    (
        "changed by somebody else",
        417,
        {
            "exc_type": "TimestampMismatchError",
            "_server_messages": said("Error: Document has been modified after you have opened it"),
        },
        Stale,
        "Document has been modified",
    ),
    (
        "deadlock is a 500",
        500,
        {
            "exception": "frappe.exceptions.QueryDeadlockError: (1213, 'Deadlock found when trying to get lock; try"
            " restarting transaction')",
            "exc_type": "QueryDeadlockError",
        },
        Transient,
        "Deadlock found",
    ),
    ("lock wait", 500, {"exc_type": "QueryTimeoutError"}, Transient, "QueryTimeoutError"),
    (
        "rate limit",
        429,
        {"exception": "frappe.exceptions.TooManyRequestsError", "exc_type": "TooManyRequestsError"},
        Transient,
        "TooManyRequestsError",
    ),
    (
        "maintenance",
        503,
        {"exception": "frappe.exceptions.SessionStopped: Session Stopped", "exc_type": "SessionStopped"},
        Transient,
        "Session Stopped",
    ),
    (
        "read-only during maintenance",
        503,
        {
            "exc_type": "InReadOnlyMode",
            "_server_messages": said("Site is running in read only mode for maintenance or site update"),
        },
        Transient,
        "read only mode",
    ),
    ("proxy overloaded", 503, PROXY_PAGE, Transient, "HTTP 503"),
    (
        "database down",
        500,
        {
            "exception": 'pymysql.err.OperationalError: (2003, "Can\'t connect to MySQL server")',
            "exc_type": "OperationalError",
        },
        Ambiguous,
        "Can't connect to MySQL server",
    ),
    ("database down, by POST", 500, PROXY_PAGE, Ambiguous, "HTTP 500 without a JSON answer"),
    ("bad gateway", 502, PROXY_PAGE, Ambiguous, "HTTP 502"),
    ("gateway timeout", 504, PROXY_PAGE, Ambiguous, "HTTP 504"),
    ("request timeout of a proxy", 408, PROXY_PAGE, Ambiguous, "HTTP 408"),
    ("request line too long", 400, PROXY_PAGE, Rejected, "HTTP 400"),
    (
        "no outgoing mail account",
        501,
        {"exc_type": "OutgoingEmailError", "_server_messages": said("Unable to send mail")},
        Rejected,
        "Unable to send mail",
    ),
]


@pytest.mark.parametrize(
    ("status", "body", "family", "text"),
    [row[1:] for row in REAL_ANSWERS],
    ids=[row[0].replace(" ", "-") for row in REAL_ANSWERS],
)
def test_an_answer_belongs_to_one_family(
    status: int, body: dict[str, object] | None, family: type[ERPNextError], text: str
) -> None:
    error = classify("insert Journal Entry", status, body)
    assert type(error) is family
    assert text in str(error)
    assert str(error).startswith("insert Journal Entry: ")
    assert error.status == status
    assert error.exc_type == str((body or {}).get("exc_type", ""))


def test_only_what_was_rejected_must_never_be_asked_again() -> None:
    for family in (Duplicate, NameTaken, NotFound, Forbidden, LoginFailed, Stale):
        assert issubclass(family, Rejected)
    for family in (Transient, Ambiguous):
        assert not issubclass(family, Rejected)


@pytest.mark.parametrize(("header", "seconds"), [("8", 8.0), (" 30 ", 30.0), (None, None), ("soon", None)])
def test_retry_after_is_kept_when_it_is_a_number_of_seconds(
    header: str | None, seconds: float | None
) -> None:
    error = classify("list Customer", 429, {"exc_type": "TooManyRequestsError"}, header)
    assert isinstance(error, Transient)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("raw", [7, None, "no json", '"a string"', '["not json inside"]', "[[1]]", "{}"])
def test_messages_of_any_shape_are_read(raw: object) -> None:
    texts = server_messages({"_server_messages": raw})
    assert all(isinstance(text, str) and text for text in texts)
    assert str(classify("x", 417, {"_server_messages": raw, "exc_type": "ValidationError"})).startswith(
        "x: ValidationError"
    )


def test_a_long_message_keeps_its_head_and_its_tail() -> None:
    text = plain_text("begin " + "x " * 2000 + " end")
    assert len(text) <= MESSAGE_LIMIT + 5
    assert text.startswith("begin")
    assert text.endswith("end")


def test_html_and_entities_become_plain_text() -> None:
    assert plain_text("<b>Café &amp; Co</b><br>is&nbsp;closed\n") == "Café & Co is closed"
