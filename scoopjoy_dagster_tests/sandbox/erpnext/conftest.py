"""A small world behind a real socket, and a client that only speaks HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import Credentials, SandboxERPNext

NOW = datetime(2026, 11, 23, 1, 0)


class Client:
    """Requests of one user."""

    def __init__(self, url: str, who: Credentials | None) -> None:
        self.url = url
        self.http = requests.Session()
        if who is not None:
            self.http.headers["Authorization"] = who.authorization

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> requests.Response:
        texts = {
            key: value if isinstance(value, str | int) else json.dumps(value) for key, value in params.items()
        }
        return self.http.request(method, self.url + path, params=texts, json=body, timeout=20)

    def get(self, path: str, **params: Any) -> Any:
        answer = self.call("GET", path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json().get("data", answer.json().get("message"))

    def post(self, path: str, body: Any) -> Any:
        answer = self.call("POST", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json().get("data", answer.json().get("message"))

    def put(self, path: str, body: Any) -> Any:
        answer = self.call("PUT", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def refused(self, method: str, path: str, body: Any = None, **params: Any) -> tuple[int, str]:
        """Status and exc_type of a call that must fail."""
        answer = self.call(method, path, body, **params)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json().get("exc_type")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("erpnext") / "masters.db"
    made = SandboxERPNext(":memory:", clock=lambda: NOW)
    seed.master_data(made)
    for franchise in seed.FRANCHISES[:6]:
        seed.add_franchise(made, franchise.name, group=franchise.group)
    made.snapshot(path)
    made.close()
    return path


@pytest.fixture
def world(template: Path) -> Iterator[SandboxERPNext]:
    ticks = iter(range(1, 10**9))
    clock = lambda: NOW + timedelta(milliseconds=next(ticks))  # noqa: E731
    with SandboxERPNext(":memory:", clock=clock, background_delay_s=3600, template=template) as made:
        yield made


@pytest.fixture
def robot(world: SandboxERPNext) -> Client:
    return Client(world.url, world.robot)


@pytest.fixture(scope="session")
def template_v16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("erpnext-v16") / "masters.db"
    made = SandboxERPNext(":memory:", clock=lambda: NOW, line="v16")
    seed.master_data(made)
    for franchise in seed.FRANCHISES[:6]:
        seed.add_franchise(made, franchise.name, group=franchise.group)
    made.snapshot(path)
    made.close()
    return path


@pytest.fixture
def newer(template_v16: Path) -> Iterator[SandboxERPNext]:
    """The small world on an ERPNext v16."""
    ticks = iter(range(1, 10**9))
    clock = lambda: NOW + timedelta(milliseconds=next(ticks))  # noqa: E731
    options: dict[str, Any] = {"background_delay_s": 3600, "template": template_v16}
    with SandboxERPNext(":memory:", clock=clock, line="v16", **options) as made:
        yield made


@pytest.fixture
def newer_robot(newer: SandboxERPNext) -> Client:
    return Client(newer.url, newer.robot)


def journal_entry(amount: float = 100, *, customer: str = "Franchise Thane", **extra: Any) -> dict[str, Any]:
    return {
        "voucher_type": "Journal Entry",
        "company": "ScoopJoy",
        "posting_date": "2026-11-22",
        "accounts": [
            {
                "account": "Debtors - SJ",
                "party_type": "Customer",
                "party": customer,
                "debit_in_account_currency": amount,
                "cost_center": "Main - SJ",
            },
            {
                "account": "Royalty Income - SJ",
                "credit_in_account_currency": amount,
                "cost_center": "Main - SJ",
            },
        ],
        **extra,
    }


def run_doctypes(permissions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bodies of two DocTypes, rows first: a run with its steps, each with a field of permission level 1."""
    secret = {"fieldname": "secret", "fieldtype": "Data", "label": "Secret", "permlevel": 1, "default": "-"}
    amount = {"fieldname": "amount", "fieldtype": "Currency", "label": "Amount", "permlevel": 1}
    step = {
        "name": "Night Step",
        "module": "Custom",
        "custom": 1,
        "istable": 1,
        "fields": [{"fieldname": "op", "fieldtype": "Data", "label": "Op"}, secret],
    }
    run = {
        "name": "Night Run",
        "module": "Custom",
        "custom": 1,
        "autoname": "NIGHT-.###",
        "fields": [
            {"fieldname": "title", "fieldtype": "Data", "label": "Title"},
            secret,
            amount,
            {"fieldname": "steps", "fieldtype": "Table", "options": "Night Step"},
        ],
        "permissions": permissions,
    }
    return [step, run]


def key_field(doctype: str = "Journal Entry", **extra: Any) -> dict[str, Any]:
    return {
        "dt": doctype,
        "fieldname": "custom_scoopjoy_key",
        "label": "ScoopJoy Key",
        "fieldtype": "Data",
        "unique": 1,
        "no_copy": 1,
        "read_only": 1,
        **extra,
    }


def share_bodies() -> list[tuple[str, dict[str, Any]]]:
    """What makes a table of shares in Journal Entries: where each body is posted, and the body."""
    fields = [
        {"fieldname": "document_type", "fieldtype": "Data", "label": "Document Type"},
        {"fieldname": "document", "fieldtype": "Data", "label": "Document", "search_index": 1},
        {"fieldname": "share", "fieldtype": "Currency", "label": "Share"},
    ]
    rows = {"name": "Night Share", "module": "Custom", "custom": 1, "istable": 1, "fields": fields}
    table = {
        "dt": "Journal Entry",
        "fieldname": "custom_shares",
        "fieldtype": "Table",
        "options": "Night Share",
    }
    return [("/api/resource/DocType", rows), ("/api/resource/Custom Field", table)]
