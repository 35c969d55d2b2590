"""Lists are complete, ordered and whole, or an error; single documents and updates say what happened."""

from __future__ import annotations

from decimal import Decimal

import pytest

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.errors import Forbidden, NotFound, Rejected
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.erpnext.scripted import Answer, answering, session_with
from scoopjoy_dagster_tests.world import DAY, THANE, insert, session_of


@pytest.fixture(scope="module")
def customers(module_site: SandboxERPNext) -> list[str]:
    names = [f"Outlet {number:03d}" for number in range(57)]
    for name in reversed(names):
        insert(module_site, "Customer", customer_name=name, customer_group="Commercial", territory="India")
    return names


def test_a_list_is_complete_beyond_twenty_rows_and_in_order(
    erp: SandboxERPNext, client: Client, customers: list[str]
) -> None:
    erp.requests.reset()
    rows = client.rows("Customer", ["name"], [["name", "like", "Outlet %"]])
    assert [row["name"] for row in rows] == customers
    assert erp.requests.total == 1
    backwards = client.rows("Customer", ["name"], [["name", "like", "Outlet %"]], order_by="name desc")
    assert [row["name"] for row in backwards] == customers[::-1]


def test_a_filter_of_hundreds_of_names_fits_one_request(
    erp: SandboxERPNext, client: Client, customers: list[str]
) -> None:
    wanted = customers + [f"Somebody Else {number} with a rather long name" for number in range(600)]
    erp.requests.reset()
    assert len(client.rows("Customer", ["name"], [["name", "in", wanted]])) == len(customers)
    assert erp.requests.total == 1


def test_an_empty_in_filter_asks_nothing(erp: SandboxERPNext, client: Client) -> None:
    erp.requests.reset()
    assert client.rows("Customer", ["name"], [["name", "in", []]]) == []
    assert erp.requests.total == 0


def test_a_field_that_permissions_dropped_is_an_error_and_not_a_zero() -> None:
    rows = [{"name": "CUST-1", "customer_name": "One"}]
    with (
        answering(Answer(200, {"message": rows})) as site,
        session_with(site) as session,
        pytest.raises(Forbidden, match="left out custom_royalty_percentage: the user may not read"),
    ):
        Client(session).rows("Customer", ["name", "customer_name", "custom_royalty_percentage"], [])


@pytest.mark.parametrize(
    ("field", "alias"),
    [
        ("sum(base_grand_total) as base", "base"),
        ("`tabCustomer`.`customer_name`", "customer_name"),
        ("customer.rate", "rate"),
    ],
)
def test_a_field_comes_back_under_its_alias(field: str, alias: str) -> None:
    with answering(Answer(200, {"message": [{alias: 1}]})) as site, session_with(site) as session:
        assert Client(session).rows("Sales Invoice", [field], []) == [{alias: 1}]


def test_sums_by_group_are_exact(erp: SandboxERPNext, client: Client) -> None:
    for amount in ("0.10", "0.20", "333.33"):
        seed.add_invoice(erp, THANE, DAY, amount)
    rows = client.rows(
        "Sales Invoice",
        ["customer", "sum(base_grand_total) as base"],
        [["customer", "=", THANE]],
        group_by="customer",
        order_by="customer asc",
    )
    assert rows == [{"customer": THANE, "base": Decimal("333.63")}]


def test_a_list_that_the_user_may_not_read_says_so(erp: SandboxERPNext) -> None:
    with (
        session_of(erp, user="limited@scoopjoy.example") as session,
        pytest.raises(Forbidden, match="list Journal Entry: PermissionError"),
    ):
        Client(session).rows("Journal Entry", ["name"], [])


def test_a_document_that_is_not_there_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound, match=r"read Customer No/Such 100% \?"):
        client.get("Customer", "No/Such 100% ?")
    assert not client.exists("Customer", "No Such")


@pytest.mark.parametrize("name", ['Gelato "N" Go / Pune & Co 🍦'])
def test_names_with_anything_in_them_are_found(client: Client, name: str) -> None:
    assert client.get("Customer", name)["customer_name"] == name
    assert client.exists("Customer", name)


def test_an_update_whose_answer_was_lost_is_repeated(erp: SandboxERPNext, client: Client) -> None:
    invoice = seed.add_invoice(erp, "Hotel Blue Lagoon", DAY, "100")
    rule = erp.faults.add("committed_never_answered", method="PUT")
    client.update("Sales Invoice", invoice, {"po_no": "PO-7"})
    assert rule.matched == 2
    assert erp.documents("Sales Invoice", name=invoice)[0]["po_no"] == "PO-7"


def test_deleting_what_is_gone_is_fine_and_deleting_what_is_needed_is_not(
    erp: SandboxERPNext, client: Client
) -> None:
    client.delete("File", "no-such-file")
    with pytest.raises(Rejected):
        client.delete("Company", "ScoopJoy")
