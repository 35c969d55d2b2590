"""The oracle can fail: whatever is tampered with on the servers is reported, and what is right is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import virtual
from scoopjoy_dagster.sandbox.erpnext.request_log import Logged
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink, ReceivedMail
from scoopjoy_dagster_tests.chaos.mails import MailWatch
from scoopjoy_dagster_tests.chaos.oracle import Oracle
from scoopjoy_dagster_tests.chaos.truth import Tables
from scoopjoy_dagster_tests.world import DAY, MANAGERS, THANE, World, change, insert, started_site

Tamper = Callable[[World], Any]


@pytest.fixture(scope="module")
def closed(chain_template: Path, shared_instance: dg.DagsterInstance) -> Iterator[tuple[World, Oracle]]:
    """An ordinary day, closed once, and its judge."""
    headquarters, mail = SandboxHQ(), MailSink()
    headquarters.start()
    mail.start()
    with started_site(chain_template) as site:
        watch = MailWatch(site)
        watch.attach(mail)
        world = World(site, shared_instance, headquarters, mail)
        world.a_day()
        world.shift(3)
        oracle = Oracle(site, headquarters, mail, watch, MANAGERS)
        oracle.note([DAY])
        close = world.close()
        assert close.success, [event.message for event in close.logged if event.is_failure]
        yield world, oracle
    headquarters.close()
    mail.stop()


@pytest.fixture
def settled(closed: tuple[World, Oracle], tmp_path: Path) -> Iterator[tuple[World, Oracle]]:
    """The closed day; what a test does to it is undone."""
    world, oracle = closed
    assert world.headquarters is not None
    assert world.mail is not None
    world.erpnext.snapshot(tmp_path / "settled.db")
    deliveries = world.headquarters._db.execute("SELECT * FROM delivery").fetchall()
    mails = list(world.mail.messages)
    watch = MailWatch(world.erpnext)
    judge = Oracle(
        world.erpnext,
        world.headquarters,
        world.mail,
        watch,
        MANAGERS,
        deepcopy(oracle.history),
        deepcopy(oracle.rates),
        dict(oracle.touched),
    )
    yield world, judge
    world.erpnext.site.db.restore_from(tmp_path / "settled.db")
    world.headquarters._db.execute("DELETE FROM delivery")
    world.headquarters._db.executemany("INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?)", deliveries)
    world.mail.messages[:] = mails


def sql(statement: str, *params: Any) -> Tamper:
    def tamper(world: World) -> None:
        with world.erpnext.site.transaction():
            assert world.erpnext.site.db.run(statement, params) > 0

    return tamper


def copy(doctype: str, name: str, where: str = "docstatus = 1") -> Tamper:
    """The first document of a DocType a second time, under another name."""

    def tamper(world: World) -> None:
        database = world.erpnext.site.db
        with world.erpnext.site.transaction():
            names, rows = database.described(
                f'SELECT * FROM "tab{doctype}" WHERE {where} ORDER BY name LIMIT 1'
            )
            values = dict(zip(names, rows[0], strict=True)) | {"name": name}
            if "custom_scoopjoy_key" in values:
                values["custom_scoopjoy_key"] += "0"
            marks = ", ".join("?" * len(values))
            database.run(f'INSERT INTO "tab{doctype}" VALUES ({marks})', list(values.values()))

    return tamper


def entry(world: World, amount: float, key: str | None = None, **values: Any) -> str:
    """A submitted royalty entry of Thane, as a program that posts twice would make it."""
    rows = [
        {
            "account": "Debtors - SJ",
            "party_type": "Customer",
            "party": THANE,
            "debit_in_account_currency": amount,
        },
        {"account": "Royalty Income - SJ", "cost_center": "Main - SJ", "credit_in_account_currency": amount},
    ]
    return insert(
        world.erpnext,
        "Journal Entry",
        voucher_type="Journal Entry",
        company="ScoopJoy",
        posting_date=DAY.isoformat(),
        custom_scoopjoy_key=key,
        accounts=rows,
        docstatus=1,
        **values,
    )


def key(revision: int) -> str:
    return f"royalty:ScoopJoy:{DAY}:{THANE}:{revision}"


def first_entry(world: World) -> str:
    return str(world.erpnext.documents("Journal Entry", custom_scoopjoy_key=key(0))[0]["name"])


def posted_again(world: World) -> None:
    entry(world, 72.5, key(1), custom_scoopjoy_adjusts=first_entry(world))


def posted_and_taken_back(world: World) -> None:
    entry(world, 10, key(1), custom_scoopjoy_adjusts=first_entry(world))
    entry(world, -10, key(2), custom_scoopjoy_adjusts=first_entry(world))


def a_late_invoice(world: World) -> None:
    world.invoice(THANE, "1000")


def hq_row(world: World) -> list[Any]:
    assert world.headquarters is not None
    found: list[Any] = list(world.headquarters._db.execute("SELECT * FROM delivery").fetchone())
    return found


def hq_forgets(world: World) -> None:
    assert world.headquarters is not None
    world.headquarters._db.execute("DELETE FROM delivery")


def hq_holds_another_royalty(world: World) -> None:
    assert world.headquarters is not None
    document = json.loads(hq_row(world)[2])
    document["totals"]["royalty"] = str(Decimal(document["totals"]["royalty"]) + 1)
    world.headquarters._db.execute("UPDATE delivery SET body = ?", (json.dumps(document),))


def hq_is_told_twice(world: World) -> None:
    assert world.headquarters is not None
    row = hq_row(world)
    body = json.dumps(json.loads(row[2]) | {"revision": 1})
    again = [row[0] + "x", row[1] + "x", body, row[3], row[4], 1, row[6], row[7]]
    world.headquarters._db.execute("INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?)", again)


def a_mail_comes_again(world: World) -> None:
    assert world.mail is not None
    world.mail.messages.append(world.mail.messages[0])


def a_mail_never_came(world: World) -> None:
    assert world.mail is not None
    del world.mail.messages[0]


def another_statement(world: World) -> None:
    insert(
        world.erpnext,
        "File",
        file_name="royalty-statement-again.pdf",
        is_private=1,
        file_url="/private/files/again.pdf",
        attached_to_doctype="Journal Entry",
        attached_to_name=first_entry(world),
    )


def rows_of_thane(change: str, where: str = "1 = 1") -> Tamper:
    """Change the rows of Thane's royalty entry."""
    return sql(f'UPDATE "tabRoyalty Share" SET {change} WHERE franchise = ? AND {where}', THANE)


