"""Who sees what: a report of some outlets holds no figure and no name of any other, in no rendering."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from pypdf import PdfReader

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.past import FranchiseDay, OutletDay, Past
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action, BaseInvoice, PostedEntry, Royalty, RoyaltyPlan
from scoopjoy_dagster.accounting.shifts import Opening
from scoopjoy_dagster.assets.day_facts import DayFacts
from scoopjoy_dagster.assets.day_report import report_of
from scoopjoy_dagster.assets.report_views import WHOLE, View, facts_of, views
from scoopjoy_dagster.erpnext.shift_totals import ClosedPayment, ClosedShift
from scoopjoy_dagster.erpnext.site import Books
from scoopjoy_dagster.reporting.digest import report_digest
from scoopjoy_dagster.reporting.numbers import group_indian
from scoopjoy_dagster.reporting.render import RenderedReport, render_report_mail

SUNDAY = date(2026, 11, 22)
MONTH_END = date(2026, 11, 30)
BOOKS = Books("ScoopJoy", "INR", "Debtors - SJ", "Royalty Income - SJ", "Main - SJ", "Franchise")
POLICY = RoyaltyPolicy()


class Chain:
    """A chain whose every figure is told apart from every other: outlet n has the digits of n in a prime's multiples."""

    def __init__(self, outlets: int, day: date) -> None:
        self.day = day
        self.profiles = [f"Till Zq{number}x" for number in range(outlets)]
        self.customers = [f"CUST-Yk{number}w" for number in range(outlets)]
        self.names = [f"Shop Vj{number}u" for number in range(outlets)]
        self.secrets: dict[int, set[Decimal]] = {number: set() for number in range(outlets)}
        self._next = 10_000_019

    def figure(self, number: int) -> Decimal:
        """An amount that is nobody else's."""
        self._next += 7919
        amount = Decimal(self._next).scaleb(-2)
        self.secrets[number].add(amount)
        return amount

    def words(self, number: int) -> set[str]:
        """What must not be in another outlet's report: names, documents, and amounts as pages and workbooks write them."""
        amounts = {form for one in self.secrets[number] for form in (group_indian(one), f"{one}", f"{one:f}")}
        return {f"Zq{number}x", f"Yk{number}w", f"Vj{number}u", *amounts}

    def facts(self) -> DayFacts:
        actions, shifts, payments, findings = [], [], [], []
        for number, (profile, customer, name) in enumerate(
            zip(self.profiles, self.customers, self.names, strict=True)
        ):
            invoices = tuple(
                BaseInvoice(f"SINV-{customer}-{line}", customer, amount, line == 1, "INR", amount)
                for line, amount in enumerate((self.figure(number), -self.figure(number)))
            )
            royalty = Royalty(
                customer, name, invoices, self.figure(number), Decimal(5), self.figure(number), "v1"
            )
            entries = (
                PostedEntry(
                    f"JV-{customer}", f"royalty:x:{customer}:0", 1, royalty.amount, customer=customer
                ),
            )
            actions.append(Action("adopt", royalty, Decimal(0), f"right for {name}", entries=entries))
            start = datetime.combine(self.day, datetime.min.time())
            opening = Opening(f"OPE-{profile}", "ScoopJoy", profile, f"cash@{profile}", start, "Closed")
            shifts.append(ClosedShift(opening, f"CLO-{profile}", 20, 1, self.figure(number)))
            payments.append(
                ClosedPayment(opening, "Cash", self.figure(number), self.figure(number), self.figure(number))
            )
            findings += [
                Finding("warning", "no royalty rate set", name, f"{name} {self.figure(number)}", "Set it."),
                Finding(
                    "warning",
                    "invoice in a foreign currency",
                    f"{name}: SINV-{customer}",
                    f"{self.figure(number)}",
                    "",
                ),
                Finding("warning", "shift not closed", opening.label, f"{self.figure(number)}", ""),
                Finding(
                    "warning",
                    "till sales not in the ledger",
                    f"2026-11-22 ({profile}, x)",
                    f"{self.figure(number)}",
                    "",
                ),
                Finding(
                    "error",
                    "royalty entry of nobody",
                    f"JV-{customer}, JV-other",
                    f"{self.figure(number)}",
                    "",
                ),
            ]
        plan = RoyaltyPlan("ScoopJoy", self.day, POLICY, tuple(actions), tuple(findings[::2]))
        return DayFacts(BOOKS, plan, tuple(shifts), tuple(payments), tuple(findings))

    def past(self) -> Past:
        days = [self.day - timedelta(days=back) for back in (0, 1, 7, 13, 25, 40)]
        return Past(
            tuple(
                FranchiseDay(day, customer, name, 3, self.figure(number), self.figure(number))
                for day in days
                for number, (customer, name) in enumerate(zip(self.customers, self.names, strict=True))
            ),
            tuple(
                OutletDay(day, profile, 1, 20, 1, self.figure(number), -self.figure(number))
                for day in days
                for number, profile in enumerate(self.profiles)
            ),
        )


def words_of(rendered: RenderedReport) -> str:
    """Everything that a person could read of a mail: subject, both bodies, and every page, cell and property of its files."""
    pdf, xlsx = (attachment.content for attachment in rendered.attachments)
    reader, book = PdfReader(BytesIO(pdf)), load_workbook(BytesIO(xlsx))
    values = load_workbook(BytesIO(xlsx), data_only=True)
    cells = [
        str(cell)
        for one in (book, values)
        for sheet in one
        for row in sheet.iter_rows(values_only=True)
        for cell in row
    ]
    return "\n".join(
        [
            rendered.subject,
            rendered.html,
            rendered.text,
            *(page.extract_text() for page in reader.pages),
            str(reader.metadata),
            *cells,
            *(attachment.file_name for attachment in rendered.attachments),
        ]
    )


