"""Warehouses, price lists and the POS Profile that links to them."""

from __future__ import annotations

from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.seed import OUTLETS
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import Client

PROFILE = "/api/resource/POS Profile"
WAREHOUSE = "/api/resource/Warehouse"


def test_a_warehouse_is_named_with_the_abbreviation_of_its_company_once(world: SandboxERPNext) -> None:
    owner = Client(world.url, world.administrator)
    for given, name in (("Cold Room", "Cold Room - SJ"), ("Van - SJ", "Van - SJ")):
        body = {
            "warehouse_name": given,
            "company": "ScoopJoy",
            "parent_warehouse": "All Warehouses - SJ",
        }
        assert owner.post(WAREHOUSE, body)["name"] == name
    rows = owner.get(WAREHOUSE, filters=[["name", "descendants of", "All Warehouses - SJ"]], order_by="name")
    assert [row["name"] for row in rows] == ["Cold Room - SJ", "Stores - SJ", "Van - SJ"]


def test_a_price_list_is_for_buying_or_for_selling(world: SandboxERPNext) -> None:
    owner = Client(world.url, world.administrator)
    body = {"price_list_name": "Wholesale", "currency": "INR"}
    assert owner.refused("POST", "/api/resource/Price List", body) == (417, "ValidationError")
    assert owner.post("/api/resource/Price List", {**body, "selling": 1})["name"] == "Wholesale"


def test_a_pos_profile_links_to_a_warehouse_and_a_price_list(world: SandboxERPNext, robot: Client) -> None:
    path = f"{PROFILE}/{OUTLETS[0].profile}"
    profile = robot.get(path)
    assert (profile["warehouse"], profile["selling_price_list"]) == ("Stores - SJ", "Standard Selling")
    for key in ("warehouse", "selling_price_list"):
        assert robot.refused("PUT", path, {key: "Nowhere"}) == (417, "LinkValidationError")
    owner = Client(world.url, world.administrator)
    assert owner.refused("DELETE", f"{WAREHOUSE}/Stores - SJ") == (417, "LinkExistsError")
