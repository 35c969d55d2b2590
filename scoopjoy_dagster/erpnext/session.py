"""One HTTP session with an ERPNext site: authentication, timeouts, exact numbers, and the only retries there are.

Retries live here and nowhere else (Dagster's op retries are not stacked on top): reads and repeatable writes are
asked again after a transient or ambiguous answer, other writes only when certainly nothing was stored.
Several threads may use a session at once: each request has a connection of its own while it is on its way.
"""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from scoopjoy_dagster.clean_text import released, released_json, shown
from scoopjoy_dagster.erpnext.errors import (
    Ambiguous,
    Cause,
    ERPNextError,
    Excessive,
    Rejected,
    Transient,
    Unreachable,
    classify,
)

if TYPE_CHECKING:
    import requests
    import tenacity

ANSWER_BYTES = 256 << 20
"""Unpacked bytes of an answer: a list of a million invoices; the days of a window at 5,000 franchises are a third of it."""

Kind = Literal["read", "repeatable write", "write", "repeatable record", "record"]
"""How a request may be repeated: a `repeatable write` gives the same result however often it is carried out.

A `record`, repeatable or not, is a write of one of our own records, from which nothing else in ERPNext follows: what was read of other documents stays true.
"""


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often and how patiently a request is repeated. All times in seconds.

    What only lost against another writer (a deadlock, a lock wait) is sent again beyond `attempts`, until `conflicts_s` were waited.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 20.0
    longest_retry_after_s: float = 60.0
    conflicts_s: float = 0.0


@dataclass(slots=True)
class Traffic:
    """What a session asked of the site; a re-run of a finished day must show no writes.

    Attributes:
        requests: all of them, repetitions included.
        writes: those that may have changed something.
        records: those of them that wrote nothing but a record of ours.
        retries: those that were repetitions.
        seconds: waited for answers; requests in parallel count each for itself.
        busy_s: seconds in which at least one request was on its way.
    """

    requests: int = 0
    writes: int = 0
    records: int = 0
    retries: int = 0
    seconds: float = 0.0
    busy_s: float = 0.0


