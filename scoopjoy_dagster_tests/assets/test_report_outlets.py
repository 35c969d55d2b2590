"""Outlet managers get their outlets, everybody else the whole; what was delivered goes out again only when asked for."""

from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage
from io import BytesIO

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.assets import reports
from scoopjoy_dagster.assets.day_facts import read_day
from scoopjoy_dagster.assets.outcome import Outcome
from scoopjoy_dagster.assets.report_plans import planned_mails, read_readers
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import (
    BANDRA,
    CASHIER,
    DAY,
    FRANCHISES,
    MANAGERS,
    NOW,
    THANE,
    World,
    change,
)

OUTLET, TILL, LOST = "bandra@scoopjoy.example", "indiranagar@scoopjoy.example", "lost@scoopjoy.example"
MAPPING = [f"{OUTLET}={BANDRA}", f"{OUTLET.upper()}={THANE}", f"{TILL}=POS Indiranagar"]


@pytest.fixture
def settled(full_chain: World) -> World:
    """A closed day with shifts at two outlets; one manager has an outlet and its franchise, one a till alone."""
    begin = NOW.replace(hour=10) - timedelta(days=1)
    seed.add_shift(full_chain.erpnext, BANDRA, CASHIER, begin, ["111.11", "222.22"])
    seed.add_shift(
        full_chain.erpnext, "POS Indiranagar", "cashier.indiranagar@scoopjoy.example", begin, ["333.44"]
    )
    full_chain.a_day()
    full_chain.mail_options = {"report_outlets": MAPPING}
    assert full_chain.close("closed_shifts", "royalties").success
    return full_chain


def words(message: EmailMessage) -> str:
    """Everything that can be read of a mail and its files."""
    parts = [message["Subject"], *(message.get_body((kind,)).get_content() for kind in ("plain", "html"))]
    for part in message.iter_attachments():
        content = BytesIO(part.get_payload(decode=True))
        if part.get_content_type() == "application/pdf":
            parts += [page.extract_text() for page in PdfReader(content).pages]
        else:
            parts += [
                str(cell)
                for sheet in load_workbook(content)
                for row in sheet.iter_rows(values_only=True)
                for cell in row
            ]
    return " ".join(" ".join(parts).split())


def mails(chain: World) -> dict[str, EmailMessage]:
    return {mail.recipient.casefold(): mail.message for mail in chain.mail.messages}


def again(chain: World, **options: bool) -> Outcome:
    """`send_reports` of the day, some hours later, without Dagster."""
    mail = MailResource(
        host="127.0.0.1",
        port=chain.mail.smtp_port,
        security="none",
        sender="ScoopJoy <close@scoopjoy.example>",
        report_recipients=list(MANAGERS),
        report_outlets=MAPPING,
        ui_url="https://dagster.example",
    )
    later = ClockResource(fixed=f"{(NOW + timedelta(hours=8)).isoformat()}+05:30")
    with chain.site() as site:
        return reports.close(site, DAY, chain.tools(mail=mail, clock=later, close=CloseResource(**options)))


def test_each_manager_sees_the_outlets_of_the_setting_and_everybody_else_the_whole(settled: World) -> None:
    day = settled.close("reports")
    assert day.success
    got = mails(settled)
    assert set(got) == {*MANAGERS, OUTLET, TILL}
    outlet, till, whole = words(got[OUTLET]), words(got[TILL]), words(got[MANAGERS[0]])
    others = [name for name in FRANCHISES if name != THANE]
    assert BANDRA in outlet
    assert THANE in outlet
    assert "POS Indiranagar" in till
    assert not any(name in outlet for name in [*others, "POS Indiranagar"])
    assert not any(name in till for name in [*FRANCHISES, BANDRA])
    assert all(name in whole for name in [*FRANCHISES[:5], BANDRA, "POS Indiranagar"])
    assert f"{BANDRA}, {THANE}" in got[OUTLET]["Subject"]
    assert day.outcome("reports")["written"] == 4


def test_a_re_run_sends_nothing_and_a_change_goes_to_those_whom_it_concerns(settled: World) -> None:
    assert settled.close("reports").success
    assert settled.close("reports").outcome("reports")["adopted"] == 4
    settled.mail.messages.clear()
    settled.invoice(THANE, "1000")
    assert settled.close("royalties", "reports").success
    got = mails(settled)
    assert set(got) == {*MANAGERS, OUTLET}  # the till's manager has nothing new
    said = words(got[OUTLET])
    assert "revision 1" in got[OUTLET]["Subject"]
    assert "What changed" in said
    assert not any(name in said for name in FRANCHISES if name != THANE)


