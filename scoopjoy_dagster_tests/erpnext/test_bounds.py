"""What a server may not do to us with an answer: every bound is attempted over a real socket."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from decimal import Decimal
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster import bounded_http
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, Client, Written
from scoopjoy_dagster.erpnext.errors import (
    Ambiguous,
    Cause,
    ERPNextError,
    Excessive,
    Transient,
    server_messages,
)
from scoopjoy_dagster.erpnext.session import RetryRule, Session
from scoopjoy_dagster_tests.erpnext.hostile import (
    Handler,
    answer,
    bomb,
    for_ever,
    request,
    says,
    serving,
    trickles,
)

GZIP = "Content-Encoding: gzip"
DEEP = b"[" * 200_000 + b"]" * 200_000


def asked(
    url: str, *, patience_s: float = 10, ca_bundle: str = "", attempts: int = 3, kind: str = "read"
) -> object:
    waits: list[float] = []
    with Session(
        url,
        "k",
        "s",
        read_timeout_s=patience_s,
        ca_bundle=ca_bundle,
        retry=RetryRule(attempts=attempts),
        sleep=waits.append,
    ) as session:
        return session.request("POST", "/api/method/x", doing="try it", kind=kind, body={})["message"]  # type: ignore[arg-type]


def refused(handler: Handler, **options: object) -> ERPNextError:
    with serving(handler) as url, pytest.raises(ERPNextError) as raised:
        asked(url, **options)  # type: ignore[arg-type]
    assert "Traceback" not in str(raised.value)
    return raised.value


# -- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["200 OK", "417 Expectation Failed", "302 Found\r\nLocation: http://127.0.0.1:1/"]
)
def test_an_answer_that_unpacks_out_of_all_proportion_is_not_read(status: str) -> None:
    problem = refused(says(answer(bomb(64 << 20), GZIP, status=status)))
    assert isinstance(problem, Excessive)
    assert problem.cause is Cause.EXCESSIVE
    assert "unpacks to more than 100 times" in str(problem)


def test_389_kb_of_gzip_do_not_become_842_mb_in_the_client() -> None:
    """In a process of its own, by what the operating system says of its memory."""
    packed = bomb(400 << 20)
    assert len(packed) < 420_000
    script = """
        import resource, sys
        from scoopjoy_dagster import bounded_http
        from scoopjoy_dagster.erpnext.errors import ERPNextError
        from scoopjoy_dagster_tests.erpnext.test_bounds import asked

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            asked(sys.argv[1], attempts=1)
        except ERPNextError as problem:
            print(type(problem).__name__)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    with serving(says(answer(packed, GZIP))) as url:
        said = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), url],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout.split()
    assert said[0] == "Excessive"
    assert int(said[1]) < 80


def test_an_answer_with_more_bytes_than_the_bound_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoopjoy_dagster.erpnext.session.ANSWER_BYTES", 1 << 20)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def endless(connection: object) -> None:
        says(head)(connection)  # type: ignore[arg-type]
        for_ever(b"10000\r\n" + b"a" * 65536 + b"\r\n")(connection)  # type: ignore[arg-type]

    assert "has more than 1 MiB" in str(refused(endless))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_list_that_packs_well_is_read_whole(chunked: bool) -> None:
    """30 MB of invoices, as a window of days of a big chain: more than an answer may unpack to without having been sent."""
    rows = [
        {
            "name": f"ACC-SINV-2026-{number:07}",
            "customer": f"CUST-{number % 977:05}",
            "grand_total": number / 4,
        }
        for number in range(400_000)
    ]
    import gzip

    plain = json.dumps({"message": rows}).encode()
    packed = gzip.compress(plain, 6)
    assert len(plain) > bounded_http.UNPACKED
    assert len(plain) / len(packed) > 8
    whole = answer(packed, GZIP)
    if chunked:
        body = b"".join(
            b"%x\r\n%s\r\n" % (len(packed[at : at + 8000]), packed[at : at + 8000])
            for at in range(0, len(packed), 8000)
        )
        whole = (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
            + body
            + b"0\r\n\r\n"
        )
    with serving(says(whole)) as url:
        assert len(asked(url, attempts=1)) == 400_000  # type: ignore[arg-type]


