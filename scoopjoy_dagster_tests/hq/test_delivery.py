"""Delivery, against an embedded headquarters on a real socket."""

from __future__ import annotations

import socket
import uuid
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from scoopjoy_dagster.hq.delivery import (
    HQClient,
    HQReceiptInvalid,
    HQRejected,
    HQUnavailable,
    Receipt,
    compare_receipt,
)
from scoopjoy_dagster.hq.payload import idempotency_key
from scoopjoy_dagster_tests.erpnext import hostile
from scoopjoy_dagster_tests.hq.days import SECRET, a_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scoopjoy_dagster.sandbox.hq import SandboxHQ

DAY = ("ScoopJoy", "2026-11-22")


def deliver(client: HQClient, payload: dict[str, Any]) -> Receipt:
    return client.deliver(payload, idempotency_key=idempotency_key(payload))


@pytest.fixture
def answering() -> Iterator[Any]:
    """Servers that answer every request with the same fixed bytes."""
    with ExitStack() as servers:

        def serve(status: str, body: bytes, *headers: str) -> str:
            says = hostile.says(hostile.answer(body, *headers, status=status))
            return f"{servers.enter_context(hostile.serving(says))}/in"

        yield serve


def test_a_delivery_is_acknowledged_with_our_own_totals(client: HQClient, hq: SandboxHQ) -> None:
    payload = a_day()
    receipt = deliver(client, payload)
    assert not receipt.duplicate
    assert compare_receipt(payload, receipt) == []
    assert hq.days == {DAY: payload}


def test_the_headers_are_those_of_the_webhook(hq: SandboxHQ) -> None:
    payload = a_day()
    client = HQClient(hq.url, hq.secret)
    deliver(client, payload)
    headers = hq.attempts[0].headers
    assert headers["x-scoopjoy-event"] == "daily_totals"
    assert headers["idempotency-key"] == headers["x-idempotency-key"] == "hq:ScoopJoy:2026-11-22:0"
    assert uuid.UUID(headers["webhook-id"]).version == 5
    assert headers["x-scoopjoy-delivery-id"] == headers["webhook-id"]
    assert headers["x-scoopjoy-timestamp"] == headers["webhook-timestamp"]
    assert headers["webhook-timestamp"].isdecimal()
    assert headers["content-type"].startswith("application/json")


def test_delivering_again_is_a_success_and_changes_nothing(client: HQClient, hq: SandboxHQ) -> None:
    payload = a_day()
    first, second = deliver(client, payload), deliver(client, payload)
    assert second == replace(first, duplicate=True)
    assert len(hq.deliveries) == 1


def test_a_new_revision_replaces_the_day(client: HQClient, hq: SandboxHQ) -> None:
    deliver(client, a_day())
    changed = a_day(revision=1, sales=Decimal(9))
    assert compare_receipt(changed, deliver(client, changed)) == []
    assert hq.days[DAY] == changed


def test_an_older_revision_is_told_what_headquarters_holds(client: HQClient, hq: SandboxHQ) -> None:
    newer, older = a_day(revision=2), a_day(revision=1, sales=Decimal(9))
    deliver(client, newer)
    assert compare_receipt(older, deliver(client, older)) == [
        "revision: sent 1, headquarters holds 2",
        "sales: sent 9.00, headquarters holds 1700.10",
    ]
    assert hq.days[DAY] == newer


def test_the_same_key_for_other_totals_is_rejected_at_once(client: HQClient, waits: list[float]) -> None:
    deliver(client, a_day())
    with pytest.raises(HQRejected, match="deliver the next revision") as caught:
        deliver(client, a_day(sales=Decimal(1)))
    assert caught.value.status == 409
    assert waits == []


def test_a_wrong_secret_is_rejected_at_once_and_never_shown(hq: SandboxHQ, waits: list[float]) -> None:
    client = HQClient(hq.url, "wrong-secret-wrong-secret-wrong", sleep=waits.append)
    with pytest.raises(HQRejected) as caught:
        deliver(client, a_day())
    assert caught.value.status == 401
    assert "wrong-secret-wrong-secret-wrong" not in f"{caught.value!r} {caught.value} {client!r}"
    assert waits == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_final(client: HQClient, hq: SandboxHQ, waits: list[float], status: int) -> None:
    hq.fail_next(status, times=9)
    with pytest.raises(HQRejected) as caught:
        deliver(client, a_day())
    assert caught.value.status == status
    assert len(hq.attempts) == 1
    assert waits == []


