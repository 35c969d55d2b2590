"""The embedded headquarters refuses what the real one would refuse, spoken to without our own client."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from scoopjoy_dagster.sandbox.hq import MOST_BYTES, SandboxHQ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1795305600.0


@pytest.fixture
def hq() -> Iterator[SandboxHQ]:
    server = SandboxHQ("secret", clock=lambda: NOW)
    server.start()
    yield server
    server.close()


def document(**changes: Any) -> dict[str, Any]:
    totals = {
        "invoices": 1,
        "sales": "10.00",
        "royalty_base": "10.00",
        "royalty": "0.50",
        "pos_sales": "3.00",
    }
    row = {"customer": "C1", "customer_name": "One", "base": "10.00", "rate": "5", "royalty": "0.50"}
    return {
        "schema": "scoopjoy.daily-totals/1",
        "company": "ScoopJoy",
        "business_day": "2026-11-22",
        "revision": 0,
        "currency": "INR",
        "policy": {"name": "standard", "version": "1"},
        "totals": totals,
        "franchises": [row],
    } | changes


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else "1"


def key_of(body: Any) -> str:
    return (
        f"hq:{body['company']}:{body['business_day']}:{body['revision']}" if isinstance(body, dict) else "k"
    )


def post(hq: SandboxHQ, body: Any, **headers: str | None) -> requests.Response:
    """A delivery that is right but for the headers that are given; it is signed with those."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    key = key_of(document() | body if isinstance(body, dict) else body)
    signable = key.encode("utf-8", "replace").decode()
    ident = str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, "urn:scoopjoy.daily-totals/1"), signable))
    sent = {
        "X-ScoopJoy-Event": "daily_totals",
        "webhook-id": ident,
        "webhook-timestamp": str(int(NOW)),
        "Idempotency-Key": signable,
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    content = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + data
    signature = "v1," + base64.b64encode(hmac.digest(b"secret", content, hashlib.sha256)).decode()
    return requests.post(hq.url, data=data, headers={"webhook-signature": signature} | sent, timeout=5)


def test_a_correct_delivery_gets_a_receipt(hq: SandboxHQ) -> None:
    response = post(hq, document())
    receipt = response.json()
    assert response.status_code == 201
    assert receipt.pop("receipt_id").startswith("HQ-2026-11-22-")
    assert receipt == {"revision": 0, "totals": document()["totals"], "duplicate": False}


def test_the_same_key_and_body_get_the_original_receipt(hq: SandboxHQ) -> None:
    first, second = post(hq, document()), post(hq, document())
    assert second.status_code == 200
    assert second.json() == {**first.json(), "duplicate": True}


def test_the_same_key_for_another_body_is_a_conflict(hq: SandboxHQ) -> None:
    post(hq, document())
    assert post(hq, document(currency="USD")).status_code == 409
    assert hq.days["ScoopJoy", "2026-11-22"] == document()


@pytest.mark.parametrize("signature", [None, "", "v1,AAAA", "v1a,AAAA", "v1,é", "sha256=00"])
def test_a_body_that_is_not_signed_is_refused(hq: SandboxHQ, signature: str | None) -> None:
    assert post(hq, document(), webhook_signature=signature).status_code == 401


def test_the_old_signature_of_the_body_alone_is_not_enough(hq: SandboxHQ) -> None:
    old = "sha256=" + hmac.new(b"secret", json.dumps(document()).encode(), hashlib.sha256).hexdigest()
    answer = post(hq, document(), webhook_signature=None, X_ScoopJoy_Signature=old)
    assert answer.status_code == 401


def test_one_of_several_signatures_is_enough(hq: SandboxHQ) -> None:
    body = json.dumps(document()).encode()
    ident = post(hq, document()).request.headers["webhook-id"]
    right = base64.b64encode(hmac.digest(b"secret", f"{ident}.{int(NOW)}.".encode() + body, hashlib.sha256))
    answer = post(hq, document(), webhook_signature=f"v1,AAAA v1a,AAAA v1,{right.decode()}")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("offset", "status"), [(0, 201), (300, 201), (-300, 201), (301, 401), (-301, 401), (None, 401)]
)
def test_a_delivery_out_of_time_is_refused(hq: SandboxHQ, offset: int | None, status: int) -> None:
    stamp = None if offset is None else str(int(NOW) + offset)
    assert post(hq, document(), webhook_timestamp=stamp).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"[]",
        {},
        document(schema="scoopjoy.daily-totals/2"),
        document(revision=-1),
        document(revision="0"),
        document(totals=[]),
        document(totals={"royalty": 0.5}),
        document(franchises=[{"base": 10.0}]),
        document(company=["ScoopJoy"]),
        document(company=""),
        document(company="half a \ud83c"),
        document(business_day=20261122),
        document(revision=True),
        document(revision=2**70),
        document(policy=nested(300)),
        b'{"policy": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"revision": ' + b"9" * 5_000 + b"}",
    ],
)
def test_a_bad_body_is_refused(hq: SandboxHQ, body: Any) -> None:
    refused = post(hq, body)
    assert refused.status_code == 400
    assert list(refused.json()) == ["error"]
    assert hq.deliveries == []


@pytest.mark.parametrize("stamp", ["9" * 5_000, "1795305600.0", "-1795305600", "1_795_305_600"])
def test_a_time_that_is_none_is_refused(hq: SandboxHQ, stamp: str) -> None:
    assert post(hq, document(), webhook_timestamp=stamp).status_code == 401