# -- time -------------------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SLOW = {
    "status line": trickles(b"HTTP/1.1 2", b"0"),
    "headers": trickles(HEAD + b"X-Slow: ", b"a"),
    "interim answers": trickles(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": trickles(HEAD + b"Content-Length: 1000\r\n\r\n{", b" "),
    "chunked body": trickles(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "body until the end": trickles(HEAD + b"Connection: close\r\n\r\n", b" "),
}


@pytest.mark.parametrize("where", SLOW)
def test_a_byte_now_and_then_ends_with_the_time_for_the_whole_answer(where: str) -> None:
    begun = time.monotonic()
    problem = refused(SLOW[where], patience_s=0.3, attempts=1)
    assert 0.5 < time.monotonic() - begun < 2
    assert isinstance(problem, Ambiguous)
    assert problem.cause is Cause.TIMEOUT
    assert "no answer within 0.3 s, or not the whole of it within 0.6 s" in str(problem)


@pytest.mark.parametrize("where", ["headers", "body"])
def test_the_same_over_tls(where: str, tmp_path: Path) -> None:
    authority, bundle = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    begun = time.monotonic()
    with serving(SLOW[where], tls=context) as url, pytest.raises(Ambiguous) as raised:
        asked(url, patience_s=0.5, ca_bundle=str(bundle), attempts=1)
    assert raised.value.cause is Cause.TIMEOUT
    assert time.monotonic() - begun < 3


def test_an_answer_that_begins_late_and_takes_its_time_is_read() -> None:
    """An honest slow call: nothing for nearly as long as is waited, then an answer that needs as long again."""
    body = json.dumps({"message": "x" * 40}).encode()

    def late(connection: object) -> None:
        time.sleep(0.7)
        for part in (answer(body)[:-40], *[body[at : at + 4] for at in range(len(body) - 40, len(body), 4)]):
            connection.sendall(part)  # type: ignore[attr-defined]
            time.sleep(0.03)

    with serving(late) as url:
        assert asked(url, patience_s=1.0, attempts=1) == "x" * 40


def test_a_write_whose_answer_never_ends_is_looked_up_by_its_key_and_not_sent_again() -> None:
    found = {"name": "JV-1", "docstatus": 1, KEY_FIELD: "k", DIGEST_FIELD: "d"}
    handlers = [SLOW["headers"], says(answer(json.dumps({"message": [found]}).encode()))]
    with (
        serving(*handlers) as url,
        Session(url, "k", "s", read_timeout_s=0.2, retry=RetryRule(attempts=1)) as session,
    ):
        done = Client(session).insert_once("Journal Entry", {KEY_FIELD: "k", DIGEST_FIELD: "d"}, label="x")
    assert done == Written("JV-1", created=True)
    assert session.traffic.writes == 1


# -- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(500)),
        HEAD + b"X-Long: " + b"a" * 100_000 + b"\r\n",
        HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"a" * 60_000) for number in range(90)),
    ],
    ids=["too many", "one too long", "too much together"],
)
def test_headers_have_a_bound(head: bytes) -> None:
    problem = refused(says(head + b"Content-Length: 15\r\n\r\n" + b'{"message": 1}\n'))
    assert isinstance(problem, Excessive)
    assert "headers" in str(problem)


def test_interim_answers_have_a_bound() -> None:
    begun = time.monotonic()
    assert "headers" in str(refused(for_ever(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 100)))
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("interim", ["102 Processing", "103 Early Hints"])
def test_the_answer_is_what_comes_after_an_interim_one(interim: str) -> None:
    early = f"HTTP/1.1 {interim}\r\nLink: </x>\r\n\r\n".encode()
    with serving(says(early + answer(b'{"message": "the answer"}'))) as url:
        assert asked(url) == "the answer"


