"""`insert_all_once`: every document exactly once, in batches and in parallel, whatever happens between us and ERPNext."""

from __future__ import annotations

import itertools
import json
import math
import threading
from collections import Counter
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoopjoy_dagster.erpnext.batches import WORTH_A_LANE, Lane, cut, insert_all_once
from scoopjoy_dagster.erpnext.client import INSERT_ATTEMPTS, KEY_FIELD, RUN_FIELD, Client, KeyTaken, Written
from scoopjoy_dagster.erpnext.errors import (
    Ambiguous,
    Duplicate,
    ERPNextError,
    LoginFailed,
    NameTaken,
    Rejected,
    Transient,
    Unreachable,
)
from scoopjoy_dagster.erpnext.session import RetryRule, Session
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.erpnext.keys import generate
from scoopjoy_dagster_tests.erpnext.test_insert_once import (
    ENTRY,
    LIST,
    NEVER_STORED,
    STORED,
    document,
    fresh_key,
)
from scoopjoy_dagster_tests.world import insert as insert_directly
from scoopjoy_dagster_tests.world import session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scoopjoy_dagster.sandbox.erpnext.wire import Call

MANY = "/api/method/frappe.client.insert_many"
LANES = ({"naming_series": "SJ-ROY-A-.YYYY.-"}, {"naming_series": "SJ-ROY-B-.YYYY.-"})

Result = Written | ERPNextError


def documents(count: int) -> list[dict[str, Any]]:
    return [document(fresh_key()) for _ in range(count)]


def spoil(one: dict[str, Any]) -> None:
    """Make it a document that ERPNext refuses."""
    one["accounts"][0]["party"] = "Nobody"


def with_lanes(options: dict[str, Any]) -> dict[str, Any]:
    """The options, each with lanes of its own: a lane remembers that its counter is behind."""
    return options | {"lanes": [Lane(fields) for fields in options.get("lanes", ({},))]}


def store(client: Client, all_of_them: list[dict[str, Any]], **options: Any) -> list[Result]:
    """The results, of which there is one for each document, in their order."""
    labels = [f"Outlet {number}" for number in range(len(all_of_them))]
    results = list(insert_all_once(client, ENTRY, all_of_them, labels=labels, **with_lanes(options)))
    assert [index for index, _ in results] == list(range(len(all_of_them)))
    return [result for _, result in results]


def assert_stored_once(
    erp: SandboxERPNext,
    all_of_them: list[dict[str, Any]],
    results: list[Result],
    *,
    bad: AbstractSet[int] = frozenset(),
) -> None:
    """Every good document is there once under the name that was reported, submitted; no bad one is there."""
    keys = {one[KEY_FIELD]: number for number, one in enumerate(all_of_them)}
    there = {keys[doc[KEY_FIELD]]: doc for doc in erp.documents(ENTRY) if doc[KEY_FIELD] in keys}
    assert set(there) == set(keys.values()) - bad
    for number, doc in there.items():
        result = results[number]
        assert isinstance(result, Written), result
        assert (result.name, doc["docstatus"]) == (doc["name"], 1)
        assert len(erp.documents("GL Entry", voucher_no=doc["name"])) == 2
    assert all(isinstance(results[number], Rejected) for number in bad)


def asked(erp: SandboxERPNext, path: str = MANY) -> int:
    return sum(one.path == path for one in erp.requests.entries)


# -- how batches are cut ----------------------------------------------------------------------------------------------


