"""The comparisons behind the control totals: from figures that were read to verdicts. Pure.

Here: what is compared with what, and what is said of it. Not here: reading (`erpnext.control_figures`), and the
comparison of the ledger with the rule (`totals`), which `royalties` itself is settled by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.figures import DayFigures, FranchiseFigures, with_names_of_now
from scoopjoy_dagster.accounting.keys import normalised
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan
from scoopjoy_dagster.accounting.shifts import Opening, UnbookedSales
from scoopjoy_dagster.accounting.totals import Difference, Verdict, money_text, name_list, worst_of

ONE = Decimal(1)

USUAL_WEEKDAYS = 4
"""The mean is taken over so many earlier days of the same weekday: a Sunday is compared with Sundays, and four are
a month, in which neither the season nor the number of outlets moves far."""

USUAL_SHARE = Decimal("0.5")
"""Sales further than this part of the mean away from it are unusual. Rain or a holiday halves an ice cream day, and
that is no error; an outlet group whose invoices were never entered, or a day entered twice, goes further."""


# -- shifts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShiftFigures:
    """The POS shifts of a day and what is not in any closing.

    Attributes:
        openings: submitted POS Opening Entries that began on the day.
        counted: how many of them the server counts, by POS Profile.
        profiles_before: POS Profiles with a shift in the 7 days before.
        closings: names of the submitted closings, by opening.
        not_consolidated: till sales in submitted closings of the day that are not booked: sale -> closing.
        waiting: till sales of the day that an open shift will take.
        unbooked: till sales of the day that no closing has or will take.
    """

    openings: Sequence[Opening]
    counted: Mapping[str, int]
    profiles_before: Collection[str]
    closings: Mapping[str, Sequence[str]]
    not_consolidated: Mapping[str, str]
    waiting: Sequence[str]
    unbooked: Sequence[UnbookedSales]


def shifts_closed(figures: ShiftFigures) -> Verdict:
    """Every shift of the day has exactly one submitted closing and is Closed, and all sales of its till and time are booked.

    A closing that ERPNext still consolidates, or has failed to, leaves its shift Open. Sales that wait for the shift of
    another day, and those of a till without any shift, are listed and fail nothing.
    """
    wrong = [
        Difference(one.label, -ONE, said)
        for one in figures.openings
        if (said := _not_closed(one, figures.closings.get(one.name, ())))
    ]
    closed, counted = len(figures.openings) - len(wrong), sum(figures.counted.values())
    unread = counted - len(figures.openings)
    if unread:
        wrong.append(Difference("shifts that the list does not show", Decimal(-unread)))
    lost = [
        Difference(invoice, -ONE, f"in {closing} and not consolidated")
        for invoice, closing in figures.not_consolidated.items()
    ]
    lost += [
        Difference(
            one.label,
            -Decimal(len(one.sales)),
            f"{len(one.sales)} sales of {money_text(one.amount)} are in no closing",
        )
        for one in figures.unbooked
        if one.in_a_shift
    ]
    unbooked = sorted(sale.name for one in figures.unbooked for sale in one.sales)
    sentence = (
        f"{closed} of {counted} shifts have exactly one submitted closing; {len(figures.not_consolidated)} of their sales "
        f"are not booked; {len(figures.waiting) + len(unbooked)} sales of the day are in no closing of it."
    )
    return Verdict(
        not wrong and not lost,
        Decimal(counted),
        Decimal(closed),
        sentence,
        worst_of([*wrong, *lost]),
        {
            "not_consolidated": name_list(figures.not_consolidated),
            "sales_in_no_closing": name_list(unbooked),
            "invoices_of_open_shifts": name_list(figures.waiting),
        },
        "count",
    )


def _not_closed(opening: Opening, closings: Sequence[str]) -> str:
    """Why a shift is not closed as it must be; empty when it is."""
    if not closings:
        return f"{opening.status}, no submitted closing"
    if len(closings) > 1:
        return f"{len(closings)} submitted closings: {', '.join(sorted(closings))}"
    if opening.status != "Closed":
        return f"{opening.status} in spite of {closings[0]}"
    return ""


# -- royalties ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CustomerSales:
    """What one customer bought on a day: number of invoices, their base by the policy, their grand total. INR."""

    invoices: int
    base: Decimal
    sales: Decimal


def invoices_counted_and_summed(
    plan: RoyaltyPlan, counted: Mapping[str, CustomerSales], overlooked: Mapping[str, str]
) -> Verdict:
    """The rows that the royalties follow from against the server's own count and sum of them, customer by customer.

    Args:
        plan: the plan with the rows, from a list of franchises and a list of their invoices.
        counted: count and sum by the server, for every customer with invoices on the day, franchise or not.
        overlooked: those of them that are franchises and have no row in the plan, with their names.
    """
    rows = {one.royalty.customer: one.royalty for one in plan.actions if one.royalty.invoices}
    names = {**{customer: one.customer_name for customer, one in rows.items()}, **overlooked}
    nothing = CustomerSales(0, ZERO, ZERO)
    differences = []
    for customer, name in names.items():
        by_server, royalty = counted.get(customer, nothing), rows.get(customer)
        invoices, base = (royalty.invoice_count, royalty.base) if royalty else (0, ZERO)
        if (invoices, base) != (by_server.invoices, by_server.base):
            said = f"{invoices} invoices, {money_text(base)}; ERPNext counts {by_server.invoices}, {money_text(by_server.base)}"
            differences.append(Difference(name, base - by_server.base, said))
    expected = [counted.get(customer, nothing) for customer in names]
    invoices_read = sum(one.invoice_count for one in rows.values())
    invoices_counted = sum(one.invoices for one in expected)
    actual = sum((one.base for one in rows.values()), ZERO)
    summed = sum((one.base for one in expected), ZERO)
    return Verdict(
        not differences,
        summed,
        actual,
        f"The royalties follow from {invoices_read} invoices of {money_text(actual)}; ERPNext counts {invoices_counted} of "
        f"{money_text(summed)}.",
        worst_of(differences),
        {
            "invoices_expected": str(invoices_counted),
            "invoices_actual": str(invoices_read),
            "franchises_overlooked": name_list(overlooked.values()),
        },
    )


@dataclass(frozen=True, slots=True)
class BookedRow:
    """One row of a Journal Entry or of the general ledger: `amount` is debit minus credit, in INR."""

    entry: str
    account: str
    party: str
    amount: Decimal


def debit_equals_credit(
    due: Decimal,
    entries: Iterable[str],
    journal: Iterable[BookedRow],
    ledger: Iterable[BookedRow],
    *,
    receivable: frozenset[str],
    income: frozenset[str],
) -> Verdict:
    """Royalties by the rule = our Journal Entries = debit on receivable accounts = credit on income accounts.

    Entry by entry the ledger must hold the rows of the entry, account by account and party by party: the whole on a
    receivable account with the customer, the same on an income account without one.

    Args:
        due: sum of the royalties by the rule, in INR.
        entries: names of the submitted royalty entries of the day.
        journal: their rows.
        ledger: their rows in the general ledger that are not cancelled.
        receivable: the accounts in these rows that are receivable accounts.
        income: those that are income accounts.
    """
    written, booked = _by_entry(journal), _by_entry(ledger)
    posted = debit = credit = ZERO
    differences = []
    names = sorted(set(entries))
    for name in names:
        said, held = written.get(name, {}), booked.get(name, {})
        owed = sum((amount for (_, party), amount in said.items() if party), ZERO)
        debited = sum(
            (amount for (account, party), amount in held.items() if party and account in receivable), ZERO
        )
        credited = -sum(
            (amount for (account, party), amount in held.items() if not party and account in income), ZERO
        )
        posted, debit, credit = posted + owed, debit + debited, credit + credited
        gaps = [
            *(debited - owed, credited - owed),
            *(held.get(key, ZERO) - said.get(key, ZERO) for key in sorted(said.keys() | held.keys())),
        ]
        if any(gaps):
            by = max(gaps, key=abs)
            words = f"the entry says {money_text(owed)}, debit {money_text(debited)}, credit {money_text(credited)}"
            differences.append(Difference(name, by, words))
    return Verdict(
        not differences and due == posted == debit == credit,
        due,
        debit,
        f"By the rule {money_text(due)}; {len(names)} Journal Entries of {money_text(posted)}; in the ledger debit "
        f"{money_text(debit)}, credit {money_text(credit)}.",
        worst_of(differences),
        {
            "journal_entries": money_text(posted),
            "receivable_debit": money_text(debit),
            "income_credit": money_text(credit),
            "entries": str(len(names)),
        },
    )


def _by_entry(rows: Iterable[BookedRow]) -> dict[str, dict[tuple[str, str], Decimal]]:
    """Amounts by entry, then by account and party; ERPNext may merge or split rows of one account."""
    found: dict[str, dict[tuple[str, str], Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    for row in rows:
        found[row.entry][row.account, row.party] += row.amount
    return found


def outlets_opened(figures: ShiftFigures) -> Verdict:
    """Every POS Profile with a shift in the week before has one on the day."""
    return _seen_again(figures.profiles_before, figures.counted, "POS Profiles with a shift", "no shift")


def franchises_sold(franchises: Mapping[str, str], before: Iterable[str], sold: Iterable[str]) -> Verdict:
    """Every franchise with invoices in the week before has some on the day.

    Args:
        franchises: customer -> name of those that are franchises now; who is not is another control total's business.
        before: customers with invoices in the week before.
        sold: customers with invoices on the day.
    """
    expected = {franchises[one] for one in before if one in franchises}
    return _seen_again(
        expected,
        {franchises[one] for one in sold if one in franchises},
        "franchises with invoices",
        "no invoice",
    )


def _seen_again(before: Collection[str], now: Collection[str], what: str, said: str) -> Verdict:
    """Who was there in the week before is there on the day."""
    missing = sorted(set(before) - set(now))
    there = len(before) - len(missing)
    sentence = f"{there} of the {len(before)} {what} in the week before have one on the day" + (
        f"; missing: {name_list(missing)}." if missing else "."
    )
    return Verdict(
        not missing,
        Decimal(len(before)),
        Decimal(there),
        sentence,
        worst_of(Difference(one, -ONE, said) for one in missing),
        {"missing": name_list(missing)},
        "count",
    )


def franchises_not_fallen(franchises: Mapping[str, str], with_royalty_before: Iterable[str]) -> Verdict:
    """Every customer with royalty entries in the week before is still a franchise (customer -> name of those now)."""
    now = {normalised(one) for one in franchises}
    before = {normalised(one): one for one in with_royalty_before}
    fallen = sorted(name for key, name in before.items() if key not in now)
    kept = len(before) - len(fallen)
    sentence = (
        f"{kept} of the {len(before)} customers that owed a royalty in the week before are among the {len(now)} franchises now"
        + (f"; no more: {name_list(fallen)}." if fallen else ".")
    )
    return Verdict(
        not fallen,
        Decimal(len(before)),
        Decimal(kept),
        sentence,
        worst_of(Difference(one, -ONE, "no franchise now") for one in fallen),
        {"fallen": name_list(fallen), "franchises_now": str(len(now))},
        "count",
    )


def usual_day(
    franchises: Mapping[str, str], sales: Mapping[str, Decimal], before: Mapping[date, Mapping[str, Decimal]]
) -> Verdict:
    """Sales of the franchises against the mean of the last same weekdays that had sales.

    Args:
        franchises: customer -> name of those that count.
        sales: sales of the day by customer, in INR.
        before: sales of earlier days of the same weekday, by customer.
    """

    def total(of: Mapping[str, Decimal]) -> Decimal:
        return sum((amount for customer, amount in of.items() if customer in franchises), ZERO)

    actual = total(sales)
    usual = sorted((day for day, of in before.items() if total(of) > 0), reverse=True)[:USUAL_WEEKDAYS]
    figures = {"compared_with": ", ".join(day.isoformat() for day in usual) or "none"}
    if not usual:
        return Verdict(
            ok=True,
            expected=None,
            actual=actual,
            sentence="There is no earlier day of this weekday to compare with.",
            figures=figures,
        )
    days = len(usual)
    paisa = Decimal("0.01")
    expected = (sum((total(before[day]) for day in usual), ZERO) / days).quantize(paisa)
    differences = [
        Difference(name, by)
        for customer, name in franchises.items()
        if (
            by := sales.get(customer, ZERO)
            - (sum((before[day].get(customer, ZERO) for day in usual), ZERO) / days).quantize(paisa)
        )
    ]
    ok = abs(actual - expected) <= expected * USUAL_SHARE
    sentence = (
        f"Sales of {money_text(actual)} are {'within' if ok else 'not within'} {USUAL_SHARE:.0%} of "
        f"{money_text(expected)}, the mean of {days} earlier same weekdays."
    )
    return Verdict(ok, expected, actual, sentence, worst_of(differences), figures)


# -- what was told of them ------------------------------------------------------------------------------------------


def shares_equal_royalties(plan: RoyaltyPlan, shares: Mapping[str, Decimal]) -> Verdict:
    """Shares that the royalty entries carry, franchise by franchise, against the ledger.

    What a person added to an entry has no share. Franchises without any share are named and not compared: their entries were
    typed by a person, or posted by an earlier version.

    Args:
        plan: of the day, after posting; its entries with what the ledger holds of them.
        shares: sum of the shares in each Journal Entry, in INR.
    """
    owing = [one for one in plan.actions if one.entries]
    compared = [one for one in owing if any(entry.name in shares for entry in one.entries)]
    without = [one.royalty.customer_name for one in owing if one not in compared]
    expected = actual = ZERO
    wrong = []
    for one in compared:
        owed = sum((entry.amount for entry in one.entries), ZERO) - one.royalty.by_person
        carried = sum((shares.get(entry.name, ZERO) for entry in one.entries), ZERO)
        expected, actual = expected + owed, actual + carried
        if carried != owed:
            wrong.append(Difference(one.royalty.customer_name, carried - owed))
    by_person = sum((one.royalty.by_person for one in owing), ZERO)
    return Verdict(
        not wrong,
        expected,
        actual,
        f"The entries carry shares of {money_text(actual)}, the ledger holds {money_text(expected)}."
        + (
            f" A person typed the entries of {name_list(without)}, or an earlier version posted them: they have no shares,"
            " the amounts stay, and the next adjustment adds the shares."
            if without
            else ""
        ),
        worst_of(wrong),
        {
            "added_by_persons": money_text(by_person),
            "franchises_without_shares": name_list(without),
        },
    )


def headquarters_equals_ours(
    ours: DayFigures, told: DayFigures | None, *, revision: int | None, same: bool
) -> Verdict:
    """What headquarters acknowledged last against the totals of the day as they are now.

    Args:
        ours: the figures of the day now.
        told: those that it acknowledged; None when none were kept, or nothing was acknowledged.
        revision: the revision that it acknowledged; None when it acknowledged nothing.
        same: whether the digest of all that it acknowledged is that of the totals now.
    """
    if revision is None:
        sentence = f"Headquarters has acknowledged nothing; the royalties are {money_text(ours.royalty)}."
        return Verdict(
            ok=False, expected=ours.royalty, actual=ZERO, sentence=sentence, figures={"revision": "none"}
        )
    figures = {"revision": str(revision)}
    if same:
        sentence = f"Headquarters acknowledged exactly {money_text(ours.royalty)} as revision {revision}."
        return Verdict(
            ok=True, expected=ours.royalty, actual=ours.royalty, sentence=sentence, figures=figures
        )
    sentence = f"What headquarters acknowledged as revision {revision} is not what the day is now"
    if told is None:
        return Verdict(
            ok=False,
            expected=ours.royalty,
            actual=None,
            sentence=f"{sentence}; its figures were not kept.",
            figures={**figures, "differs": "not kept"},
        )
    then = with_names_of_now(told.franchises, ours.franchises)
    now = {one.customer: one for one in ours.franchises}
    differences = [
        Difference(name, by)
        for customer in then.keys() | now.keys()
        if (by := _royalty(then.get(customer)) - _royalty(now.get(customer)))
        and (name := (now.get(customer) or then[customer]).customer_name)
    ]
    differs = [
        f"{label} {then_text} -> {now_text}"
        for label, then_text, now_text in (
            ("sales", money_text(told.sales), money_text(ours.sales)),
            ("royalty", money_text(told.royalty), money_text(ours.royalty)),
            ("POS sales", money_text(told.pos_sales), money_text(ours.pos_sales)),
            ("shifts", str(told.shifts), str(ours.shifts)),
        )
        if then_text != now_text
    ]
    shown = "; ".join(differs) or "documents, rates or names"
    return Verdict(
        ok=False,
        expected=ours.royalty,
        actual=told.royalty,
        sentence=f"{sentence}: {shown}.",
        worst=worst_of(differences),
        figures={**figures, "differs": shown},
    )


def _royalty(one: FranchiseFigures | None) -> Decimal:
    return one.royalty if one else ZERO
