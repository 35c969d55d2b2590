"""The general ledger: rows made on submission, marked and reversed on cancellation.

Belongs here: GL Entry, Payment Ledger Entry and the checks at their gate (frozen books, closed periods,
fiscal years, parties, accounts). Does not belong here: which rows a voucher makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext.database import table
from scoopjoy_dagster.sandbox.erpnext.errors import noted, thrown
from scoopjoy_dagster.sandbox.erpnext.values import as_date, money, shown_day

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session

_ZERO = Decimal(0)
#: Types of account that a party may stand on; one without a type is not looked at.
_WITH_PARTY = frozenset({"Receivable", "Payable", "Equity", "", None})


@dataclass(slots=True)
class Line:
    """One row for the ledger, in company currency (INR); ``debit`` and ``credit`` may be negative."""

    account: str
    debit: Decimal = _ZERO
    credit: Decimal = _ZERO
    party: str | None = None
    cost_center: str | None = None
    against: str | None = None
    debit_in_account_currency: Decimal | None = None
    credit_in_account_currency: Decimal | None = None
    against_voucher: str | None = None
    row: Doc | None = None
    """The row of the voucher that it comes from, where that may carry accounting dimensions of its own."""

    def turned(self) -> Line:
        """Negative amounts change sides."""
        debit = max(self.debit, _ZERO) + max(-self.credit, _ZERO)
        credit = max(self.credit, _ZERO) + max(-self.debit, _ZERO)
        turned = (self.debit_in_account_currency or _ZERO) < 0 or (
            self.credit_in_account_currency or _ZERO
        ) < 0
        sides = (self.debit_in_account_currency, self.credit_in_account_currency)
        if turned:
            sides = (
                abs(sides[1]) if sides[1] is not None else None,
                abs(sides[0]) if sides[0] is not None else None,
            )
        return Line(
            self.account,
            debit,
            credit,
            self.party,
            self.cost_center,
            self.against,
            *sides,
            self.against_voucher,
            self.row,
        )


def fiscal_year(session: Session, day: Any, company: str) -> str:
    """The active fiscal year of a day; 417 FiscalYearError if there is none."""
    found = session.site.db.one(
        f"SELECT name FROM {table('Fiscal Year')} WHERE disabled = 0 AND ? BETWEEN year_start_date AND year_end_date",
        (as_date(day).isoformat(),),
    )
    if found is None:
        text = (
            f"Date {shown_day(as_date(day))} is not in any active Fiscal Year for <strong>{company}</strong>"
        )
        raise noted(text, "FiscalYearError", text)
    return str(found[0])


def check_period(session: Session, doc: Doc) -> None:
    """No voucher in a closed Accounting Period of its DocType."""
    found = session.site.db.one(
        f"SELECT p.name FROM {table('Accounting Period')} p JOIN {table('Closed Document')} c ON c.parent = p.name"
        " WHERE p.company = ? AND c.closed = 1 AND c.document_type = ? AND ? BETWEEN p.start_date AND p.end_date",
        (doc["company"], doc.doctype, as_date(doc["posting_date"]).isoformat()),
    )
    if found is not None:
        raise thrown(
            f"You cannot create a {doc.doctype} within the closed Accounting Period <strong>{found[0]}</strong>",
            "ClosedAccountingPeriod",
        )


def check_frozen(session: Session, day: Any, company: str) -> None:
    """No entry up to the frozen day, save for the role that may."""
    freeze = session.site.line.freeze
    name = company if freeze.doctype == "Company" else freeze.doctype
    upto, role = session.values(freeze.doctype, name, [freeze.day, freeze.role])
    if not upto or as_date(day) > as_date(upto):
        return
    if role in session.roles and session.user != "Administrator":
        return
    raise thrown(f"You are not authorized to add or update entries before {shown_day(as_date(upto))}")


def check_closed(session: Session, day: Any, company: str) -> None:
    """No entry up to the end of the company's last Period Closing Voucher."""
    (upto,) = session.site.db.one(
        f"SELECT MAX(period_end_date) FROM {table('Period Closing Voucher')} WHERE docstatus = 1 AND company = ?",
        (company,),
    ) or (None,)
    if upto and as_date(day) <= as_date(upto):
        text = (
            f"Books have been closed till the period ending on {shown_day(as_date(upto))}</br >"
            "You cannot create/amend any accounting entries till this date."
        )
        raise thrown(text, title="Period Closed")


