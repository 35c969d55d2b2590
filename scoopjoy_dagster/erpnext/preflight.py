"""`scoopjoy check`, the site's part: everything that the nightly close needs, looked at before it runs. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from scoopjoy_dagster.accounting.shifts import named
from scoopjoy_dagster.erpnext import (
    deliveries,
    desk_schema,
    installation,
    royalty_entries,
    series_options,
)
from scoopjoy_dagster.erpnext.accounts import posting_accounts
from scoopjoy_dagster.erpnext.entry_fields import ENTRY, OURS, ROW
from scoopjoy_dagster.erpnext.errors import ERPNextError, Forbidden, NotFound, Rejected
from scoopjoy_dagster.erpnext.forms import read_forms
from scoopjoy_dagster.erpnext.locks import read_locks
from scoopjoy_dagster.erpnext.restrictions import shown_only_own
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.nearest import did_you_mean

PERMISSIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Company", ("read",)),
    ("Account", ("read",)),
    ("Cost Center", ("read",)),
    ("Customer", ("read",)),
    ("Customer Group", ("read",)),
    ("Accounting Dimension", ("read",)),
    ("Sales Invoice", ("read",)),
    ("Journal Entry", ("read", "create", "submit")),
    ("GL Entry", ("read",)),
    ("POS Opening Entry", ("read",)),
    ("POS Invoice", ("read",)),
    ("POS Closing Entry", ("read", "create", "write", "submit")),
    ("POS Profile", ("read",)),
    ("File", ("read", "create", "delete")),
    (deliveries.DOCTYPE, ("read", "create", "write")),
)
"""What the integration user must be allowed to do, by DocType."""

DESK_PERMISSIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (desk_schema.BATCH_RUN, ("read", "create", "write")),
    (desk_schema.BATCH_RUN_REQUEST, ("read", "write")),
)
"""What the integration user must be allowed to do at the Batch Run desk; the steps are rows of the Batch Run."""

SUBMITTED = ("Journal Entry", "POS Closing Entry")
"""Document types that the close submits."""

CUSTOM_FIELDS = "custom fields"
"""What the check calls our fields: with an error there, nothing can be told of what is ours."""

WITHOUT_DESK = "or set SCOOPJOY_BATCH_RUN_DESK=off"

OF_SALES_MANAGERS = frozenset({"Customer Group", "POS Opening Entry", "POS Closing Entry"})
"""What ERPNext, as it is installed, shows to Sales Managers and not to Accounts Managers; all else is the other way round."""

NOT_THERE = (NotFound, Forbidden)
"""What the question for a permission is answered where the DocType does not exist; v16 and later do not say that it does not."""

BACKGROUND_QUEUE = "long"
"""Where ERPNext puts the closing of a shift with 10 invoices or more."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the preflight.

    Attributes:
        level: `error` means that the close cannot work.
        what: what was looked at.
        message: what was found.
        action: what to do about it.
        needs: what is missing at the bottom of it: `setup` (`scoopjoy setup` puts it right) or `roles` (the user's).
    """

    level: Literal["ok", "warning", "error"]
    what: str
    message: str
    action: str = ""
    needs: Literal["", "setup", "roles"] = ""


def check_site(site: Site, *, time_zone: str, day: date, desk: bool = True) -> Iterator[Check]:
    """All checks of a site for the close of `day`; one that cannot be made is an error line and not the end.

    A cause that stops several of them is one line: after the error that says that setup or a role is missing, nothing else is
    said of what only that puts right. `desk`: whether runs are shown in ERPNext (SCOOPJOY_BATCH_RUN_DESK).
    """
    told: set[str] = set()
    for what, check in (
        ("ERPNext", _line),
        ("login", _login),
        ("time zone", lambda one: _time_zone(one, time_zone)),
        ("permissions", _permissions),
        (CUSTOM_FIELDS, _fields),
        ("naming series", _naming_series),
        *([("batch run desk", _desk)] if desk else []),
        ("user permissions", _user_permissions),
        ("accounts", _accounts),
        ("entry fields", _entry_fields),
        ("workflows", _workflows),
        ("scheduler", _scheduler),
        ("POS mode", _pos_mode),
        ("books open", lambda one: _books_open(one, day)),
        ("franchises", _franchises),
    ):
        for line in _attempt(site, what, check):
            if line.needs in told or (line.level == "error" and line.message in told):
                continue
            yield line
            if line.level == "error":
                told.update(one for one in (line.message, line.needs) if one)


def _attempt(site: Site, what: str, check: Callable[[Site], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from check(site)
    except Forbidden as problem:
        yield Check("error", what, str(problem), roles_action(), "roles")
    except ERPNextError as problem:
        # ERPNext's answer to a field that it does not know.
        needs: Literal["", "setup"] = "setup" if problem.exc_type == "DataError" else ""
        yield Check("error", what, str(problem), "Run `scoopjoy setup`." if needs else again(problem), needs)


def roles_action(roles: str = "Sales Manager and Accounts Manager") -> str:
    """What to do where the user's roles do not allow what the close needs."""
    noun = "roles" if " and " in roles else "role"
    return f"In ERPNext, give the integration user the {noun} {roles}."


def again(problem: ERPNextError) -> str:
    """What to do about something that could not be looked at."""
    if problem.is_conflict:
        return (
            "There is nothing to fix: others wrote in ERPNext at the same time. Run `scoopjoy check` again."
        )
    return f"{problem.cause.remedy or 'Fix what ERPNext names.'} Then run `scoopjoy check` again."


def _line(site: Site) -> Iterator[Check]:
    """The line found, what it means for the close, and whether the site behaves as such."""
    dialect = site.dialect
    found = f"{site.version} at {site.client.session.url}, spoken to as {dialect.line}"
    if not dialect.is_spoken(site.client):
        yield Check(
            "error",
            "ERPNext",
            f"{found}, and it does not answer as such",
            "Close nothing with this program: its closings could leave sales without a ledger entry. Tell its authors.",
        )
    elif site.unproven:
        yield Check(
            "warning",
            "ERPNext",
            site.unproven,
            "Run the contract suite against a test site of this version first (docs/contributing.md).",
        )
    else:
        yield Check("ok", "ERPNext", found)
    if dialect.implies:
        yield Check("ok", "what that means", dialect.implies)


def _login(site: Site) -> Iterator[Check]:
    user = site.client.call("frappe.auth.get_logged_user", doing="find the user")
    yield Check("ok", "login", f"as {user}")


def _time_zone(site: Site, wanted: str) -> Iterator[Check]:
    answer = site.client.call("frappe.client.get_time_zone", doing="read the site's time zone") or {}
    found = str(answer.get("time_zone") if isinstance(answer, dict) else answer)
    if found == wanted:
        yield Check("ok", "time zone", found)
        return
    yield Check(
        "error",
        "time zone",
        f"the site is in {found}, the business day in {wanted}: days would be closed over other hours than ERPNext books",
        f"Set Time Zone to {wanted} in ERPNext's System Settings.",
    )


def _fields(site: Site) -> Iterator[Check]:
    try:
        planned = installation.read_installation(site.client, desk=False, series=(), role="")
    except Forbidden:
        yield from _fields_by_use(site)
        return
    steps = [step for step in planned if not step.optional]
    if len(steps) == 1:
        yield Check("error", CUSTOM_FIELDS, steps[0].sentence, "Run `scoopjoy setup`.", "setup")
    elif steps:
        yield Check(
            "error",
            CUSTOM_FIELDS,
            f"{len(steps)} of ours are missing or not as they must be: {named(step.name for step in steps)}",
            "Run `scoopjoy setup`.",
            "setup",
        )
    else:
        yield Check(
            "ok",
            CUSTOM_FIELDS,
            "all installed: unique keys, the shares in royalty entries, and what sales show of them",
        )
        for step in planned:
            if step.kind != "leave":
                what = f"{step.doctype} {step.name}"
                yield Check("warning", what, step.reason, "Run `scoopjoy setup`.", "setup")


def _fields_by_use(site: Site) -> Iterator[Check]:
    """Without access to Custom Field: a list call that names the fields tells whether they are there."""
    missing = []
    hidden: Forbidden | None = None
    for doctype, fields in installation.fields_by_doctype().items():
        parent = installation.PARENTS.get(doctype)
        try:
            site.client.rows(doctype, ["name", *fields], [["name", "=", ""]], parent=parent)
        except Forbidden as problem:
            hidden = problem
        except Rejected:
            missing.append(doctype)
    if missing:
        yield Check(
            "error",
            CUSTOM_FIELDS,
            f"some of ours are missing in {', '.join(missing)}",
            "Run `scoopjoy setup` as a System Manager.",
            "setup",
        )
    elif hidden:
        raise hidden
    else:
        yield Check(
            "warning",
            CUSTOM_FIELDS,
            "they are there, but only a System Manager may see whether the keys are unique",
            "Run `scoopjoy check` once with a System Manager's key.",
        )


def _naming_series(site: Site) -> Iterator[Check]:
    """ERPNext takes a series over REST that people cannot choose: the close works, and their lists do not show it."""
    series = site.settings.royalty_series
    missing = series_options.read_options(site.client).missing(series)
    if missing:
        yield Check(
            "warning",
            "naming series",
            f"{', '.join(missing)} cannot be chosen in Journal Entry: the close posts in it, people cannot filter by it",
            "Run `scoopjoy setup` as a System Manager, or correct SCOOPJOY_ROYALTY_SERIES.",
            "setup",
        )
    else:
        yield Check("ok", "naming series", f"{', '.join(series)}: {len(series)} requests in parallel at most")


def _not_allowed(site: Site, wanted: Iterable[tuple[str, tuple[str, ...]]]) -> list[str]:
    """What of this the user may not do, e.g. `submit Journal Entry`."""
    missing = []
    for doctype, actions in wanted:
        for action in actions:
            answer = site.client.call(
                "frappe.client.has_permission",
                {"doctype": doctype, "docname": "", "perm_type": action},
                doing=f"ask for the permission to {action} {doctype}",
            )
            if not (answer or {}).get("has_permission"):
                missing.append(f"{action} {doctype}")
    return missing


def _desk(site: Site) -> Iterator[Check]:
    """The Batch Run desk: without it the close works, and nobody sees it in ERPNext."""
    try:
        missing = _not_allowed(site, DESK_PERMISSIONS)
    except NOT_THERE:
        yield Check(
            "warning",
            "batch run desk",
            "not installed: runs do not appear in ERPNext, and nobody can start one there",
            f"Run `scoopjoy setup` as a System Manager, {WITHOUT_DESK}.",
            "setup",
        )
        return
    if missing:
        yield Check(
            "warning",
            "batch run desk",
            f"the user may not: {', '.join(missing)}; runs do not appear in ERPNext",
            f"Give it the role Accounts Manager, {WITHOUT_DESK}.",
            "roles",
        )
        return
    try:
        state = installation.read_site_state(site.client)
    except Forbidden:
        yield Check(
            "ok", "batch run desk", "installed; only a System Manager may see whether it is up to date"
        )
        return
    steps = [step for step in installation.plan_desk(state) if step.kind != "leave"]
    if steps:
        more = f" and {len(steps) - 1} more" if len(steps) > 1 else ""
        yield Check(
            "warning",
            "batch run desk",
            f"not up to date: {steps[0].sentence}{more}",
            f"Run `scoopjoy setup` as a System Manager, {WITHOUT_DESK}.",
            "setup",
        )
    else:
        yield Check("ok", "batch run desk", "installed, and the user may write to it")


def _permissions(site: Site) -> Iterator[Check]:
    missing: dict[str, list[str]] = {}
    for doctype, actions in PERMISSIONS:
        try:
            found = _not_allowed(site, [(doctype, actions)])
        except NOT_THERE:
            continue  # a DocType of ours that is not installed: the line of the custom fields says so
        if found:
            missing[doctype] = found
    if not missing:
        yield Check("ok", "permissions", f"{len(PERMISSIONS)} DocTypes")
        return
    roles = [
        role
        for role, concerned in (
            ("Sales Manager", missing.keys() & OF_SALES_MANAGERS),
            ("Accounts Manager", missing.keys() - OF_SALES_MANAGERS),
        )
        if concerned
    ]
    listed = ", ".join(action for actions in missing.values() for action in actions)
    yield Check(
        "error", "permissions", f"the user may not: {listed}", roles_action(" and ".join(roles)), "roles"
    )


def _user_permissions(site: Site) -> Iterator[Check]:
    """What hides documents from this user: its User Permissions, and rules of its roles that show it only its own."""
    site.require_whole_view()
    # Deliveries are ours, and there after setup only.
    asked = [doctype for doctype, _ in PERMISSIONS if doctype != deliveries.DOCTYPE]
    restricted = shown_only_own(site.client, site.user, asked)
    if restricted:
        yield Check(
            "error",
            "user permissions",
            f"its roles show it only documents of its own: {', '.join(restricted)}",
            "Take 'Only If Creator' from the rules of these roles in ERPNext's Role Permissions Manager.",
        )
    else:
        yield Check("ok", "user permissions", "none hides anything from this user")


def _entry_fields(site: Site) -> Iterator[Check]:
    """Mandatory fields that nobody fills, and fields of the setting that ERPNext would drop in silence."""
    forms, given = read_forms(site.client, ENTRY), site.settings.entry_fields
    wrong = False
    for doctype, prefix in ((ENTRY, f"{ENTRY}."), (ROW, "")):
        known = {str(one["fieldname"]) for one in forms[doctype].fields}
        for one in forms[doctype].mandatory():
            if one["fieldname"] in given.of(doctype) or one["fieldname"] in OURS[doctype]:
                continue
            wrong = True
            yield Check(
                "error",
                "entry fields",
                f"the field {one.get('label') or one['fieldname']} is mandatory in {doctype}, and nothing fills it",
                f"Set SCOOPJOY_ENTRY_FIELDS to {prefix}{one['fieldname']}=<value> (several are separated by semicolons), "
                "or make the field optional in ERPNext.",
            )
        for name in sorted(given.of(doctype).keys() - known):
            wrong = True
            yield Check(
                "error",
                "entry fields",
                f"{doctype} has no field {name}{did_you_mean(name, known)}",
                "Correct SCOOPJOY_ENTRY_FIELDS.",
            )
    if not wrong:
        filled = [*given.entry, *given.rows]
        yield Check(
            "ok",
            "entry fields",
            f"filled by the setting: {', '.join(filled)}" if filled else "none is missing",
        )


def _workflows(site: Site) -> Iterator[Check]:
    """A workflow holds up nothing that is submitted over REST, and the document looks as if somebody had approved it."""
    found = [
        (doctype, flow)
        for doctype in SUBMITTED
        if (flow := read_forms(site.client, doctype)[doctype].workflow)
    ]
    for doctype, flow in found:
        yield Check(
            "warning",
            "workflows",
            f"the Workflow {flow!r} is active on {doctype}: the close submits its documents without it, and ERPNext shows them "
            "in the workflow's first submitted state, as if somebody had approved them",
            "Agree with whoever approves that the close submits these documents, or deactivate the Workflow in ERPNext.",
        )
    if not found:
        yield Check("ok", "workflows", f"none is active on {' or '.join(SUBMITTED)}")


def _accounts(site: Site) -> Iterator[Check]:
    books = site.books()
    try:
        franchises = royalty_entries.franchises(site, books.franchise_group)
    except ERPNextError:  # before setup; the line of the custom fields, or that of the franchises, says why
        franchises = []
    names = {one.customer: one.customer_name for one in franchises}
    found = posting_accounts(site, books, names)
    for problem in found.problems:
        yield Check("error", "accounts", problem)
    concerned: dict[str, list[str]] = defaultdict(list)
    for customer, unusable in found.unusable.items():
        concerned[unusable.why].append(names[customer])
    for why, names_of_account in concerned.items():
        who = sorted(names_of_account)
        listed = ", ".join(who[:5]) + (f" and {len(who) - 5} more" if len(who) > 5 else "")
        yield Check(
            "error",
            "accounts",
            f"{listed}: {why}",
            "Set another receivable account at the Customer or its Customer Group in ERPNext, or set SCOOPJOY_RECEIVABLE_ACCOUNT.",
        )
    if found.problems or found.unusable:
        return
    own = len(found.books.receivables)
    yield Check(
        "ok",
        "accounts",
        f"{books.company}: {books.receivable_account or 'no default'}{f' ({own} franchises have another)' if own else ''} / "
        f"{books.income_account}, {books.cost_center}, {books.currency}",
    )


def _scheduler(site: Site) -> Iterator[Check]:
    """Whether ERPNext lets work into its queue, and whether anybody takes it out: without a worker a closing stays Queued."""
    answer = site.client.call(
        "frappe.utils.scheduler.get_scheduler_status", doing="read the scheduler's status"
    )
    status = str((answer or {}).get("status"))
    if status != "active":
        yield Check(
            "error",
            "scheduler",
            f"{status}: ERPNext refuses to close a shift with 10 invoices or more",
            "Enable the scheduler of the site (`bench --site SITE enable-scheduler`).",
        )
        return
    yield Check("ok", "scheduler", "active: ERPNext takes shifts with 10 invoices or more into its queue")
    try:
        workers = site.client.rows("RQ Worker", ["name", "queue_type"], [])
    except Forbidden:
        yield _workers_by_use(site)
        return
    taking = sum(BACKGROUND_QUEUE in str(one["queue_type"]).split(",") for one in workers)
    if taking:
        yield Check("ok", "background workers", f"{taking} on the queue {BACKGROUND_QUEUE}")
    else:
        yield Check(
            "error",
            "background workers",
            f"none runs on the queue {BACKGROUND_QUEUE}: shifts with 10 invoices or more stay Queued",
            "Start ERPNext's background workers (`bench doctor` shows them).",
        )


def _workers_by_use(site: Site) -> Check:
    """Without access to RQ Worker: a closing that waits in the queue is all that can be seen of it."""
    waiting = site.client.rows(
        "POS Closing Entry", ["name"], [["docstatus", "=", 1], ["status", "=", "Queued"]]
    )
    if waiting:
        return Check(
            "warning",
            "background workers",
            f"{named(str(one['name']) for one in waiting)} waits to be consolidated in the background",
            "If it is Queued for more than some minutes, start ERPNext's background workers (`bench doctor` shows them).",
        )
    return Check(
        "warning",
        "background workers",
        "only a System Manager may see whether they run; without them shifts with 10 invoices or more stay Queued",
        "Run `bench doctor` on ERPNext's server, or `scoopjoy check` once with a System Manager's key.",
    )


def _pos_mode(site: Site) -> Iterator[Check]:
    try:
        mode = site.dialect.pos_mode(site.client)
    except Forbidden:
        yield Check("ok", "POS mode", "this user may not read POS Settings, and the close does not need to")
        return
    what = {
        "POS Invoice": "a closing makes Sales Invoices of the till's POS Invoices",
        "Sales Invoice": "the till makes Sales Invoices, which are in the ledger at once; a closing only marks them",
    }
    yield Check("ok", "POS mode", f"{mode}: {what.get(mode, 'unknown to this program')}")


def _books_open(site: Site, day: date) -> Iterator[Check]:
    reason = read_locks(site).reason(day)
    if reason:
        yield Check(
            "error",
            "books open",
            f"nothing can be posted for {day}: {reason}",
            "Open the day in ERPNext, or let the close post on the next open day (SCOOPJOY_LOCKED_DAYS). Frozen books take "
            "entries of a user with the role that Accounts Settings name.",
        )
    else:
        yield Check("ok", "books open", f"for {day}")


def _franchises(site: Site) -> Iterator[Check]:
    group = site.settings.franchise_group
    if not site.client.exists("Customer Group", group):
        groups = [str(row["name"]) for row in site.client.rows("Customer Group", ["name"], [])]
        yield Check(
            "error",
            "franchises",
            f"there is no Customer Group {group!r}{did_you_mean(group, groups)}",
            "Create it, or set SCOOPJOY_FRANCHISE_GROUP.",
        )
        return
    found = royalty_entries.franchises(site, group)
    if found:
        unset = sum(one.rate == 0 and not one.exempt for one in found)
        yield Check(
            "ok", "franchises", f"{len(found)} in {group} and below; {unset} without a rate of their own"
        )
    else:
        yield Check(
            "warning",
            "franchises",
            f"no enabled Customer is in {group} or below",
            "Check the Customer Groups.",
        )
