"""The proxy that puts the laboratory's faults in front of a real site, here in front of the embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scoopjoy_dagster.assets import invoices, royalties
from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.erpnext.session import RetryRule, Session
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster_tests.chaos.proxy import FaultProxy
from scoopjoy_dagster_tests.world import DAY, THANE, World, entries


@contextmanager
def behind(chain: World, proxy: FaultProxy) -> Iterator[Site]:
    """A session with the site through the proxy."""
    who = chain.erpnext.robot
    retry = RetryRule(first_wait_s=0.001, longest_wait_s=0.002)
    with Session(proxy.start(), who.api_key, who.api_secret, retry=retry) as session:
        yield Site.open(session)
    proxy.stop()


def close(chain: World, site: Site) -> tuple[int, int]:
    """Royalties and statements through the proxy; returns what was written."""
    posted = royalties.close(site, DAY, chain.tools())
    shown = invoices.close(site, DAY, chain.tools())
    assert not posted.failed, posted.summary
    assert not shown.failed, shown.summary
    return posted.written, shown.written


def test_what_goes_through_the_proxy_is_what_the_site_gets(chain: World) -> None:
    chain.invoice(THANE, "1000")
    with behind(chain, FaultProxy(chain.erpnext.url)) as site:
        assert close(chain, site) == (1, 1)
        assert close(chain, site) == (0, 0)
    (entry,) = entries(chain.erpnext, THANE)
    (statement,) = chain.erpnext.documents("File", attached_to_name=entry["name"])
    assert statement["file_name"].startswith("royalty-statement-2026-11-22")


@pytest.mark.parametrize("kind", ["committed_never_answered", "reset_in_body", "truncated_page", "deadlock"])
def test_a_fault_of_the_proxy_leaves_one_entry_on_the_site(chain: World, kind: str) -> None:
    chain.invoice(THANE, "1000")
    proxy = FaultProxy(chain.erpnext.url)
    rule = proxy.faults.add(kind, method="POST", path="insert_many")
    with behind(chain, proxy) as site:
        close(chain, site)
    assert rule.hit == 1
    assert len(entries(chain.erpnext, THANE)) == 1


def test_a_site_that_is_not_there_is_an_error_of_the_client_and_not_of_the_proxy(chain: World) -> None:
    with pytest.raises(ERPNextError), behind(chain, FaultProxy("http://127.0.0.1:9")):
        pass
