"""Annotations written in batches side by side: each of them is there afterwards, or ERPNext's message is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.erpnext.invoice_royalty import Annotation, AnnotationsWritten, write_annotations
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import THANE, World


@pytest.fixture
def wanted(chain: World) -> list[Annotation]:
    """What thirty invoices are to say: three requests' worth."""
    invoices = [chain.invoice(THANE, str(100 + number)) for number in range(30)]
    return [
        Annotation(invoice, Decimal("7.5"), Decimal(number), "SJ-ROY-A-2026-00001")
        for number, invoice in enumerate(invoices)
    ]


def written(chain: World) -> dict[str, float]:
    rows = chain.erpnext.documents("Sales Invoice", customer=THANE)
    return {row["name"]: row["custom_royalty_share"] for row in rows if row["custom_royalty_rate"]}


def test_many_annotations_go_in_requests_side_by_side(chain: World, wanted: list[Annotation]) -> None:
    with chain.site() as site:
        chain.erpnext.requests.reset()
        assert write_annotations(site, wanted) == AnnotationsWritten({})
    assert chain.erpnext.requests.total == 3
    assert written(chain) == {one.invoice: float(one.share) for one in wanted}


def test_an_invoice_that_cannot_be_annotated_hides_no_other(chain: World, wanted: list[Annotation]) -> None:
    seed.cancel_document(chain.erpnext, "Sales Invoice", wanted[17].invoice)
    with chain.site() as site:
        failed = write_annotations(site, wanted).failed
    assert set(failed) == {wanted[17].invoice}
    assert set(written(chain)) == {one.invoice for one in wanted} - set(failed)


def test_a_request_that_is_refused_is_an_error_and_the_others_are_whole(
    chain: World, wanted: list[Annotation]
) -> None:
    chain.erpnext.faults.add("permission_lost", path="bulk_update", nth=2)
    with chain.site() as site, pytest.raises(ERPNextError):
        write_annotations(site, wanted)
    assert len(written(chain)) in {10, 20}
    with chain.site() as site:
        assert write_annotations(site, wanted) == AnnotationsWritten({})
    assert len(written(chain)) == 30


def test_nothing_to_write_asks_for_nothing(chain: World) -> None:
    with chain.site() as site:
        chain.erpnext.requests.reset()
        assert write_annotations(site, []) == AnnotationsWritten({})
    assert chain.erpnext.requests.total == 0