class Session:
    """An authenticated keep-alive session for any number of threads. Close it, or use it as a context manager."""

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: str,
        *,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 60.0,
        ca_bundle: str = "",
        retry: RetryRule | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.url = url.rstrip("/")
        self.traffic = Traffic()
        self._timeout = (connect_timeout_s, read_timeout_s)
        self._retry = retry or RetryRule()
        self._sleep, self._clock, self._jitter = sleep, clock, jitter
        self._ca_bundle = ca_bundle
        self._headers = {
            "Authorization": f"token {api_key}:{api_secret}",
            "Accept": "application/json",
            "User-Agent": "scoopjoy_dagster",
        }
        self._lock = threading.Lock()
        self._idle: list[requests.Session] = []
        """Connections that no request is using: the last one that was is taken first."""
        self._on_their_way = 0
        self._busy_since = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Session({self.url!r})"

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            idle, self._idle = self._idle, []
        for http in idle:
            http.close()

    def _connect(self) -> requests.Session:
        from scoopjoy_dagster import bounded_http

        http = bounded_http.session()
        http.trust_env = False  # a proxy or .netrc of the machine must not receive our token
        if self._ca_bundle:
            http.verify = self._ca_bundle
        http.headers.update(self._headers)
        return http

    @contextmanager
    def _connection(self, kind: Kind) -> Iterator[requests.Session]:
        """A connection that is one request's alone (a `requests.Session` is not for several threads); counts the request."""
        with self._lock:
            http = self._idle.pop() if self._idle else self._connect()
            self.traffic.requests += 1
            self.traffic.writes += kind != "read"
            self.traffic.records += kind in {"repeatable record", "record"}
            started = self._clock()
            if not self._on_their_way:
                self._busy_since = started
            self._on_their_way += 1
        try:
            yield http
        except BaseException:
            http.close()  # what is left of the answer must not become the next one's
            raise
        finally:
            with self._lock:
                self._idle.append(http)
                now = self._clock()
                self.traffic.seconds += now - started
                self._on_their_way -= 1
                if not self._on_their_way:
                    self.traffic.busy_s += now - self._busy_since

    def request(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        kind: Kind,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request and return the decoded JSON object; numbers are `Decimal`.

        Args:
            method: HTTP verb.
            path: below the site root, percent-encoded.
            doing: what is asked, in words; the beginning of every error message.
            kind: how the request may be repeated.
            params: query string.
            body: sent as JSON; `Decimal` values are sent as exact numbers.
            files: multipart files (name, content, type), with `form` beside them.
            form: form fields.

        Raises:
            ERPNextError: one of the families of `scoopjoy_dagster.erpnext.errors`.
        """
        repeat_on: tuple[type[ERPNextError], ...] = (
            (Transient,) if kind in {"write", "record"} else (Transient, Ambiguous)
        )
        data = None if body is None else encode(body)
        for attempt in self.attempts(repeat_on):
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    with self._lock:
                        self.traffic.retries += 1
                return self._once(method, path, doing, kind, params, data, files, form)
        raise AssertionError  # tenacity either returns from the loop's body or re-raises

    def attempts(self, repeat_on: tuple[type[ERPNextError], ...]) -> tenacity.Retrying:
        """The tries of a piece of work by the rule of this session; each is a context that may raise these errors."""
        import tenacity

        return tenacity.Retrying(
            stop=self._has_tried_enough,
            # What was too much will be too much again.
            retry=tenacity.retry_if_exception(
                lambda problem: isinstance(problem, repeat_on) and not isinstance(problem, Excessive)
            ),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )

    def _has_tried_enough(self, state: tenacity.RetryCallState) -> bool:
        """After the attempts of the rule; what only lost against another writer is sent again until its deadline."""
        problem = state.outcome.exception() if state.outcome else None
        conflict = isinstance(problem, ERPNextError) and problem.is_conflict
        return state.attempt_number >= self._retry.attempts and not (
            conflict and state.idle_for < self._retry.conflicts_s
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Capped exponential backoff with full jitter; a Retry-After of the server comes first."""
        problem = state.outcome.exception() if state.outcome else None
        if isinstance(problem, Transient) and problem.retry_after_s is not None:
            return min(problem.retry_after_s, self._retry.longest_retry_after_s)
        ceiling: float = min(
            self._retry.first_wait_s * 2 ** (state.attempt_number - 1), self._retry.longest_wait_s
        )
        return ceiling * (0.5 + self._jitter() / 2)

    def _once(
        self,
        method: str,
        path: str,
        doing: str,
        kind: Kind,
        params: Mapping[str, str] | None,
        data: bytes | None,
        files: Mapping[str, tuple[str, bytes, str]] | None,
        form: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        answer, content = self._answer(
            method,
            path,
            doing,
            kind,
            params=params and {name: released(value) for name, value in params.items()},
            data=(form and {name: released(value) for name, value in form.items()}) if data is None else data,
            files=files,
            headers={"Content-Type": "application/json"} if data is not None else None,
        )
        decoded = self._decoded(content, doing, answer.status_code)
        if answer.ok and not answer.is_redirect:
            if decoded is None:
                raise Ambiguous(
                    doing,
                    "the answer is not the JSON that ERPNext sends",
                    status=answer.status_code,
                    cause=Cause.NOT_SERVING,
                )
            return decoded
        if answer.is_redirect:
            target = shown(answer.headers.get("Location", "?").partition("?")[0])
            raise Rejected(
                doing,
                f"{self.url} redirects to {target}; set ERPNEXT_URL to the final address",
                status=answer.status_code,
            )
        raise classify(doing, answer.status_code, decoded, answer.headers.get("Retry-After"))

    def _answer(
        self, method: str, path: str, doing: str, kind: Kind, **content: Any
    ) -> tuple[requests.Response, bytes | bytearray]:
        """An answer and its bytes, within the bounds."""
        import requests

        from scoopjoy_dagster.bounded_http import Excess, read

        try:
            with self._connection(kind) as http:
                answer = http.request(
                    method,
                    self.url + path,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                    **content,
                )
                return answer, read(answer, ANSWER_BYTES)
        except requests.exceptions.RequestException as problem:
            raise no_answer(problem, doing, self.url, self._timeout[1]) from None
        except Excess as excess:
            raise self._excessive(doing, excess) from None

    def _decoded(self, content: bytes | bytearray, doing: str, status: int) -> dict[str, Any] | None:
        """The JSON object of an answer; None when it is none."""
        from scoopjoy_dagster.bounded_http import Excess, decoded

        try:
            value = decoded(content)
        except ValueError:
            return None
        except Excess as excess:
            raise self._excessive(doing, excess, status) from None
        return value if isinstance(value, dict) else None

    def _excessive(self, doing: str, excess: Exception, status: int | None = None) -> Excessive:
        return Excessive(
            doing, f"the answer of {self.url} {excess}; it was not read", status=status, cause=Cause.EXCESSIVE
        )

    def download(self, path: str, *, doing: str) -> bytes:
        """The bytes of a file of the site (private files need the session's user to have read access).

        Raises:
            ERPNextError: when the site does not give it.
        """
        answer, content = self._answer("GET", path, doing, "read")
        if answer.status_code != 200:
            raise classify(doing, answer.status_code, self._decoded(content, doing, answer.status_code))
        return bytes(content)


_CERTIFICATES = {
    10: (Cause.CERTIFICATE_EXPIRED, "has expired"),
    62: (Cause.CERTIFICATE_NAME, "is for another host name"),
    64: (Cause.CERTIFICATE_NAME, "is for another address"),
}
"""What OpenSSL finds wrong with a certificate, by its number; any other is of an authority that is not known here."""


def no_answer(
    problem: requests.exceptions.RequestException, doing: str, url: str, patience_s: float
) -> ERPNextError:
    """The error that stands for a request without an answer: nothing was sent, or nobody knows what became of it."""
    import requests
    from urllib3.exceptions import NameResolutionError, NewConnectionError, ReadTimeoutError

    from scoopjoy_dagster.bounded_http import whole_s

    within = list(_within(problem))

    def unreachable(cause: Cause, said: str) -> ERPNextError:
        return Unreachable(doing, f"no connection to {url}: {said}", cause=cause)

    for one in within:
        if isinstance(one, ssl.SSLCertVerificationError):
            cause, said = _CERTIFICATES.get(
                one.verify_code,
                (Cause.CERTIFICATE_UNKNOWN, "is of an authority that this machine does not know"),
            )
            return unreachable(cause, f"its certificate {said}")
    if isinstance(problem, requests.exceptions.SSLError):
        return unreachable(Cause.TLS, "the server does not speak TLS there")
    if any(isinstance(one, NameResolutionError) for one in within):
        return unreachable(Cause.NAME_NOT_RESOLVED, "the host name is not known")
    if any(isinstance(one, NewConnectionError) for one in within):
        if any(isinstance(one, ConnectionRefusedError) for one in within):
            return unreachable(Cause.CONNECTION_REFUSED, "the connection was refused")
        return unreachable(Cause.NO_CONNECTION, "the network does not lead there")
    if isinstance(problem, requests.exceptions.ConnectTimeout):
        return unreachable(Cause.NO_CONNECTION, "nobody answered")
    if isinstance(problem, requests.exceptions.Timeout) or any(
        isinstance(one, ReadTimeoutError) for one in within
    ):
        return Ambiguous(
            doing,
            f"no answer within {patience_s:g} s, or not the whole of it within {whole_s(patience_s):g} s",
            cause=Cause.TIMEOUT,
        )
    return Ambiguous(
        doing, f"the connection to {url} broke before the whole answer came", cause=Cause.BROKEN_OFF
    )


def _within(problem: BaseException) -> Iterator[BaseException]:
    """An exception and those that it was made of: `requests` and `urllib3` hand them on as arguments."""
    yield problem
    inner = [problem.__cause__, problem.__context__, getattr(problem, "reason", None), *problem.args]
    for one in inner:
        if isinstance(one, BaseException) and one is not problem:
            yield from _within(one)


def encode(body: object) -> bytes:
    """JSON with exact numbers.

    Raises:
        ValueError: for an amount that a JSON number of ERPNext's reader cannot carry to the last digit.
    """
    return released_json(json.dumps(body, default=_number, ensure_ascii=False)).encode()


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        # The wire carries doubles: exact up to 15 digits, and refused beyond rather than off by a paisa.
        sent = float(value)
        if Decimal(repr(sent)) != value:
            message = f"{value} has too many digits for ERPNext"
            raise ValueError(message)
        return sent
    message = f"a {type(value).__name__} cannot be sent to ERPNext"
    raise TypeError(message)
