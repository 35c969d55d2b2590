"""Royalties at the edges: every action and every row of the plan, whole, as a person will read it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.money import Rounding
from scoopjoy_dagster.accounting.policy import NegativeDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    Action,
    BaseInvoice,
    FormerFranchise,
    Franchise,
    PostedEntry,
    Royalty,
    with_shares,
)
from scoopjoy_dagster_tests.accounting.planning import DAY, POLICY, plan_of_day

REVERSE = RoyaltyPolicy(negative_days=NegativeDays.REVERSE)
ADYAR = Franchise("Adyar", "Franchise Adyar", Decimal("8.00"))
BANDRA = Franchise("Bandra", "Franchise Bandra", Decimal(5))
MOVED = FormerFranchise("Adyar", "Franchise Adyar", "the customer is in the group Commercial now")


def sale(amount: str, customer: str = "Adyar", name: str = "SINV-1", currency: str = "INR") -> BaseInvoice:
    return BaseInvoice(name, customer, Decimal(amount), Decimal(amount) < 0, currency)


def entry(revision: int, amount: str, of: str = "Adyar", **more: object) -> PostedEntry:
    """An entry as it is read back: of 8 % of 1000.00 unless told otherwise."""
    told = PostedEntry(
        f"JE-{revision + 1}",
        royalty_key("ScoopJoy", DAY, of, revision),
        1,
        Decimal(amount),
        customer=of,
        base=Decimal(1000),
        rate=Decimal(8),
        policy=POLICY.version,
    )
    return replace(told, **more)  # type: ignore[arg-type]


plan = partial(plan_of_day, franchises=(ADYAR,))


# -- actions, whole -----------------------------------------------------------------------------------------------


def test_a_first_entry_says_on_what_it_was_computed() -> None:
    invoices = (sale("400.50", name="SINV-1"), sale("600", name="SINV-2"))
    made = plan(*invoices[::-1], sale("7", "Walk-in", "SINV-0"))
    royalty = Royalty(
        "Adyar",
        "Franchise Adyar",
        invoices,
        Decimal("1000.50"),
        Decimal("8.00"),
        Decimal("80.04"),
        POLICY.version,
        "grand_total half_up skip",
    )
    key = "royalty:ScoopJoy:2026-11-22:Adyar:0"
    assert made.actions == (Action("create", royalty, Decimal("80.04"), "8 % of 1000.50", key),)
    assert made.findings == ()
    assert (made.company, made.day, made.policy) == ("ScoopJoy", DAY, POLICY)
    assert made.due == Decimal("80.04")


def test_the_digest_of_an_entry_is_of_everything_that_it_books() -> None:
    """A document that carries our key with another digest was not written by this plan."""
    digests = {
        with_shares(one, (), 2).digest
        for made in (
            plan(sale("1000")),
            plan(sale("500"), franchises=[replace(ADYAR, rate=Decimal(16))]),
            plan(sale("1000"), policy=replace(POLICY, negative_days=NegativeDays.REVERSE)),
            plan(sale("1000"), policy=replace(POLICY, rounding=Rounding.DOWN)),
            plan(sale("1000"), posted=[entry(0, "10")]),
            plan(sale("1000"), posted=[entry(0, "20")]),
        )
        for one in made.writes()
    }
    assert len(digests) == 6


def test_a_key_in_another_case_does_not_make_another_digest() -> None:
    lower, upper = (
        plan(sale("1000", customer), franchises=[replace(ADYAR, customer=customer)]).writes()[0]
        for customer in ("adyar", "ADYAR")
    )
    assert with_shares(lower, (), 2).digest == with_shares(upper, (), 2).digest


def test_a_settled_franchise_names_all_its_entries_in_order_of_revision() -> None:
    posted = [entry(2, "5"), entry(0, "80"), entry(1, "-5")]
    (action,) = plan(sale("1000"), posted=posted).actions
    assert (action.kind, action.amount, action.key[-2:]) == ("adopt", Decimal(0), ":3")
    assert action.reason == "JE-1, JE-2, JE-3 already owe exactly 80.00"
    assert action.entries == (posted[1], posted[2], posted[0])


def test_an_adjustment_is_linked_to_the_first_entry_and_carries_all_before_it() -> None:
    posted = [entry(1, "8", base=Decimal(1100)), entry(0, "80")]
    (action,) = plan(sale("1500"), posted=posted).actions
    assert action == Action(
        "adjust",
        plan(sale("1500")).actions[0].royalty,
        Decimal("32.00"),
        "royalty 88.00 -> 120.00: base 1100.00 -> 1500.00",
        "royalty:ScoopJoy:2026-11-22:Adyar:2",
        "JE-1",
        (posted[1], posted[0]),
    )


def test_the_revision_of_an_adjustment_is_above_cancelled_ones_too() -> None:
    """A cancelled entry that took part in nothing keeps its key; here it is the newest, and the ledger is right but for it."""
    cancelled = entry(6, "0", docstatus=2)
    (action,) = plan(sale("1500"), posted=[entry(0, "80"), cancelled]).actions
    assert action.kind == "refuse"
    (action,) = plan(sale("1500"), posted=[entry(3, "80")]).actions
    assert action.key.endswith(":4")


@pytest.mark.parametrize(
    ("franchise", "invoices", "policy", "reason"),
    [
        (ADYAR, [], POLICY, "no invoices"),
        (replace(ADYAR, exempt=True), [sale("100")], POLICY, "royalty exempt"),
        (ADYAR, [sale("-100")], POLICY, "the base is -100.00"),
        (ADYAR, [sale("5"), sale("-5", name="SINV-2")], POLICY, "the base is 0.00"),
        (ADYAR, [sale("0.05")], POLICY, "the royalty rounds to 0.00"),
        (ADYAR, [sale("0.01")], REVERSE, "the royalty rounds to 0.00"),
    ],
)
def test_where_nothing_is_posted_it_is_said_why(
    franchise: Franchise, invoices: list[BaseInvoice], policy: RoyaltyPolicy, reason: str
) -> None:
    (action,) = plan(*invoices, franchises=[franchise], policy=policy).actions
    assert (action.kind, action.amount, action.reason) == ("skip", Decimal(0), reason)
    assert (action.key, action.digest, action.adjusts, action.entries) == ("", "", "", ())


def test_an_amount_of_nothing_has_the_precision_of_the_currency() -> None:
    for invoices in ([], [sale("-100")], [sale("0.05")]):
        (action,) = plan(*invoices, policy=replace(POLICY, precision=3)).actions
        assert str(action.royalty.amount) in {"0.000", "0.004"}
    (action,) = plan(
        posted=[entry(0, "80")],
        franchises=(),
        former=[MOVED],
        policy=replace(POLICY, precision=3),
        re_rate=True,
    ).actions
    assert str(action.royalty.amount) == "0.000"


@pytest.mark.parametrize(
    ("rounding", "amount"),
    [(Rounding.HALF_UP, "0.03"), (Rounding.HALF_EVEN, "0.02"), (Rounding.DOWN, "0.02")],
)
def test_the_royalty_is_rounded_by_the_policy(rounding: Rounding, amount: str) -> None:
    half = plan(sale("0.50"), franchises=[BANDRA, ADYAR], policy=replace(POLICY, rounding=rounding))
    assert half.due == Decimal("0.04")
    half = plan(sale("0.50", "Bandra"), franchises=[BANDRA], policy=replace(POLICY, rounding=rounding))
    assert half.due == Decimal(amount)


# -- rates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["0.001", "99.999", "100"])
def test_rates_up_to_a_hundred_percent_are_taken(rate: str) -> None:
    (action,) = plan(sale("1000"), franchises=[replace(ADYAR, rate=Decimal(rate))]).actions
    assert (action.kind, action.amount) == ("create", Decimal(rate) * 10)


@pytest.mark.parametrize(
    ("rate", "shown"), [("-0.01", "-0.01"), ("100.001", "100.001"), ("100.0100", "100.01"), ("250", "250")]
)
def test_a_rate_out_of_range_is_refused_with_its_value_and_what_to_do(rate: str, shown: str) -> None:
    wrong = replace(ADYAR, rate=Decimal(rate))
    made = plan(sale("1000"), sale("100", "Bandra"), franchises=[wrong, BANDRA])
    message = f"custom_royalty_percentage is {shown}; it must lie between 0 and 100 percent"
    nothing = Royalty(
        "Adyar",
        "Franchise Adyar",
        (sale("1000"),),
        Decimal(1000),
        Decimal(0),
        Decimal("0.00"),
        POLICY.version,
        "grand_total half_up skip",
    )
    assert made.actions[0] == Action("refuse", nothing, Decimal(0), message)
    assert made.actions[1].kind == "create"
    assert made.findings == (
        Finding(
            "error",
            "royalty rate out of range",
            "Franchise Adyar",
            message,
            "Correct Royalty Percentage on the Customer in ERPNext and run the day again.",
        ),
    )


def test_the_default_rate_is_used_and_told_where_there_are_sales_and_not_told_where_there_are_none() -> None:
    unset = replace(ADYAR, rate=Decimal("0.00"))
    policy = replace(POLICY, default_rate=Decimal("10.0"))
    made = plan(sale("1000"), franchises=[unset], policy=policy)
    assert (made.actions[0].royalty.rate, made.due) == (Decimal(10), Decimal(100))
    assert made.findings == (
        Finding(
            "warning",
            "no royalty rate set",
            "Franchise Adyar",
            "the default of 10 % was used: ERPNext cannot tell 0 from empty",
            "Set Royalty Percentage on the Customer, or tick Royalty Exempt if it truly pays nothing.",
        ),
    )
    idle = plan(franchises=[unset], policy=policy)
    assert (idle.findings, idle.actions[0].royalty.rate) == ((), Decimal(10))


def test_an_exempt_franchise_owes_nothing_on_a_base_that_is_shown() -> None:
    made = plan(sale("1000", currency="USD"), franchises=[replace(ADYAR, exempt=True)])
    assert made.findings == ()
    assert (made.actions[0].royalty.base, made.actions[0].royalty.rate) == (Decimal(1000), Decimal(0))


# -- rows, whole --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sold", "who"), [(None, "SINV-2"), (7, "7")], ids=["each", "added up"])
def test_what_is_invoiced_in_another_currency_is_told_with_its_base_amount(
    sold: int | None, who: str
) -> None:
    foreign = sale("8345", name="SINV-2", currency="USD")
    made = plan(
        replace(foreign, name="", count=sold) if sold else foreign,
        sale("10", name="SINV-1"),
        sale("10", name="SINV-3", currency=""),
        company_currency="INR",
    )
    assert made.findings == (
        Finding(
            "warning",
            "invoice in a foreign currency",
            f"Franchise Adyar: {who} in USD",
            "what is invoiced in USD counts at its base amount of 8345.00 INR",
            "Check the conversion rate of the invoices; a corrected rate is followed by an adjustment.",
        ),
    )
    assert plan(sale("10", currency="USD"), company_currency="USD").findings == ()
    assert plan(sale("10")).findings == ()


def test_a_day_of_more_returns_than_sales_is_told_with_its_base() -> None:
    made = plan(sale("-200.5"), company_currency="INR")
    assert made.findings == (
        Finding(
            "warning",
            "returns exceed sales",
            "Franchise Adyar",
            "the base of the day is -200.50 INR; the policy posts nothing for a negative day",
            "Agree with the franchise how the excess is settled, or set the policy negative_days to reverse.",
        ),
    )
    royalty = made.actions[0].royalty
    assert (royalty.base, royalty.rate, royalty.amount) == (Decimal("-200.5"), Decimal(8), Decimal(0))
    assert plan(sale("5"), sale("-5", name="SINV-2")).findings == ()
    assert plan(sale("-200"), policy=REVERSE).findings == ()


@pytest.mark.parametrize(("base", "policy"), [("0.06", POLICY), ("-0.06", REVERSE)])
def test_a_royalty_that_rounds_to_nothing_is_told_with_rate_and_base(
    base: str, policy: RoyaltyPolicy
) -> None:
    assert plan(sale(base), policy=policy).findings == (
        Finding(
            "warning",
            "royalty rounds to zero",
            "Franchise Adyar",
            f"8 % of {base} INR rounds to 0.00; ERPNext refuses an empty entry",
            "Nothing is to do; the day is listed so that it is not missed.",
        ),
    )


@pytest.mark.parametrize(
    ("first", "second", "state", "todo"),
    [
        (2, 2, "cancelled", "Amend and submit the entry"),
        (0, 2, "left as a draft", "Submit JE-2"),
        (2, 0, "left as a draft", "Submit JE-3"),
        (0, 0, "left as a draft", "Submit JE-2, JE-3"),
    ],
)
def test_what_a_person_undid_is_refused_with_the_amount_that_is_missing(
    first: int, second: int, state: str, todo: str
) -> None:
    undone = [entry(1, "0", docstatus=first), entry(2, "0", docstatus=second)]
    made = plan(sale("1500"), posted=[entry(0, "80"), *undone])
    message = "JE-2, JE-3: 40.00 of 120.00 for 2026-11-22 are not in the ledger, and we do not undo a person's decision"
    assert made.actions == (
        Action("refuse", plan(sale("1500")).actions[0].royalty, Decimal("40.00"), message),
    )
    assert made.findings == (
        Finding(
            "error",
            f"royalty entry {state} by a person",
            "Franchise Adyar",
            message,
            f"{todo} in ERPNext; if the day's royalty is waived, then post a credit of your own against it.",
        ),
    )


def test_a_submitted_entry_without_ledger_rows_is_refused_with_the_whole_royalty() -> None:
    blind = [entry(0, "0", booked=False, customer=""), entry(1, "0", booked=False), entry(2, "5")]
    made = plan(sale("1000"), posted=blind)
    message = (
        "JE-1, JE-2 for 2026-11-22 is submitted, but the general ledger shows no row of it with this customer"
    )
    assert made.actions == (
        Action("refuse", plan(sale("1000")).actions[0].royalty, Decimal("80.00"), message),
    )
    assert made.findings == (
        Finding(
            "error",
            "royalty entry without ledger entries",
            "Franchise Adyar",
            message,
            "See that the user may read GL Entry, and look at the entry's ledger in ERPNext (Repost Accounting Ledger).",
        ),
    )


def test_entries_of_nobody_are_told_with_their_sum_and_their_key() -> None:
    posted = [
        entry(0, "12", "Gone", name="JE-9"),
        entry(1, "-2.5", "Gone", name="JE-7"),
        entry(2, "99", "Gone", name="JE-8", docstatus=2),
        entry(0, "0", "Past", name="JE-5", docstatus=2),
    ]
    made = plan(posted=posted, company_currency="EUR")
    assert made.findings == (
        Finding(
            "error",
            "royalty entry of nobody",
            "JE-7, JE-8, JE-9",
            "9.50 EUR are posted under the key royalty:ScoopJoy:2026-11-22:Gone:0, but its customer is neither among the "
            "franchises nor seen to have left them",
            "Materialize royalties for the day again; if it stays, see that the user may read every Customer and that this "
            "one was not deleted.",
        ),
    )


# -- former franchises --------------------------------------------------------------------------------------------


def test_what_is_taken_back_from_a_former_franchise_is_told_with_its_sum() -> None:
    posted = [entry(1, "8.5"), entry(0, "80")]
    made = plan(posted=posted, former=[MOVED], franchises=(), re_rate=True)
    nothing = Royalty(
        "Adyar",
        "Franchise Adyar",
        (),
        Decimal(0),
        Decimal(0),
        Decimal("0.00"),
        POLICY.version,
        "grand_total half_up skip",
    )
    (action,) = made.actions
    assert action.royalty == nothing
    assert (action.kind, action.amount, action.adjusts) == ("adjust", Decimal("-88.50"), "JE-1")
    (note,) = made.notes
    assert note.message == (
        "the customer is in the group Commercial now: 88.50 posted for 2026-11-22 by JE-1, JE-2 are taken back, as this run "
        "was asked to"
    )


def test_what_a_former_franchise_keeps_is_told_with_its_sum_and_stays_on_its_own_terms() -> None:
    posted = [entry(1, "8.5", base=Decimal(1100), rate=Decimal(7), policy="standard-old"), entry(0, "80")]
    made = plan(sale("1100"), posted=posted, former=[MOVED], franchises=())
    kept = Royalty(
        "Adyar",
        "Franchise Adyar",
        (sale("1100"),),
        Decimal(1100),
        Decimal(7),
        Decimal("88.5"),
        "standard-old",
        kept=MOVED.why,
        posted_base=Decimal(1100),
    )
    assert made.actions == (
        Action(
            "adopt",
            kept,
            Decimal(0),
            "JE-1, JE-2 already owe exactly 88.50",
            made.actions[0].key,
            entries=(posted[1], posted[0]),
        ),
    )
    assert made.notes == (
        Finding(
            "warning",
            "former franchise",
            "Franchise Adyar",
            "the customer is in the group Commercial now; JE-1, JE-2 keep 88.50 for 2026-11-22",
            "Nothing is to do. If the franchise owes nothing for this day, run `scoopjoy close --date 2026-11-22 --re-rate`, "
            "which takes the royalty back.",
        ),
    )


def test_what_a_person_undid_for_a_former_franchise_is_refused_where_it_is_to_be_taken_back() -> None:
    posted = [entry(0, "80"), entry(1, "0", docstatus=2)]
    made = plan(posted=posted, former=[MOVED], franchises=(), re_rate=True)
    assert [one.kind for one in made.actions] == ["refuse"]
    assert [one.what for one in made.findings] == ["royalty entry cancelled by a person"]
    assert [one.kind for one in plan(posted=posted, former=[MOVED], franchises=()).actions] == ["adopt"]


def test_a_former_franchise_without_entries_is_nobody_s_business() -> None:
    made = plan(former=[MOVED], franchises=())
    assert (made.actions, made.findings) == ((), ())


def test_what_was_written_stays_only_where_a_royalty_is_kept_and_there_is_one() -> None:
    royalty = plan(sale("1000")).actions[0].royalty
    assert not royalty.frozen
    assert replace(royalty, kept="disabled").frozen
    assert not replace(royalty, kept="disabled", amount=Decimal(0)).frozen


def test_actions_are_in_order_of_customer_whoever_left_and_rows_come_with_them() -> None:
    chain = [Franchise(name, name, Decimal(0)) for name in ("Colaba", "Bandra")]
    gone = [FormerFranchise(name, name, "disabled") for name in ("Dadar", "Adyar")]
    posted = [entry(0, "80", name) for name in ("Dadar", "Adyar")]
    made = plan(
        sale("10", "Colaba"), sale("10", "Bandra", "SINV-2"), franchises=chain, former=gone, posted=posted
    )
    assert [one.royalty.customer for one in made.actions] == ["Adyar", "Bandra", "Colaba", "Dadar"]
    assert [one.who for one in made.findings] == ["Bandra", "Colaba"]
    assert [one.who for one in made.notes] == ["Adyar", "Dadar"]


# -- whose entry --------------------------------------------------------------------------------------------------


def test_entries_by_party_and_entries_by_key_are_one_franchise_s() -> None:
    """The ledger has no row of the second; it is found by its key, and nothing is posted until that is understood."""
    posted = [entry(0, "80"), entry(1, "0", customer="", booked=False)]
    made = plan(sale("1000"), posted=posted)
    assert [one.kind for one in made.actions] == ["refuse"]
    assert "JE-2" in made.findings[0].message
    assert "JE-1" not in made.findings[0].message


def test_a_party_in_another_case_is_the_same_customer() -> None:
    (action,) = plan(sale("1000"), posted=[entry(0, "80", customer="ADYAR ")]).actions
    assert action.kind == "adopt"


def test_entries_of_a_customer_whose_name_does_not_fit_into_a_key_are_found_by_their_keys() -> None:
    long = Franchise("Franchise " + "x" * 130, "Franchise Long", Decimal(8))
    posted = [entry(0, "80", long.customer, customer="")]
    made = plan(sale("1000", long.customer), franchises=[long], posted=posted)
    assert ([one.kind for one in made.actions], made.findings) == (["adopt"], ())


def test_a_long_name_that_was_another_customer_s_gets_the_next_free_key() -> None:
    long = Franchise("Franchise " + "x" * 130, "Franchise Long", Decimal(8))
    posted = [entry(3, "80", long.customer, customer="Besant")]
    made = plan(sale("1000", long.customer), franchises=[long], posted=posted)
    assert made.actions[0].key == royalty_key("ScoopJoy", DAY, long.customer, 4)


def test_entries_of_another_company_or_day_are_not_taken_for_this_one() -> None:
    for key in ("royalty:Other:2026-11-22:Adyar:0", "royalty:ScoopJoy:2026-11-23:Adyar:0"):
        made = plan(sale("1000"), posted=[entry(0, "80", customer="", key=key)])
        assert [one.kind for one in made.actions] == ["create"]
        assert [one.what for one in made.findings] == ["royalty entry of nobody"]


# -- reasons and names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ({"base": Decimal(900)}, "royalty 72.00 -> 80.00: base 900.00 -> 1000.00"),
        ({"rate": Decimal("7.200")}, "royalty 72.00 -> 80.00: rate 7.2 % -> 8 %"),
        ({"rate": Decimal(10)}, "royalty 72.00 -> 80.00: rate 10 % -> 8 %"),
        ({"policy": "old-1"}, f"royalty 72.00 -> 80.00: policy old-1 -> {POLICY.version}"),
        ({"policy": ""}, "royalty 72.00 -> 80.00: without what was changed in ERPNext"),
        ({}, "royalty 72.00 -> 80.00: without what was changed in ERPNext"),
        (
            {"base": Decimal(900), "rate": Decimal(7), "policy": "old-1"},
            f"royalty 72.00 -> 80.00: base 900.00 -> 1000.00, rate 7 % -> 8 %, policy old-1 -> {POLICY.version}",
        ),
    ],
    ids=["base", "rate", "round rate", "policy", "no policy kept", "nothing", "all"],
)
def test_what_changed_since_the_last_entry_is_told(last: dict[str, object], reason: str) -> None:
    (action,) = plan(sale("1000"), posted=[entry(0, "72", "Adyar", **last)], re_rate=True).actions
    assert action.reason == reason


def test_a_new_customer_under_the_old_name_of_another_gets_the_next_free_key() -> None:
    """Adyar was renamed to Besant after three entries were posted."""
    besant = Franchise("Besant", "Franchise Besant", Decimal(8))
    renamed = [
        entry(revision, amount, customer="Besant") for revision, amount in ((2, "0"), (0, "70"), (1, "10"))
    ]
    made = plan(
        sale("1000", "Besant"), sale("100", name="SINV-2"), franchises=[ADYAR, besant], posted=renamed
    )
    assert [(one.kind, one.royalty.customer) for one in made.actions] == [
        ("create", "Adyar"),
        ("adopt", "Besant"),
    ]
    assert made.actions[0].key == "royalty:ScoopJoy:2026-11-22:Adyar:3"


def test_a_former_franchise_under_the_old_name_of_another_is_taken_back_under_the_next_free_key() -> None:
    besant = Franchise("Besant", "Franchise Besant", Decimal(8))
    posted = [
        entry(0, "80", customer="Besant"),
        entry(4, "0", customer="Besant"),
        entry(0, "5", "Adyar", name="JE-9", key=royalty_key("ScoopJoy", DAY, "Old name", 0)),
    ]
    made = plan(sale("1000", "Besant"), franchises=[besant], former=[MOVED], posted=posted, re_rate=True)
    assert [(one.kind, one.amount) for one in made.actions] == [
        ("adjust", Decimal("-5.00")),
        ("adopt", Decimal(0)),
    ]
    assert made.actions[0].key == "royalty:ScoopJoy:2026-11-22:Adyar:5"


# -- the plan -----------------------------------------------------------------------------------------------------


def test_a_day_that_is_not_settled_names_five_franchises_and_counts_all() -> None:
    names = ["A", "B", "C", "D", "E", "F", "G"]
    chain = [Franchise(name, f"Franchise {name}", Decimal(5)) for name in names]
    chain[1] = replace(chain[1], rate=Decimal(101))
    made = plan(
        *(sale("100", name, f"SINV-{name}") for name in names),
        franchises=chain,
        posted=[entry(0, "5", "A", rate=Decimal(5), base=Decimal(100)), entry(0, "4", "C", rate=Decimal(5))],
    )
    assert [one.kind for one in made.actions] == ["adopt", "refuse", "adjust", *["create"] * 4]
    assert [one.royalty.customer for one in made.writes()] == ["C", "D", "E", "F", "G"]
    assert made.unsettled() == Finding(
        "error",
        "royalties not settled",
        "2026-11-22",
        "the ledger differs from the rule for 6 franchises: Franchise B, Franchise C, Franchise D, Franchise E, Franchise F",
        "Materialize royalties for the day first, then this asset.",
    )
    assert plan().unsettled() is None


def test_a_plan_of_nobody_owes_an_amount_of_nothing() -> None:
    assert plan(franchises=()).due == 0
    assert isinstance(plan(franchises=()).due, Decimal)


def test_a_franchise_without_sales_has_a_base_that_is_an_amount() -> None:
    """It is part of the digest of the entry that takes a royalty back: 0 and Decimal(0) are written differently."""
    (action,) = plan(posted=[entry(0, "80")]).actions
    assert (action.kind, action.royalty.base) == ("adjust", Decimal(0))
    assert isinstance(action.royalty.base, Decimal)