def test_the_same_link_to_the_whole_chain_is_not_in_an_outlets_mail(settled: World) -> None:
    again(settled)
    got = mails(settled)
    assert "https://dagster.example" in words(got[MANAGERS[0]])
    assert "https://dagster.example" not in words(got[OUTLET])


def test_an_outlet_that_does_not_exist_is_a_warning_and_its_manager_gets_nothing(settled: World) -> None:
    settled.mail_options = {"report_outlets": [f"{LOST}=POS Nowhere", f"{MANAGERS[0]}=POS Nowhere"]}
    day = settled.close("reports")
    assert day.success
    assert set(mails(settled)) == {MANAGERS[1]}
    rows = day.warnings("reports", "outlet of a report not found")
    assert [row["who"] for row in rows] == [LOST, MANAGERS[0]]
    assert "POS Nowhere" in rows[0]["message"]


def sent(chain: World) -> dict[str, str]:
    """Subjects by recipient of the mails since the last time."""
    found = {mail.recipient.casefold(): mail.subject for mail in chain.mail.messages}
    assert len(found) == len(chain.mail.messages)
    chain.mail.messages.clear()
    return found


def reports_with(chain: World, mapping: list[str], **options: object) -> dict[str, str]:
    """What a re-run of the reports sends when the setting is this."""
    chain.mail_options = {"report_outlets": mapping, **options}
    assert chain.close("reports").success
    return sent(chain)


def test_a_manager_whose_outlets_change_gets_the_new_report_without_the_figures_of_the_old(
    settled: World,
) -> None:
    assert set(reports_with(settled, [])) == set(MANAGERS)
    settled.mail_options = {"report_outlets": [f"{MANAGERS[0]}=POS Indiranagar"]}
    assert settled.close("reports").success
    (mail,) = settled.mail.messages
    said = words(mail.message)
    assert mail.recipient == MANAGERS[0]
    assert not any(name in said for name in [*FRANCHISES, BANDRA])
    assert "revision" not in said
    assert "What changed" not in said


@pytest.mark.parametrize(
    ("mapping", "who"),
    [
        ([one for one in MAPPING if not one.startswith(TILL)], set()),  # gone, and on no list
        ([*MAPPING, f"{MANAGERS[0]}=POS Indiranagar"], {MANAGERS[0]}),  # from the whole to a part
        ([*MAPPING, f"{TILL}={BANDRA}"], {TILL}),  # one outlet more
        ([MAPPING[0], MAPPING[2]], {OUTLET}),  # one less
        ([*MAPPING, f"{LOST}=POS Indiranagar"], {LOST}),  # a second manager of an outlet
        ([f"{OUTLET}=  {THANE.upper()}", MAPPING[2], MAPPING[0].lower()], set()),  # the same in other words
    ],
)
def test_another_setting_sends_its_report_to_those_whose_outlets_are_others_now_and_to_nobody_else(
    settled: World, mapping: list[str], who: set[str]
) -> None:
    assert set(reports_with(settled, MAPPING)) == {*MANAGERS, OUTLET, TILL}
    found = reports_with(settled, mapping)
    assert set(found) == who
    assert not any("revision" in subject for subject in found.values())
    assert reports_with(settled, mapping) == {}


def test_a_manager_who_is_taken_off_the_setting_gets_the_whole_chain_alone_and_nothing_when_put_back(
    settled: World,
) -> None:
    part = [*MAPPING, f"{MANAGERS[0]}=POS Indiranagar"]
    assert set(reports_with(settled, part)) == {*MANAGERS, OUTLET, TILL}
    (found,) = reports_with(settled, MAPPING).items()
    assert found[0] == MANAGERS[0]
    assert "revision" not in found[1]
    assert "POS Indiranagar" not in found[1]
    assert reports_with(settled, part) == {}
    settled.invoice(THANE, "1000")
    assert settled.close("royalties").success
    changed = reports_with(settled, MAPPING)
    assert set(changed) == {*MANAGERS, OUTLET}
    assert all("(revision " in subject for subject in changed.values())