@pytest.mark.parametrize("answer", [500, 502, 503, 504, 429, 408, "drop"])
def test_what_may_pass_is_tried_again_with_growing_waits(
    client: HQClient, hq: SandboxHQ, waits: list[float], answer: Any
) -> None:
    hq.fail_next(answer, times=4)
    payload = a_day()
    assert compare_receipt(payload, deliver(client, payload)) == []
    assert waits == [1, 2, 4, 8]
    assert len({attempt.headers["x-scoopjoy-delivery-id"] for attempt in hq.attempts}) == 1


def test_a_lost_answer_is_found_again_by_its_key(client: HQClient, hq: SandboxHQ) -> None:
    hq.fail_next("drop", after_storing=True)
    payload = a_day()
    receipt = deliver(client, payload)
    assert receipt.duplicate
    assert compare_receipt(payload, receipt) == []
    assert len(hq.deliveries) == 1


def test_after_five_tries_it_is_unavailable(client: HQClient, hq: SandboxHQ, waits: list[float]) -> None:
    hq.fail_next(503, times=5)
    with pytest.raises(HQUnavailable, match="in 5 tries, the last one ended with HTTP status 503") as caught:
        deliver(client, a_day())
    assert caught.value.tries == 5
    assert waits == [1, 2, 4, 8]
    assert hq.deliveries == []


def test_a_stopped_headquarters_is_unavailable(client: HQClient, hq: SandboxHQ) -> None:
    hq.stop()
    with pytest.raises(HQUnavailable, match="broken connection"):
        deliver(client, a_day())


def test_a_silent_headquarters_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        client = HQClient(url, SECRET, timeout_s=0.05, tries=2, sleep=lambda _: None)
        with pytest.raises(HQUnavailable, match=r"no answer within 0\.05 s"):
            deliver(client, a_day())


@pytest.mark.parametrize(("asked", "waited"), [(7, 7), (0, 1), (100_000, 60)])
def test_retry_after_is_honoured_up_to_a_cap(
    client: HQClient, hq: SandboxHQ, waits: list[float], asked: int, waited: float
) -> None:
    hq.fail_next(429, retry_after_s=asked)
    deliver(client, a_day())
    assert waits == [waited]


@pytest.mark.parametrize(
    ("value", "waited"),
    [
        ("Sun, 22 Nov 2026 00:00:30 GMT", 30),
        ("soon", 1),
        ("", 1),
        ("-5", 1),
        ("²", 1),
        ("9" * 400, 60),
        ("Sun, 22 Nov 99999 00:00:30 GMT", 1),
        ("Sun, 22 Nov 2026 00:00:30 +999999999", 1),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 60),
    ],
)
def test_retry_after_may_be_a_date(answering: Any, value: str, waited: float) -> None:
    waits: list[float] = []
    url = answering("503 Service Unavailable", b"", f"Retry-After: {value}")
    midnight = 1795305600.0  # 2026-11-22T00:00:00Z
    client = HQClient(url, SECRET, tries=2, sleep=waits.append, clock=lambda: midnight)
    with pytest.raises(HQUnavailable):
        deliver(client, a_day())
    assert waits == [waited]


def test_the_timestamp_is_that_of_the_attempt(hq: SandboxHQ) -> None:
    start = 1795305600.0
    now = [start]
    hq._clock = lambda: now[0]

    def sleep(seconds: float) -> None:
        now[0] += 400 * seconds  # far more than the skew that headquarters allows

    hq.fail_next(500, times=2)
    deliver(HQClient(hq.url, hq.secret, sleep=sleep, clock=lambda: now[0]), a_day())
    stamps = [int(attempt.headers["webhook-timestamp"]) for attempt in hq.attempts]
    assert stamps == [start, start + 400, start + 1200]


