"""Statements attached in batches: each is there afterwards, private, whatever the network does, in few requests."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoopjoy_dagster.erpnext import statement_files
from scoopjoy_dagster.erpnext.client import INSERT_ATTEMPTS, Client
from scoopjoy_dagster.erpnext.errors import (
    Ambiguous,
    Duplicate,
    ERPNextError,
    LoginFailed,
    Rejected,
    Transient,
)
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.erpnext.statement_files import StatementFile, attach_all
from scoopjoy_dagster.erpnext.statements import attached_statements, remove_statements
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.erpnext.test_batches import MANY, asked
from scoopjoy_dagster_tests.erpnext.test_insert_once import LIST, NEVER_STORED, STORED
from scoopjoy_dagster_tests.world import DAY, session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count()


@pytest.fixture
def site(erp: SandboxERPNext) -> Iterator[Site]:
    with session_of(erp) as session:
        yield Site.open(session)


def files(count: int, size: int = 100) -> list[StatementFile]:
    """Statements for entries that need not exist: ERPNext does not ask (contract/test_files)."""
    made = []
    for _ in range(count):
        number = next(_numbers)
        content = f"%PDF-1.4 {number} ".encode().ljust(size, b"\xff")
        made.append(StatementFile(f"SJ-ROY-{number:05}", f"royalty-statement-{number:05}-abc.pdf", content))
    return made


def attach(site: Site, wanted: list[StatementFile]) -> dict[str, ERPNextError | None]:
    results = {file.entry: problem for file, problem in attach_all(site, wanted, company="ScoopJoy", day=DAY)}
    assert set(results) == {file.entry for file in wanted}
    return results


def assert_attached(site: Site, wanted: list[StatementFile], *, times: int = 1) -> None:
    there = attached_statements(site, [file.entry for file in wanted])
    for file in wanted:
        found = there.get(file.entry, [])
        assert [one.file_name for one in found] == [file.file_name] * times
        for one in found:
            row = site.client.get("File", one.name)
            assert (row["is_private"], row["folder"]) == (1, "Home/Attachments")
            assert site.client.session.download(row["file_url"], doing="read it") == file.content


def test_a_batch_is_one_request_and_every_file_is_private_and_whole(erp: SandboxERPNext, site: Site) -> None:
    wanted = files(20)
    erp.requests.reset()
    assert set(attach(site, wanted).values()) == {None}
    assert (erp.requests.total, erp.requests.writes) == (1, 1)
    assert_attached(site, wanted)


def test_batches_are_bounded_by_number_and_by_bytes_and_made_one_after_another(
    erp: SandboxERPNext, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_files, "MOST_FILES", 4)
    monkeypatch.setattr(statement_files, "MOST_BYTES", 1000)
    made = 0

    def rendering(all_of_them: list[StatementFile]) -> Iterator[StatementFile]:
        nonlocal made
        for file in all_of_them:
            made += 1
            yield file

    wanted = [*files(9), *files(3, size=600), *files(1, size=5000)]
    erp.requests.reset()
    results = attach_all(site, rendering(wanted), company="ScoopJoy", day=DAY)
    next(results)
    assert made == 4 + 4 + 1  # the two batches on their way, and the file that did not go into them
    assert len(list(results)) == len(wanted) - 1
    assert asked(erp) == 6  # 4, 4, 1 and one of 600 bytes, each of the others for itself
    assert_attached(site, wanted)


@pytest.mark.parametrize("kind", [*NEVER_STORED, *STORED])
def test_every_fault_on_the_way_ends_with_each_file_attached_once(
    erp: SandboxERPNext, site: Site, kind: str
) -> None:
    wanted = files(6)
    erp.faults.add(kind, path=MANY, times=2, seconds=0)
    erp.requests.reset()
    assert set(attach(site, wanted).values()) == {None}
    if kind in STORED:
        assert (asked(erp), asked(erp, LIST)) == (1, 1)
    assert_attached(site, wanted)


def test_what_another_run_attached_meanwhile_is_not_attached_again(erp: SandboxERPNext, site: Site) -> None:
    wanted = files(6)

    def other_run(_: object) -> None:
        with session_of(erp) as session:
            attach(Site.open(session), wanted[:3])

    erp.faults.add("kill_before_commit", path=MANY, hook=other_run)  # and this request is lost
    assert set(attach(site, wanted).values()) == {None}
    assert_attached(site, wanted)


def test_a_request_that_is_stored_after_it_was_given_up_attaches_nothing_again(
    erp: SandboxERPNext, site: Site
) -> None:
    """The first answer is lost before the request is worked on; ours, sent again, is stored in between."""
    wanted = files(6)
    late: list[bytes] = []
    real = site.client.session.request

    def kept(*args: Any, **kwargs: Any) -> Any:
        if args[1].endswith("insert_many") and not late:
            late.append(kwargs["body"])
            raise Ambiguous("attach", "the connection was lost")
        return real(*args, **kwargs)

    with mock.patch.object(site.client.session, "request", kept):
        assert set(attach(site, wanted).values()) == {None}
    with pytest.raises(Duplicate):
        real(
            "POST", "/api/method/frappe.client.insert_many", doing="store it late", kind="write", body=late[0]
        )
    assert_attached(site, wanted)


def test_what_a_person_removed_is_attached_again_as_often_as_needed(site: Site) -> None:
    wanted = files(3)
    for _ in range(INSERT_ATTEMPTS + 2):
        assert set(attach(site, wanted).values()) == {None}
        assert_attached(site, wanted)
        there = attached_statements(site, [file.entry for file in wanted])
        remove_statements(site, [one for found in there.values() for one in found])


def test_the_record_of_a_request_says_what_was_attached_for_which_day(
    erp: SandboxERPNext, site: Site
) -> None:
    wanted = files(3)
    attach(site, wanted)
    record = erp.documents("ScoopJoy Delivery")[-1]
    assert (record["channel"], record["business_day"], record["revision"]) == ("statements", str(DAY), 0)
    assert record["recipient"] == f"{wanted[0].entry} and 2 more"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 40), data=st.data())
def test_a_file_that_erpnext_refuses_comes_back_alone_in_few_requests(
    erp: SandboxERPNext, site: Site, count: int, data: st.DataObject
) -> None:
    wanted = files(count)
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=3), label="bad")
    for number in bad:
        wanted[number] = StatementFile(wanted[number].entry, "x" * 200 + ".pdf", b"%PDF")
    erp.requests.reset()
    results = attach(site, wanted)
    assert {entry for entry, problem in results.items() if isinstance(problem, Rejected)} == {
        wanted[number].entry for number in bad
    }
    batches = math.ceil(count / statement_files.MOST_FILES)
    assert erp.requests.total <= batches + 2 * len(bad) * math.ceil(math.log2(count))
    assert_attached(site, [file for number, file in enumerate(wanted) if number not in bad])


@pytest.mark.parametrize(
    ("kind", "error", "hits"),
    [("refused_before_commit", Ambiguous, INSERT_ATTEMPTS), ("deadlock", Transient, 3)],
)
def test_a_site_that_never_takes_them_is_given_up_and_each_file_says_so(
    erp: SandboxERPNext, kind: str, error: type[ERPNextError], hits: int
) -> None:
    wanted = files(5)
    with session_of(erp, attempts=3) as session:
        rule = erp.faults.add(kind, path=MANY, times=None)
        site = Site.open(session)
        assert all(isinstance(one, error) for one in attach(site, wanted).values())
        assert rule.hit == hits
        erp.faults.clear()
        assert set(attach(site, wanted).values()) == {None}
        assert_attached(site, wanted)


def test_a_look_that_fails_is_told_for_each_file(erp: SandboxERPNext, site: Site) -> None:
    wanted = files(3)
    erp.faults.add("committed_never_answered", path=MANY)
    erp.faults.add("maintenance", path=LIST, times=None)
    assert all(isinstance(one, Transient) for one in attach(site, wanted).values())
    erp.faults.clear()
    assert_attached(site, wanted)


def test_a_wrong_key_ends_it(erp: SandboxERPNext, site: Site) -> None:
    with Session(erp.url, "not", "it") as session:
        wrong = Site(Client(session), site.dialect, site.version)
        with pytest.raises(LoginFailed):
            list(attach_all(wrong, files(2), company="ScoopJoy", day=DAY))