@given(count=st.integers(0, 2000), batch_size=st.integers(1, 200), lanes=st.integers(1, 8))
def test_batches_cover_all_in_order_evenly_and_keep_every_lane_busy(
    count: int, batch_size: int, lanes: int
) -> None:
    batches = cut(count, batch_size, lanes)
    assert [index for batch in batches for index in batch] == list(range(count))
    sizes = [len(batch) for batch in batches]
    if not count:
        assert batches == []
        return
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(batches) <= lanes or len(batches) % lanes == 0 or count < len(batches) + lanes
    if len(batches) > -(-count // batch_size) and len(batches) <= lanes:
        assert min(sizes) >= WORTH_A_LANE  # more requests than needed only where they are worth it


def test_a_hundred_entries_in_two_lanes_are_two_requests_and_a_few_are_one() -> None:
    assert [len(batch) for batch in cut(200, 100, 2)] == [100, 100]
    assert [len(batch) for batch in cut(100, 100, 2)] == [50, 50]
    assert [len(batch) for batch in cut(12, 100, 2)] == [12]
    assert [len(batch) for batch in cut(250, 100, 2)] == [62, 63, 62, 63]


# -- without trouble --------------------------------------------------------------------------------------------------


def test_one_request_stores_a_batch_and_the_stamp_is_on_each_document(erp: SandboxERPNext) -> None:
    wanted = documents(25)
    with session_of(erp) as session:
        client = Watched(session, {RUN_FIELD: "run-1"})
        erp.requests.reset()
        results = store(client, wanted, batch_size=50)
        assert client.threads == {threading.current_thread()}  # one lane needs none of its own
    assert (erp.requests.total, erp.requests.writes) == (1, 1)
    assert_stored_once(erp, wanted, results)
    assert all(one.created for one in results if isinstance(one, Written))
    assert {doc[RUN_FIELD] for doc in erp.documents(ENTRY, **{KEY_FIELD: wanted[0][KEY_FIELD]})} == {"run-1"}


def test_nothing_is_sent_for_nothing(erp: SandboxERPNext, client: Client) -> None:
    erp.requests.reset()
    assert store(client, [], lanes=LANES) == []
    assert erp.requests.total == 0


def test_the_same_again_is_adopted_with_one_look_for_a_batch(erp: SandboxERPNext, client: Client) -> None:
    wanted = documents(30)
    first = store(client, wanted)
    erp.requests.reset()
    again = store(client, wanted)
    assert again == [Written(one.name, created=False) for one in first if isinstance(one, Written)]
    assert (asked(erp), asked(erp, LIST), erp.requests.total, erp.requests.writes) == (1, 1, 2, 0)


# -- lanes ------------------------------------------------------------------------------------------------------------


class Watched(Client):
    """A client that sees which naming series are on their way at the same time, and in which threads."""

    def __init__(self, session: Session, stamp: dict[str, str] | None = None) -> None:
        super().__init__(session, stamp)
        self.lock = threading.Lock()
        self.threads: set[threading.Thread] = set()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.most_at_once = 0

    def call(self, method: str, arguments: Any = None, **options: Any) -> Any:
        series = {one.get("naming_series", "") for one in (arguments or {}).get("docs", [])}
        with self.lock:
            self.threads.add(threading.current_thread())
            self.under_way.update(series)
            self.most |= self.under_way
            self.most_at_once = max(self.most_at_once, sum(self.under_way.values()))
        try:
            return super().call(method, arguments, **options)
        finally:
            with self.lock:
                self.under_way.subtract(series)


def test_two_lanes_run_in_parallel_and_never_share_a_naming_series(erp: SandboxERPNext) -> None:
    wanted = documents(80)
    for number in (3, 41, 77):
        spoil(wanted[number])
    both = threading.Barrier(2)

    def meet(_: Call) -> None:
        both.wait(10)  # each lane's first request waits for the other's

    erp.faults.add("meanwhile", path=MANY, times=2, hook=meet)
    with session_of(erp) as session:
        client = Watched(session)
        results = store(client, wanted, lanes=LANES, batch_size=20)
        assert session.traffic.busy_s < session.traffic.seconds
    assert client.most_at_once == 2
    assert {series: client.most[series] for series in ("SJ-ROY-A-.YYYY.-", "SJ-ROY-B-.YYYY.-")} == {
        "SJ-ROY-A-.YYYY.-": 1,
        "SJ-ROY-B-.YYYY.-": 1,
    }
    assert_stored_once(erp, wanted, results, bad={3, 41, 77})
    names = {one.name[:9] for one in results if isinstance(one, Written)}
    assert names == {"SJ-ROY-A-", "SJ-ROY-B-"}


def test_results_come_in_the_order_of_the_documents_whichever_lane_is_first(
    erp: SandboxERPNext, client: Client
) -> None:
    wanted = documents(60)
    erp.faults.add("slow_before_commit", path=MANY, seconds=0.2)
    results = store(client, wanted, lanes=LANES, batch_size=10)
    assert_stored_once(erp, wanted, results)


# -- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lanes", [LANES[:1], LANES])
@pytest.mark.parametrize("kind", [*NEVER_STORED, *STORED])
def test_every_fault_on_the_way_ends_in_exactly_one_document_each(
    erp: SandboxERPNext, client: Client, kind: str, lanes: Any
) -> None:
    wanted = documents(24)
    rule = erp.faults.add(kind, path=MANY, times=2, seconds=0)
    erp.requests.reset()
    results = store(client, wanted, lanes=lanes)
    assert rule.hit == (2 if kind in NEVER_STORED or len(lanes) == 2 else 1)
    assert_stored_once(erp, wanted, results)
    assert all(one.created for one in results if isinstance(one, Written))
    if kind in STORED:
        assert (asked(erp), asked(erp, LIST)) == (len(lanes), len(lanes))  # one look for all keys of a batch


def test_half_of_the_keys_that_another_run_stores_meanwhile_are_adopted_and_the_rest_is_stored(
    erp: SandboxERPNext, client: Client
) -> None:
    wanted = documents(20)

    def other_run(_: Call) -> None:
        with session_of(erp) as session:
            for one in wanted[::2]:
                Client(session).insert_once(ENTRY, one, label="another run")

    erp.faults.add("meanwhile", path=MANY, hook=other_run)
    results = store(client, wanted)
    assert_stored_once(erp, wanted, results)
    assert [one.created for one in results if isinstance(one, Written)] == [False, True] * 10


def test_a_client_that_gives_up_waiting_finds_what_the_server_went_on_to_store(erp: SandboxERPNext) -> None:
    wanted = documents(20)
    erp.faults.add("slow", path=MANY, seconds=0.5)
    with session_of(erp, read_timeout_s=0.25) as session:
        results = store(Client(session), wanted)
    assert_stored_once(erp, wanted, results)
    assert all(one.created for one in results if isinstance(one, Written))


def test_a_site_that_never_answers_is_given_up_after_so_many_rounds_and_each_document_says_so(
    erp: SandboxERPNext, client: Client
) -> None:
    wanted = documents(12)
    rule = erp.faults.add("refused_before_commit", path=MANY, times=None)
    results = store(client, wanted)
    assert rule.hit == INSERT_ATTEMPTS
    assert all(isinstance(one, Ambiguous) for one in results)
    erp.faults.clear()
    assert_stored_once(erp, wanted, store(client, wanted))


def test_a_deadlock_that_does_not_end_is_no_reason_to_split(erp: SandboxERPNext) -> None:
    wanted = documents(16)
    rule = erp.faults.add("deadlock", path=MANY, times=None)
    with session_of(erp, attempts=3) as session:
        results = store(Client(session), wanted)
    assert rule.hit == 3
    assert all(isinstance(one, Transient) for one in results)


def test_a_look_that_fails_too_is_the_error_of_its_batch_alone_and_the_next_run_adopts(
    erp: SandboxERPNext, client: Client
) -> None:
    wanted = documents(20)
    erp.faults.add("committed_never_answered", path=MANY)
    erp.faults.add("maintenance", path=LIST, times=5)
    results = store(client, wanted, batch_size=10)
    assert all(isinstance(one, Transient) for one in results[:10])
    assert all(isinstance(one, Written) for one in results[10:])
    again = store(client, wanted)
    assert_stored_once(erp, wanted, again)
    assert not any(one.created for one in again if isinstance(one, Written))


# -- documents that ERPNext refuses -----------------------------------------------------------------------------------


def test_a_bad_document_in_the_middle_comes_back_alone_with_erpnexts_sentence(
    erp: SandboxERPNext, client: Client
) -> None:
    wanted = documents(32)
    spoil(wanted[13])
    erp.requests.reset()
    results = store(client, wanted)
    assert_stored_once(erp, wanted, results, bad={13})
    assert str(results[13]).startswith(
        "insert Journal Entry for Outlet 13: LinkValidationError: Could not find Row #1: Party: Nobody"
    )
    assert asked(erp) == 1 + 2 * int(math.log2(32))
    assert asked(erp, LIST) == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), count=st.integers(1, 70), batch_size=st.integers(1, 64), lanes=st.integers(1, 2))
