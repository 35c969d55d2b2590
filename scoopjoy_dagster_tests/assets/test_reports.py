"""`reports`: each manager has the day's report by mail, once, and the newest revision of it."""

from __future__ import annotations

import io
import uuid
from datetime import date, timedelta
from typing import Any

import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from openpyxl import load_workbook
from pypdf import PdfReader

from scoopjoy_dagster.erpnext.client import DIGEST_FIELD
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import (
    DAY,
    HEBBAL,
    INDIRANAGAR,
    MANAGERS,
    THANE,
    World,
    change,
    hide_a_closing,
    insert,
)


@pytest.fixture
def settled(full_chain: World) -> World:
    """An ordinary day that is closed as far as its royalties."""
    full_chain.shift(2)
    full_chain.a_day()
    assert full_chain.close("closed_shifts", "royalties").success
    return full_chain


def got(chain: World) -> list[str]:
    """Who got a mail, in order of address, once for each mail."""
    return sorted(mail.recipient for mail in chain.mail.messages)


def records(chain: World) -> list[dict[str, Any]]:
    return chain.erpnext.documents("ScoopJoy Delivery", channel="report")


def test_each_manager_gets_one_mail_with_html_pdf_and_xlsx(settled: World) -> None:
    day = settled.close("reports")
    assert day.success
    assert got(settled) == sorted(MANAGERS)
    message = settled.mail.messages[0].message
    assert DAY.isoformat() in message["Subject"]
    html = message.get_body(("html",)).get_content()
    for expected in (THANE, "869.31", "Sales by outlet"):
        assert expected in html
    parts = {part.get_content_type(): part for part in message.iter_attachments()}
    pdf = PdfReader(io.BytesIO(parts["application/pdf"].get_payload(decode=True)))
    assert THANE in "\n".join(page.extract_text() for page in pdf.pages)
    (xlsx,) = (part for kind, part in parts.items() if "spreadsheet" in kind)
    assert len(load_workbook(io.BytesIO(xlsx.get_payload(decode=True))).sheetnames) >= 3
    assert day.outcome("reports")["written"] == 2


def test_a_relay_that_wants_a_real_name_takes_the_mails_and_its_words_are_in_the_row_where_it_does_not(
    settled: World,
) -> None:
    settled.mail.wants_names = True
    settled.mail_options = {"ehlo_name": "localhost"}
    (row,) = settled.close("reports").exceptions("reports")
    assert "550 5.7.1 this is no name of a mail host" in row["message"]
    assert got(settled) == []
    settled.mail_options = {}
    assert settled.close("reports").success
    assert got(settled) == sorted(MANAGERS)
    assert settled.mail.names[-1] == "scoopjoy.example"


def test_each_mail_has_a_delivery_record(settled: World) -> None:
    assert settled.close("reports").success
    found = records(settled)
    assert sorted(record["recipient"] for record in found) == sorted(MANAGERS)
    assert {(record["business_day"], record["revision"]) for record in found} == {(DAY.isoformat(), 0)}
    sent = {mail.message["Message-ID"].strip() for mail in settled.mail.messages}
    assert {record["reference"] for record in found} == sent
    assert len({record[DIGEST_FIELD] for record in found}) == 1
    assert {record["delivered_at"] for record in found} == {"2026-11-23 01:00:00"}


def test_a_re_run_sends_and_writes_nothing(settled: World) -> None:
    assert settled.close("reports").success
    settled.erpnext.requests.reset()
    again = settled.close("reports")
    assert again.success
    assert (len(settled.mail.messages), settled.erpnext.requests.writes) == (2, 0)
    assert again.outcome("reports")["adopted"] == 2


@pytest.mark.parametrize("code", [550, 451])
def test_a_refused_recipient_is_an_exception_row_and_the_re_run_sends_to_that_one_only(
    settled: World, code: int
) -> None:
    settled.mail.refuse(MANAGERS[0], code)
    day = settled.close("reports")
    assert not day.success
    (row,) = day.exceptions("reports")
    assert (row["what"], row["who"]) == ("report not sent", MANAGERS[0])
    assert str(code) in row["message"]
    assert got(settled) == [MANAGERS[1]]
    settled.mail.accept(MANAGERS[0])
    again = settled.close("reports")
    assert again.success
    assert got(settled) == sorted(MANAGERS)
    assert (again.outcome("reports")["written"], again.outcome("reports")["adopted"]) == (1, 1)


