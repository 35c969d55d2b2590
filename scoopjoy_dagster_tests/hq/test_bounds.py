"""What headquarters may not do to us with an answer: each excess is an attempt without an answer, and nothing else."""

from __future__ import annotations

import time

import pytest

from scoopjoy_dagster.hq.delivery import HQClient, HQRejected, HQUnavailable
from scoopjoy_dagster.hq.payload import idempotency_key
from scoopjoy_dagster_tests.erpnext.hostile import Handler, answer, bomb, says, serving, trickles
from scoopjoy_dagster_tests.hq.days import SECRET, a_day

HEAD = b"HTTP/1.1 201 Created\r\n"
DEEP = b"[" * 200_000 + b"]" * 200_000
EXCESSES: dict[str, tuple[Handler, str]] = {
    "bytes": (says(answer(b" " * (2 << 20))), "has more than 1 MiB"),
    "gzip": (says(answer(bomb(64 << 20), "Content-Encoding: gzip")), "has more than 1 MiB"),
    "a redirect's bytes": (
        says(answer(b" " * (2 << 20), "Location: http://127.0.0.1:1/", status="302 Found")),
        "has more than 1 MiB",
    ),
    "nesting": (says(answer(DEEP)), "is nested too deeply"),
    "headers": (says(HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n"), "too many headers"),
    "slow headers": (trickles(HEAD + b"X: ", b"a"), "not the whole of it within 0.6 s"),
    "a slow body": (
        trickles(HEAD + b"Content-Length: 900\r\n\r\n", b" "),
        "not the whole of it within 0.6 s",
    ),
}


@pytest.mark.parametrize("what", EXCESSES)
def test_an_excess_is_an_attempt_without_an_answer(what: str) -> None:
    handler, says_so = EXCESSES[what]
    waits: list[float] = []
    payload = a_day()
    begun = time.monotonic()
    with serving(handler) as url, pytest.raises(HQUnavailable, match=says_so):
        HQClient(url, SECRET, timeout_s=0.3 if "slow" in what else 10, tries=2, sleep=waits.append).deliver(
            payload, idempotency_key=idempotency_key(payload)
        )
    assert len(waits) == 1
    assert time.monotonic() - begun < 6


def test_control_characters_of_an_answer_are_not_repeated() -> None:
    text = "no \x1b[31mred\x00 \u202egnp.exe \x9b2J नमस्ते \u200d👩\u200d🍳".encode()
    payload = a_day()
    with serving(says(answer(text, status="422 No"))) as url, pytest.raises(HQRejected) as raised:
        HQClient(url, SECRET).deliver(payload, idempotency_key=idempotency_key(payload))
    assert raised.value.text == "no [31mred gnp.exe 2J नमस्ते \u200d👩\u200d🍳"