def party_account(session: Session, customer: str, company: str) -> str:
    """The receivable account of a customer: its own for the company, else its group's, else the company's default."""
    for doctype, name in (
        ("Customer", customer),
        ("Customer Group", session.value("Customer", customer, "customer_group")),
    ):
        found = session.site.db.one(
            f"SELECT account FROM {table('Party Account')} WHERE parent = ? AND parenttype = ? AND company = ?",
            (name, doctype, company),
        )
        if found and found[0]:
            return str(found[0])
    return str(session.value("Company", company, "default_receivable_account") or "")


def _dimensions(session: Session, doc: Doc, line: Line, account: dict[str, Any]) -> dict[str, Any]:
    """The accounting dimensions of a ledger row; one that is mandatory for its kind of account must be there."""
    statement = account["report_type"]
    found: dict[str, Any] = {}
    for label, fieldname, company, balance_sheet, profit_and_loss in session.site.db.rows(
        f"SELECT d.label, d.fieldname, c.company, c.mandatory_for_bs, c.mandatory_for_pl FROM {table('Accounting Dimension')} d"
        f" LEFT JOIN {table('Accounting Dimension Detail')} c ON c.parent = d.name WHERE coalesce(d.disabled, 0) = 0"
    ):
        value = (line.row.get(fieldname) if line.row is not None else None) or doc.get(fieldname)
        wanted = {"Profit and Loss": profit_and_loss, "Balance Sheet": balance_sheet}.get(statement)
        if wanted and company == doc["company"] and not value:
            raise thrown(
                f"Accounting Dimension <strong>{label}</strong> is required for '{statement}' account {line.account}."
            )
        if session.site.meta("GL Entry").has_column(fieldname):
            found[fieldname] = value or None
    return found


def check_party(session: Session, party: str | None) -> None:
    """A disabled customer takes no entry."""
    if party and session.value("Customer", party, "disabled"):
        raise thrown(f"Customer {party} is disabled", "PartyDisabled")


def _check_account(session: Session, doc: Doc, line: Line) -> dict[str, Any]:
    names = ["is_group", "disabled", "company", "report_type", "account_currency", "account_type"]
    account = dict(zip(names, session.values("Account", line.account, names), strict=True))
    where = f"{doc.doctype} {doc.name}"
    if account["disabled"]:
        raise thrown(
            f"Cannot create accounting entries against disabled accounts: {line.account}",
            title="Disabled Account Selected",
        )
    if account["report_type"] == "Profit and Loss" and doc.get("is_opening") == "Yes":
        raise thrown(f"{where}: 'Profit and Loss' type account {line.account} not allowed in Opening Entry")
    if account["report_type"] == "Profit and Loss" and not line.cost_center:
        raise thrown(
            f"{where}: Cost Center is required for 'Profit and Loss' account {line.account}.<br>"
            "Please set the cost center field in the row or set up a default Cost Center for the Company.",
            title="Missing Cost Center",
        )
    if account["is_group"]:
        raise thrown(
            f"{where}: Account {line.account} is a Group Account and group accounts cannot be used in transactions"
        )
    if account["company"] != doc["company"]:
        raise thrown(f"{where}: Account {line.account} does not belong to Company {doc['company']}")
    if line.cost_center:
        _check_cost_center(session, doc, line.cost_center, where)
    if account["account_type"] == "Receivable" and not line.party and not doc.get("party_not_required"):
        raise thrown(f"{where}: Customer is required against Receivable account {line.account}")
    _check_party_account(session, line, account["account_type"])
    return account


def _check_party_account(session: Session, line: Line, account_type: str | None) -> None:
    if session.site.line.party_on_receivables_only and line.party and account_type not in _WITH_PARTY:
        raise thrown(
            f"Party Type and Party can only be set for Receivable / Payable account<br><br>{line.account}"
        )


def _check_cost_center(session: Session, doc: Doc, cost_center: str, where: str) -> None:
    is_group, company = session.values("Cost Center", cost_center, ["is_group", "company"])
    if company != doc["company"]:
        raise thrown(f"{where}: Cost Center {cost_center} does not belong to Company {doc['company']}")
    if is_group:
        raise thrown(
            f"{where}: Cost Center {cost_center} is a group cost center and group cost centers cannot be used in"
            " transactions"
        )


