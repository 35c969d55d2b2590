"""The latency model: the measured figures come out of it, in a time that does not pass; and the server keeps to it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.erpnext.latency import ERPNEXT_V15, MODELS, READERS, WRITERS, Cost, task_of
from scoopjoy_dagster.sandbox.erpnext.pace import Pace, background_s
from scoopjoy_dagster.sandbox.erpnext.wire import Call, Reply
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import NOW, Client, journal_entry, share_bodies

JSON = {"content-type": "application/json"}


class _Time(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time: the clock is put forward instead."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__()
        select = self._selector.select

        def forward(timeout: float | None) -> Any:
            self.now += timeout or 0.0
            return select(0)

        self._selector.select = forward

    def time(self) -> float:
        return self.now


def took(world: SandboxERPNext, *calls: Call, rows: int = 0) -> float:
    """Seconds until the last of these requests is answered, all sent at once to a server that needs no time itself."""
    with asyncio.Runner(loop_factory=_Time) as runner:
        loop = runner.get_loop()
        pace = Pace(world.site, ERPNEXT_V15, loop.time)

        async def work() -> Reply:
            return Reply(200, b'{"data":[' + b"{}," * rows + b"]}")

        async def all_of_them() -> float:
            started = loop.time()
            await asyncio.gather(*(pace.keep(call, work) for call in calls))
            return loop.time() - started

        main: Coroutine[Any, Any, float] = all_of_them()
        return runner.run(main)


def entries(many: int, series: str = "") -> Call:
    named = {"naming_series": series} if series else {}
    docs = [{**journal_entry(), "doctype": "Journal Entry", "docstatus": 1, **named}] * many
    return Call(
        "POST", "/api/method/frappe.client.insert_many", "", JSON, json.dumps({"docs": docs}).encode()
    )


def entry(**values: Any) -> Call:
    body = json.dumps(journal_entry(**values)).encode()
    return Call("POST", "/api/resource/Journal Entry", "", JSON, body)


def listed(query: str) -> Call:
    return Call("GET", "/api/resource/Sales Invoice", query, {})


def test_one_submitted_entry_takes_71_ms_and_200_in_one_request_26_ms_each(world: SandboxERPNext) -> None:
    assert took(world, entry(docstatus=1)) == pytest.approx(0.071, abs=0.001)
    assert took(world, entries(200)) / 200 == pytest.approx(0.026, abs=0.0005)


def test_clients_that_post_in_one_series_get_no_more_than_18_entries_a_second(world: SandboxERPNext) -> None:
    for clients in (2, 4, 8):
        per_second = clients / took(world, *[entry(docstatus=1)] * clients)
        assert 13 <= per_second <= 18, clients


def test_two_series_side_by_side_take_the_measured_part_of_one_and_four_series_more_than_two(
    world: SandboxERPNext,
) -> None:
    one = took(world, entries(200))
    same = took(world, entries(100, "ROY-A-.YYYY.-"), entries(100, "ROY-A-.YYYY.-"))
    two = took(world, entries(100, "ROY-A-.YYYY.-"), entries(100, "ROY-B-.YYYY.-"))
    four = took(world, *(entries(50, f"ROY-{letter}-.YYYY.-") for letter in "ABCD"))
    assert same == pytest.approx(one, rel=0.02)
    assert 4.9 / 9.8 <= two / one <= 5.5 / 7.7
    assert two < four < one
    assert 6.6 / 9.8 <= four / one <= 7.1 / 7.7


def test_the_series_that_a_document_names_and_the_usual_one_are_the_same_lock(world: SandboxERPNext) -> None:
    assert task_of(world.site, entry()).series == ("ACC-JV-.YYYY.-",)
    assert task_of(world.site, entry(naming_series="ACC-JV-.YYYY.-")).series == ("ACC-JV-.YYYY.-",)
    assert task_of(world.site, entry(naming_series="ROY-.YYYY.-")).series == ("ROY-.YYYY.-",)


@pytest.mark.parametrize(
    ("query", "rows", "ms"),
    [
        ('fields=["name"]&limit_page_length=500', 500, 21),
        ('fields=["name"]', 1, 12),
        ('fields=["customer","sum(base_net_total) as total"]&group_by=customer', 12, 16),
    ],
)
def test_a_list_takes_what_was_measured(world: SandboxERPNext, query: str, rows: int, ms: float) -> None:
    assert took(world, listed(query), rows=rows) == pytest.approx(ms / 1000, abs=0.001)


def test_readers_share_two_cores(world: SandboxERPNext) -> None:
    call = listed('fields=["customer","sum(base_net_total) as total"]&group_by=customer')
    alone = took(world, call)
    for clients, measured in ((2, 24.4 / 19.4), (4, 38.2 / 19.4), (8, 73.3 / 19.4)):
        assert took(world, *[call] * clients) / alone == pytest.approx(measured, rel=0.1), clients


def test_other_operations_take_what_was_measured(world: SandboxERPNext) -> None:
    assert took(world, Call("GET", "/api/resource/Sales Invoice/A", "", {})) == pytest.approx(
        0.025, abs=0.001
    )
    assert took(world, Call("GET", "/api/method/ping", "", {})) == pytest.approx(0.0106, abs=0.001)
    upload = took(world, Call("POST", "/api/method/upload_file", "", JSON, b"{}"))
    sent = json.dumps({"docs": [{"doctype": "File", "file_name": "a.pdf"}]}).encode()
    one_file = Call("POST", "/api/method/frappe.client.insert_many", "", JSON, sent)
    assert took(world, one_file) == pytest.approx(upload, abs=0.001)
    assert task_of(world.site, one_file).series == (), "files have no naming series, so no lock"
    put = Call("PUT", "/api/resource/Sales Invoice/A", "", JSON, b'{"remarks":"x"}')
    assert took(world, put) == pytest.approx(0.113, abs=0.001)
    # Insert a draft, then submit it: 1.83 times of both in one request.
    draft = took(world, entry()) + took(
        world, Call("PUT", "/api/resource/Journal Entry/A", "", JSON, b'{"docstatus":1}')
    )
    assert draft / 0.071 == pytest.approx(148.6 / 81.4, rel=0.02)


@pytest.mark.parametrize(
    ("rows", "each_ms", "without_ms"),
    [(2, 35.3, 33.8), (10, 38.8, 33.8), (50, 53.8, 33.8), (50, 78.2, 50.1), (500, 320.0, 50.1)],
)
def test_rows_of_a_table_that_was_added_cost_what_was_measured_beside_the_entry(
    world: SandboxERPNext, robot: Client, rows: int, each_ms: float, without_ms: float
) -> None:
    """As a part of an entry without: the figures are of two machines, both slower than the model's."""
    for body in share_bodies():
        robot.post(*body)
    entry_with = {**journal_entry(), "doctype": "Journal Entry", "docstatus": 1, "custom_shares": [{}] * rows}
    sent = json.dumps({"docs": [entry_with] * 40}).encode()
    call = Call("POST", "/api/method/frappe.client.insert_many", "", JSON, sent)
    assert took(world, call) / took(world, entries(40)) == pytest.approx(each_ms / without_ms, rel=0.05)
    more = took(world, entry(docstatus=1, custom_shares=[{}] * rows)) - took(world, entry(docstatus=1))
    assert more == pytest.approx(0.0003 * rows)