def two_exchanged(what: str) -> Tamper:
    """Of two rows: the sum stays, the proportions do not."""

    def tamper(world: World) -> None:
        for sign, base in (("+", "1000.01"), ("-", "66.67")):
            rows_of_thane(f"{what} = round({what} {sign} 1, 2)", f"royalty_base = {base}")(world)

    return tamper


def an_entry_that_moves_nothing(world: World) -> None:
    """Thane is debited and credited with the same amount, as where shares move."""
    party = {"account": "Debtors - SJ", "party_type": "Customer", "party": THANE}
    insert(
        world.erpnext,
        "Journal Entry",
        voucher_type="Journal Entry",
        company="ScoopJoy",
        posting_date=DAY.isoformat(),
        custom_scoopjoy_key=key(1),
        custom_scoopjoy_adjusts=first_entry(world),
        accounts=[{**party, "debit_in_account_currency": 5}, {**party, "credit_in_account_currency": 5}],
        docstatus=1,
    )


Said = str | Callable[[World], str]

TAMPERED: dict[str, tuple[Tamper, Said, int]] = {
    # what is done: how, the verdict that must be among those given, the amount in paise
    "entry cancelled": (
        sql(f"UPDATE \"tabJournal Entry\" SET docstatus = 2 WHERE custom_scoopjoy_key = '{key(0)}'"),
        f"lost: {THANE} has no royalty entry",
        7250,
    ),
    "entry left as a draft": (
        sql(f"UPDATE \"tabJournal Entry\" SET docstatus = 0 WHERE custom_scoopjoy_key = '{key(0)}'"),
        "has our key and is not submitted",
        0,
    ),
    "entry posted twice": (posted_again, f"difference: {THANE} owes 72.50", 7250),
    "adjustment that was never due": (posted_and_taken_back, "which was never due", 1000),
    "first entry at another rate": (
        sql('UPDATE "tabJournal Entry" SET custom_royalty_rate = 9 WHERE custom_scoopjoy_key = ?', key(0)),
        f"which {THANE} never paid",
        0,
    ),
    "entry without a key": (lambda world: entry(world, 5), "has no key", 0),
    "adjustment of nothing": (lambda world: entry(world, 1, key(1)), "does not say that it adjusts", 0),
    "revision skipped": (lambda world: entry(world, 1, key(2)), f"revisions of {THANE}", 0),
    "ledger altered": (
        sql(
            'UPDATE "tabGL Entry" SET debit = debit + 1 WHERE party = ? AND voucher_type = ?',
            THANE,
            "Journal Entry",
        ),
        "difference: the sides of",
        100,
    ),
    "party on the income row": (
        sql('UPDATE "tabGL Entry" SET party = ? WHERE account = ?', THANE, "Royalty Income - SJ"),
        "on Debtors - SJ only",
        0,
    ),
    "invoice that came late": (a_late_invoice, f"difference: {THANE} owes 147.50", 7500),
    "closing cancelled": (
        sql('UPDATE "tabPOS Closing Entry" SET docstatus = 2'),
        "has no submitted closing",
        0,
    ),
    "closing twice": (copy("POS Closing Entry", "POS-CLO-AGAIN"), "closes POS-OPE-2026-00001 again", 0),
    "draft closing left": (
        lambda world: (
            copy("POS Closing Entry", "POS-CLO-AGAIN")(world),
            sql('UPDATE "tabPOS Closing Entry" SET docstatus = 0 WHERE name = ?', "POS-CLO-AGAIN")(world),
        ),
        "the draft POS-CLO-AGAIN",
        0,
    ),
    "POS Invoice not consolidated": (
        sql("UPDATE \"tabPOS Invoice\" SET consolidated_invoice = NULL WHERE name LIKE '%00001'"),
        "is not consolidated",
        10500,
    ),
    "POS Invoice in two closings": (
        copy("POS Invoice Reference", "again", "parenttype = 'POS Closing Entry'"),
        "duplicate: ACC-PSINV",
        10500,
    ),
    "consolidated over another amount": (
        sql(
            'UPDATE "tabSales Invoice" SET base_grand_total = base_grand_total + 1 WHERE is_consolidated = 1'
        ),
        "books 316.00 for sales of 315.00",
        100,
    ),
    "share altered": (rows_of_thane("royalty_share = royalty_share + 0.01"), "the shares in SJ-ROY", 3),
    "shares exchanged": (two_exchanged("royalty_share"), "the share of ACC-SINV", 0),
    "base altered": (
        rows_of_thane("royalty_base = royalty_base + 1", "royalty_base = 66.67"),
        "to sales that",
        7250,
    ),
    "bases exchanged": (two_exchanged("royalty_base"), "the base of ACC-SINV", 0),
    "row removed": (
        sql('DELETE FROM "tabRoyalty Share" WHERE franchise = ? AND royalty_base = 66.67', THANE),
        "the shares in SJ-ROY",
        500,
    ),
    "row of a sale that is none": (
        rows_of_thane("document = 'NONE'", "royalty_base = 66.67"),
        "the base of NONE",
        0,
    ),
    "row of another day": (rows_of_thane("business_day = '2026-11-21'"), "on 2026-11-21", 0),
    "row of another franchise": (
        sql("UPDATE \"tabRoyalty Share\" SET franchise = 'Nobody' WHERE franchise = ?", THANE),
        "has a row of Nobody",
        0,
    ),
    "adjustment that moves nothing": (an_entry_that_moves_nothing, "moves nothing", 0),
    "invoice changed by the close": (
        sql('UPDATE "tabSales Invoice" SET modified = ? WHERE customer = ?', "2026-11-23 09:00:00", THANE),
        "the close has changed ACC-SINV",
        0,
    ),
    "statement removed": (
        sql("DELETE FROM \"tabFile\" WHERE file_name LIKE 'royalty-statement-%'"),
        "has no statement",
        0,
    ),
    "statement twice": (another_statement, lambda world: f"is attached to {first_entry(world)} besides", 0),
    "statement emptied": (sql("UPDATE content SET body = x''"), "is no private PDF", 0),
    "statement of another franchise": (
        sql("UPDATE content SET body = (SELECT body FROM content ORDER BY url LIMIT 1)"),
        lambda world: f"wrong: royalty-statement-{DAY}-{first_entry(world)}-",
        0,
    ),
    "headquarters forgets": (hq_forgets, "headquarters was not told", 0),
    "headquarters holds another royalty": (hq_holds_another_royalty, "headquarters holds royalty", 100),
    "headquarters is told twice": (hq_is_told_twice, "headquarters was told the same", 0),
    "mail without a record": (
        sql("DELETE FROM \"tabScoopJoy Delivery\" WHERE recipient LIKE 'ops%'"),
        "no record that ops.manager",
        0,
    ),
    "record without a mail": (a_mail_never_came, "never had revision 0 that is recorded", 0),
    "mail twice": (a_mail_comes_again, "came again without need", 0),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_is_tampered_with_is_reported(settled: tuple[World, Oracle], name: str) -> None:
    world, oracle = settled
    tamper, said, amount = TAMPERED[name]
    tamper(world)
    verdicts = oracle.judge(DAY)
    wanted = said if isinstance(said, str) else said(world)
    matching = [one for one in verdicts if wanted in str(one)]
    assert matching, verdicts
    assert amount in {one.amount for one in matching}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("custom_sale_royalty_share", 1, f"of {THANE} shows 1.00 by SJ-ROY"),
        ("custom_sale_royalty_entry", "", f"of {THANE} shows 5.00 by ,"),
        ("custom_sale_royalty_rate", 9, "shows 9.0 %, not 7.5 %"),
    ],
)
def test_a_sale_that_shows_something_else_is_reported(
    settled: tuple[World, Oracle], field: str, value: object, said: str
) -> None:
    _, oracle = settled
    shown = virtual.values
    with mock.patch.object(virtual, "values", lambda site, doc: {**shown(site, doc), field: value}):
        assert [one for one in oracle.judge(DAY) if said in str(one)]


