"""One request: what is repeated and how often, what is never followed, what is never shown, and exact numbers."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.errors import (
    Ambiguous,
    ERPNextError,
    LoginFailed,
    Rejected,
    Transient,
    Unreachable,
)
from scoopjoy_dagster.erpnext.session import Kind, RetryRule, Session, encode
from scoopjoy_dagster_tests.erpnext.scripted import KEY, SECRET, Answer, Waits, answering, session_with

OK = Answer(200, {"message": "pong"})
DEADLOCK = Answer(500, {"exc_type": "QueryDeadlockError", "exception": "x: (1213, 'Deadlock found')"})
BUSY = Answer(503, "<html>busy</html>")
BAD_GATEWAY = Answer(502, "<html>502 Bad Gateway</html>")
RESET = Answer(reset=True)
CUT = Answer(200, {"message": "pong"}, cut=True)
REFUSED = Answer(417, {"exc_type": "ValidationError", "exception": "x: no"})
WRONG_KEY = Answer(401, {"exc_type": "AuthenticationError"})
FORBIDDEN = Answer(403, {"exc_type": "PermissionError"})


def ask(session: Session, kind: Kind) -> dict[str, object]:
    return session.request("POST", "/api/method/x", doing="try it", kind=kind, body={"a": 1})


@pytest.mark.parametrize("answer", [DEADLOCK, BUSY, Answer(429, {"exc_type": "TooManyRequestsError"})])
@pytest.mark.parametrize("kind", ["read", "repeatable write", "write"])
def test_what_was_certainly_rolled_back_is_asked_again(answer: Answer, kind: Kind) -> None:
    waits = Waits()
    with answering(answer, answer, OK) as site, session_with(site, waits) as session:
        assert ask(session, kind) == {"message": "pong"}
        assert len(site.asked) == 3
        assert session.traffic.retries == len(waits.seconds) == 2
        assert session.traffic.writes == (0 if kind == "read" else 3)


@pytest.mark.parametrize("answer", [BAD_GATEWAY, RESET, CUT, Answer(200, "<html>starting</html>")])
@pytest.mark.parametrize(("kind", "requests"), [("read", 2), ("repeatable write", 2), ("write", 1)])
def test_what_may_have_been_carried_out_is_repeated_only_where_that_is_harmless(
    answer: Answer, kind: Kind, requests: int
) -> None:
    with answering(answer, OK) as site, session_with(site) as session:
        if kind == "write":
            with pytest.raises(Ambiguous):
                ask(session, kind)
        else:
            ask(session, kind)
        assert len(site.asked) == requests


@pytest.mark.parametrize(
    ("answer", "error"), [(REFUSED, Rejected), (WRONG_KEY, LoginFailed), (FORBIDDEN, Rejected)]
)
@pytest.mark.parametrize("kind", ["read", "repeatable write", "write"])
def test_a_refusal_is_final(answer: Answer, error: type[ERPNextError], kind: Kind) -> None:
    waits = Waits()
    with answering(answer, OK) as site, session_with(site, waits) as session:
        with pytest.raises(error):
            ask(session, kind)
        assert len(site.asked) == 1
        assert waits.seconds == []


def test_attempts_are_bounded_and_waits_grow_up_to_their_cap() -> None:
    waits = Waits()
    rule = RetryRule(attempts=6, first_wait_s=1.0, longest_wait_s=5.0)
    with answering(DEADLOCK) as site, session_with(site, waits, rule=rule) as session:
        with pytest.raises(Transient, match="Deadlock found"):
            ask(session, "write")
        assert len(site.asked) == 6
    assert waits.seconds == [1.0, 2.0, 4.0, 5.0, 5.0]


@settings(max_examples=15, deadline=None)
@given(jitter=st.floats(0, 1))
def test_jitter_keeps_a_wait_between_half_of_it_and_all_of_it(jitter: float) -> None:
    waits = Waits()
    rule = RetryRule(attempts=2, first_wait_s=8.0, longest_wait_s=20.0)
    with answering(DEADLOCK, OK) as site, session_with(site, waits, rule=rule, jitter=jitter) as session:
        ask(session, "read")
    assert 4.0 <= waits.seconds[0] <= 8.0


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("0", 0.0), ("86400", 60.0)])
def test_retry_after_comes_before_our_own_backoff_and_has_a_limit(asked: str, waited: float) -> None:
    waits = Waits()
    limited = Answer(429, {"exc_type": "TooManyRequestsError"}, {"Retry-After": asked})
    with answering(limited, OK) as site, session_with(site, waits) as session:
        ask(session, "write")
    assert waits.seconds == [waited]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_and_its_target_named_without_its_query(status: int) -> None:
    with answering(OK) as target:
        moved = Answer(status, "", {"Location": f"{target.url}/login?token=secret"})
        with answering(moved) as site, session_with(site) as session:
            with pytest.raises(Rejected, match="redirects to") as caught:
                ask(session, "read")
            assert len(site.asked) == 1
        assert target.asked == []
    assert f"{target.url}/login" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_site_that_is_not_there_is_unreachable_after_all_attempts() -> None:
    waits = Waits()
    with answering(OK) as site:
        url = site.url
    rule = RetryRule(attempts=3)
    with Session(url, KEY, SECRET, retry=rule, sleep=waits) as session:
        with pytest.raises(Unreachable, match="the connection was refused"):
            ask(session, "write")
        assert session.traffic.requests == 3
    assert len(waits.seconds) == 2


def test_a_server_that_does_not_answer_in_time_is_ambiguous(chain_site) -> None:
    from scoopjoy_dagster_tests.world import session_of

    chain_site.faults.add("slow", path="/api/method/ping", seconds=0.3)
    with (
        session_of(chain_site, read_timeout_s=0.05) as session,
        pytest.raises(Ambiguous, match=r"no answer within 0.05 s"),
    ):
        session.request("POST", "/api/method/ping", doing="ping", kind="write", body={})


@pytest.mark.parametrize(
    "answer",
    [REFUSED, WRONG_KEY, FORBIDDEN, BAD_GATEWAY, RESET, CUT, Answer(302, "", {"Location": "/x"}), BUSY],
)
def test_no_secret_is_in_an_error_or_a_repr(answer: Answer) -> None:
    with answering(answer) as site, session_with(site, rule=RetryRule(attempts=1)) as session:
        with pytest.raises(ERPNextError) as caught:
            session.request(
                "POST",
                "/api/resource/Customer",
                doing="insert",
                kind="write",
                body={"customer_name": "private"},
            )
        assert site.asked[0].headers["authorization"] == f"token {KEY}:{SECRET}"
        shown = "".join(
            [
                str(caught.value),
                repr(caught.value),
                repr(vars(caught.value)),
                repr(session),
                repr(caught.value.__cause__),
            ]
        )
    for hidden in (KEY, SECRET, "private", "token "):
        assert hidden not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_machine_s_proxy_and_netrc_never_see_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password thief")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with answering(OK) as site, session_with(site) as session:
        ask(session, "read")
        assert site.asked[0].headers["authorization"] == f"token {KEY}:{SECRET}"


def test_numbers_come_in_as_exact_decimals() -> None:
    body = '{"message": {"rate": 0.1, "total": 1234567890123.45, "n": 3}}'
    with answering(Answer(200, body)) as site, session_with(site) as session:
        message = Client(session).call("x", doing="read")
    assert message == {"rate": Decimal("0.1"), "total": Decimal("1234567890123.45"), "n": 3}
    assert isinstance(message["rate"], Decimal)


@given(st.integers(-(10**14), 10**14))
def test_every_amount_in_paise_goes_out_exactly(paise: int) -> None:
    amount = Decimal(paise) / 100
    sent = json.loads(encode({"debit": amount}), parse_float=Decimal)["debit"]
    assert sent == amount


@pytest.mark.parametrize("amount", ["12345678901234567.89", "0.12345678901234567890"])
def test_an_amount_that_would_be_off_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="too many digits"):
        encode({"debit": Decimal(amount)})


def test_what_is_no_json_is_refused_by_its_type_and_not_by_its_value() -> None:
    with pytest.raises(TypeError, match="a set cannot be sent"):
        encode({"x": {"secret"}})


def test_a_private_file_is_not_fetched_over_a_redirect() -> None:
    with answering(Answer(302, "", {"Location": "/login"})) as site, session_with(site) as session:
        with pytest.raises(ERPNextError):
            session.download("/private/files/x.pdf", doing="read the statement")
        assert len(site.asked) == 1


# -- several threads --------------------------------------------------------------------------------------------------


def test_threads_share_a_session_each_request_on_a_connection_of_its_own(chain_site) -> None:
    from scoopjoy_dagster_tests.world import session_of

    together = threading.Barrier(4)
    chain_site.faults.add("meanwhile", path="/api/method/ping", times=4, hook=lambda _call: together.wait(10))
    with session_of(chain_site) as session:

        def ping(_: int) -> dict[str, object]:
            return session.request("POST", "/api/method/ping", doing="ping", kind="write", body={})

        with ThreadPoolExecutor(4) as pool:
            answers = list(
                pool.map(ping, range(40))
            )  # the first four are there at the same time, or none ever is
        assert answers == [{"message": "pong"}] * 40
        assert (session.traffic.requests, session.traffic.writes, session.traffic.retries) == (40, 40, 0)
        assert len(session._idle) == 4  # connections are used again
        assert 0 < session.traffic.busy_s < session.traffic.seconds
    assert session._idle == []


def test_seconds_in_which_requests_overlap_are_busy_once() -> None:
    now = [0.0]
    session = Session("http://127.0.0.1:9", KEY, SECRET, clock=lambda: now[0])

    def at(second: float) -> None:
        now[0] = second

    with session:
        with session._connection("read"):
            at(1)
            with session._connection("write"):
                at(3)
            at(4)
        at(10)
        with session._connection("read"):
            at(12)
    assert session.traffic.seconds == 4 + 2 + 2
    assert session.traffic.busy_s == 4 + 2
    assert (session.traffic.requests, session.traffic.writes) == (3, 1)