@pytest.mark.parametrize(
    ("invoices", "draft_ms", "submit_ms"), [(9, 83, 1300), (10, 92, 122), (50, 180, 204)]
)
def test_a_pos_closing_takes_what_was_measured(
    world: SandboxERPNext, invoices: int, draft_ms: float, submit_ms: float
) -> None:
    shift = seed.add_shift(
        world, "POS Bandra", "cashier.bandra@scoopjoy.example", NOW - timedelta(hours=15), ["100"] * invoices
    )
    rows = [{"pos_invoice": name} for name in shift.invoices]
    session = world.session()
    with world.site.transaction():
        values = {"pos_opening_entry": shift.opening, "company": "ScoopJoy", "pos_transactions": rows}
        values |= {"period_end_date": str(NOW)}
        name = session.insert(session.new("POS Closing Entry", values)).name
    draft = Call("POST", "/api/resource/POS Closing Entry", "", JSON, json.dumps(values).encode())
    submit = Call("PUT", f"/api/resource/POS Closing Entry/{name}", "", JSON, b'{"docstatus":1}')
    assert took(world, draft) * 1000 == pytest.approx(draft_ms, rel=0.08)
    assert took(world, submit) * 1000 == pytest.approx(submit_ms, rel=0.06)


def test_closings_in_the_background_take_3_s_for_10_invoices_and_5_8_s_for_50() -> None:
    assert background_s(ERPNEXT_V15, 10) == pytest.approx(3.0, abs=0.05)
    assert background_s(ERPNEXT_V15, 50) == pytest.approx(5.8, abs=0.05)