def test_a_sale_that_took_the_place_of_another_has_its_share_and_the_other_none(
    settled: tuple[World, Oracle],
) -> None:
    world, oracle = settled
    (old,) = Tables(world.erpnext).names(
        'SELECT name FROM "tabSales Invoice" WHERE customer = ? AND base_grand_total = 66.67', THANE
    )
    seed.cancel_document(world.erpnext, "Sales Invoice", old)
    new = world.invoice(THANE, "66.67")
    oracle.note([DAY])
    said = " ".join(str(one) for one in oracle.judge(DAY))
    assert f"the base of {new}" in said
    assert f"the base of {old}" in said
    assert world.close().success
    assert oracle.judge(DAY) == []


def test_a_settled_day_and_one_that_was_adjusted_are_right(settled: tuple[World, Oracle]) -> None:
    world, oracle = settled
    assert oracle.judge(DAY) == []
    world.invoice(THANE, "1000")
    seed.add_shift(
        world.erpnext, "POS T Nagar", "cashier.tnagar@scoopjoy.example", world.now.replace(day=22), ["60"]
    )
    oracle.note([DAY])
    assert world.close().success
    assert oracle.judge(DAY) == []
    assert oracle.mails_twice == 0


def test_a_new_rate_is_no_news_about_a_posted_day_and_an_adjustment_to_it_was_never_due(
    settled: tuple[World, Oracle],
) -> None:
    world, oracle = settled
    change(world.erpnext, "Customer", THANE, custom_royalty_percentage=9)
    assert oracle.judge(DAY) == []
    assert world.close("royalties", launchpad={"close": {"re_rate": True}}).success
    found = [str(one) for one in oracle.judge(DAY)]
    assert f"difference: {THANE} owes 72.50 for {DAY}, 87.00 are posted" in [
        one.split(" (")[0] for one in found
    ]


