"""Which line of ERPNext a site is taken for: by its word where the line is known, by what it does where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scoopjoy_dagster.erpnext.errors import UnsupportedSite
from scoopjoy_dagster.erpnext.preflight import Check, check_site
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext, methods
from scoopjoy_dagster_tests.world import build_template, session_of, started_site

Claims = Callable[[str], None]


@pytest.fixture(scope="module", params=["v15", "v16"])
def line(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def template(line: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("detected") / "site.db"
    build_template(path, line)
    return path


@pytest.fixture
def erp(template: Path, line: str) -> Iterator[SandboxERPNext]:
    with started_site(template, line) as site:
        yield site


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Claims:
    """Let the site say that it is another version than it behaves like."""

    def arrange(version: str) -> None:
        method = "frappe.utils.change_log.get_versions"
        told = methods.METHODS[method]

        def answer(*args: Any, **options: Any) -> Any:
            found = told.run(*args, **options)
            return {**found, "erpnext": {**found["erpnext"], "version": version}}

        monkeypatch.setitem(methods.METHODS, method, replace(told, run=answer))

    return arrange


def first_check(erp: SandboxERPNext) -> Check:
    with session_of(erp) as session:
        return next(iter(check_site(Site.open(session), time_zone="Asia/Kolkata", day=date(2026, 11, 22))))


def test_a_known_line_is_spoken_to_as_it_says_and_answers_as_such(erp: SandboxERPNext, line: str) -> None:
    with session_of(erp) as session:
        site = Site.open(session)
        assert site.dialect.line == {"v15": "v15", "v16": "v16+"}[line]
        assert erp.requests.total == 1
    assert first_check(erp).level == "ok"


def test_check_says_what_the_line_implies(erp: SandboxERPNext, line: str) -> None:
    with session_of(erp) as session:
        said = [
            one.message
            for one in check_site(Site.open(session), time_zone="Asia/Kolkata", day=date(2026, 11, 22))
        ]
    assert any("close before the outlets open" in one for one in said) == (line == "v16")


def test_a_newer_line_is_spoken_to_as_the_newest_that_is_known_if_it_behaves_so(
    erp: SandboxERPNext, line: str, claims: Claims
) -> None:
    claims("19.2.0")
    if line == "v15":
        with (
            session_of(erp) as session,
            pytest.raises(UnsupportedSite, match="does not answer as v16 and 17 do"),
        ):
            Site.open(session)
        return
    found = first_check(erp)
    assert (found.level, "is newer than what this program was proven against" in found.message) == (
        "warning",
        True,
    )


def test_a_site_that_does_not_behave_as_it_says_is_an_error_of_the_check(
    erp: SandboxERPNext, line: str, claims: Claims
) -> None:
    claims({"v15": "16.1.0", "v16": "15.60.0"}[line])
    found = first_check(erp)
    assert (found.level, "does not answer as such" in found.message) == ("error", True)
