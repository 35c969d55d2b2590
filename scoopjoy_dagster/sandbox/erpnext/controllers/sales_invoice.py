"""Sales Invoice: dates, customer, totals, status, ledger. Also the base of POS Invoice."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.controllers import ledger, tills, totals
from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import thrown
from scoopjoy_dagster.sandbox.erpnext.values import as_date, as_datetime, money, number

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


class Invoice(Controller):
    """What both kinds of invoice share."""

    def before_insert(self, session: Session, doc: Doc) -> None:
        totals.require_items(doc)
        self._set_dates(session, doc)

    def validate(self, session: Session, doc: Doc) -> None:
        if not doc.is_new:
            self._set_dates(session, doc)
        for key in ("posting_date", "due_date"):
            as_date(doc[key])
        self._set_customer(session, doc)
        totals.set_exchange_rate(session, doc)
        totals.fill_items(session, doc)
        totals.fill_totals(session, doc)
        if as_date(doc["due_date"]) < as_date(doc["posting_date"]):
            day = "Posting Date" if session.site.line.new_words else "Posting / Supplier Invoice Date"
            raise thrown(f"Due Date cannot be before {day}")
        doc["title"] = doc.get("title") or doc["customer_name"]
        self.check_return(session, doc)

    def before_submit(self, session: Session, doc: Doc) -> None:
        del session
        doc["remarks"] = doc.get("remarks") or "No Remarks"

    @staticmethod
    def _set_dates(session: Session, doc: Doc) -> None:
        now = session.site.now()
        if not doc.get("set_posting_time") or not doc.get("posting_date"):
            doc["posting_date"] = now.date().isoformat()
            doc["posting_time"] = str(now.time())
        doc["posting_time"] = doc.get("posting_time") or str(now.time())
        doc["due_date"] = doc.get("due_date") or doc["posting_date"]

    @staticmethod
    def _set_customer(session: Session, doc: Doc) -> None:
        if not doc.get("customer"):
            raise thrown("Customer is required against Receivable account Debtors")
        ledger.check_party(session, doc["customer"])
        names = ["customer_name", "customer_group", "territory"]
        for key, value in zip(names, session.values("Customer", doc["customer"], names), strict=True):
            doc[key] = value
        doc["debit_to"] = doc.get("debit_to") or ledger.party_account(
            session, doc["customer"], doc["company"]
        )
        doc["party_account_currency"] = session.value("Account", doc["debit_to"], "account_currency")

    @staticmethod
    def check_return(session: Session, doc: Doc) -> None:
        """A return names a submitted invoice of the same customer."""
        against = doc.get("return_against")
        if not doc.get("is_return") or not against:
            return
        names = ["customer", "docstatus", "posting_date", "posting_time"]
        customer, status, day, clock = session.values(doc.doctype, against, names)
        if status != 1:
            raise thrown(f"Return Against {doc.doctype} {against} must be submitted")
        if customer != doc["customer"]:
            raise thrown(f"Customer does not match with {doc.doctype} {against}")
        if session.site.line.merged_as_sold:
            sold = as_datetime(f"{day} {clock}")
            if as_datetime(f"{doc['posting_date']} {doc['posting_time']}") < sold:
                raise thrown(f"Posting timestamp must be after {sold:%d-%m-%Y %H:%M:%S}")


class SalesInvoice(Invoice):
    """Books to the ledger when submitted."""

    def validate(self, session: Session, doc: Doc) -> None:
        super().validate(session, doc)
        ledger.check_period(session, doc)
        accounts = dict.fromkeys(row["income_account"] for row in doc.rows("items"))
        doc["against_income_account"] = ",".join(accounts)
        doc["po_no"] = doc.get("po_no") or ""
        doc["amount_eligible_for_commission"] = doc["net_total"]
        if _is_transfer(doc):
            unrealized = session.value("Company", doc["company"], "unrealized_profit_loss_account")
            doc["unrealized_profit_loss_account"] = doc.get("unrealized_profit_loss_account") or unrealized
            if not doc["unrealized_profit_loss_account"]:
                raise thrown(
                    "Please select Unrealized Profit / Loss account or add default Unrealized Profit / Loss account"
                    f" account for company <strong>{doc['company']}</strong>"
                )
        if doc.get("is_pos"):
            tills.check_paid_drafts(session, doc)
            totals.fill_payments(session, doc)
        if doc.get("is_created_using_pos"):
            tills.check_sales_invoice(session, doc)
        doc["status"] = "Draft"
        doc["outstanding_amount"] = 0.0 if doc.docstatus == 1 and doc.is_new else self._outstanding(doc)

    @staticmethod
    def _outstanding(doc: Doc) -> float:
        paid = (
            number(doc.get("paid_amount")) - number(doc.get("change_amount"))
            if doc.get("is_pos")
            else Decimal(0)
        )
        due = totals.payable(doc)
        # A consolidated invoice is written off to the rounded sums of its parts.
        rest = due - paid
        return 0.0 if doc.get("is_consolidated") and abs(rest) <= 1 else float(rest)

    def on_submit(self, session: Session, doc: Doc) -> None:
        ledger.post(session, doc, self._lines(session, doc), doc["remarks"])
        outstanding = self._outstanding(doc)
        status = self.status_of(session, doc, outstanding)
        shown = {key: doc.get(key) for key in ("status", "outstanding_amount")}
        session.set_fields(doc, {"status": status, "outstanding_amount": outstanding}, touch=False)
        if doc.is_new and not doc.get("is_consolidated"):
            # Inserted and submitted in one request: the answer still shows the draft's status (05-16).
            doc |= shown
        if doc.get("is_return") and doc.get("return_against"):
            original = session.load("Sales Invoice", doc["return_against"])
            session.set_fields(original, {"status": "Credit Note Issued"}, touch=False)

    def before_cancel(self, session: Session, doc: Doc) -> None:
        tills.check_not_closed(session, doc)

    def on_cancel(self, session: Session, doc: Doc) -> None:
        ledger.reverse(session, doc)
        session.set_fields(doc, {"status": "Cancelled"}, touch=False)

    @staticmethod
    def status_of(session: Session, doc: Doc, outstanding: float) -> str:
        """Status of a submitted invoice on the site's day."""
        if _is_transfer(doc):
            # Inserted and submitted in one request it stays Draft: no ledger row of a party sets it anew.
            return "Draft" if doc.is_new else "Internal Transfer"
        if doc.get("is_return"):
            return "Return"
        if outstanding <= 0:
            return "Paid"
        return "Overdue" if as_date(doc["due_date"]) < session.site.clock().date() else "Unpaid"

    def _lines(self, session: Session, doc: Doc) -> list[ledger.Line]:
        if _is_transfer(doc):
            return self._transfer_lines(doc)
        debtors, customer = doc["debit_to"], doc["customer"]
        due = number(doc["base_rounded_total"]) or number(doc["base_grand_total"])
        incomes = doc["against_income_account"]
        lines = [ledger.Line(debtors, debit=due, party=customer, against=incomes, against_voucher=doc.name)]
        for row in doc.rows("items"):
            lines.append(
                ledger.Line(
                    row["income_account"],
                    credit=number(row["base_net_amount"]),
                    cost_center=row["cost_center"],
                    against=customer,
                )
            )
        for row in doc.rows("taxes"):
            amount = number(row["base_tax_amount"])
            lines.append(
                ledger.Line(
                    row["account_head"], credit=amount, cost_center=row["cost_center"], against=customer
                )
            )
        lines += self._payment_lines(doc, debtors, customer)
        short = sum((line.debit - line.credit for line in lines), Decimal(0))
        if short:
            account, center = session.values(
                "Company", doc["company"], ["round_off_account", "round_off_cost_center"]
            )
            lines.append(ledger.Line(account, credit=money(short), cost_center=center, against=customer))
        return lines

    @staticmethod
    def _transfer_lines(doc: Doc) -> list[ledger.Line]:
        """A transfer within the company earns nothing and is owed by nobody: only its taxes are booked."""
        taxes = [
            ledger.Line(
                row["account_head"], credit=number(row["base_tax_amount"]), cost_center=row["cost_center"]
            )
            for row in doc.rows("taxes")
        ]
        unrealized = ledger.Line(
            doc["unrealized_profit_loss_account"], debit=number(doc["base_total_taxes_and_charges"])
        )
        return [unrealized, *taxes]

    @staticmethod
    def _payment_lines(doc: Doc, debtors: str, customer: str) -> list[ledger.Line]:
        if not doc.get("is_pos"):
            return []
        lines = []
        for row in doc.rows("payments"):
            amount = number(row["base_amount"])
            if amount:
                lines += [
                    ledger.Line(
                        debtors,
                        credit=amount,
                        party=customer,
                        against=row["account"],
                        against_voucher=doc.name,
                    ),
                    ledger.Line(row["account"], debit=amount, against=customer),
                ]
        change = number(doc.get("base_change_amount"))
        if change:
            account = doc["account_for_change_amount"]
            lines += [
                ledger.Line(debtors, debit=change, party=customer, against=account, against_voucher=doc.name),
                ledger.Line(account, credit=change, against=customer),
            ]
        return lines


def _is_transfer(doc: Doc) -> bool:
    return bool(doc.get("is_internal_customer")) and doc.get("represents_company") == doc["company"]


CONTROLLERS = {"Sales Invoice": SalesInvoice()}
