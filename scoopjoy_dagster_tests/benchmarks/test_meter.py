"""The meter: time in which at least one request is on its way, whoever sent it."""

from __future__ import annotations

import time
from datetime import date

import pytest
import requests

from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.benchmarks.chain_of import Chain, build, prepare
from scoopjoy_dagster_tests.benchmarks.meter import Meter, is_write, union


def test_spans_that_overlap_count_once_and_gaps_not_at_all() -> None:
    assert union([(1, 3), (2, 4), (2.5, 2.6), (6, 7)]) == pytest.approx(4)
    assert union([(1, 3), (2, 4), (6, 7)], 2.5, 6.5) == pytest.approx(2)
    assert union([]) == 0


def test_only_requests_to_the_one_server_are_counted(chain_site: SandboxERPNext) -> None:
    meter = Meter(chain_site.url)
    began = time.time()
    with meter.running():
        requests.get(f"{chain_site.url}/api/method/ping", timeout=5)
        with pytest.raises(requests.ConnectionError):
            requests.get("http://127.0.0.1:9/", timeout=5)
    ended = time.time()
    requests.get(f"{chain_site.url}/api/method/ping", timeout=5)
    found = meter.between(began, ended)
    assert (found["requests"], found["writes"]) == (1, 0)
    assert 0 < found["inside_s"] < ended - began


@pytest.mark.parametrize(
    ("method", "path", "writes"),
    [
        ("GET", "/api/resource/Sales Invoice", False),
        ("POST", "/api/method/frappe.client.get_list", False),
        ("POST", "/api/resource/Journal Entry", True),
        ("PUT", "/api/resource/Sales Invoice/A?x=get_list", True),
    ],
)
def test_a_post_that_only_reads_is_no_write(method: str, path: str, writes: bool) -> None:
    assert is_write(method, "http://127.0.0.1:8000" + path) is writes


def test_a_chain_has_its_franchises_and_their_invoices_on_each_day() -> None:
    chain = Chain(7, 2, date(2026, 11, 20), date(2026, 11, 22))
    with SandboxERPNext(":memory:") as erpnext:
        prepare(erpnext)
        build(erpnext, chain)
        invoices = erpnext.documents("Sales Invoice")
        assert len(invoices) == 7 * 2 * 3
        assert {one["posting_date"] for one in invoices} == {day.isoformat() for day in chain.days}
        assert len({one["customer"] for one in invoices}) == 7
        assert all(one["docstatus"] == 1 and len(one["items"]) == 1 for one in invoices)
        assert all(one["base_grand_total"] == one["grand_total"] for one in invoices)
        assert len({one["base_grand_total"] for one in invoices}) > 40
