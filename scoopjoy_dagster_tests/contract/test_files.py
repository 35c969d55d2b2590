"""Files: the statement that is attached to an entry, private, found again, and replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from .books import Books
    from .site import Answer, Caller, Site

PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


@pytest.fixture
def entry(robot: Caller, books: Books, franchise: str) -> str:
    return str(robot.insert("Journal Entry", **books.royalty(franchise), docstatus=1).value["name"])


def upload(
    robot: Caller, entry: str, name: str = "statement.pdf", content: bytes = PDF, **fields: Any
) -> Answer:
    data = {"doctype": "Journal Entry", "docname": entry, "is_private": "1", **fields}
    files = {"file": (name, content, "application/pdf")}
    return robot.call("POST", "/api/method/upload_file", data=data, files=files)


def attached(robot: Caller, entry: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = robot.rows(
        "File",
        ["name", "file_name", "file_url", "is_private", "file_size"],
        [["attached_to_doctype", "=", "Journal Entry"], ["attached_to_name", "=", entry]],
    )
    return rows


def test_an_upload_is_attached_private_and_listed_by_its_document(robot: Caller, entry: str) -> None:
    made = upload(robot, entry, f"{entry}.pdf").value
    assert (made["attached_to_doctype"], made["attached_to_name"], made["is_private"]) == (
        "Journal Entry",
        entry,
        1,
    )
    assert attached(robot, entry) == [
        {
            "name": made["name"],
            "file_name": f"{entry}.pdf",
            "file_url": made["file_url"],
            "is_private": 1,
            "file_size": len(PDF),
        }
    ]
    assert made["file_url"].startswith("/private/files/")


def test_attaching_touches_neither_state_nor_modified_of_the_document(robot: Caller, entry: str) -> None:
    before = robot.get("Journal Entry", entry).value
    upload(robot, entry).accepted()
    after = robot.get("Journal Entry", entry).value
    assert (after["docstatus"], after["modified"]) == (1, before["modified"])


def test_a_private_file_is_downloaded_with_credentials_only(site: Site, robot: Caller, entry: str) -> None:
    url = quote(upload(robot, entry).value["file_url"])
    assert (robot.call("GET", url).status, robot.call("GET", url).content) == (200, PDF)
    guest = site.guest.call("GET", url)
    assert (guest.status, PDF in guest.content) == (403, False)


def test_a_user_who_may_not_read_the_document_may_not_read_its_file(
    robot: Caller, limited: Caller, entry: str
) -> None:
    content = PDF + entry.encode()  # of its own: equal contents share one file
    url = quote(upload(robot, entry, content=content).value["file_url"])
    answer = limited.call("GET", url)
    assert (answer.status, content in answer.content) == (403, False)


def test_the_same_file_again_is_a_second_attachment(robot: Caller, entry: str) -> None:
    first, second = (upload(robot, entry).value for _ in range(2))
    assert first["name"] != second["name"]
    assert first["file_url"] == second["file_url"]
    assert len(attached(robot, entry)) == 2


def test_a_deleted_attachment_is_gone_and_can_be_replaced(robot: Caller, entry: str) -> None:
    first = upload(robot, entry, content=PDF + b"1").value
    assert robot.delete("File", first["name"]).status == 202
    assert attached(robot, entry) == []
    second = upload(robot, entry, content=PDF + b"2").value
    assert [row["name"] for row in attached(robot, entry)] == [second["name"]]
    assert robot.call("GET", quote(second["file_url"])).content == PDF + b"2"


def test_one_list_finds_the_attachments_of_many_documents(
    robot: Caller, books: Books, franchise: str
) -> None:
    entries = [robot.insert("Journal Entry", **books.royalty(franchise)).value["name"] for _ in range(2)]
    for entry in entries:
        upload(robot, entry, f"{entry}.pdf").accepted()
    rows = robot.rows(
        "File",
        ["attached_to_name", "file_name"],
        [["attached_to_doctype", "=", "Journal Entry"], ["attached_to_name", "in", entries]],
        order_by="attached_to_name asc",
    )
    assert [(row["attached_to_name"], row["file_name"]) for row in rows] == [
        (entry, f"{entry}.pdf") for entry in sorted(entries)
    ]


def test_an_upload_for_a_missing_document_is_accepted_all_the_same(robot: Caller, books: Books) -> None:
    nowhere = f"{books.prefix} nowhere"
    assert upload(robot, nowhere).value["attached_to_name"] == nowhere


def test_a_guest_uploads_nothing(site: Site, entry: str) -> None:
    assert upload(site.guest, entry).status == 403
    assert attached(site.robot, entry) == []