def test_a_body_without_end_is_not_read_to_it(hq: SandboxHQ) -> None:
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    place = urlsplit(hq.url)
    with socket.create_connection((place.hostname, place.port or 80), timeout=30) as sender:
        sender.sendall(
            f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        for _ in range((MOST_BYTES >> 20) + 1):
            sender.sendall(chunk)
        assert sender.recv(65_536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("key", [None, "", "hq:ScoopJoy:2026-11-22:1", "hq:Other:2026-11-22:0"])
def test_a_key_that_is_not_that_of_the_body_is_refused(hq: SandboxHQ, key: str | None) -> None:
    assert post(hq, document(), Idempotency_Key=key).status_code == 400
    assert hq.deliveries == []


@pytest.mark.parametrize("ident", ["", "d-1", "00e7a163-4ef6-4040-bd76-a8b170cfbf34"])
def test_an_id_that_is_not_that_of_the_body_is_refused(hq: SandboxHQ, ident: str) -> None:
    assert post(hq, document(), webhook_id=ident).status_code == 400
    assert hq.deliveries == []


def test_another_event_is_refused(hq: SandboxHQ) -> None:
    assert post(hq, document(), X_ScoopJoy_Event="coffee").status_code == 422


def test_a_lower_revision_never_replaces_a_higher_one(hq: SandboxHQ) -> None:
    post(hq, document(revision=5))
    assert post(hq, document(revision=4)).json()["revision"] == 5
    assert hq.days["ScoopJoy", "2026-11-22"]["revision"] == 5


def test_days_are_kept_apart_by_company(hq: SandboxHQ) -> None:
    post(hq, document())
    post(hq, document(company="Other"))
    assert list(hq.days) == [("Other", "2026-11-22"), ("ScoopJoy", "2026-11-22")]


def test_asked_failures_come_in_order_and_then_end(hq: SandboxHQ) -> None:
    hq.fail_next(500, times=2)
    hq.fail_next("drop")
    assert [post(hq, document()).status_code for _ in range(2)] == [500, 500]
    with pytest.raises(requests.ConnectionError):
        post(hq, document())
    assert post(hq, document()).status_code == 201
    assert [attempt.status for attempt in hq.attempts] == [500, 500, None, 201]


def test_a_delivery_can_be_kept_although_its_answer_is_lost(hq: SandboxHQ) -> None:
    hq.fail_next("drop", after_storing=True)
    with pytest.raises(requests.ConnectionError):
        post(hq, document())
    assert post(hq, document()).json()["duplicate"] is True


def test_the_page_shows_the_days_and_escapes_them(hq: SandboxHQ) -> None:
    assert "No day has been delivered" in requests.get(hq.page_url, timeout=5).text
    row = document()["franchises"][0] | {"customer_name": "<script>alert(1)</script>"}
    post(hq, document(franchises=[row]))
    page = requests.get(hq.page_url, timeout=5).text
    assert "2026-11-22" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_another_host_name_is_refused(hq: SandboxHQ) -> None:
    assert requests.get(hq.page_url, headers={"Host": "evil.example"}, timeout=5).status_code == 400


def test_what_it_holds_outlives_the_process(tmp_path: Path) -> None:
    for status in (201, 200):
        server = SandboxHQ("secret", tmp_path / "hq.sqlite", clock=lambda: NOW)
        server.start()
        assert post(server, document()).status_code == status
        server.close()


def test_it_can_be_stopped_and_started_again_on_its_port(hq: SandboxHQ) -> None:
    post(hq, document())
    port = int(hq.page_url.rsplit(":", 1)[1].strip("/"))
    hq.stop()
    with pytest.raises(requests.ConnectionError):
        post(hq, document())
    hq.start(port)
    assert post(hq, document()).status_code == 200


def test_a_second_server_on_the_port_is_refused(hq: SandboxHQ) -> None:
    port = int(hq.page_url.rsplit(":", 1)[1].strip("/"))
    other = SandboxHQ()
    with pytest.raises(OSError, match="in use"):
        other.start(port)
    other.close()


def test_the_secret_is_not_shown(hq: SandboxHQ) -> None:
    assert hq.secret not in repr(hq)


@pytest.mark.parametrize(("after_storing", "held"), [(False, 0), (True, 1)])
def test_the_sender_is_killed_before_or_after_its_delivery_is_stored(
    hq: SandboxHQ, after_storing: bool, held: int
) -> None:
    seen: list[int] = []
    hq.fail_next("drop", after_storing=after_storing, hook=lambda: seen.append(len(hq.deliveries)))
    with pytest.raises(requests.ConnectionError):
        post(hq, document())
    assert seen == [held]
    assert post(hq, document()).status_code == (200 if held else 201)
    assert len(hq.deliveries) == 1


def test_half_a_receipt_comes_with_a_length_that_fits(hq: SandboxHQ) -> None:
    hq.fail_next("truncate")
    answer = post(hq, document())
    assert answer.status_code == 201
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert len(hq.deliveries) == 1


def test_failures_that_did_not_come_can_be_taken_back(hq: SandboxHQ) -> None:
    hq.fail_next(500, times=2)
    assert post(hq, document()).status_code == 500
    assert hq.failures_left == 1
    hq.heal()
    assert post(hq, document()).status_code == 201
