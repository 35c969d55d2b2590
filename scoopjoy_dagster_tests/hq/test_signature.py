"""Signatures: what a recorded delivery is still good for, and that others than our own receiver take them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook, WebhookVerificationError

from scoopjoy_dagster.hq import signature
from scoopjoy_dagster.hq.delivery import HQClient, HQRejected, compare_receipt
from scoopjoy_dagster.hq.payload import canonical, delivery_id, idempotency_key
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster_tests.erpnext.hostile import answer, says, serving
from scoopjoy_dagster_tests.hq.days import SECRET, a_day

if TYPE_CHECKING:
    from collections.abc import Iterator


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


NEW, OLD = whsec(bytes(range(32))), whsec(bytes(range(100, 132)))
PAIR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE = "whsk_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def listener() -> Iterator[SandboxHQ]:
    """One that takes note of every request and says no, so that a delivery may be looked at."""
    server = SandboxHQ("nothing is signed with this")
    server.start()
    yield server
    server.close()


def sent(listener: SandboxHQ, secret: str, previous: str = "") -> tuple[dict[str, str], bytes]:
    """Headers and body of a delivery."""
    payload = a_day()
    with pytest.raises(HQRejected):
        HQClient(listener.url, secret, previous_secret=previous).deliver(
            payload, idempotency_key=idempotency_key(payload)
        )
    return listener.attempts[-1].headers, canonical(payload)


# -- replays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [["idempotency-key", "x-idempotency-key"], ["webhook-id"], []])
def test_a_recorded_delivery_under_new_keys_does_not_block_the_day_s_revisions(
    hq: SandboxHQ, client: HQClient, names: list[str]
) -> None:
    first = a_day()
    client.deliver(first, idempotency_key=idempotency_key(first))
    recorded = hq.attempts[0].headers
    for revision in range(1, 6):
        key = f"hq:ScoopJoy:2026-11-22:{revision}"
        new = {"x-idempotency-key": key, "idempotency-key": key, "webhook-id": delivery_id(key)}
        forged = recorded | {name: new[name] for name in names or new}
        forged["x-scoopjoy-delivery-id"] = delivery_id(key)
        assert requests.post(hq.url, canonical(first), headers=forged, timeout=5).status_code in {400, 401}
    second = a_day(revision=1, changes=[{"who": "x", "before": "1", "after": "2", "reason": "late"}])
    receipt = client.deliver(second, idempotency_key=idempotency_key(second))
    assert compare_receipt(second, receipt) == []
    assert len(hq.deliveries) == 2


def test_a_recorded_delivery_is_refused_once_its_time_is_over_also_with_a_new_time(
    hq: SandboxHQ, client: HQClient
) -> None:
    payload = a_day()
    client.deliver(payload, idempotency_key=idempotency_key(payload))
    recorded, later = hq.attempts[0].headers, time.time() + 3600
    hq._clock = lambda: later
    for changed in ({}, {"webhook-timestamp": str(int(later))}):
        answered = requests.post(hq.url, canonical(payload), headers=recorded | changed, timeout=5)
        assert answered.status_code == 401


def test_the_key_and_the_id_of_a_delivery_made_before_are_what_they_were() -> None:
    """Another one would be another delivery: the day would be sent again after an upgrade."""
    key = idempotency_key(a_day())
    assert key == "hq:ScoopJoy:2026-11-22:0"
    assert delivery_id(key) == "4797a222-03e2-54ed-8d51-688460c4bc15"


# -- receivers that are not ours --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("secret", "key"), [(NEW, NEW), (SECRET, SECRET.encode())])
def test_the_specification_s_own_library_verifies_it(listener: SandboxHQ, secret: str, key: Any) -> None:
    headers, body = sent(listener, secret)
    assert Webhook(key).verify(body, headers) == json.loads(body)
    for name, value in (("webhook-id", "other"), ("webhook-timestamp", str(int(time.time()) - 1))):
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(body, headers | {name: value})
    with pytest.raises(WebhookVerificationError):
        Webhook(key).verify(body + b" ", headers)


@pytest.mark.parametrize("knows", [NEW, OLD])
def test_while_a_secret_is_replaced_both_ends_may_change_when_they_like(
    listener: SandboxHQ, knows: str
) -> None:
    headers, body = sent(listener, NEW, OLD)
    assert Webhook(knows).verify(body, headers) == json.loads(body)
    ours = SandboxHQ(knows)
    ours.start()
    try:
        payload = a_day()
        key = idempotency_key(payload)
        client = HQClient(ours.url, NEW, previous_secret=OLD)
        assert not client.deliver(payload, idempotency_key=key).duplicate
    finally:
        ours.close()


def test_a_private_key_signs_what_its_public_key_verifies(listener: SandboxHQ) -> None:
    headers, body = sent(listener, PRIVATE, OLD)
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mine, other = headers["webhook-signature"].split(" ")
    assert mine.startswith("v1a,")
    assert other.startswith("v1,")
    PAIR.public_key().verify(base64.b64decode(mine.removeprefix("v1a,")), content)
    with pytest.raises(InvalidSignature):
        PAIR.public_key().verify(base64.b64decode(mine.removeprefix("v1a,")), content + b"x")
    assert Webhook(OLD).verify(body, headers) == json.loads(body)
    # What knows the old header alone has the shared secret, not the private key.
    assert headers["x-scoopjoy-signature"] == signature.of_body([OLD], body)


def test_a_private_key_alone_gives_no_old_header(listener: SandboxHQ) -> None:
    headers, body = sent(listener, PRIVATE + "")
    assert "x-scoopjoy-signature" not in headers
    with_public = "whsk_" + base64.b64encode(bytes(range(32)) + PAIR.public_key().public_bytes_raw()).decode()
    stamp = int(headers["webhook-timestamp"])
    assert (
        signature.standard([with_public], headers["webhook-id"], stamp, body) == headers["webhook-signature"]
    )


@pytest.mark.parametrize("secret", [SECRET, NEW])
def test_a_receiver_that_knows_only_the_old_header_takes_it(listener: SandboxHQ, secret: str) -> None:
    """The receiver as it was published before Standard Webhooks, to the letter."""
    headers, body = sent(listener, secret)
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, headers["x-scoopjoy-signature"])
    assert abs(time.time() - int(headers["x-scoopjoy-timestamp"])) < 300
    assert headers["x-idempotency-key"] == "hq:ScoopJoy:2026-11-22:0"


def test_the_old_header_is_the_published_hmac_sha_256() -> None:
    # RFC 4231, test case 2.
    assert signature.of_body(["Jefe"], b"what do ya want for nothing?") == (
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


# -- secrets that cannot be used --------------------------------------------------------------------------------------

WRONG = {
    "whsec_not*base64": "no base64",
    "whsec_": "too short",
    whsec(b"short"): "too short",
    "whsk_" + base64.b64encode(b"a" * 31).decode(): "no ed25519 key",
    "": "is empty",
    "secret": "fewer than 24 bytes",
}


@pytest.mark.parametrize("secret", WRONG)
def test_a_secret_that_cannot_be_used_is_refused_without_a_part_of_it(secret: str) -> None:
    with pytest.raises(ValueError, match=WRONG[secret]) as raised:
        HQClient("https://hq.example.com/", secret)
    if secret.partition("_")[2]:
        assert secret.partition("_")[2] not in str(raised.value)
        with pytest.raises(ValueError, match=WRONG[secret]):
            HQClient("https://hq.example.com/", NEW, previous_secret=secret)


def test_without_the_library_a_private_key_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ValueError, match=r"install scoopjoy_dagster\[ed25519\]"):
        HQClient("https://hq.example.com/", PRIVATE)


@pytest.mark.parametrize("previous", ["", OLD])
def test_an_answer_that_echoes_a_secret_does_not_carry_it_into_a_message(previous: str) -> None:
    echo = answer(f"bad {NEW} and {OLD}".encode(), status="422 No")
    payload = a_day()
    with serving(says(echo)) as url, pytest.raises(HQRejected) as raised:
        HQClient(url, NEW, previous_secret=previous).deliver(
            payload, idempotency_key=idempotency_key(payload)
        )
    assert NEW not in str(raised.value)
    assert (OLD in str(raised.value)) == (not previous)


KEY = b'/+"\\ \xff\xfe key of 32 bytes of our own'[:32]
TEXT = '24 bytes/and "more" ₹🍦 of text'
IN_JSON = json.dumps(TEXT)[1:-1]


@pytest.mark.parametrize(
    ("secret", "echo"),
    [
        (whsec(KEY), KEY),
        (whsec(KEY), KEY.hex().upper().encode()),
        (whsec(KEY), repr(KEY).encode()),
        (whsec(KEY), quote(KEY).encode()),
        (whsec(KEY), base64.b64encode(KEY)),
        (whsec(KEY), base64.b64encode(KEY).rstrip(b"=")),
        (whsec(KEY), quote(whsec(KEY), safe="").lower().encode()),
        (whsec(KEY), whsec(KEY).replace("/", "\\/").replace("+", "\\u002B").encode()),
        (PRIVATE, base64.b64encode(bytes(range(32)))),
        (TEXT, TEXT.encode()),
        (TEXT, IN_JSON.encode()),
        (TEXT, IN_JSON.replace("/", "\\/").encode()),
        (TEXT, quote(TEXT).encode()),
        (TEXT, TEXT.replace("and", "a\x00nd").encode()),
    ],
)
def test_however_an_answer_spells_a_secret_it_is_not_in_a_message(secret: str, echo: bytes) -> None:
    payload = a_day()
    echoed = says(answer(b"bad key: >" + echo + b"<", status="422 No"))
    with serving(echoed) as url, pytest.raises(HQRejected) as raised:
        HQClient(url, secret).deliver(payload, idempotency_key=idempotency_key(payload))
    # What may be left: the prefix, the padding, and what Python puts around bytes.
    assert re.fullmatch(r"bad key: >(whsec_|b')?\*\*\*(=|%3d|')?<", raised.value.text)