@settings(max_examples=12, deadline=None)
@given(
    st.integers(2, 5).flatmap(
        lambda outlets: st.tuples(
            st.just(outlets),
            st.sets(st.integers(0, outlets - 1), max_size=outlets - 1),
            st.sets(st.integers(0, outlets - 1), max_size=outlets - 1),
        )
    ),
    st.sampled_from([SUNDAY, MONTH_END, SUNDAY + timedelta(days=1)]),
)
def test_no_other_outlets_figure_or_name_is_anywhere_in_an_outlet_managers_report(
    chosen: tuple[int, set[int], set[int]], day: date
) -> None:
    outlets, tills, franchises = chosen
    chain = Chain(outlets, day)
    facts, past = chain.facts(), chain.past()
    view = View(
        ("mine",),
        frozenset(chain.profiles[number] for number in tills),
        frozenset(chain.customers[number] for number in franchises),
    )
    ours = facts_of(facts, view, chain.profiles)
    report = report_of(ours, past.only(view.customers, view.profiles), view.label)
    shown = words_of(render_report_mail(report, links={}))
    for number in range(outlets):
        if number not in tills | franchises:
            leaked = [word for word in chain.words(number) if word in shown]
            assert not leaked, leaked
        if number not in franchises:  # royalties of others above all
            assert f"Yk{number}w" not in shown
            assert f"Vj{number}u" not in shown
        if number not in tills:
            assert f"Zq{number}x" not in shown
    for number in tills:
        assert f"Zq{number}x" in shown
    for number in franchises:
        assert f"Vj{number}u" in shown
    # No sum of the chain either.
    for total in (facts.sales, facts.plan.due, facts.pos_sales):
        assert group_indian(total) not in shown


def test_the_whole_chain_sees_everything() -> None:
    chain = Chain(3, SUNDAY)
    facts = chain.facts()
    assert facts_of(facts, WHOLE) is facts
    shown = words_of(render_report_mail(report_of(facts, chain.past()), links={}))
    for number in range(3):
        assert {f"Zq{number}x", f"Yk{number}w", f"Vj{number}u"} <= {
            word for word in chain.words(number) if word in shown
        }


def test_a_finding_that_may_be_about_another_outlet_too_is_left_out() -> None:
    chain = Chain(2, SUNDAY)
    chain.profiles, chain.names = ["Till", "Till, North"], ["Shop", "Shop: North"]
    facts = chain.facts()
    ours = facts_of(
        facts, View(("mine",), frozenset({"Till"}), frozenset({chain.customers[0]})), chain.profiles
    )
    assert {one.who for one in ours.findings} == {
        "Shop",
        "Shop: SINV-CUST-Yk0w",
        "OPE-Till (Till, cash@Till)",
        "2026-11-22 (Till, x)",
    }


# -- the setting ----------------------------------------------------------------------------------------------


def royalties_of(*names: tuple[str, str]) -> list[Royalty]:
    return [Royalty(customer, name, (), Decimal(0), Decimal(5), Decimal(0), "v1") for customer, name in names]


def test_an_address_sees_every_outlet_that_it_is_named_with_tills_and_franchises() -> None:
    seen, findings = views(
        [("A@x.in", "pos bandra "), ("a@x.in", "CUST-1"), ("b@x.in", "Franchise Thane")],
        ["POS Bandra", "POS Thane"],
        royalties_of(("CUST-1", "Franchise Bandra"), ("CUST-2", "Franchise Thane")),
    )
    assert findings == []
    assert (set(seen["a@x.in"].profiles), set(seen["a@x.in"].customers)) == ({"POS Bandra"}, {"CUST-1"})
    assert (set(seen["b@x.in"].profiles), set(seen["b@x.in"].customers)) == (set[str](), {"CUST-2"})
    assert seen["a@x.in"].key != seen["b@x.in"].key
    # By name, whatever the setting gives: the label stands in the subject.
    assert [seen[one].label for one in ("a@x.in", "b@x.in")] == [
        "POS Bandra, Franchise Bandra",
        "Franchise Thane",
    ]


@pytest.mark.parametrize(
    ("outlet", "why"), [("POS Nowhere", "neither"), ("Twin", "the name of 2 franchises")]
)
def test_an_outlet_that_is_not_there_is_a_warning_and_shows_nothing_in_its_place(
    outlet: str, why: str
) -> None:
    seen, (finding,) = views(
        [("a@x.in", outlet)], ["POS Bandra"], royalties_of(("CUST-1", "Twin"), ("CUST-2", "Twin"))
    )
    assert seen["a@x.in"] == WHOLE  # without names: no mail is sent for it
    assert (finding.severity, finding.what, finding.who) == (
        "warning",
        "outlet of a report not found",
        "a@x.in",
    )
    assert outlet in finding.message
    assert why in finding.message


def test_a_change_in_another_outlet_is_no_news_for_this_one() -> None:
    chain = Chain(2, SUNDAY)
    facts, past = chain.facts(), chain.past()
    mine, other = (
        View(("one",), frozenset({chain.profiles[number]}), frozenset({chain.customers[number]}))
        for number in (0, 1)
    )

    def digest(of: DayFacts, view: View) -> str:
        ours = facts_of(of, view, chain.profiles)
        return report_digest(report_of(ours, past.only(view.customers, view.profiles), view.label))

    changed = DayFacts(facts.books, facts.plan, facts.shifts[:1], facts.payments[:1], facts.findings)
    assert digest(changed, mine) == digest(facts, mine)
    assert digest(changed, other) != digest(facts, other)