def test_the_requests_for_bad_documents_are_of_the_order_of_bad_times_log_batch(
    erp: SandboxERPNext, client: Client, data: st.DataObject, count: int, batch_size: int, lanes: int
) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=5), label="bad")
    wanted = documents(count)
    for number in bad:
        spoil(wanted[number])
    batches = cut(count, batch_size, lanes)
    erp.requests.reset()
    results = store(client, wanted, batch_size=batch_size, lanes=LANES[:lanes])
    assert_stored_once(erp, wanted, results, bad=bad)
    depth = math.ceil(math.log2(max(len(batch) for batch in batches)))
    assert erp.requests.total <= len(batches) + 2 * len(bad) * depth


def test_one_key_twice_in_a_list_is_stored_once_and_the_second_is_adopted_or_refused(
    erp: SandboxERPNext, client: Client
) -> None:
    wanted = documents(8)
    same = dict(wanted[2])
    other = document(wanted[5][KEY_FIELD], digest="d2", amount="99")
    results = store(client, [*wanted, same, other])
    assert_stored_once(erp, wanted, results[:8])
    assert results[8] == Written(results[2].name, created=False)  # type: ignore[union-attr]
    assert isinstance(results[9], KeyTaken)


def test_another_unique_field_that_is_taken_is_that_documents_error(
    erp: SandboxERPNext, client: Client
) -> None:
    field: dict[str, Any] = {
        "dt": ENTRY,
        "fieldname": "custom_batch_unique",
        "label": "Batch Unique",
        "fieldtype": "Data",
        "unique": 1,
        "no_copy": 1,
    }
    insert_directly(erp, "Custom Field", **field)
    wanted = documents(8)
    wanted[1]["custom_batch_unique"] = wanted[6]["custom_batch_unique"] = "one"
    results = store(client, wanted)
    assert_stored_once(erp, wanted, results, bad={6})
    assert isinstance(results[6], Duplicate)
    assert "Batch Unique must be unique" in results[6].said


