"""Journal Entry: what is checked while it is a draft, what only on submission, and its ledger rows.

The order and the texts of the checks follow real servers (captures 04-*).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext.controllers import ledger
from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.values import as_date, money, number, shown_day

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session

#: Above this ERPNext submits in the background; nothing here needs that.
_MOST_ROWS = 100


class JournalEntry(Controller):
    """Debit and credit rows that must balance when submitted."""

    # Its own submit() hides the whitelisted one of every document.
    whitelisted = frozenset({"save"})

    def validate(self, session: Session, doc: Doc) -> None:
        rows = doc.rows("accounts")
        if len(rows) > _MOST_ROWS:
            raise unknown_to_the_sandbox(
                f"a Journal Entry of more than {_MOST_ROWS} rows (background submission)"
            )
        doc["clearance_date"] = None
        for row in rows:
            self._fill_row(session, doc, row)
        for row in rows:
            without = not (row.get("party_type") and row.get("party")) and not doc.get("party_not_required")
            if row["account_type"] in {"Receivable", "Payable"} and without:
                raise thrown(
                    f"Row {row['idx']}: Party Type and Party is required for Receivable / Payable account"
                    f" {row['account']}"
                )
        for row in rows:
            if not number(row["debit"]) and not number(row["credit"]):
                raise thrown(f"Row {row['idx']}: Both Debit and Credit values cannot be zero")
        self._total(doc, rows)
        self._check_references(session, rows)
        if doc.docstatus == 0:
            self._set_against(rows)
        self._set_remark(session, doc)
        self._set_title(session, doc, rows)
        if doc.get("posting_date") and doc.get("company"):
            ledger.check_period(session, doc)

    def before_submit(self, session: Session, doc: Doc) -> None:
        del session
        difference = doc["difference"]
        if difference:
            raise thrown(f"Total Debit must be equal to Total Credit. The difference is {difference}")

    def on_submit(self, session: Session, doc: Doc) -> None:
        if doc["voucher_type"] == "Bank Entry" and not (doc.get("cheque_no") and doc.get("cheque_date")):
            raise thrown("Reference No & Reference Date is required for Bank Entry")
        alert = {"alert": 1} if session.site.line.new_words else {}
        for row in doc.rows("accounts"):
            if row.get("party_type") == "Customer" and row["credit"] > 0 and not row.get("reference_name"):
                session.say(
                    f"Row {row['idx']}: Please check 'Is Advance' against Account {row['account']} if this is an"
                    " advance entry.",
                    **alert,
                )
        lines = [
            ledger.Line(
                account=row["account"],
                debit=money(row["debit"]),
                credit=money(row["credit"]),
                party=row.get("party") or None,
                cost_center=row.get("cost_center"),
                against=row.get("against_account"),
                debit_in_account_currency=money(row["debit_in_account_currency"]),
                credit_in_account_currency=money(row["credit_in_account_currency"]),
                against_voucher=row.get("reference_name"),
                row=row,
            )
            for row in doc.rows("accounts")
        ]
        ledger.post(session, doc, lines, doc.get("remark") or "No Remarks")

    def on_cancel(self, session: Session, doc: Doc) -> None:
        ledger.reverse(session, doc)

    # -- pieces -------------------------------------------------------------------------------------

    @staticmethod
    def _fill_row(session: Session, doc: Doc, row: Doc) -> None:
        kind, currency = session.values("Account", row.get("account"), ["account_type", "account_currency"])
        home = session.value("Company", doc["company"], "default_currency")
        row["account_type"] = kind
        row["account_currency"] = currency or home
        row["is_advance"] = row.get("is_advance") or "No"
        if row["account_currency"] != home and not doc.get("multi_currency"):
            raise thrown("Please check Multi Currency option to allow accounts with other currency")
        rate = number(row.get("exchange_rate")) if row["account_currency"] != home else Decimal(1)
        # Floats, as ERPNext keeps them: test_erpnext_adds_amounts_as_floats holds that both do.
        row["exchange_rate"] = float(rate or 1)
        for side in ("debit", "credit"):
            sent = money(row.get(f"{side}_in_account_currency"))
            row[f"{side}_in_account_currency"] = float(sent)
            row[side] = float(money(sent * (rate or 1)))

    @staticmethod
    def _total(doc: Doc, rows: list[Doc]) -> None:
        # The site adds floats; the difference that it reports shows it (04-13).
        debit = credit = 0.0
        for row in rows:
            if row["debit"] > 0 and row["credit"] > 0:
                raise thrown("You cannot credit and debit same account at the same time")
            debit += row["debit"]
            credit += row["credit"]
        doc["total_debit"] = round(debit, 9)
        doc["total_credit"] = round(credit, 9)
        difference = debit - credit
        doc["difference"] = difference if abs(difference) > 0.000001 else 0.0

    @staticmethod
    def _check_references(session: Session, rows: list[Doc]) -> None:
        for row in rows:
            if not row.get("reference_name"):
                continue
            if row["reference_type"] != "Sales Invoice":
                raise unknown_to_the_sandbox(
                    f"Journal Entry rows with reference_type {row['reference_type']}"
                )
            party, account = session.values("Sales Invoice", row["reference_name"], ["customer", "debit_to"])
            if (party, account) != (row.get("party"), row["account"]):
                raise thrown(
                    f"Row {row['idx']}: Party / Account does not match with Customer / Debit To in Sales Invoice"
                    f" {row['reference_name']}"
                )

    @staticmethod
    def _set_against(rows: list[Doc]) -> None:
        def named(side: str) -> str:
            shown = [row.get("party") or row["account"] for row in rows if number(row[side]) > 0]
            return ", ".join(dict.fromkeys(shown))

        debited, credited = named("debit"), named("credit")
        for row in rows:
            if number(row["debit"]) > 0:
                row["against_account"] = credited
            if number(row["credit"]) > 0:
                row["against_account"] = debited

    @staticmethod
    def _set_remark(session: Session, doc: Doc) -> None:
        own = session.site.line.remark_is_own
        if own and doc.get("custom_remark"):
            return
        parts = []
        if doc.get("user_remark") and not own:
            parts.append(f"Note: {doc['user_remark']}")
        if doc.get("cheque_no"):
            if not doc.get("cheque_date"):
                raise SiteError(
                    "MandatoryError",
                    "Please enter Reference date",
                    server_messages=thrown("Please enter Reference date").server_messages,
                )
            parts.append(f"Reference #{doc['cheque_no']} dated {shown_day(as_date(doc['cheque_date']))}")
        if parts:
            doc["remark"] = "\n".join(parts)

    @staticmethod
    def _set_title(session: Session, doc: Doc, rows: list[Doc]) -> None:
        parties = [row for row in rows if row.get("party_type") == "Customer" and row.get("party")]
        if parties:
            first = str(parties[0]["party"])
            doc["pay_to_recd_from"] = session.value("Customer", first, "customer_name") or first
            same = [row for row in parties if row["party"] == first]
            amounts: list[Any] = [
                row["debit_in_account_currency"] or row["credit_in_account_currency"] for row in same
            ]
            doc["total_amount"] = float(sum((number(amount) for amount in amounts), Decimal(0)))
            doc["total_amount_currency"] = parties[0]["account_currency"]
        if not doc.get("title"):
            doc["title"] = doc.get("pay_to_recd_from") or (rows[0]["account"] if rows else None)


CONTROLLERS = {"Journal Entry": JournalEntry()}