def test_what_the_site_will_refuse_costs_no_more_than_a_look(world: SandboxERPNext) -> None:
    for call in (
        Call("POST", "/api/resource/Nothing", "", JSON, b"{}"),
        Call("POST", "/api/resource/Journal Entry", "", JSON, b"{ not JSON"),
        Call("POST", "/api/method/frappe.client.insert_many", "", JSON, b'{"docs": 5}'),
        Call("GET", "/nowhere", "", {}),
    ):
        assert task_of(world.site, call).operation == "other", call.path


def test_every_line_of_the_table_names_its_source() -> None:
    for table in MODELS.values():
        assert set(table) == set(ERPNEXT_V15)
        assert all(cost.source.startswith(("measured: ", "ratio: ")) for cost in table.values())
    assert READERS[0] == WRITERS[0] == 1.0


# -- the server -----------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(template: Path) -> Iterator[SandboxERPNext]:
    """A site where submitted entries take half a second and everything else 20 ms."""
    quick = dict.fromkeys(ERPNEXT_V15, Cost("of this test", 20))
    costs = quick | {"insert many": Cost("of this test", 0, 500)}
    with SandboxERPNext(":memory:", clock=lambda: NOW, template=template, latency=costs) as made:
        yield made


def test_a_request_takes_at_least_the_modelled_time(slow: SandboxERPNext) -> None:
    client = Client(slow.url, slow.robot)
    for _ in range(5):
        started = time.monotonic()
        client.get("/api/method/frappe.auth.get_logged_user")
        assert time.monotonic() - started >= 0.02


def test_the_time_is_spent_outside_of_the_databases_lock(slow: SandboxERPNext) -> None:
    client = Client(slow.url, slow.robot)
    posting = threading.Thread(
        target=client.post, args=("/api/resource/Journal Entry", journal_entry(docstatus=1))
    )
    posting.start()
    while not slow.documents("Journal Entry"):
        time.sleep(0.005)
    assert posting.is_alive(), "the entry is stored, its answer is not there yet"
    assert Client(slow.url, slow.robot).get("/api/method/ping") == "pong"
    assert posting.is_alive()
    posting.join()


def test_a_connection_that_breaks_leaves_the_series_free(slow: SandboxERPNext) -> None:
    client = Client(slow.url, slow.robot)
    slow.faults.add("committed_never_answered", doctype="Journal Entry")
    with pytest.raises(requests.ConnectionError):
        client.call("POST", "/api/resource/Journal Entry", journal_entry(docstatus=1))
    client.post("/api/resource/Journal Entry", journal_entry(docstatus=1))
    assert len(slow.documents("Journal Entry")) == 2