def test_who_joins_after_a_revision_gets_the_day_as_it_is_and_the_next_revision_like_everybody(
    settled: World,
) -> None:
    early = {"report_recipients": [MANAGERS[0]]}
    assert set(reports_with(settled, [], **early)) == {MANAGERS[0]}
    settled.invoice(THANE, "1000")
    assert settled.close("royalties").success
    assert "(revision 1)" in reports_with(settled, [], **early)[MANAGERS[0]]
    settled.mail_options = {}
    assert settled.close("reports").success
    (mail,) = settled.mail.messages
    said = words(mail.message)
    assert mail.recipient == MANAGERS[1]
    assert "revision" not in said
    assert "What changed" not in said
    settled.mail.messages.clear()
    settled.invoice(THANE, "500")
    assert settled.close("royalties").success
    assert ["(revision 2)" in subject for subject in reports_with(settled, []).values()] == [True, True]


def test_a_role_that_changes_hands_sends_the_report_to_the_new_holder_alone(settled: World) -> None:
    def reports_of_the_role() -> set[str]:
        return set(reports_with(settled, [], report_recipients=[]))

    leaver, *_ = everybody = sorted(reports_of_the_role())
    assert len(everybody) > 1
    change(settled.erpnext, "User", leaver, enabled=0)
    assert reports_of_the_role() == set()
    change(settled.erpnext, "User", leaver, enabled=1)
    assert reports_of_the_role() == set()
    assert set(reports_with(settled, [], report_recipients=[*everybody, LOST])) == {LOST}


def test_who_missed_a_revision_is_told_what_changed_since_the_one_that_arrived(settled: World) -> None:
    assert set(reports_with(settled, [])) == set(MANAGERS)
    settled.invoice(THANE, "1000")
    settled.mail.refuse(MANAGERS[0])
    assert not settled.close("royalties", "reports").success
    settled.mail.accept(MANAGERS[0])
    settled.mail.messages.clear()
    settled.invoice(THANE, "500")
    assert settled.close("royalties", "reports").success
    got = mails(settled)
    assert all("(revision 2)" in got[one]["Subject"] for one in MANAGERS)
    missed, kept = (words(got[one]) for one in MANAGERS)
    was = "base 966.68"  # before the 1000
    assert was in missed
    assert was not in kept


def test_a_resend_reaches_everybody_again_as_the_same_revision_and_says_so(settled: World) -> None:
    assert settled.close("reports").success
    first = {mail.recipient: mail.message["Message-ID"] for mail in settled.mail.messages}
    settled.mail.messages.clear()
    outcome = again(settled, resend=True)
    assert (outcome.written, outcome.adopted, outcome.findings) == (4, 0, ())
    assert set(mails(settled)) == {*MANAGERS, OUTLET, TILL}
    records = settled.erpnext.documents("ScoopJoy Delivery", channel="report")
    assert len(records) == 4
    for mail in settled.mail.messages:
        assert mail.message["Subject"].endswith("(sent again)")
        assert "revision" not in mail.message["Subject"]
        assert mail.message.get_body(("plain",)).get_content().startswith("Sent again on request")
        assert mail.message["Message-ID"] != first[mail.recipient]
        (record,) = [one for one in records if one["recipient"] == mail.recipient]
        assert record["reference"] == mail.message["Message-ID"].strip()
        assert record["delivered_at"] == "2026-11-23 09:00:00"
        assert record["revision"] == 0
    assert again(settled).adopted == 4  # and without the flag, nothing more


def test_a_dry_run_names_who_would_get_which_report(settled: World) -> None:
    mail = MailResource(host="127.0.0.1", report_recipients=list(MANAGERS), report_outlets=MAPPING)
    with settled.site() as site:
        facts = read_day(site, RoyaltyPolicy(), DAY)
        lines = list(planned_mails(read_readers(site, mail), mail, facts))
    assert {(line.action, line.who.casefold(), line.reason) for line in lines} == {
        *(("create", one, "revision 0") for one in MANAGERS),
        ("create", OUTLET, f"revision 0, {BANDRA}, {THANE} alone"),
        ("create", TILL, "revision 0, POS Indiranagar alone"),
    }


def test_the_cost_in_requests_does_not_grow_with_franchises_and_days(full_chain: World) -> None:
    full_chain.invoice(THANE, "1000")
    assert full_chain.close("royalties").success
    few = full_chain.close("reports").outcome("reports")["requests"]
    full_chain.a_day()
    for back in range(1, 4):
        full_chain.invoice(THANE, "500", DAY - timedelta(days=back))
    assert full_chain.close("royalties").success
    many = full_chain.close("reports").outcome("reports")["requests"]
    assert many <= few + 1  # the figures of the revision before
