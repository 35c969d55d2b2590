"""Files: the statement that is attached to an entry, private, found again, and replaced."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from .lines import V15
from .site import patiently

if TYPE_CHECKING:
    from .books import Books
    from .site import Answer, Caller, Site


def pdf(tag: str = "") -> bytes:
    """A whole document of one empty page: v16 reads what calls itself a PDF."""
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] >>",
    )
    text, places = f"%PDF-1.4\n% {tag}\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(text))
        text += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n{len(text)}\n%%EOF\n"
    return f"{text}xref\n0 4\n0000000000 65535 f \n{table}{end}".encode("latin-1")


PDF = pdf()


@pytest.fixture
def entry(robot: Caller, books: Books, franchise: str) -> str:
    made = patiently(lambda: robot.insert("Journal Entry", **books.royalty(franchise), docstatus=1))
    return str(made.value["name"])


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
    content = pdf(entry)  # of its own: equal contents share one file
    url = quote(upload(robot, entry, content=content).value["file_url"])
    answer = limited.call("GET", url)
    assert (answer.status, content in answer.content) == (403, False)


def test_the_same_file_again_is_a_second_attachment(robot: Caller, entry: str) -> None:
    first, second = (upload(robot, entry).value for _ in range(2))
    assert first["name"] != second["name"]
    assert first["file_url"] == second["file_url"]
    assert len(attached(robot, entry)) == 2


def test_a_deleted_attachment_is_gone_and_can_be_replaced(robot: Caller, entry: str) -> None:
    first = upload(robot, entry, content=pdf(f"{entry} 1")).value
    assert robot.delete("File", first["name"]).status == 202
    assert attached(robot, entry) == []
    second = upload(robot, entry, content=pdf(f"{entry} 2")).value
    assert [row["name"] for row in attached(robot, entry)] == [second["name"]]
    assert robot.call("GET", quote(second["file_url"])).content == pdf(f"{entry} 2")


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


def bulk(entry: str, name: str, content: bytes, **fields: Any) -> dict[str, Any]:
    return {
        "doctype": "File",
        "file_name": name,
        "is_private": 1,
        "folder": "Home/Attachments",
        "attached_to_doctype": "Journal Entry",
        "attached_to_name": entry,
        "content": base64.b64encode(content).decode(),
        "decode": 1,
        **fields,
    }


def test_files_inserted_in_bulk_are_what_uploads_are(robot: Caller, entry: str) -> None:
    contents = [pdf(f"{entry} {number}") for number in range(3)]
    upload(robot, entry, f"{entry}-0.pdf", contents[0], folder="Home/Attachments").accepted()
    docs = [
        bulk(entry, f"{entry}-{number}.pdf", content) for number, content in enumerate(contents) if number
    ]
    names = robot.rpc("frappe.client.insert_many", docs=docs).value
    rows = robot.rows(
        "File",
        [
            "name",
            "file_name",
            "is_private",
            "file_size",
            "folder",
            "file_type",
            "attached_to_doctype",
            "file_url",
        ],
        [["attached_to_name", "=", entry]],
        order_by="file_name asc",
    )
    assert [row.pop("name") for row in rows][1:] == names
    for row, content in zip(rows, contents, strict=True):
        assert robot.call("GET", quote(row["file_url"])).content == content
        assert row.pop("file_url").startswith("/private/files/")
        row["file_name"] = row["file_name"].removeprefix(entry)
        row["file_size"] -= len(content)
    same = {
        "is_private": 1,
        "file_size": 0,
        "folder": "Home/Attachments",
        "file_type": "PDF",
        "attached_to_doctype": "Journal Entry",
    }
    assert rows == [{"file_name": f"-{number}.pdf", **same} for number in range(3)]


@pytest.mark.parametrize(
    ("wrong", "exc_type"),
    [
        ({"folder": "Home/Nowhere"}, "LinkValidationError"),
        ({"file_name": "x" * 200 + ".pdf"}, "CharacterLengthExceededError"),
    ],
)
def test_files_inserted_in_bulk_are_attached_all_or_none(
    robot: Caller, entry: str, wrong: dict[str, Any], exc_type: str
) -> None:
    docs = [
        bulk(entry, f"{entry}-good.pdf", pdf(f"good {entry}")),
        bulk(entry, f"{entry}-bad.pdf", pdf(f"bad {entry}"), **wrong),
    ]
    robot.rpc("frappe.client.insert_many", docs=docs).refused(417, exc_type)
    assert attached(robot, entry) == []


def test_a_file_for_no_document_is_refused_and_since_v16_hangs_on_nothing(
    robot: Caller, line: str, entry: str
) -> None:
    body = bulk(entry, f"{entry}-lost.pdf", pdf(f"lost {entry}"), attached_to_name=None)
    answer = robot.rpc("frappe.client.insert_many", docs=[body])
    if line == V15:
        answer.refused(417, "ValidationError")
    else:
        stored = robot.get("File", answer.value[0]).value
        assert not stored.get("attached_to_doctype")
        assert not stored.get("attached_to_name")


def test_a_file_of_known_content_keeps_its_name_and_shares_the_address(robot: Caller, entry: str) -> None:
    content = pdf(entry)
    first = upload(robot, entry, f"{entry}-a.pdf", content).value
    robot.rpc("frappe.client.insert_many", docs=[bulk(entry, f"{entry}-b.pdf", content)]).accepted()
    rows = robot.rows(
        "File", ["file_name", "file_url"], [["attached_to_name", "=", entry]], order_by="file_name asc"
    )
    assert rows == [{"file_name": f"{entry}-{letter}.pdf", "file_url": first["file_url"]} for letter in "ab"]


def test_an_upload_for_a_missing_document_is_accepted_all_the_same(robot: Caller, books: Books) -> None:
    nowhere = f"{books.prefix} nowhere"
    assert upload(robot, nowhere).value["attached_to_name"] == nowhere


def test_a_pdf_that_is_none_is_500_since_v16(robot: Caller, line: str, entry: str) -> None:
    answer = upload(robot, entry, content=b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n")
    if line == V15:
        assert len(attached(robot, entry)) == 1
    else:
        answer.refused(500, "PdfReadError")
        assert attached(robot, entry) == []


def test_a_guest_uploads_nothing(site: Site, entry: str) -> None:
    assert upload(site.guest, entry).status == 403
    assert attached(site.robot, entry) == []
