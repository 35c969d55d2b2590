"""Why a request failed: each cause is recognised from what really happens on a socket, and has its own remedy."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.errors import Cause, ERPNextError, Unreachable, classify
from scoopjoy_dagster.erpnext.session import RetryRule, Session
from scoopjoy_dagster_tests.erpnext.hostile import Handler, listening

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def problem(url: str, *, ca_bundle: str = "", patience_s: float = 10) -> ERPNextError:
    once = RetryRule(attempts=1)
    session = Session(
        url, "k", "s", connect_timeout_s=10, read_timeout_s=patience_s, ca_bundle=ca_bundle, retry=once
    )
    with session, pytest.raises(ERPNextError) as raised:
        Client(session).rows("Customer", ["name"], [])
    return raised.value


def with_certificate(certificate: trustme.LeafCert) -> Handler:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    def answer(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    return answer


def silence(connection: socket.socket) -> None:
    connection.settimeout(2)
    while connection.recv(4096):
        pass


def hang_up(connection: socket.socket) -> None:
    connection.recv(4096)


def no_tls(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_what_keeps_a_request_from_the_site_is_told_apart() -> None:
    assert problem("http://no-such-host.invalid").cause is Cause.NAME_NOT_RESOLVED
    assert problem("http://127.0.0.1:9").cause is Cause.CONNECTION_REFUSED
    with listening(silence) as port:
        assert problem(f"http://127.0.0.1:{port}", patience_s=0.3).cause is Cause.TIMEOUT
    with listening(hang_up) as port:
        assert problem(f"http://127.0.0.1:{port}").cause is Cause.BROKEN_OFF
    with listening(no_tls) as port:
        assert problem(f"https://127.0.0.1:{port}").cause is Cause.TLS


def test_certificates_that_are_not_accepted_are_told_apart(tmp_path: Path) -> None:
    ours, bundle = trustme.CA(), tmp_path / "ca.pem"
    ours.cert_pem.write_to_path(str(bundle))
    for certificate, cause in (
        (ours.issue_cert("127.0.0.1", not_after=YESTERDAY), Cause.CERTIFICATE_EXPIRED),
        (trustme.CA().issue_cert("127.0.0.1"), Cause.CERTIFICATE_UNKNOWN),
        (ours.issue_cert("127.0.0.2"), Cause.CERTIFICATE_NAME),
        (ours.issue_cert("erp.example"), Cause.CERTIFICATE_NAME),
    ):
        with listening(with_certificate(certificate)) as port:
            found = problem(f"https://127.0.0.1:{port}", ca_bundle=str(bundle))
        assert isinstance(found, Unreachable)
        assert found.cause is cause
        assert not found.cause.passes


@pytest.mark.parametrize(
    ("status", "exc_type", "cause"),
    [
        (503, "SessionStopped", Cause.MAINTENANCE),
        (503, "InReadOnlyMode", Cause.MAINTENANCE),
        (503, "", Cause.NOT_SERVING),
        (502, "", Cause.NOT_SERVING),
        (500, "OperationalError", Cause.NOT_SERVING),
        (504, "", Cause.TIMEOUT),
        (429, "TooManyRequestsError", Cause.OVERLOADED),
        (500, "QueryDeadlockError", Cause.CONFLICT),
        (401, "AuthenticationError", Cause.LOGIN),
        (403, "PermissionError", Cause.NO_PERMISSION),
        (417, "ValidationError", Cause.REFUSED),
    ],
)
def test_what_an_answer_of_the_site_means_for_who_reads_it(status: int, exc_type: str, cause: Cause) -> None:
    body = {"exc_type": exc_type} if exc_type else None
    assert classify("post", status, body).cause is cause


def test_what_passes_by_itself_is_that_somebody_is_away_or_was_first() -> None:
    stays = {cause for cause in Cause if not cause.passes}
    assert stays == {
        Cause.CERTIFICATE_EXPIRED,
        Cause.CERTIFICATE_UNKNOWN,
        Cause.CERTIFICATE_NAME,
        Cause.TLS,
        Cause.EXCESSIVE,
        Cause.LOGIN,
        Cause.NO_PERMISSION,
        Cause.REFUSED,
    }


def test_every_cause_but_a_refusal_and_a_conflict_has_a_remedy_of_its_own() -> None:
    """A refusal has ERPNext's own words, and of a conflict there is nothing to do."""
    remedies = {cause: cause.remedy for cause in Cause if cause not in {Cause.REFUSED, Cause.CONFLICT}}
    assert all(remedies.values())
    assert len(set(remedies.values())) == len(remedies)