def post(session: Session, doc: Doc, lines: list[Line], remarks: str) -> None:
    """Make the ledger rows of a submitted voucher."""
    day = as_date(doc["posting_date"]).isoformat()
    check_frozen(session, day, doc["company"])
    check_closed(session, day, doc["company"])
    year = fiscal_year(session, day, doc["company"])
    for line in (line.turned() for line in lines):
        if not line.debit and not line.credit:
            continue
        check_party(session, line.party)
        account = _check_account(session, doc, line)
        own = account["account_currency"]
        shown_debit = line.debit if line.debit_in_account_currency is None else line.debit_in_account_currency
        shown_credit = (
            line.credit if line.credit_in_account_currency is None else line.credit_in_account_currency
        )
        row = {
            "posting_date": day,
            "account": line.account,
            "party_type": "Customer" if line.party else None,
            "party": line.party,
            "cost_center": line.cost_center or None,
            "debit": float(money(line.debit)),
            "credit": float(money(line.credit)),
            "account_currency": own,
            "debit_in_account_currency": float(money(shown_debit)),
            "credit_in_account_currency": float(money(shown_credit)),
            "against": line.against,
            "against_voucher_type": doc.doctype if line.against_voucher else None,
            "against_voucher": line.against_voucher,
            "voucher_type": doc.doctype,
            "voucher_no": doc.name,
            "voucher_subtype": doc.get("voucher_type") or doc.doctype,
            "remarks": remarks,
            "is_opening": doc.get("is_opening") or "No",
            "is_advance": "No",
            "fiscal_year": year,
            "company": doc["company"],
            "is_cancelled": 0,
            **_dimensions(session, doc, line, account),
        }
        _store(session, "GL Entry", row, doc)
        if account["account_type"] == "Receivable":
            _post_payment_ledger(session, doc, line, row)


def _post_payment_ledger(session: Session, doc: Doc, line: Line, row: dict[str, Any]) -> None:
    amount = float(money(line.debit - line.credit))
    _store(
        session,
        "Payment Ledger Entry",
        {
            **{key: row[key] for key in ("posting_date", "company", "account", "party_type", "party")},
            "account_type": "Receivable",
            "voucher_type": doc.doctype,
            "voucher_no": doc.name,
            "against_voucher_type": doc.doctype,
            "against_voucher_no": line.against_voucher or doc.name,
            "amount": amount,
            "account_currency": row["account_currency"],
            "amount_in_account_currency": amount,
            "delinked": 0,
        },
        doc,
    )


def _store(session: Session, doctype: str, values: dict[str, Any], doc: Doc) -> None:
    standard = {
        "name": session.site.hash_name(),
        "owner": session.user,
        "creation": doc["modified"],
        "modified": doc["modified"],
        "modified_by": session.user,
        "docstatus": 1,
        "idx": 0,
    }
    row = standard | values
    session.site.db.run(
        f"INSERT INTO {table(doctype)} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", row.values()
    )


def reverse(session: Session, doc: Doc) -> None:
    """Cancel the ledger rows of a voucher: marked, and matched by reversed rows that are marked as well."""
    check_period(session, doc)
    check_frozen(session, doc["posting_date"], doc["company"])
    check_closed(session, doc["posting_date"], doc["company"])
    names = session.site.meta("GL Entry").columns
    rows = session.site.db.rows(
        f"SELECT {', '.join(names)} FROM {table('GL Entry')} WHERE voucher_type = ? AND voucher_no = ?"
        " AND is_cancelled = 0",
        (doc.doctype, doc.name),
    )
    for values in rows:
        row = dict(zip(names, values, strict=True))
        row = {
            key: value
            for key, value in row.items()
            if key not in {"name", "owner", "creation", "modified", "idx"}
        }
        row |= {
            "debit": row["credit"],
            "credit": row["debit"],
            "debit_in_account_currency": row["credit_in_account_currency"],
            "credit_in_account_currency": row["debit_in_account_currency"],
            "remarks": f"On cancellation of {doc.name}",
            "is_cancelled": 1,
        }
        _store(session, "GL Entry", row, doc)
    for doctype, flag in (("GL Entry", "is_cancelled"), ("Payment Ledger Entry", "delinked")):
        session.site.db.run(
            f"UPDATE {table(doctype)} SET {flag} = 1 WHERE voucher_type = ? AND voucher_no = ?",
            (doc.doctype, doc.name),
        )