def test_a_day_that_changed_goes_out_as_a_revision_to_all(settled: World) -> None:
    assert settled.close("reports").success
    settled.invoice(THANE, "1000")
    day = settled.close("royalties", "reports")
    assert day.success
    assert got(settled) == sorted(MANAGERS * 2)
    assert [("revision 1" in mail.subject) for mail in settled.mail.messages] == [False, False, True, True]
    assert sorted(record["revision"] for record in records(settled)) == [0, 0, 1, 1]
    assert len({mail.message["Message-ID"] for mail in settled.mail.messages}) == 4
    assert settled.close("reports").success
    assert len(settled.mail.messages) == 4


def test_a_report_whose_revision_reached_only_some_goes_to_the_others(settled: World) -> None:
    assert settled.close("reports").success
    settled.invoice(THANE, "1000")
    settled.mail.refuse(MANAGERS[0])
    assert not settled.close("royalties", "reports").success
    settled.mail.accept(MANAGERS[0])
    assert settled.close("reports").success
    revised = sorted(mail.recipient for mail in settled.mail.messages if "revision 1" in mail.subject)
    assert revised == sorted(MANAGERS)


def test_a_server_that_is_down_is_one_finding_and_the_re_run_sends_to_all(settled: World) -> None:
    settled.mail.down = True
    day = settled.close("reports")
    assert not day.success
    (row,) = day.exceptions("reports")
    assert row["who"] == "2 recipients"
    assert str(settled.mail.smtp_port) in row["message"]
    assert records(settled) == []
    settled.mail.down = False
    assert settled.close("reports").success
    assert got(settled) == sorted(MANAGERS)