def test_a_connection_with_an_answer_that_was_not_read_is_not_used_again() -> None:
    """What is left of it would be taken for the next answer."""
    endless = answer(b"")[: -len(b"Content-Length: 0\r\nConnection: close\r\n\r\n")]
    packed = bomb(32 << 20)
    first = endless + f"{GZIP}\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed

    def unread(connection: socket.socket) -> None:
        connection.sendall(first)
        request(connection)
        connection.sendall(answer(b'{"message": "of the one before"}'))

    with (
        serving(unread, says(answer(b'{"message": "its own"}'))) as url,
        Session(url, "k", "s", sleep=lambda _: None) as session,
    ):
        with pytest.raises(Excessive):
            session.request("GET", "/api/method/x", doing="try it", kind="read")
        assert session.request("GET", "/api/method/x", doing="try it", kind="read")["message"] == "its own"


def test_a_chunk_of_less_than_no_bytes_is_an_excess() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"
    assert isinstance(refused(says(chunked)), Excessive)


def test_an_answer_in_another_encoding_is_not_guessed_at() -> None:
    """In UTF-16 control characters can be bytes of ASCII."""
    assert isinstance(refused(says(answer('{"message": "a\u202eb"}'.encode("utf-16-le")))), Ambiguous)


# -- nesting and numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [DEEP, b'{"message": ' + DEEP + b"}", b'{"a":' * 200_000 + b"1" + b"}" * 200_000]
)
def test_nesting_has_a_bound(body: bytes) -> None:
    problem = refused(says(answer(body)))
    assert isinstance(problem, Excessive)
    assert "nested too deeply" in str(problem)


@pytest.mark.parametrize("value", [json.dumps([DEEP.decode()]), DEEP.decode()])
def test_nesting_within_a_message_of_erpnext_is_a_message(value: str) -> None:
    said = server_messages({"_server_messages": value})
    assert len(said) == 1
    assert len(said[0]) < 500


def test_a_message_of_brackets_takes_no_time() -> None:
    begun = time.monotonic()
    server_messages({"_server_messages": "<" * 1_000_000})
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    "number", ["1e999999999", "1.0e-99999999", "1e99999999999999999999", "0." + "1" * 50 + "e9999"]
)
def test_a_number_that_nobody_can_work_with_is_refused(number: str) -> None:
    problem = refused(says(answer(f'{{"message": {number}}}'.encode())))
    assert isinstance(problem, Excessive)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6))
def test_amounts_are_what_was_sent(value: Decimal) -> None:
    assert bounded_http.decoded(f"[{value:f}]".encode()) == [value]


# -- Retry-After --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["²", "１２", "-5", "1e3", "soon", ""])
def test_a_retry_after_that_is_no_number_is_none(value: str) -> None:
    problem = refused(
        says(answer(b"{}", "Retry-After: " + value.encode().decode("latin-1"), status="503 Busy"))
    )
    assert isinstance(problem, Transient)
    assert problem.retry_after_s is None


def test_a_retry_after_in_latin_1_is_none() -> None:
    problem = refused(says(answer(b"{}", "Retry-After: ²", status="429 Too Many Requests")))
    assert isinstance(problem, Transient)
    assert problem.retry_after_s is None


# -- what is too much is not asked for again --------------------------------------------------------------------------


def test_what_is_too_much_is_asked_for_once() -> None:
    calls: list[int] = []

    def counting(connection: object) -> None:
        calls.append(1)
        says(answer(b'{"message": ' + DEEP + b"}"))(connection)  # type: ignore[arg-type]

    assert isinstance(refused(counting, attempts=5, kind="repeatable write"), Excessive)
    assert len(calls) == 1