def repeated(world: World, *, answered: bool = True) -> tuple[ReceivedMail, ReceivedMail]:
    """The first mail, and a copy of it that came a minute later."""
    assert world.mail is not None
    first = replace(world.mail.messages[0], answered=answered)
    later = replace(first, at=first.at + 60, answered=True)
    world.mail.messages[:] = [first, *world.mail.messages[1:], later]
    return first, later


def test_a_mail_may_come_again_when_its_answer_was_lost(settled: tuple[World, Oracle]) -> None:
    world, oracle = settled
    repeated(world, answered=False)
    assert oracle.judge(DAY) == oracle.judge(DAY) == []
    assert oracle.mails_twice == 1


@pytest.mark.parametrize(("after_s", "excused"), [(-1, False), (30, True), (61, False)])
def test_a_mail_may_come_again_when_the_run_died_in_between(
    settled: tuple[World, Oracle], after_s: float, excused: bool
) -> None:
    world, oracle = settled
    first, _ = repeated(world)
    oracle.watch.deaths.append(first.at + after_s)
    assert (oracle.judge(DAY) == []) is excused


def test_a_mail_that_was_on_record_may_not_come_again_whatever_happened(
    settled: tuple[World, Oracle],
) -> None:
    world, oracle = settled
    assert world.mail is not None
    first, later = repeated(world, answered=False)
    oracle.watch._taken(later)
    oracle.watch.deaths.append(first.at + 30)
    assert [one.fault for one in oracle.judge(DAY)] == ["duplicate"]


@pytest.mark.parametrize(("doctype", "excused"), [("ScoopJoy Delivery", True), ("Journal Entry", False)])
def test_a_mail_may_come_again_when_a_fault_struck_its_record(
    settled: tuple[World, Oracle], doctype: str, excused: bool
) -> None:
    world, oracle = settled
    first, _ = repeated(world)
    struck = Logged(
        "POST", f"/api/resource/{doctype}", doctype, 502, "bad_gateway_before_commit", first.at + 1
    )
    world.erpnext.requests.entries.append(struck)
    assert (oracle.judge(DAY) == []) is excused
    world.erpnext.requests.entries.remove(struck)
