"""Lists that were read already: never after a write of ours, never for long, and never more than fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from scoopjoy_dagster.erpnext import remembered
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, Client
from scoopjoy_dagster.erpnext.errors import Ambiguous
from scoopjoy_dagster.erpnext.remembered import LONGEST_S, Remembered
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import DAY, GELATO, THANE, change

FIELDS = ["name", "territory"]


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class ERPNext:
    """A list that is another one each time it is read; counts the readings."""

    rows: int = 1
    takes_s: float = 0.0
    clock: Clock | None = None
    asked: int = field(default=0, init=False)

    def __call__(self) -> list[dict[str, Any]]:
        self.asked += 1
        if self.clock:
            self.clock.now += self.takes_s
        return [{"reading": self.asked}] * self.rows


def test_the_same_list_is_read_once() -> None:
    memory, erpnext = Remembered(), ERPNext()
    assert memory.or_read(b"a", 0, erpnext) == memory.or_read(b"a", 0, erpnext) == [{"reading": 1}]
    assert erpnext.asked == 1


def test_another_list_is_another_reading() -> None:
    memory, erpnext = Remembered(), ERPNext()
    assert memory.or_read(b"a", 0, erpnext) != memory.or_read(b"b", 0, erpnext)
    assert memory.or_read(b"a", 0, erpnext) == [{"reading": 1}]
    assert erpnext.asked == 2


def test_an_empty_list_is_remembered_too() -> None:
    memory, erpnext = Remembered(), ERPNext(rows=0)
    assert memory.or_read(b"a", 0, erpnext) == memory.or_read(b"a", 0, erpnext) == []
    assert erpnext.asked == 1


def test_after_a_write_every_list_is_read_again() -> None:
    memory, erpnext = Remembered(), ERPNext()
    memory.or_read(b"a", 0, erpnext)
    memory.or_read(b"b", 0, erpnext)
    assert memory.or_read(b"a", 1, erpnext) == [{"reading": 3}]
    assert memory.or_read(b"b", 1, erpnext) == [{"reading": 4}]
    assert memory.or_read(b"a", 1, erpnext) == [{"reading": 3}]


@pytest.mark.parametrize(("later_s", "asked"), [(LONGEST_S - 0.001, 1), (LONGEST_S, 2), (3600.0, 2)])
def test_a_list_is_good_for_a_minute(later_s: float, asked: int) -> None:
    """What other people book meanwhile is seen then."""
    clock, erpnext = Clock(), ERPNext()
    memory = Remembered(clock)
    memory.or_read(b"a", 0, erpnext)
    clock.now += later_s
    memory.or_read(b"a", 0, erpnext)
    assert erpnext.asked == asked
    assert LONGEST_S == 60


def test_a_list_is_as_old_as_the_question_not_as_the_answer() -> None:
    """ERPNext may have looked at its tables right at the beginning of a long request."""
    clock = Clock()
    memory, erpnext = Remembered(clock), ERPNext(takes_s=LONGEST_S, clock=clock)
    memory.or_read(b"a", 0, erpnext)
    memory.or_read(b"a", 0, erpnext)
    assert erpnext.asked == 2


def test_a_reading_that_fails_is_not_remembered() -> None:
    memory, erpnext = Remembered(), ERPNext()

    def fails() -> list[dict[str, Any]]:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        memory.or_read(b"a", 0, fails)
    assert memory.or_read(b"a", 0, erpnext) == [{"reading": 1}]


def test_nobody_can_change_what_is_remembered_by_changing_the_list_that_he_got() -> None:
    memory, erpnext = Remembered(), ERPNext(rows=3)
    memory.or_read(b"a", 0, erpnext).clear()
    memory.or_read(b"a", 0, erpnext).append({"reading": "mine"})
    assert len(memory.or_read(b"a", 0, erpnext)) == 3


def test_what_is_forgotten_is_read_again() -> None:
    memory, erpnext = Remembered(), ERPNext()
    memory.or_read(b"a", 0, erpnext)
    memory.forget()
    assert memory.or_read(b"a", 0, erpnext) == [{"reading": 2}]


def test_the_oldest_lists_make_room_and_one_that_never_fits_is_had_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remembered, "MOST_ROWS", 10)
    memory = Remembered()
    lists = {name: ERPNext(rows=4) for name in (b"a", b"b", b"c")}
    for name, one in lists.items():
        memory.or_read(name, 0, one)
    for name in (b"c", b"b"):
        memory.or_read(name, 0, lists[name])
    assert {name: one.asked for name, one in lists.items()} == {b"a": 1, b"b": 1, b"c": 1}
    memory.or_read(b"a", 0, lists[b"a"])  # made room for the third
    assert lists[b"a"].asked == 2
    huge = ERPNext(rows=11)
    assert len(memory.or_read(b"huge", 0, huge)) == 11
    assert sum(len(one.rows) for one in memory._lists.values()) == 11  # nothing beside it
    memory.or_read(b"d", 0, ERPNext(rows=4))
    assert sum(len(one.rows) for one in memory._lists.values()) == 4


# -- with a session -------------------------------------------------------------------------------------------------


def customers(client: Client, name: str = THANE, *, remember: bool = True, **more: Any) -> list[Any]:
    return client.rows("Customer", FIELDS, [["name", "=", name]], remember=remember, **more)


def test_a_list_is_remembered_only_where_its_reader_allows_it(erp: SandboxERPNext, client: Client) -> None:
    erp.requests.reset()
    assert customers(client) == customers(client)
    assert erp.requests.total == 1
    assert customers(client, remember=False) == customers(client, remember=False)
    assert erp.requests.total == 3


@pytest.mark.parametrize(
    "other",
    [
        {"order_by": "creation asc"},
        {"limit": 1},
        {"name": GELATO},
        {"or_filters": [["territory", "=", "India"]]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_list_with_another_argument_is_another_list(
    erp: SandboxERPNext, client: Client, other: dict[str, Any]
) -> None:
    customers(client)
    erp.requests.reset()
    customers(client, **other)
    assert erp.requests.total == 1
    customers(client)
    assert erp.requests.total == 1


@pytest.fixture
def invoice(erp: SandboxERPNext) -> str:
    return seed.add_invoice(erp, THANE, DAY, "100")


@pytest.mark.parametrize("write", ["update", "insert", "delete"])
def test_whatever_the_session_writes_is_seen_by_the_next_list(
    erp: SandboxERPNext, client: Client, invoice: str, write: str
) -> None:
    before = customers(client)
    erp.requests.reset()
    match write:
        case "update":
            client.update("Sales Invoice", invoice, {"po_no": "PO-5"})
        case "insert":
            client.insert("File", {"file_name": "a.txt", "content": "a", "is_private": 1})
        case _:
            client.delete("File", "no-such-file")
    asked = erp.requests.total
    assert customers(client) == before
    assert erp.requests.total == asked + 1


def _record(client: Client, key: str) -> None:
    """Its key is the test's own: the module's tests share a site, in any order."""
    client.insert_once(
        "ScoopJoy Delivery",
        {
            "channel": "hq",
            "business_day": DAY.isoformat(),
            "recipient": "headquarters",
            "revision": 0,
            KEY_FIELD: key,
            DIGEST_FIELD: "x",
        },
        label="headquarters",
    )


def test_a_record_of_ours_is_seen_by_the_next_list_of_records_and_leaves_all_others_as_they_are(
    erp: SandboxERPNext, client: Client
) -> None:
    key = "hq:ScoopJoy:remembered:0"

    def records() -> list[Any]:
        return client.rows("ScoopJoy Delivery", ["name"], [[KEY_FIELD, "=", key]], remember=True)

    before = customers(client)
    assert records() == []
    _record(client, key)
    erp.requests.reset()
    assert customers(client) == before
    assert erp.requests.total == 0
    assert len(records()) == 1
    assert (erp.requests.total, client.session.traffic.writes) == (1, 1)
    assert customers(client) == before  # the newer list of records has not driven it out
    assert erp.requests.total == 1


def test_a_record_whose_answer_never_came_is_looked_up_like_any_other_write(
    erp: SandboxERPNext, client: Client
) -> None:
    key = "hq:ScoopJoy:never-answered:0"
    erp.faults.add("committed_never_answered", method="POST", path="/api/resource/ScoopJoy Delivery")
    _record(client, key)
    assert len([row for row in erp.documents("ScoopJoy Delivery") if row[KEY_FIELD] == key]) == 1


def test_a_write_whose_answer_never_came_is_a_write(erp: SandboxERPNext, client: Client) -> None:
    customers(client)
    erp.faults.add("committed_never_answered", method="POST", path="/api/resource/File", times=None)
    with pytest.raises(Ambiguous):
        client.insert("File", {"file_name": "a.txt", "content": "a", "is_private": 1})
    erp.requests.reset()
    customers(client)
    assert erp.requests.total == 1


def test_what_others_write_is_seen_when_it_is_forgotten(erp: SandboxERPNext, client: Client) -> None:
    """A POS closing in the background is ERPNext's own write: the session does not know of it."""
    old = customers(client)
    change(erp, "Customer", THANE, territory="All Territories")
    assert customers(client) == old
    client.remembered.forget()
    assert customers(client)[0]["territory"] == "All Territories"
