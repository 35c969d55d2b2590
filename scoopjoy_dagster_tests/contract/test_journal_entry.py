"""The royalty entry: what a Journal Entry needs, what is refused, and what it books."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from .books import KEY, money
from .lines import V15
from .marks import only_v15, only_v16

if TYPE_CHECKING:
    from .books import Books
    from .site import Answer, Caller

JE = "Journal Entry"


@pytest.fixture
def key(books: Books, request: pytest.FixtureRequest) -> str:
    return f"{books.prefix}:{request.node.name}"[:120]


@pytest.fixture
def refused_whole(robot: Caller, key: str) -> Any:
    """Insert and submit in one request, which must fail thus and leave nothing behind."""

    def attempt(body: dict[str, Any], status: int, exc_type: str) -> Answer:
        answer = robot.insert(JE, **{**body, KEY: key, "docstatus": 1}).refused(status, exc_type)
        assert robot.rows(JE, ["name"], [[KEY, "=", key]]) == []
        return answer

    return attempt


def ledger(robot: Caller, name: str, **more: Any) -> list[dict[str, Any]]:
    fields = ["account", "party_type", "party", "debit", "credit", "cost_center", "posting_date", "company"]
    filters = [["voucher_type", "=", JE], ["voucher_no", "=", name]]
    rows: list[dict[str, Any]] = robot.rows(
        "GL Entry", [*fields, "is_cancelled"], filters, order_by="debit desc"
    )
    return rows


def test_a_minimal_entry_is_inserted_and_submitted_in_one_request(
    robot: Caller, books: Books, franchise: str
) -> None:
    body = {
        "voucher_type": JE,
        "company": books.company,
        "posting_date": books.day,
        "accounts": [
            {
                "account": books.receivable,
                "party_type": "Customer",
                "party": franchise,
                "debit_in_account_currency": 41.25,
            },
            {"account": books.income, "credit_in_account_currency": 41.25},
        ],
        "docstatus": 1,
    }
    made = robot.insert(JE, **body).value
    assert (made["docstatus"], money(made["total_debit"]), money(made["total_credit"])) == (
        1,
        money(41.25),
        money(41.25),
    )
    assert robot.get(JE, made["name"]).value["docstatus"] == 1


def test_insert_then_put_docstatus_1_submits_too(robot: Caller, books: Books, franchise: str) -> None:
    draft = robot.insert(JE, **books.royalty(franchise)).value
    assert draft["docstatus"] == 0
    assert ledger(robot, draft["name"]) == []
    assert robot.submit(JE, draft["name"]).value["docstatus"] == 1
    assert len(ledger(robot, draft["name"])) == 2


def test_submitting_a_submitted_entry_books_nothing_again(
    robot: Caller, books: Books, franchise: str
) -> None:
    name = robot.insert(JE, **books.royalty(franchise), docstatus=1).value["name"]
    assert robot.submit(JE, name).value["docstatus"] == 1
    assert len(ledger(robot, name)) == 2


def test_an_entry_books_the_party_on_the_receivable_and_none_on_the_income(
    robot: Caller, books: Books, franchise: str
) -> None:
    name = robot.insert(JE, **books.royalty(franchise, 77.77), docstatus=1).value["name"]
    debit, credit = ledger(robot, name)
    common = {"posting_date": books.day, "company": books.company, "is_cancelled": 0}
    assert {**debit, "debit": money(debit["debit"]), "credit": money(debit["credit"])} == {
        **common,
        "account": books.receivable,
        "party_type": "Customer",
        "party": franchise,
        "debit": money(77.77),
        "credit": money(0),
        "cost_center": books.cost_center,
    }
    assert (credit["account"], money(credit["credit"]), credit["cost_center"]) == (
        books.income,
        money(77.77),
        books.cost_center,
    )
    assert not credit["party_type"]
    assert not credit["party"]


def test_a_receivable_row_without_a_party_is_refused(
    books: Books, franchise: str, refused_whole: Any
) -> None:
    body = books.royalty(franchise)
    del body["accounts"][0]["party"], body["accounts"][0]["party_type"]
    answer = refused_whole(body, 417, "ValidationError")
    assert any(books.receivable in message for message in answer.messages)


def test_a_party_that_does_not_exist_is_refused(books: Books, refused_whole: Any) -> None:
    refused_whole(books.royalty(f"{books.prefix} nobody"), 417, "LinkValidationError")


def test_the_amounts_that_count_are_those_in_account_currency(
    books: Books, franchise: str, refused_whole: Any
) -> None:
    body = books.royalty(franchise)
    body["accounts"][0]["debit"] = body["accounts"][0].pop("debit_in_account_currency")
    body["accounts"][1]["credit"] = body["accounts"][1].pop("credit_in_account_currency")
    refused_whole(body, 417, "ValidationError")


def test_a_zero_amount_is_refused(books: Books, franchise: str, refused_whole: Any) -> None:
    refused_whole(books.royalty(franchise, 0), 417, "ValidationError")


def test_an_unbalanced_entry_is_refused_on_submit(
    robot: Caller, books: Books, franchise: str, refused_whole: Any
) -> None:
    body = books.royalty(franchise)
    body["accounts"][1]["credit_in_account_currency"] = 99
    refused_whole(body, 417, "ValidationError")
    draft = robot.insert(JE, **body).value
    assert money(draft["difference"]) == money(1)
    robot.submit(JE, draft["name"]).refused(417, "ValidationError")
    assert robot.get(JE, draft["name"]).value["docstatus"] == 0


def test_erpnext_adds_amounts_as_floats(robot: Caller, books: Books, franchise: str) -> None:
    """Why the embedded ERPNext keeps floats, too: with exact amounts it would answer 0.01 here."""
    body = books.royalty(franchise)
    body["accounts"][1]["credit_in_account_currency"] = 99.99
    answer = robot.insert(JE, **body, docstatus=1).refused(417, "ValidationError")
    assert "The difference is 0.010000000000005116" in " ".join(answer.messages)


def test_a_missing_cost_center_defaults_to_that_of_the_company(
    robot: Caller, books: Books, franchise: str
) -> None:
    body = books.royalty(franchise)
    for row in body["accounts"]:
        del row["cost_center"]
    made = robot.insert(JE, **body, docstatus=1).value
    assert [row["cost_center"] for row in made["accounts"]] == [books.cost_center] * 2


def test_an_empty_cost_center_is_refused_for_an_income_account(
    books: Books, franchise: str, refused_whole: Any
) -> None:
    body = books.royalty(franchise)
    body["accounts"][1]["cost_center"] = ""
    answer = refused_whole(body, 417, "ValidationError")
    assert any(books.income in message for message in answer.messages)


def test_a_disabled_customer_is_refused_with_party_disabled(
    robot: Caller, books: Books, refused_whole: Any
) -> None:
    closed = books.customer(robot, "Closed Outlet", disabled=1)
    refused_whole(books.royalty(closed), 417, "PartyDisabled")


def test_a_day_without_a_fiscal_year_is_refused(books: Books, franchise: str, refused_whole: Any) -> None:
    body = books.royalty(franchise, posting_date=books.no_fiscal_year.isoformat())
    refused_whole(body, 417, "FiscalYearError")


def test_a_group_account_is_refused(books: Books, franchise: str, refused_whole: Any) -> None:
    body = books.royalty(franchise)
    body["accounts"][1]["account"] = books.income_group
    refused_whole(body, 417, "ValidationError")


def test_an_unknown_voucher_type_is_refused(books: Books, franchise: str, refused_whole: Any) -> None:
    refused_whole(books.royalty(franchise, voucher_type="Royalty"), 417, "ValidationError")


def test_frozen_books_refuse_the_day_and_keep_nothing(
    robot: Caller, line: str, books: Books, franchise: str, refused_whole: Any
) -> None:
    """Only the first day of the oldest fiscal year is frozen, for the length of this test. The company says so since v16."""
    if line == V15:
        where = ("Accounts Settings", "Accounts Settings")
        day, role = fields = ("acc_frozen_upto", "frozen_accounts_modifier")
    else:
        where = ("Company", books.company)
        day, role = fields = ("accounts_frozen_till_date", "role_allowed_for_frozen_entries")
    before = robot.get(*where).value
    frozen = books.first_fiscal_day.isoformat()
    body = books.royalty(franchise, posting_date=frozen)
    if (before.get(day) or "") < frozen:
        robot.put(*where, **{day: frozen, role: None}).accepted()
    try:
        answer = refused_whole(body, 417, "ValidationError")
        assert answer.messages
    finally:
        restored = robot.put(*where, **{name: before.get(name) for name in fields}).value
    assert [restored.get(name) for name in fields] == [before.get(name) for name in fields]


def test_more_than_two_decimals_are_rounded_row_by_row(robot: Caller, books: Books, franchise: str) -> None:
    made = robot.insert(JE, **books.royalty(franchise, 100.004), docstatus=1).value
    assert money(made["total_debit"]) == money(100)
    body = books.royalty(franchise, 33.336)
    body["accounts"].insert(1, dict(body["accounts"][0]))
    body["accounts"][2]["credit_in_account_currency"] = 66.67  # the exact sum is 66.672, of the rows 66.68
    robot.insert(JE, **body, docstatus=1).refused(417, "ValidationError")


def test_a_name_in_the_body_is_ignored(robot: Caller, books: Books, franchise: str, key: str) -> None:
    wanted = f"{books.prefix}-OWN-NAME"
    made = robot.insert(JE, **books.royalty(franchise, name=wanted)).value["name"]
    assert made != wanted
    robot.get(JE, wanted).refused(404, "DoesNotExistError")


def test_a_naming_series_of_its_own_is_accepted_whatever_the_options(
    robot: Caller, books: Books, franchise: str
) -> None:
    series = f"{books.prefix}-ROY-.YYYY.-"
    names = [
        robot.insert(JE, **books.royalty(franchise, naming_series=series)).value["name"] for _ in range(2)
    ]
    start = f"{books.prefix}-ROY-{books.today.year}-"
    assert names == [f"{start}00001", f"{start}00002"]


def test_before_v16_the_remark_is_made_from_the_user_remark(
    robot: Caller, line: str, books: Books, franchise: str, key: str
) -> None:
    remark = f"Royalty of {key}"
    made = robot.insert(JE, **books.royalty(franchise, user_remark=remark), docstatus=1).value
    assert made["user_remark"] == remark
    assert remark in made["remark"] if line == V15 else not made.get("remark")
    assert robot.rows(JE, ["name"], [["user_remark", "=", remark]]) == [{"name": made["name"]}]
    posted = robot.rows("GL Entry", ["remarks"], [["voucher_no", "=", made["name"]]])
    assert [remark in (row["remarks"] or "") for row in posted] == [line == V15] * 2


def test_a_custom_remark_is_kept_and_booked_since_v16_and_harmless_before(
    robot: Caller, line: str, books: Books, franchise: str, key: str
) -> None:
    texts = {"user_remark": f"Royalty of {key}", "remark": f"Remark of {key}", "custom_remark": 1}
    made = robot.insert(JE, **books.royalty(franchise, **texts), docstatus=1).value
    assert made["user_remark"] == texts["user_remark"]
    posted = robot.rows("GL Entry", ["remarks"], [["voucher_no", "=", made["name"]]])
    expected = texts["user_remark"] if line == V15 else texts["remark"]
    assert [expected in row["remarks"] for row in posted] == [True] * 2
    if line != V15:
        assert made["remark"] == texts["remark"]


@pytest.fixture
def party_on_income(books: Books, franchise: str) -> dict[str, Any]:
    """A royalty whose income row names the customer too."""
    body = books.royalty(franchise)
    body["accounts"][1] |= {"party_type": "Customer", "party": franchise}
    return body


@only_v15
def test_a_party_on_the_income_row_is_accepted(robot: Caller, party_on_income: dict[str, Any]) -> None:
    assert robot.insert(JE, **party_on_income, docstatus=1).value["docstatus"] == 1


@only_v16
def test_a_party_on_the_income_row_is_refused_when_the_entry_is_submitted(
    robot: Caller, party_on_income: dict[str, Any], refused_whole: Any
) -> None:
    refused_whole(party_on_income, 417, "ValidationError")
    draft = robot.insert(JE, **party_on_income).value["name"]
    robot.submit(JE, draft).refused(417, "ValidationError")
    assert robot.get(JE, draft).value["docstatus"] == 0


def test_writers_of_one_naming_series_store_all_that_is_not_refused_as_a_deadlock(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    """Since v16 the database refuses most of them; nothing of those is stored, and once is enough when tried again."""

    def insert(number: int) -> Answer:
        caller = robot.again()
        try:
            return caller.insert(JE, **books.royalty(franchise), **{KEY: f"{key}:{number}"}, docstatus=1)
        finally:
            caller.close()

    left = set(range(6))
    for _ in range(30):
        with ThreadPoolExecutor(6) as pool:
            answers = dict(zip(sorted(left), pool.map(insert, sorted(left)), strict=True))
        for number, answer in answers.items():
            if answer.status == 200:
                left.discard(number)
            else:
                answer.refused(500, "QueryDeadlockError")
        stored = robot.rows(JE, [KEY], [[KEY, "like", f"{key}:%"]])
        assert {row[KEY] for row in stored} == {
            f"{key}:{number}" for number in range(6) if number not in left
        }
        if not left:
            break
    assert not left


def test_insert_many_submits_a_batch_and_answers_the_names_in_order(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    docs = [
        {
            "doctype": JE,
            **books.royalty(franchise, 10 + number),
            KEY: f"{key}:{number}",
            "docstatus": 1,
        }
        for number in range(3)
    ]
    names = robot.rpc("frappe.client.insert_many", docs=docs).value
    rows = robot.rows(JE, ["name", KEY, "docstatus", "total_debit"], [["name", "in", names]], order_by=KEY)
    assert [row["name"] for row in rows] == names
    assert [(row["docstatus"], money(row["total_debit"])) for row in rows] == [
        (1, money(10)),
        (1, money(11)),
        (1, money(12)),
    ]


def test_insert_many_with_one_bad_entry_books_none(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    docs = [
        {"doctype": JE, **books.royalty(franchise, amount), KEY: f"{key}:{number}", "docstatus": 1}
        for number, amount in enumerate((10, 0, 12))
    ]
    robot.rpc("frappe.client.insert_many", docs=docs).refused(417, "ValidationError")
    assert robot.rows(JE, ["name"], [[KEY, "like", f"{key}:%"]]) == []


@pytest.mark.parametrize("taken", ["before", "twice in the batch"])
def test_insert_many_with_a_key_that_is_taken_books_none(
    robot: Caller, books: Books, franchise: str, key: str, taken: str
) -> None:
    if taken == "before":
        robot.insert(JE, **books.royalty(franchise), **{KEY: f"{key}:2"}, docstatus=1).accepted()
    numbers = [0, 1, 2, 3] if taken == "before" else [0, 1, 2, 2]
    docs = [
        {"doctype": JE, **books.royalty(franchise), KEY: f"{key}:{number}", "docstatus": 1}
        for number in numbers
    ]
    robot.rpc("frappe.client.insert_many", docs=docs).refused(417, "UniqueValidationError")
    there = robot.rows(JE, [KEY], [[KEY, "like", f"{key}:%"]])
    assert [row[KEY] for row in there] == ([f"{key}:2"] if taken == "before" else [])


def test_insert_many_answers_with_the_error_of_the_first_bad_entry(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    docs = [
        {"doctype": JE, **books.royalty(customer, amount), KEY: f"{key}:{number}", "docstatus": 1}
        for number, (customer, amount) in enumerate([(franchise, 10), (f"{key} nobody", 11), (franchise, 0)])
    ]
    robot.rpc("frappe.client.insert_many", docs=docs).refused(417, "LinkValidationError")
    assert robot.rows(JE, ["name"], [[KEY, "like", f"{key}:%"]]) == []


def test_one_list_finds_the_documents_of_many_keys_whatever_their_case(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    docs = [
        {"doctype": JE, **books.royalty(franchise), KEY: f"{key}:{number}", "docstatus": 1}
        for number in range(3)
    ]
    names = robot.rpc("frappe.client.insert_many", docs=docs).value
    keys = [f"{key}:0".upper(), f"{key}:1".lower(), f"{key}:2", f"{key}:3"]
    rows = robot.rpc(
        "frappe.client.get_list",
        doctype=JE,
        fields=["name", KEY],
        filters=[[KEY, "in", keys]],
        order_by=f"{KEY} asc",
        limit_page_length=0,
    ).value
    assert [row["name"] for row in rows] == names


def test_batches_in_parallel_with_a_naming_series_each_are_all_stored_and_numbered_one_by_one(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    def insert(letter: str, round_: int) -> list[str]:
        series = f"{books.prefix}-{letter}-.YYYY.-"
        docs = [
            {
                "doctype": JE,
                **books.royalty(franchise, naming_series=series),
                KEY: f"{key}:{letter}:{round_}:{number}",
                "docstatus": 1,
            }
            for number in range(4)
        ]
        caller = robot.again()
        try:
            names: list[str] = caller.rpc("frappe.client.insert_many", docs=docs).value
        finally:
            caller.close()
        return names

    # The first insert of a series makes its counter; two of these at once may end in a deadlock.
    for letter in "AB":
        insert(letter, 0)
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(insert, "AB", (1, 1)))
    assert made == [
        [f"{books.prefix}-{letter}-{books.today.year}-{number:05}" for number in range(5, 9)]
        for letter in "AB"
    ]


def test_a_naming_series_with_another_sign_is_refused(robot: Caller, books: Books, franchise: str) -> None:
    robot.insert(JE, **books.royalty(franchise, naming_series=f"{books.prefix}:ROY-.YYYY.-")).refused(
        417, "InvalidNamingSeriesError"
    )


def test_insert_many_takes_at_most_200_documents(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    docs = [{"doctype": JE, **books.royalty(franchise), KEY: f"{key}:{number}"} for number in range(201)]
    robot.rpc("frappe.client.insert_many", docs=docs).refused(417, "ValidationError")
    assert robot.rows(JE, ["name"], [[KEY, "like", f"{key}:%"]]) == []


@pytest.mark.parametrize("how", ["put", "frappe.client.cancel"])
def test_cancelling_reverses_the_ledger(robot: Caller, books: Books, franchise: str, how: str) -> None:
    name = robot.insert(JE, **books.royalty(franchise), docstatus=1).value["name"]
    answer = robot.put(JE, name, docstatus=2) if how == "put" else robot.cancel(JE, name)
    assert answer.value["docstatus"] == 2
    rows = ledger(robot, name)
    assert {row["is_cancelled"] for row in rows} == {1}
    assert sum(money(row["debit"]) for row in rows) == sum(money(row["credit"]) for row in rows)


def test_set_value_cannot_submit(robot: Caller, books: Books, franchise: str) -> None:
    name = robot.insert(JE, **books.royalty(franchise)).value["name"]
    answer = robot.rpc("frappe.client.set_value", doctype=JE, name=name, fieldname="docstatus", value=1)
    answer.refused(417, "ValidationError")


def test_frappe_client_submit_needs_the_whole_current_document(
    robot: Caller, books: Books, franchise: str
) -> None:
    name = robot.insert(JE, **books.royalty(franchise)).value["name"]
    partial = {"doctype": JE, "name": name}
    robot.rpc("frappe.client.submit", doc=partial).refused(417, "TimestampMismatchError")
    whole = robot.rpc("frappe.client.get", doctype=JE, name=name).value
    assert robot.rpc("frappe.client.submit", doc=whole).value["docstatus"] == 1


def test_a_submitted_entry_is_neither_edited_nor_deleted(robot: Caller, books: Books, franchise: str) -> None:
    name = robot.insert(JE, **books.royalty(franchise), docstatus=1).value["name"]
    robot.put(JE, name, user_remark="changed").refused(417, "UpdateAfterSubmitError")
    robot.put(JE, name, docstatus=0).refused(417, "DocstatusTransitionError")
    assert robot.delete(JE, name).refused(417, "ValidationError").messages


# Entries that are not ours: known by the rows of their table, or by their remark


def test_a_list_finds_entries_by_a_row_or_by_the_remark_and_its_rows_by_their_party(
    robot: Caller, books: Books, key: str
) -> None:
    one, two = (books.customer(robot, f"By Hand {number}") for number in (1, 2))
    by_account = robot.insert(JE, **books.royalty(one, 12.5), docstatus=1).value["name"]
    other = books.royalty(two, 40, user_remark=f"{key} for somebody")
    other["accounts"][1]["account"] = books.temporary
    by_remark = robot.insert(JE, **other, docstatus=1).value["name"]
    ours = robot.insert(JE, **books.royalty(one, 7), **{KEY: key}, docstatus=1).value["name"]
    neither = books.royalty(two, 3)
    neither["accounts"][1]["account"] = books.temporary
    robot.insert(JE, **neither, docstatus=1).accepted()

    answer = robot.rpc(
        "frappe.client.get_list",
        doctype=JE,
        fields=["name", "posting_date", "amended_from"],
        filters=[
            ["docstatus", "=", 1],
            ["company", "=", books.company],
            ["posting_date", ">=", books.day],
            [KEY, "is", "not set"],
        ],
        or_filters=[
            ["Journal Entry Account", "account", "=", books.income],
            [JE, "user_remark", "like", f"{key} for %"],
        ],
        order_by="posting_date asc, name asc",
        limit_page_length=0,
    )
    names = {row["name"] for row in answer.value}
    assert {by_account, by_remark} <= names
    assert ours not in names
    rows = robot.rpc(
        "frappe.client.get_list",
        doctype="Journal Entry Account",
        fields=["parent", "party", "debit", "credit"],
        filters=[
            ["parent", "in", sorted(names)],
            ["parenttype", "=", JE],
            ["party_type", "=", "Customer"],
            ["party", "in", [one, two]],
            ["account", "!=", books.income],
        ],
        order_by="parent asc, idx asc",
        parent=JE,
        limit_page_length=0,
    ).value
    assert {(row["parent"], row["party"], money(row["debit"]), money(row["credit"])) for row in rows} == {
        (by_account, one, money(12.5), money(0)),
        (by_remark, two, money(40), money(0)),
    }