# -- a naming series whose counter is behind the names that exist -----------------------------------------------------


SERIES = ("BEHIND-A-.YYYY.-", "BEHIND-B-.YYYY.-")
AHEAD = tuple({"naming_series": one} for one in SERIES)


def names_ahead(erp: SandboxERPNext, client: Client, *series: str) -> None:
    """Entries in these series, whose counters are set back behind them, as a restored site has them; others count on."""
    for one in SERIES:
        erp.site.set_counter(one, 1000 * next(_thousands))
        store(client, documents(1), lanes=[{"naming_series": one}])
    for one in series:
        (last,) = client.rows(ENTRY, ["name"], [["naming_series", "=", one]], order_by="name desc", limit=1)
        erp.site.set_counter(one, int(last["name"][-5:]) - 1)
    erp.requests.reset()


_thousands = itertools.count()


@pytest.mark.parametrize("count", [3, 60])
def test_a_series_whose_counter_is_behind_leaves_its_documents_to_the_other(
    erp: SandboxERPNext, client: Client, count: int
) -> None:
    names_ahead(erp, client, SERIES[0])
    wanted = documents(count)
    results = store(client, wanted, lanes=AHEAD, batch_size=10)
    assert_stored_once(erp, wanted, results)
    assert all(isinstance(one, Written) and one.name.startswith("BEHIND-B-") for one in results)
    assert asked(erp) == len(cut(count, 10, 2)) + 1  # the refused batch is not halved, and no other is tried


