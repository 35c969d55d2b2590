"""`insert_once`: exactly one document, whatever happens between us and ERPNext."""

from __future__ import annotations

import itertools
import threading
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoopjoy_dagster.erpnext.client import (
    DIGEST_FIELD,
    INSERT_ATTEMPTS,
    KEY_FIELD,
    Client,
    KeyTaken,
    Written,
)
from scoopjoy_dagster.erpnext.errors import (
    Ambiguous,
    Duplicate,
    ERPNextError,
    LoginFailed,
    NameTaken,
    Rejected,
    Transient,
)
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import DAY, THANE, exact, session_of

ENTRY = "Journal Entry"
INSERT = "/api/resource/Journal Entry"
LIST = "/api/method/frappe.client.get_list"
NEVER_STORED = [
    "refused_before_commit",
    "deadlock",
    "lock_timeout",
    "rate_limited",
    "maintenance",
    "html_500",
    "bad_gateway_before_commit",
    "gateway_timeout_before_commit",
]
STORED = [
    "committed_never_answered",
    "reset_in_body",
    "bad_gateway_after_commit",
    "gateway_timeout_after_commit",
    "bomb_after_commit",
    "nested_after_commit",
]
_numbers = itertools.count()


def fresh_key() -> str:
    return f"royalty:ScoopJoy:2026-11-22:Test {next(_numbers)}:0"


def document(key: str, *, digest: str = "d1", amount: str = "12.34") -> dict[str, Any]:
    return {
        "voucher_type": ENTRY,
        "company": "ScoopJoy",
        "posting_date": DAY.isoformat(),
        "docstatus": 1,
        KEY_FIELD: key,
        DIGEST_FIELD: digest,
        "accounts": [
            {
                "account": "Debtors - SJ",
                "party_type": "Customer",
                "party": THANE,
                "cost_center": "Main - SJ",
                "debit_in_account_currency": Decimal(amount),
            },
            {
                "account": "Royalty Income - SJ",
                "cost_center": "Main - SJ",
                "credit_in_account_currency": Decimal(amount),
            },
        ],
    }


def stored(erp: SandboxERPNext, key: str) -> list[dict[str, Any]]:
    return erp.documents(ENTRY, **{KEY_FIELD: key})


def booked(erp: SandboxERPNext, name: str) -> Decimal:
    return sum((exact(row["debit"]) for row in erp.documents("GL Entry", voucher_no=name)), Decimal(0))


def insert(client: Client, key: str, **options: Any) -> Written:
    return client.insert_once(ENTRY, document(key, **options), label=THANE)


def test_without_trouble_it_is_one_request(erp: SandboxERPNext, client: Client) -> None:
    key = fresh_key()
    erp.requests.reset()
    done = insert(client, key)
    assert done.created
    assert (erp.requests.total, erp.requests.writes) == (1, 1)
    assert [doc["name"] for doc in stored(erp, key)] == [done.name]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", [*NEVER_STORED, *STORED])
def test_every_fault_on_the_way_ends_in_exactly_one_document(
    erp: SandboxERPNext, client: Client, kind: str, times: int
) -> None:
    key = fresh_key()
    rule = erp.faults.add(kind, method="POST", path=INSERT, times=times, seconds=0)
    done = insert(client, key)
    assert rule.hit == (times if kind in NEVER_STORED else 1)
    (doc,) = stored(erp, key)
    assert done == Written(doc["name"], created=True)
    assert doc["docstatus"] == 1
    assert booked(erp, doc["name"]) == Decimal("12.34")


@pytest.mark.parametrize("kind", ["refused_before_commit", "bad_gateway_before_commit"])
def test_a_server_that_never_answers_is_given_up_after_so_many_inserts(
    erp: SandboxERPNext, client: Client, kind: str
) -> None:
    key = fresh_key()
    rule = erp.faults.add(kind, method="POST", path=INSERT, times=None)
    with pytest.raises(Ambiguous, match=f"insert Journal Entry for {THANE}"):
        insert(client, key)
    assert rule.hit == INSERT_ATTEMPTS
    assert stored(erp, key) == []
    erp.faults.clear()
    assert insert(client, key).created