def test_a_redirect_is_not_followed(answering: Any) -> None:
    url = answering("302 Found", b"", "Location: http://127.0.0.1:1/")
    with pytest.raises(HQRejected) as caught:
        deliver(HQClient(url, SECRET), a_day())
    assert caught.value.status == 302


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"thank you", "is no JSON"),
        (b"", "is no JSON"),
        (b"[]", "is no JSON object"),
        (b'{"receipt_id": "1", "revision": 0}', "carries no totals"),
        (b'{"receipt_id": "1", "totals": {}}', "carries no revision"),
        (b'{"revision": 0, "totals": {}}', "carries no receipt_id"),
    ],
)
def test_a_yes_without_a_receipt_is_an_error(answering: Any, body: bytes, problem: str) -> None:
    with pytest.raises(HQReceiptInvalid, match=problem):
        deliver(HQClient(answering("200 OK", body), SECRET), a_day())


def test_amounts_in_a_receipt_are_compared_as_exact_numbers(answering: Any) -> None:
    payload = a_day()
    body = b"""{"receipt_id": 7, "revision": 0, "totals": {"invoices": "3", "sales": 1700.1, "royalty_base": "1700.100",
        "royalty": "90.02", "journal_entries": 3, "pos_shifts": null, "pos_invoices": 31}}"""
    receipt = deliver(HQClient(answering("200 OK", body), SECRET), payload)
    assert compare_receipt(payload, receipt) == [
        "pos_sales: sent 4321.50, headquarters holds nothing",
        "pos_shifts: sent 2, headquarters holds None",
        "royalty: sent 90.01, headquarters holds 90.02",
    ]


@pytest.mark.parametrize(
    "held",
    ["1_7_0_0.10", "١٧٠٠.١٠", "1700.1０", " 1700.10", "+1700.10", "01700.10", "1700.10\n", "NaN", True],
)
def test_what_json_does_not_call_a_number_is_none(held: Any) -> None:
    payload = a_day()
    receipt = Receipt("HQ-1", 0, payload["totals"] | {"sales": held}, duplicate=False)
    (difference,) = compare_receipt(payload, receipt)
    assert difference.startswith("sales: sent 1700.10, headquarters holds ")


def test_an_error_quotes_at_most_300_characters_and_never_the_secret(answering: Any) -> None:
    secret = "s3cr3t-s3cr3t-s3cr3t-s3cr3t"
    url = answering("422 Unprocessable Content", b"your key " + secret.encode() + b" is bad " + b"x" * 5000)
    with pytest.raises(HQRejected) as caught:
        deliver(HQClient(url, secret), a_day())
    assert len(caught.value.text) == 300
    assert caught.value.text.startswith("your key *** is bad x")
    assert secret not in str(caught.value)


def test_a_token_in_the_address_is_never_shown() -> None:
    client = HQClient("http://me:pass@127.0.0.1:1/in?token=abc", SECRET, tries=1)
    with pytest.raises(HQUnavailable, match=r"http://127\.0\.0\.1:1/in ") as caught:
        deliver(client, a_day())
    for hidden in ("pass", "abc"):
        assert hidden not in f"{caught.value} {client!r}"


def test_a_company_with_any_name_can_deliver(client: HQClient, hq: SandboxHQ) -> None:
    for company in ("आइसक्रीम", "A%B", "Scoop\r\nJoy: x"):
        payload = a_day(company=company)
        assert compare_receipt(payload, deliver(client, payload)) == []
        assert not deliver(client, a_day(company=company, revision=1)).duplicate
    assert len(hq.days) == 3


@pytest.mark.parametrize(
    ("url", "secret", "tries", "problem"),
    [
        ("hq.example.com/in", SECRET, 5, "full http"),
        ("ftp://hq.example.com/", SECRET, 5, "full http"),
        ("https://hq.example.com/", "", 5, "secret"),
        ("https://hq.example.com/", SECRET, 0, "one try"),
    ],
)
def test_a_useless_configuration_is_refused_at_once(url: str, secret: str, tries: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        HQClient(url, secret, tries=tries)