def test_with_every_counter_behind_each_document_says_so_and_nothing_is_stored(
    erp: SandboxERPNext, client: Client
) -> None:
    names_ahead(erp, client, *SERIES)
    wanted = documents(60)
    results = store(client, wanted, lanes=AHEAD, batch_size=10)
    assert {type(one) for one in results} == {NameTaken}
    assert_stored_once(erp, wanted, results, bad=set(range(60)))
    assert asked(erp) == 2


def test_what_is_stored_already_is_adopted_though_the_counter_is_behind(
    erp: SandboxERPNext, client: Client
) -> None:
    wanted = documents(4)
    names_ahead(erp, client)
    before = store(client, wanted[:2], lanes=AHEAD[:1])
    names_ahead(erp, client, SERIES[0])
    results = store(client, wanted, lanes=AHEAD)
    assert [one.name for one in results[:2] if isinstance(one, Written)] == [
        one.name for one in before if isinstance(one, Written)
    ]
    assert_stored_once(erp, wanted, results)


def test_a_key_on_another_payload_or_on_a_cancelled_document_is_that_documents_error(
    erp: SandboxERPNext, client: Client
) -> None:
    wanted = documents(10)
    taken = client.insert_once(ENTRY, document(wanted[4][KEY_FIELD], digest="d2", amount="99"), label="x")
    cancelled = client.insert_once(ENTRY, wanted[7], label="x")
    seed.cancel_document(erp, ENTRY, cancelled.name)
    erp.requests.reset()
    results = store(client, wanted)
    assert isinstance(results[4], KeyTaken)
    assert f"{taken.name} has the key" in results[4].said
    assert isinstance(results[7], KeyTaken)
    assert "was cancelled by a person" in results[7].said
    good = [number for number in range(10) if number not in {4, 7}]
    assert_stored_once(erp, [wanted[n] for n in good], [results[n] for n in good])
    assert (asked(erp), asked(erp, LIST)) == (2, 1)


# -- the end of everything --------------------------------------------------------------------------------------------


class BooksLocked(Rejected):
    """What the caller finds out about a refusal."""


@pytest.mark.parametrize("lanes", [LANES[:1], LANES])
def test_a_caller_that_knows_why_ends_everything_with_one_error_and_nothing_more_is_sent(
    erp: SandboxERPNext, client: Client, lanes: Any
) -> None:
    wanted = documents(100)
    for one in wanted[25:]:
        spoil(one)
    locked = BooksLocked("post the day", "the books are frozen")
    said: list[str] = []

    def why(problem: ERPNextError, size: int, stored: int) -> ERPNextError | None:
        assert size == 25
        assert stored in {0, 25}  # the good batch may still be on its way in the other lane
        said.append(problem.said)
        return locked

    erp.requests.reset()
    results = store(client, wanted, batch_size=25, lanes=lanes, refused=why)
    assert len(said) == 1
    assert "Could not find" in said[0]
    assert asked(erp) <= 1 + len(lanes)
    for result in results:
        assert result is locked or isinstance(result, Written)
    assert results[25:] == [locked] * 75
    there = {doc[KEY_FIELD] for doc in erp.documents(ENTRY)}
    assert [one[KEY_FIELD] in there for one in wanted] == [isinstance(one, Written) for one in results]


def test_a_caller_that_knows_nothing_lets_the_batch_be_split(erp: SandboxERPNext, client: Client) -> None:
    wanted = documents(8)
    spoil(wanted[0])
    asked_with: list[tuple[int, int]] = []
    results = store(client, wanted, refused=lambda _problem, size, stored: asked_with.append((size, stored)))
    assert_stored_once(erp, wanted, results, bad={0})
    assert asked_with == [(8, 0), (4, 0), (2, 0), (1, 0)]