def test_without_a_mail_server_the_day_says_so(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties", "reports")
    assert day.success
    (warning,) = day.warnings("reports", "no mail server configured")
    assert "SMTP_HOST" in warning["message"]


@pytest.mark.parametrize("taken", [True, False])
def test_a_mail_that_was_never_answered_is_followed_by_the_day_as_it_is_now(
    settled: World, taken: bool
) -> None:
    """A reader may have been told of one shift less; the day is again as all had it before that."""
    assert settled.close("reports").success
    hide_a_closing(settled, hidden=True)
    settled.mail.lose_next(taken=taken)
    assert not settled.close("reports").success
    hide_a_closing(settled, hidden=False)
    assert settled.close("reports").success
    last = {mail.recipient: mail.message for mail in settled.mail.messages}
    assert sorted(last) == sorted(MANAGERS)
    for message in last.values():
        assert "(revision 2)" in message["Subject"]
    sent = len(settled.mail.messages)
    assert settled.close("reports").success
    assert len(settled.mail.messages) == sent


def test_a_refused_recipient_has_no_record(settled: World) -> None:
    settled.mail.refuse(MANAGERS[0])
    assert not settled.close("reports").success
    assert [one["recipient"] for one in records(settled)] == [MANAGERS[1]]


def test_a_process_that_dies_after_a_mail_sends_it_again_under_the_same_id(
    settled: World, monkeypatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("scoopjoy_dagster.assets.reports.confirm", lambda *_: 1 / 0)
        assert not settled.close("reports").success
    assert len(settled.mail.messages) == 1
    assert settled.close("reports").success
    assert len(settled.mail.messages) == 3
    assert len({mail.message["Message-ID"] for mail in settled.mail.messages}) == 2


@pytest.mark.parametrize("kind", ["committed_never_answered", "bad_gateway_before_commit", "deadlock"])
def test_a_fault_on_a_delivery_record_leaves_one_and_sends_one_mail(settled: World, kind: str) -> None:
    settled.erpnext.faults.add(kind, path="/api/resource/ScoopJoy Delivery")
    assert settled.close("reports").success
    assert len(records(settled)) == len(settled.mail.messages) == 2


def holders(settled: World, role: str) -> set[str]:
    """Addresses of the enabled users with a role."""
    return {
        user["email"]
        for user in settled.erpnext.documents("User", enabled=1)
        if role in {row["role"] for row in user["roles"]} and user["name"] != "Administrator"
    }


def test_enabled_users_with_the_role_of_the_readers_get_it_and_no_sales_manager_beside_them(
    settled: World,
) -> None:
    settled.mail_options = {"report_recipients": []}
    cashier = insert(
        settled.erpnext, "User", email="till@scoopjoy.example", first_name="Till",
        roles=[{"role": "Sales User"}, {"role": "Sales Manager"}],
    )  # fmt: skip
    assert settled.close("reports").success
    readers = holders(settled, "ScoopJoy Report Reader")
    assert got(settled) == sorted(readers)
    assert set(MANAGERS) < readers
    assert cashier in holders(settled, "Sales Manager")
    assert cashier not in readers
    assert "former.manager@scoopjoy.example" not in readers  # has the role, and is disabled


def test_a_site_that_has_set_the_role_of_before_sees_no_difference(settled: World) -> None:
    settled.mail_options = {"report_recipients": [], "report_role": "Sales Manager"}
    assert settled.close("reports").success
    managers, robot = holders(settled, "Sales Manager"), settled.erpnext.robot.user
    assert robot in managers
    assert got(settled) == sorted(managers - {robot})
    assert set(MANAGERS) < managers
    assert "former.manager@scoopjoy.example" not in managers  # has the role, and is disabled


def test_after_an_upgrade_nobody_has_the_new_role_and_a_row_says_what_to_do(settled: World) -> None:
    settled.mail_options = {"report_recipients": []}
    for user in holders(settled, "ScoopJoy Report Reader"):
        change(settled.erpnext, "User", user, roles=[{"role": "Sales Manager"}])
    day = settled.close("reports")
    assert not day.success
    assert got(settled) == []
    (row,) = day.exceptions("reports")
    assert (row["severity"], row["who"]) == ("error", "ScoopJoy Report Reader")
    assert row["action"].startswith("In ERPNext, give the role to those who are to get the report")
    assert "`scoopjoy setup` makes the default one" in row["action"]
    assert "SCOOPJOY_REPORT_RECIPIENTS" in row["action"]


def test_the_integration_user_gets_it_when_nobody_else_would(settled: World) -> None:
    settled.mail_options = {"report_recipients": [], "report_role": "Sales Manager"}
    for user in settled.erpnext.documents("User", enabled=1):
        if user["name"] not in {"Administrator", "Guest", settled.erpnext.robot.user}:
            change(settled.erpnext, "User", user["name"], enabled=0)
    assert settled.close("reports").success
    assert got(settled) == [settled.erpnext.robot.user]


def test_nobody_to_send_to_is_an_error_that_names_the_role(settled: World) -> None:
    settled.mail_options = {"report_recipients": [], "report_role": "Purchase Manager"}
    day = settled.close("reports")
    (row,) = day.exceptions("reports")
    assert (row["what"], row["who"]) == ("no recipient for the report", "Purchase Manager")


def test_an_open_shift_is_said_in_the_report(full_chain: World) -> None:
    full_chain.a_day()
    full_chain.shift(1)
    assert full_chain.close("royalties", "reports").success
    assert (
        "no submitted POS Closing Entry"
        in full_chain.mail.messages[0].message.get_body(("html",)).get_content()
    )


def test_nothing_is_told_of_a_day_whose_royalties_are_not_settled(full_chain: World) -> None:
    full_chain.a_day()
    day = full_chain.close("reports")
    assert day.exceptions("reports")[0]["what"] == "royalties not settled"
    assert full_chain.mail.messages == []


def test_names_from_erpnext_are_escaped_in_the_mail(full_chain: World) -> None:
    change(full_chain.erpnext, "Customer", THANE, customer_name="<script>alert(1)</script> & Co")
    full_chain.invoice(THANE, "1000")
    assert full_chain.close("royalties", "reports").success
    html = full_chain.mail.messages[0].message.get_body(("html",)).get_content()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


# -- days without anything, and backfills -------------------------------------------------------------------------

SATURDAY = DAY - timedelta(days=1)


@pytest.mark.parametrize("day", [SATURDAY, DAY])
def test_a_day_without_sale_shift_royalty_and_exception_is_told_to_headquarters_and_not_mailed(
    full_chain: World, day: date
) -> None:
    full_chain.invoice(
        THANE, "1000", SATURDAY - timedelta(days=14)
    )  # before the week that DAY, a Sunday, ends
    closed = full_chain.close(day=day)
    assert closed.success
    assert got(full_chain) == records(full_chain) == []
    outcome = closed.outcome("reports")
    assert (outcome["seen"], outcome["written"], outcome["skipped"]) == (2, 0, 2)
    assert [one.payload["business_day"] for one in full_chain.headquarters.deliveries] == [day.isoformat()]


def test_an_exception_of_an_otherwise_empty_day_is_mailed(full_chain: World) -> None:
    full_chain.shift(0)  # opened, and never closed
    assert full_chain.close("royalties", "reports").success
    assert got(full_chain) == sorted(MANAGERS)
    assert all("1 warning" in mail.subject for mail in full_chain.mail.messages)


def test_an_empty_sunday_is_mailed_for_the_week_that_it_ends(full_chain: World) -> None:
    full_chain.invoice(THANE, "1000", SATURDAY)
    assert full_chain.close("royalties", "reports").success
    assert got(full_chain) == sorted(MANAGERS)


def test_whoever_was_told_of_sales_that_are_gone_now_gets_a_revision_and_nobody_else(
    full_chain: World,
) -> None:
    sale = full_chain.invoice(HEBBAL, "1000", SATURDAY)  # exempt: no royalty entry is left behind
    full_chain.mail.refuse(MANAGERS[0])
    assert not full_chain.close("royalties", "reports", day=SATURDAY).success
    full_chain.mail.accept(MANAGERS[0])
    seed.cancel_document(full_chain.erpnext, "Sales Invoice", sale)
    again = full_chain.close("royalties", "reports", day=SATURDAY)
    assert [(mail.recipient, "revision 1" in mail.subject) for mail in full_chain.mail.messages] == [
        (MANAGERS[1], False),
        (MANAGERS[1], True),
    ]
    assert (again.outcome("reports")["written"], again.outcome("reports")["skipped"]) == (1, 1)


def known_backfill(chain: World, *days: date) -> str:
    """A backfill of these days that Dagster knows; returns its id."""
    backfill = PartitionBackfill(
        uuid.uuid4().hex[:8],
        BulkActionStatus.COMPLETED,
        from_failure=False,
        tags={},
        backfill_timestamp=0.0,
        partition_names=[day.isoformat() for day in days],
    )
    chain.instance.add_backfill(backfill)
    return backfill.backfill_id


@pytest.mark.parametrize("others", [False, True])
def test_a_tag_that_claims_a_backfill_keeps_no_report_back(full_chain: World, others: bool) -> None:
    """Of a backfill that Dagster does not know, and of one that was for another day."""
    full_chain.invoice(THANE, "1000")
    claimed = known_backfill(full_chain, SATURDAY) if others else "abcdefgh"
    assert full_chain.close(tags={"dagster/backfill": claimed}).success
    assert got(full_chain) == sorted(MANAGERS)


@pytest.mark.parametrize("tag", ["dagster/backfill", "scoopjoy/backfill"])
def test_a_backfill_mails_nothing_until_a_day_is_closed_by_itself(full_chain: World, tag: str) -> None:
    for day in (SATURDAY, DAY):
        full_chain.invoice(THANE, "1000", day)
    name = known_backfill(full_chain, SATURDAY, DAY)
    for day in (SATURDAY, DAY):
        run = full_chain.close(day=day, tags={tag: name})
        assert run.success
        (one,) = run.materializations("reports")
        assert (one.metadata["mails"].value, one.metadata["skipped"].value) == ("not asked for", 1)
    assert got(full_chain) == records(full_chain) == []
    assert full_chain.close("reports", day=SATURDAY).success
    assert got(full_chain) == sorted(MANAGERS)
    assert all(SATURDAY.isoformat() in mail.subject for mail in full_chain.mail.messages)
    assert {record["revision"] for record in records(full_chain)} == {0}


@pytest.mark.parametrize(
    ("tags", "launchpad"),
    [
        ({"scoopjoy/backfill": "abcdefgh", "scoopjoy/mail": "yes"}, {}),
        ({"scoopjoy/backfill": "abcdefgh"}, {"close": {"resend": True}}),
    ],
)
def test_a_backfill_mails_every_day_where_that_is_asked_for(
    full_chain: World, tags: dict[str, str], launchpad: dict[str, dict[str, Any]]
) -> None:
    for day in (SATURDAY, DAY):
        full_chain.invoice(INDIRANAGAR, "1000", day)
        assert full_chain.close(day=day, tags=tags, launchpad=launchpad).success
    assert got(full_chain) == sorted(MANAGERS * 2)
