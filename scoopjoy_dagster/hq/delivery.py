"""The way to headquarters: one signed POST, tried again while the failure may pass, and the receipt it answers.

Here: the signature, the headers, which answers are final, and the comparison of the receipt with what was sent.
Not here: what is sent (``payload``), and what a business day does when headquarters cannot be reached.

An attempt is safe to repeat because every attempt carries the same idempotency key and the same bytes:
headquarters answers 200 to a key it already has. So a timeout needs no special care, it is simply tried again; and so is
an answer that is beyond the bounds of `bounded_http`, as nobody knows what became of the delivery.
"""

from __future__ import annotations

import re
import string
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from scoopjoy_dagster.clean_text import shown
from scoopjoy_dagster.hq import signature
from scoopjoy_dagster.hq.payload import canonical, delivery_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests
    from tenacity import RetryCallState

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds to wait after the first, second, ... failed attempt; the last one repeats."""

RETRY_AFTER_CAP_S = 60.0
"""The longest Retry-After that is honoured, in seconds."""

ANSWER_BYTES = 1 << 20
"""Bytes of an answer that are read; a receipt has some hundred."""

TEXT_CAP = 300
"""Characters of an answer that an error may quote."""


class HQError(Exception):
    """Headquarters does not hold what was to be delivered."""


class HQRejected(HQError):
    """Headquarters refused the delivery for good; the same delivery would be refused again.

    Attributes:
        status: HTTP status of the answer.
        text: the answer's body, at most ``TEXT_CAP`` characters.
    """

    def __init__(self, where: str, status: int, text: str) -> None:
        self.status = status
        self.text = text
        advice = _ADVICE.get(status, "correct what it names, then deliver again.")
        super().__init__(f"Headquarters at {where} rejected the delivery with {status} ({text}): {advice}")


class HQUnavailable(HQError):
    """No attempt got a final answer; delivering again later is safe.

    Attributes:
        tries: number of attempts made.
    """

    def __init__(self, where: str, tries: int, last: str) -> None:
        self.tries = tries
        super().__init__(
            f"Headquarters at {where} could not be reached in {tries} tries, the last one ended with {last}; "
            "deliver again when it is back."
        )


class HQReceiptInvalid(HQError):
    """Headquarters said yes without a usable receipt, so nothing shows that it holds our totals."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"Headquarters at {where} accepted the delivery but its receipt cannot be used: {problem}."
        )


_ADVICE = {
    401: "check that both sides use the same secret and that this machine's clock is right.",
    403: "ask headquarters to admit this company.",
    404: "check the address.",
    409: "this revision of the day was delivered before with other totals, deliver the next revision.",
}