@contextmanager
def interrupted(
    client: Client, wanted: list[dict[str, Any]], error: type[BaseException], **options: Any
) -> Iterator[dict[int, Result]]:
    """The results that come before the error."""
    known: dict[int, Result] = {}
    labels = ["Outlet"] * len(wanted)
    found = insert_all_once(client, ENTRY, wanted, labels=labels, batch_size=10, **with_lanes(options))
    with pytest.raises(error):
        known.update(found)
    yield known


@pytest.mark.parametrize("lanes", [LANES[:1], LANES])
def test_what_was_stored_before_the_key_was_withdrawn_is_told_before_the_error(
    chain_site: SandboxERPNext, lanes: Any
) -> None:
    wanted = documents(60)

    def withdraw(_: Call) -> None:
        with chain_site.site.transaction():
            generate(chain_site.session(), "robot@scoopjoy.example")

    chain_site.faults.add("meanwhile", path=MANY, nth=3, hook=withdraw)
    chain_site.requests.reset()
    with (
        session_of(chain_site) as session,
        interrupted(Client(session), wanted, LoginFailed, lanes=lanes) as known,
    ):
        pass
    there = {doc[KEY_FIELD]: doc["name"] for doc in chain_site.documents(ENTRY)}
    assert 10 <= len(known) < 60
    assert len(known) == len(there)
    for index, result in known.items():
        assert result == Written(there[wanted[index][KEY_FIELD]], created=True)
    # How many the other lane stored before the key was gone is chance; from then on, each lane hears it once.
    assert 1 <= asked(chain_site) - len(there) // 10 <= len(lanes)


def test_a_site_that_is_gone_ends_everything_and_is_not_asked_for_each_batch() -> None:
    waits: list[float] = []
    with Session("http://127.0.0.1:9", "k", "s", retry=RetryRule(attempts=2), sleep=waits.append) as session:
        with interrupted(Client(session), documents(60), Unreachable) as known:
            assert known == {}
        assert session.traffic.requests == 2


def test_an_interruption_ends_the_lanes_with_what_is_on_its_way(erp: SandboxERPNext, client: Client) -> None:
    wanted = documents(60)

    class Interrupted(Client):
        def call(self, method: str, arguments: Any = None, **options: Any) -> Any:
            if "docs" in (arguments or {}) and wanted[20][KEY_FIELD] in json.dumps(arguments, default=str):
                raise KeyboardInterrupt
            return super().call(method, arguments, **options)

    with interrupted(Interrupted(client.session), wanted, KeyboardInterrupt) as known:
        assert sorted(known) == list(range(20))


# -- chance -----------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed_number=st.integers(0, 2**16),
    probability=st.floats(0.05, 0.5),
    bad=st.sets(st.integers(0, 29), max_size=3),
    lanes=st.integers(1, 2),
)
def test_a_site_that_fails_by_chance_still_gets_each_document_once(
    erp: SandboxERPNext, client: Client, seed_number: int, probability: float, bad: set[int], lanes: int
) -> None:
    wanted = documents(30)
    for number in bad:
        spoil(wanted[number])
    erp.faults.clear()
    erp.faults.reseed(seed_number)
    kinds = [
        "committed_never_answered",
        "reset_in_body",
        "deadlock",
        "bad_gateway_after_commit",
        "refused_before_commit",
    ]
    for kind in kinds:
        erp.faults.add(kind, probability=probability / len(kinds))
    first = store(client, wanted, batch_size=8, lanes=LANES[:lanes])
    erp.faults.clear()
    second = store(client, wanted, batch_size=8, lanes=LANES[:lanes])
    assert_stored_once(erp, wanted, second, bad=bad)
    for before, after in zip(first, second, strict=True):
        if isinstance(before, Written):
            assert isinstance(after, Written)
            assert (before.name, after.created) == (after.name, False)