def test_a_lost_answer_whose_look_fails_too_is_adopted_by_the_next_run(
    erp: SandboxERPNext, client: Client
) -> None:
    key = fresh_key()
    erp.faults.add("committed_never_answered", method="POST", path=INSERT)
    erp.faults.add("maintenance", path=LIST, times=None)
    with pytest.raises(Transient):
        insert(client, key)
    erp.faults.clear()
    erp.requests.reset()
    (doc,) = stored(erp, key)
    assert insert(client, key) == Written(doc["name"], created=False)
    assert erp.requests.writes == 0


def test_a_look_that_is_disturbed_is_repeated(erp: SandboxERPNext, client: Client) -> None:
    key = fresh_key()
    erp.faults.add("committed_never_answered", method="POST", path=INSERT)
    erp.faults.add("reset_in_body", path=LIST, times=2)
    assert insert(client, key).created
    assert len(stored(erp, key)) == 1


@pytest.mark.parametrize("kind", ["permission_lost"])
def test_a_refusal_is_not_repeated(erp: SandboxERPNext, client: Client, kind: str) -> None:
    key = fresh_key()
    rule = erp.faults.add(kind, method="POST", path=INSERT, times=None)
    with pytest.raises(Rejected):
        insert(client, key)
    assert rule.hit == 1
    assert stored(erp, key) == []


def test_a_document_that_erpnext_refuses_leaves_nothing(erp: SandboxERPNext, client: Client) -> None:
    key = fresh_key()
    erp.requests.reset()
    with pytest.raises(Rejected, match="Total Debit must be equal to Total Credit"):
        client.insert_once(
            ENTRY,
            document(key)
            | {"accounts": [document(key)["accounts"][0], document(key, amount="1")["accounts"][1]]},
            label=THANE,
        )
    assert (erp.requests.total, erp.requests.writes) == (1, 0)
    assert stored(erp, key) == []


def test_a_wrong_secret_is_asked_once(erp: SandboxERPNext) -> None:
    from scoopjoy_dagster.erpnext.session import Session

    erp.requests.reset()
    with (
        Session(erp.url, erp.robot.api_key, "not it", sleep=lambda _s: None) as session,
        pytest.raises(LoginFailed),
    ):
        insert(Client(session), fresh_key())
    assert erp.requests.total == 1


def test_the_same_document_again_is_adopted(erp: SandboxERPNext, client: Client) -> None:
    key = fresh_key()
    first = insert(client, key)
    assert insert(client, key) == Written(first.name, created=False)
    assert len(stored(erp, key)) == 1


@pytest.mark.parametrize("as_sent", [str.upper, str.lower, "{}  ".format])
def test_a_key_is_compared_as_mariadb_does(erp: SandboxERPNext, client: Client, as_sent: Any) -> None:
    key = fresh_key()
    first = insert(client, key)
    assert insert(client, as_sent(key)) == Written(first.name, created=False)
    assert client.find_by_key(ENTRY, as_sent(key))["name"] == first.name


def test_a_key_on_another_payload_is_never_overwritten(erp: SandboxERPNext, client: Client) -> None:
    key = fresh_key()
    first = insert(client, key)
    with pytest.raises(KeyTaken, match=f"{first.name} has the key .* with other amounts"):
        insert(client, key, digest="d2", amount="99")
    assert booked(erp, first.name) == Decimal("12.34")


def test_a_key_on_a_cancelled_document_is_a_person_s_decision(erp: SandboxERPNext, client: Client) -> None:
    key = fresh_key()
    first = insert(client, key)
    seed.cancel_document(erp, ENTRY, first.name)
    with pytest.raises(KeyTaken, match="was cancelled by a person"):
        insert(client, key)
    assert len(stored(erp, key)) == 1