class _Passing(Exception):
    """An attempt that failed in a way that may pass."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Receipt:
    """What headquarters says it holds for the day.

    Attributes:
        receipt_id: its reference for the delivery.
        revision: the revision it holds.
        totals: the totals it holds, in the shape of the payload's ``totals``.
        duplicate: True when it already had this idempotency key.
    """

    receipt_id: str
    revision: int
    totals: Mapping[str, Any]
    duplicate: bool


class HQClient:
    """Delivers documents to headquarters.

    Args:
        url: address that takes the POST, http or https.
        secret: what deliveries are signed with, see ``signature``; never shown.
        previous_secret: the one before it, while it is being replaced: deliveries are signed with both.
        timeout_s: seconds to wait for the connection, and again for the answer.
        tries: attempts in all.
        backoff_s: seconds between attempts, see ``BACKOFF_S``.
        sleep: how to wait, in seconds.
        clock: the present time in unix seconds, stamped on every attempt.

    Raises:
        ValueError: the address is no http(s) URL, a secret cannot be used, or there would be no attempt.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        previous_secret: str = "",
        timeout_s: float = 30.0,
        tries: int = 5,
        backoff_s: tuple[float, ...] = BACKOFF_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("The address of headquarters must be a full http:// or https:// URL.")
        wrong = signature.problem(secret) or (
            signature.problem(previous_secret, replaced=True) if previous_secret else ""
        )
        if wrong:
            raise ValueError(f"A secret shared with headquarters {wrong}.")
        if tries < 1:
            raise ValueError(f"At least one try is needed to deliver, got {tries}.")
        self.url = url
        # Shown in messages: without user, password or query, which may carry a token.
        self.where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self.timeout_s = timeout_s
        self.tries = tries
        self.backoff_s = backoff_s
        self._secrets = [secret, *([previous_secret] if previous_secret else [])]
        self._secret = signature.spellings(self._secrets)
        self._sleep = sleep
        self._clock = clock

    def __repr__(self) -> str:
        return f"HQClient({self.where!r}, timeout_s={self.timeout_s}, tries={self.tries})"

    def deliver(
        self,
        payload: Mapping[str, Any],
        *,
        event: str = "daily_totals",
        idempotency_key: str,
        delivery_id: str | None = None,
    ) -> Receipt:
        """Send the payload until headquarters gives a final answer, and return its receipt.

        Args:
            payload: the document; its canonical bytes are what is signed and sent.
            event: what kind of document it is.
            idempotency_key: see ``payload.idempotency_key``.
            delivery_id: see ``payload.delivery_id``, which is the default.

        Raises:
            HQRejected: a final no (any 3xx or 4xx but 408 and 429).
            HQUnavailable: connection errors, timeouts, 408, 429 or 5xx in every attempt.
            HQReceiptInvalid: a yes without a usable receipt.
        """
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

        body = canonical(payload)
        identifier = delivery_id or _delivery_id(idempotency_key)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "scoopjoy_dagster",
            "Idempotency-Key": _header(idempotency_key),
            "webhook-id": identifier,
            "X-ScoopJoy-Event": event,
            # For receivers that know only these.
            "X-Idempotency-Key": _header(idempotency_key),
            "X-ScoopJoy-Delivery-Id": identifier,
        }
        old = signature.of_body(self._secrets, body)
        if old:
            headers["X-ScoopJoy-Signature"] = old
        retrying = Retrying(
            retry=retry_if_exception_type(_Passing),
            stop=stop_after_attempt(self.tries),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer = retrying(self._attempt, body, headers)
        except _Passing as last:
            raise HQUnavailable(self.where, self.tries, str(last)) from None
        return self._receipt(answer)

    def _attempt(self, body: bytes, headers: Mapping[str, str]) -> Any:
        """What headquarters answers with yes: decoded JSON."""
        import requests
        from urllib3.exceptions import ReadTimeoutError

        from scoopjoy_dagster import bounded_http

        now = int(self._clock())
        stamped = {
            **headers,
            "webhook-timestamp": str(now),
            "webhook-signature": signature.standard(self._secrets, headers["webhook-id"], now, body),
            "X-ScoopJoy-Timestamp": str(now),
        }
        late = f"no answer within {self.timeout_s:g} s, or not the whole of it within {bounded_http.whole_s(self.timeout_s):g} s"
        try:
            with bounded_http.session() as http:
                response = http.post(
                    self.url,
                    data=body,
                    headers=stamped,
                    timeout=self.timeout_s,
                    # Following would turn the POST into a GET, and carry the totals to an address nobody configured.
                    allow_redirects=False,
                    stream=True,
                )
                content = bounded_http.read(response, ANSWER_BYTES)
        except requests.Timeout:
            raise _Passing(late) from None
        except requests.RequestException as error:
            slow = any(isinstance(one, ReadTimeoutError) for one in error.args)
            raise _Passing(late if slow else f"a broken connection ({type(error).__name__})") from None
        except bounded_http.Excess as excess:
            raise _Passing(f"an answer that {excess}") from None
        status = response.status_code
        if status in {408, 429} or status >= 500:
            raise _Passing(f"HTTP status {status}", _retry_after_s(response, self._clock()))
        if status not in {200, 201}:
            raise HQRejected(self.where, status, self._quote(content))
        try:
            return bounded_http.decoded(content)
        except bounded_http.Excess as excess:
            raise _Passing(f"an answer that {excess}") from None
        except ValueError:
            raise HQReceiptInvalid(self.where, f"the answer is no JSON ({self._quote(content)})") from None

    def _wait(self, state: RetryCallState) -> float:
        planned = (
            self.backoff_s[min(state.attempt_number, len(self.backoff_s)) - 1] if self.backoff_s else 0.0
        )
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_s if isinstance(error, _Passing) else None
        return planned if asked is None else min(max(asked, planned), RETRY_AFTER_CAP_S)

    def _receipt(self, answer: Any) -> Receipt:
        if not isinstance(answer, dict):
            raise HQReceiptInvalid(self.where, "the answer is no JSON object")
        if not isinstance(answer.get("totals"), dict):
            raise HQReceiptInvalid(self.where, "it carries no totals")
        revision = answer.get("revision")
        if not isinstance(revision, int) or isinstance(revision, bool):
            raise HQReceiptInvalid(self.where, "it carries no revision")
        if not answer.get("receipt_id"):
            raise HQReceiptInvalid(self.where, "it carries no receipt_id")
        return Receipt(
            receipt_id=shown(str(answer["receipt_id"]))[:TEXT_CAP],
            revision=revision,
            totals=answer["totals"],
            duplicate=bool(answer.get("duplicate")),
        )

    def _quote(self, content: bytes | bytearray) -> str:
        # An answer that echoes the request's secrets must not carry them into a log; nor with signs between that are not shown.
        hidden = self._secret.sub(b"***", content).decode("utf-8", "replace")
        text = shown(" ".join(hidden.split()))
        return self._secret.sub(b"***", text.encode()).decode("utf-8", "replace")[:TEXT_CAP] or "no text"


def compare_receipt(payload: Mapping[str, Any], receipt: Receipt) -> list[str]:
    """Every difference between what was sent and what headquarters says it holds; empty when they agree.

    Amounts are compared as numbers, so ``"5.00"``, ``"5.0"`` and ``5`` agree.
    """
    differences = []
    if receipt.revision != payload["revision"]:
        differences.append(f"revision: sent {payload['revision']}, headquarters holds {receipt.revision}")
    for name, sent in sorted(payload["totals"].items()):
        if name not in receipt.totals:
            differences.append(f"{name}: sent {sent}, headquarters holds nothing")
        elif not _same(sent, receipt.totals[name]):
            held = str(receipt.totals[name])[:TEXT_CAP]
            differences.append(f"{name}: sent {sent}, headquarters holds {held}")
    return differences


def _same(sent: Any, held: Any) -> bool:
    numbers = [str(one) for one in (sent, held)]
    return all(map(_NUMBER.fullmatch, numbers)) and Decimal(numbers[0]) == Decimal(numbers[1])


_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([Ee][+-]?[0-9]{1,3})?")
"""As JSON writes it; `Decimal` itself takes underscores and the digits of every script."""

_HEADER_SAFE = string.punctuation.replace("%", "") + " "

_delivery_id = delivery_id  # the method's parameter has the function's name


def _header(value: str) -> str:
    # Header values are ASCII, company names are not. Percent-encoding is one to one, so keys stay distinct.
    return quote(value, safe=_HEADER_SAFE)


def _retry_after_s(response: requests.Response, now: float) -> float | None:
    """Seconds that the answer asks to wait: a number or a date (RFC 9110, 10.2.3); None when it does not say."""
    from scoopjoy_dagster.bounded_http import seconds

    value = response.headers.get("Retry-After", "").strip()
    wanted = seconds(value)
    if wanted is not None:
        return wanted
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.fromtimestamp(now, UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
