"""The same work as the old pipeline's loop did it, over REST: one document per request, one sum per franchise.

Only what costs requests is here: the royalty step (a sum, an insert and a submit for each franchise) and the invoice
step (a change of each invoice, a file for each franchise). The file's bytes are made up, so the naive way is not
charged for drawing statements. No keys, no adoption, no exceptions: it is a yardstick, not a program.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import requests

PAISA = Decimal("0.01")
STATEMENT = b"%PDF-1.4\n" + b"0" * 12_000
"""About the size of a royalty statement."""


class Naive:
    """A user of the REST API who takes one document after the other."""

    def __init__(self, url: str, key: str, secret: str, company: str, abbr: str, group: str) -> None:
        self._url = url
        self._company, self._abbr, self._group = company, abbr, group
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers["Authorization"] = f"token {key}:{secret}"
        self.entries: dict[str, tuple[str, Decimal, Decimal]] = {}

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        answer = self._http.request(method, self._url + path, timeout=120, **options)
        answer.raise_for_status()
        found = answer.json()
        return found.get("data", found.get("message"))

    def _list(self, doctype: str, fields: list[str], filters: list[Any]) -> list[dict[str, Any]]:
        params = {"fields": json.dumps(fields), "filters": json.dumps(filters), "limit_page_length": "0"}
        found: list[dict[str, Any]] = self._ask("GET", f"/api/resource/{doctype}", params=params)
        return found

    def royalties(self, day: date) -> int:
        """Sum, insert, submit, franchise by franchise; returns how many entries it posted."""
        customers = self._list(
            "Customer",
            ["name", "custom_royalty_percentage"],
            [["customer_group", "descendants of (inclusive)", self._group], ["disabled", "=", 0]],
        )
        for one in customers:
            filters = [["customer", "=", one["name"]], ["posting_date", "=", f"{day}"], ["docstatus", "=", 1]]
            (row,) = self._list("Sales Invoice", ["sum(base_grand_total) as total"], filters)
            rate = Decimal(str(one["custom_royalty_percentage"] or 5))
            amount = (Decimal(str(row["total"] or 0)) * rate / 100).quantize(PAISA, ROUND_HALF_UP)
            if amount > 0:
                self.entries[one["name"]] = (self._post(one["name"], day, amount), rate, amount)
        return len(self.entries)

    def _post(self, customer: str, day: date, amount: Decimal) -> str:
        shared = {"cost_center": f"Main - {self._abbr}"}
        debit = {"account": f"Debtors - {self._abbr}", "party_type": "Customer", "party": customer}
        document = {
            "voucher_type": "Journal Entry",
            "company": self._company,
            "posting_date": f"{day}",
            "user_remark": f"Royalty for {customer} on {day}",
            "accounts": [
                {**shared, **debit, "debit_in_account_currency": float(amount)},
                {
                    **shared,
                    "account": f"Royalty Income - {self._abbr}",
                    "credit_in_account_currency": float(amount),
                },
            ],
        }
        name = str(self._ask("POST", "/api/resource/Journal Entry", json=document)["name"])
        self._ask("PUT", f"/api/resource/Journal Entry/{name}", json={"docstatus": 1})
        return name

    def invoices(self, day: date) -> int:
        """Rate, share and link on each invoice, a file for each entry; returns how many invoices it changed."""
        rows = self._list(
            "Sales Invoice",
            ["name", "customer", "base_grand_total"],
            [["posting_date", "=", f"{day}"], ["docstatus", "=", 1]],
        )
        of: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            of[row["customer"]].append(row)
        for customer, (entry, rate, _) in self.entries.items():
            for row in of[customer]:
                share = (Decimal(str(row["base_grand_total"])) * rate / 100).quantize(PAISA, ROUND_HALF_UP)
                values = {
                    "custom_royalty_rate": float(rate),
                    "custom_royalty_share": float(share),
                    "custom_royalty_journal_entry": entry,
                }
                self._ask("PUT", f"/api/resource/Sales Invoice/{row['name']}", json=values)
            self._ask(
                "POST",
                "/api/method/upload_file",
                files={"file": (f"statement-{entry}.pdf", STATEMENT, "application/pdf")},
                data={"doctype": "Journal Entry", "docname": entry, "is_private": "1"},
            )
        return len(rows)