def test_another_unique_field_that_is_taken_is_an_error_and_not_an_adoption(
    erp: SandboxERPNext, client: Client
) -> None:
    from scoopjoy_dagster_tests.world import insert as insert_directly

    field = {
        "dt": ENTRY,
        "fieldname": "custom_other_unique",
        "label": "Other",
        "fieldtype": "Data",
        "unique": 1,
        "no_copy": 1,
    }
    insert_directly(erp, "Custom Field", **field)
    client.insert_once(ENTRY, document(fresh_key()) | {"custom_other_unique": "one"}, label=THANE)
    with pytest.raises(Duplicate, match="Other must be unique"):
        client.insert_once(ENTRY, document(fresh_key()) | {"custom_other_unique": "one"}, label=THANE)


def test_a_counter_behind_existing_names_is_named_and_adopts_nobody(
    erp: SandboxERPNext, client: Client
) -> None:
    series = {"naming_series": "BEHIND-.YYYY.-"}
    first = client.insert_once(ENTRY, document(fresh_key()) | series, label=THANE)
    erp.site.set_counter(series["naming_series"], 0)
    with pytest.raises(
        NameTaken, match=f"not stored: the counter .* is behind .*{first.name} already exists"
    ):
        client.insert_once(ENTRY, document(fresh_key()) | series, label=THANE)


def test_many_at_once_make_one_document(erp: SandboxERPNext) -> None:
    key = fresh_key()
    start = threading.Barrier(4)
    done: list[Written] = []

    def work() -> None:
        with session_of(erp) as session:
            start.wait(10)
            done.append(insert(Client(session), key))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (doc,) = stored(erp, key)
    assert {one.name for one in done} == {doc["name"]}
    assert sorted(one.created for one in done) == [False, False, False, True]
    assert booked(erp, doc["name"]) == Decimal("12.34")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    on_insert=st.lists(st.sampled_from([*NEVER_STORED, *STORED]), max_size=8),
    on_look=st.lists(
        st.sampled_from(["refused_before_commit", "reset_in_body", "html_500", "maintenance"]), max_size=6
    ),
)
def test_any_sequence_of_faults_ends_in_one_document_at_the_latest_in_the_next_run(
    erp: SandboxERPNext, client: Client, on_insert: list[str], on_look: list[str]
) -> None:
    key = fresh_key()
    erp.faults.clear()
    for kind in on_insert:
        erp.faults.add(kind, method="POST", path=INSERT, seconds=0)
    for kind in on_look:
        erp.faults.add(kind, path=LIST)
    first: Written | None = None
    try:
        first = insert(client, key)
    except ERPNextError:
        assert len(stored(erp, key)) <= 1
    erp.faults.clear()
    second = insert(client, key)
    (doc,) = stored(erp, key)
    assert second.name == doc["name"]
    assert first is None or (first.name == doc["name"] and first.created and not second.created)
    assert booked(erp, doc["name"]) == Decimal("12.34")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed_number=st.integers(0, 2**16), probability=st.floats(0.05, 0.4))
def test_a_site_that_fails_by_chance_still_gets_each_document_once(
    erp: SandboxERPNext, client: Client, seed_number: int, probability: float
) -> None:
    keys = [fresh_key() for _ in range(5)]
    erp.faults.clear()
    erp.faults.reseed(seed_number)
    for kind in ("committed_never_answered", "reset_in_body", "deadlock", "bad_gateway_after_commit"):
        erp.faults.add(kind, probability=probability / 4)
    for _ in range(3):
        for key in keys:
            try:
                insert(client, key)
            except ERPNextError:
                continue
    erp.faults.clear()
    for key in keys:
        insert(client, key)
        (doc,) = stored(erp, key)
        assert booked(erp, doc["name"]) == Decimal("12.34")
