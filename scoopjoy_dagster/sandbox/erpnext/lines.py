"""The lines of ERPNext that the sandbox speaks: v15, and v16 with what came after it.

Belongs here: every fact in which the lines differ, by the name of the fact; controllers and lists ask for it and know no
version. Does not belong here: what follows from a fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scoopjoy_dagster.sandbox.erpnext.doctypes import later


@dataclass(frozen=True, slots=True)
class Freeze:
    """Where the day is kept up to which the books are frozen, and the role that may post all the same."""

    doctype: str
    day: str
    role: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of ERPNext. The defaults are v15; another line names what it does otherwise.

    Attributes:
        name: What ``SandboxERPNext`` is asked for.
        frappe: Version of the framework, as ``get_versions`` tells it.
        erpnext: Version of ERPNext, likewise.
        branch: Of both.
        changes: What its DocTypes have otherwise, in the notation of ``doctypes``.

        sums_as_dicts: Lists take aggregates as ``{"SUM": field, "as": name}`` and refuse them as text; ``order_by`` and
            ``group_by`` take names only; what a user may not read is refused in a filter or a sum.
        zero_is_not_set: The filter ``is not set`` finds numbers that are 0.
        workers_hidden: RQ Worker, a virtual DocType, is listed for System Managers only; without it for every user.
        hides_missing_documents: 403 in place of 404 for whoever may not read the DocType.
        system_users_see_tracebacks: ``exc`` and ``exception`` are for System Users; a user without a role for the desk is none.
        clean_messages: ``_server_messages`` are compact, with HTML made harmless.
        new_words: Some messages are worded otherwise.
        checks_body_first: A JSON body that cannot be read is 417 DataError, whoever sends it; else 500 where it is read.
        disabled_users_keys_work: A disabled user's API key goes on working.
        long_request_line: Status of a request line of more than 4,094 bytes, and its title.
        headers: On every answer.
        authenticate_header: 401 and 403 say where to authenticate.
        limits_time: The rate limit counts microseconds of work, in its headers too.
        get_hides_nulls: ``frappe.client.get`` leaves out what is null.

        reports_missing_links: Of links that fetch values, too; v15 finds those out later, or never.
        customers_in_leaves: A customer cannot be in a group that has groups below.
        public_workspaces_guarded: A public Workspace is deleted by Workspace Managers only.
        names_of_doctypes_taken: No Workspace has the name of a DocType.
        reads_pdfs: An uploaded PDF must be one.
        any_scheme_is_url: What has a scheme and anything behind it is a URL, ``javascript:`` too; on v15 what has a host is.
        drops_half_attachments: A File inserted for a DocType and no document hangs on nothing.
        freeze: Where the frozen day is.

        party_on_receivables_only: A party on a row of another typed account is refused when the voucher is submitted.
        remark_is_own: ``user_remark`` goes into no remark; with ``custom_remark`` the remark is what the client sends.

        takings: Name of the function that tells what belongs to a shift.
        closing_rows: Table of the closing with its POS Invoices.
        invoice_modes: POS Settings say whether tills make POS Invoices or Sales Invoices, and closings take both.
        closing_dated_now: A closing is dated by the site's clock whenever it is saved.
        merged_as_sold: The consolidated invoice is dated by the last sale in it and has a row for each; returns become credit
            notes against the invoice of their originals, dated by the closing.
        tills_sell_today: An invoice at a till needs exactly one open shift of its profile, opened today.
        one_open_shift: Of a profile and of a cashier.
        full_payment_only: Tills refuse an invoice that is not paid in full, unless the profile allows it.
        pays_drafts_only: An invoice at a till that is inserted as submitted breaks.
        shifts_end_by_closing: A shift with sales is not cancelled, nor a closing while its profile has an open shift.
        masks_failures: A closing that is inserted and submitted in one request and fails answers with another error.
        snapshot_isolation: The database refuses to change what has changed since the request began
            (MariaDB 11.6.2 and later).
    """

    name: str
    frappe: str
    erpnext: str
    branch: str
    changes: str = ""

    sums_as_dicts: bool = False
    zero_is_not_set: bool = False
    workers_hidden: bool = True
    hides_missing_documents: bool = False
    system_users_see_tracebacks: bool = False
    clean_messages: bool = False
    new_words: bool = False
    checks_body_first: bool = False
    disabled_users_keys_work: bool = True
    long_request_line: tuple[int, str] = (400, "Bad Request")
    headers: Mapping[str, str] | None = None
    authenticate_header: bool = False
    limits_time: bool = False
    get_hides_nulls: bool = False

    reports_missing_links: bool = False
    customers_in_leaves: bool = False
    public_workspaces_guarded: bool = False
    names_of_doctypes_taken: bool = False
    reads_pdfs: bool = False
    any_scheme_is_url: bool = False
    drops_half_attachments: bool = False
    freeze: Freeze = Freeze("Accounts Settings", "acc_frozen_upto", "frozen_accounts_modifier")

    party_on_receivables_only: bool = False
    remark_is_own: bool = False

    takings: str = "get_pos_invoices"
    closing_rows: str = "pos_transactions"
    invoice_modes: bool = False
    closing_dated_now: bool = False
    merged_as_sold: bool = False
    tills_sell_today: bool = False
    one_open_shift: bool = False
    full_payment_only: bool = False
    pays_drafts_only: bool = False
    shifts_end_by_closing: bool = False
    masks_failures: bool = False
    snapshot_isolation: bool = False


V15 = Line("v15", frappe="15.44.2", erpnext="15.45.4", branch="version-15")

V16 = Line(
    "v16",
    frappe="16.0.3",
    erpnext="16.0.3",
    branch="version-16",
    changes=later.TEXT,
    sums_as_dicts=True,
    zero_is_not_set=True,
    workers_hidden=False,
    hides_missing_documents=True,
    system_users_see_tracebacks=True,
    clean_messages=True,
    new_words=True,
    checks_body_first=True,
    disabled_users_keys_work=False,
    long_request_line=(414, "URI Too Long"),
    headers={"Cache-Control": "no-store,no-cache,must-revalidate,max-age=0"},
    authenticate_header=True,
    limits_time=True,
    get_hides_nulls=True,
    reports_missing_links=True,
    customers_in_leaves=True,
    public_workspaces_guarded=True,
    names_of_doctypes_taken=True,
    reads_pdfs=True,
    any_scheme_is_url=True,
    drops_half_attachments=True,
    freeze=Freeze("Company", "accounts_frozen_till_date", "role_allowed_for_frozen_entries"),
    party_on_receivables_only=True,
    remark_is_own=True,
    takings="get_invoices",
    closing_rows="pos_invoices",
    invoice_modes=True,
    closing_dated_now=True,
    merged_as_sold=True,
    tills_sell_today=True,
    one_open_shift=True,
    full_payment_only=True,
    pays_drafts_only=True,
    shifts_end_by_closing=True,
    masks_failures=True,
    snapshot_isolation=True,
)

LINES: Mapping[str, Line] = {line.name: line for line in (V15, V16)}
"""The lines by name."""
