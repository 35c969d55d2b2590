"""Attachments: upload, the File row, download."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from pathlib import PurePosixPath
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import permissions
from scoopjoy_dagster.sandbox.erpnext.document import Doc
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.values import whole
from scoopjoy_dagster.sandbox.erpnext.wire import Reply, Upload, html

#: The folders that a new site has.
FOLDERS = ("Home", "Home/Attachments")


def store(session: Session, upload: Upload, args: dict[str, Any]) -> Doc:
    """Keep the content and make its File row. The document that it hangs on need not exist (06-17)."""
    private = whole(args.get("is_private"))
    digest = hashlib.md5(upload.content, usedforsecurity=False).hexdigest()
    folder = "/private/files" if private else "/files"
    name = PurePosixPath(upload.filename.replace("\\", "/")).name
    if session.site.line.reads_pdfs and name.lower().endswith(".pdf"):
        _check_pdf(upload.content)
    url = f"{folder}/{name}"
    # The same content in the same folder is kept once, under the name that it had first.
    same = session.site.db.one(
        'SELECT file_url FROM "tabFile" WHERE content_hash = ? AND is_private = ?', (digest, private)
    )
    taken = session.site.db.one("SELECT 1 FROM content WHERE url = ?", (url,))
    if same is not None:
        url = str(same[0])
    elif taken is not None:
        path = PurePosixPath(name)
        name = f"{path.stem}{digest[-6:]}{path.suffix}"
        url = f"{folder}/{name}"
    session.site.db.run("INSERT OR REPLACE INTO content VALUES (?, ?)", (url, upload.content))
    doc = session.new(
        "File",
        {
            "file_name": name,
            "is_private": private,
            "file_type": PurePosixPath(name).suffix.lstrip(".").upper() or None,
            "file_size": len(upload.content),
            "file_url": url,
            "folder": args.get("folder") or "Home",
            "attached_to_doctype": args.get("doctype") or None,
            "attached_to_name": args.get("docname") or None,
            "attached_to_field": args.get("fieldname") or args.get("docfield") or None,
            "content_hash": digest,
        },
    )
    return session.insert(doc)


def _check_pdf(content: bytes) -> None:
    """A real site opens the document; here it is one if it ends as PDFs do."""
    for mark in (b"%%EOF", b"startxref"):
        if mark not in content:
            what = "EOF marker" if mark == b"%%EOF" else mark.decode()
            raise SiteError("PdfReadError", f"{what} not found")


def insert(session: Session, data: dict[str, Any]) -> Doc:
    """A File that a client inserts with its content, as text or (with ``decode``) as base64."""
    content = str(data["content"])
    if session.site.line.drops_half_attachments and not data.get("attached_to_name"):
        data = {**data, "attached_to_doctype": None, "attached_to_field": None}
    if data.get("attached_to_doctype") and not isinstance(data.get("attached_to_name"), str | int):
        raise thrown("Attached To Name must be a string or an integer")
    folder = data.get("folder") or ("Home/Attachments" if data.get("attached_to_doctype") else "Home")
    if folder not in FOLDERS:
        raise thrown(f"Could not find Folder: {folder}", "LinkValidationError")
    if not data.get("file_name"):
        raise thrown("Fields `file_name` or `file_url` must be set for File", "MandatoryError")
    body = base64.b64decode(content) if whole(data.get("decode")) else content.encode()
    where = {"doctype": data.get("attached_to_doctype"), "docname": data.get("attached_to_name")}
    fields = {"is_private": data.get("is_private"), "fieldname": data.get("attached_to_field")}
    return store(session, Upload(str(data["file_name"]), body), {**where, **fields, "folder": folder})


def attach(session: Session, args: dict[str, Any]) -> Doc:
    """``frappe.client.attach_file``: the content as base64 (with ``decode_base64``) or as text."""
    doctype, docname = str(args.get("doctype") or ""), str(args.get("docname") or "")
    session.require(doctype, "read", session.load(doctype, docname).name)
    data = args.get("filedata") or ""
    content = base64.b64decode(data) if whole(args.get("decode_base64")) else str(data).encode()
    if not args.get("filename"):
        raise thrown("Please set a file name")
    return store(session, Upload(str(args["filename"]), content), args)


def _readable(session: Session, owner: str, doctype: str | None, name: str | None) -> bool:
    """Whether a private File row lets the user at its content (frappe/core/doctype/file/file.py)."""
    if session.user in {"Administrator", owner}:
        return True
    if not doctype or not name or doctype not in session.site.metas or not session.exists(doctype, name):
        return False
    return permissions.may(session, doctype, "read")


def download(session: Session, path: str) -> Reply:
    """A stored file; a private one only for who may read a document that it hangs on, or has uploaded it.

    The same content hangs on several documents under one address: one of them that the user may read is enough.
    """
    if path.startswith("/private/"):
        rows = session.site.db.rows(
            'SELECT owner, attached_to_doctype, attached_to_name FROM "tabFile" WHERE file_url = ?', (path,)
        )
        if session.user == "Guest" or not any(_readable(session, *row) for row in rows):
            return html(403, "Forbidden", "<p>You don&#39;t have permission to access this file</p>")
    found = session.site.db.one("SELECT body FROM content WHERE url = ?", (path,))
    if found is None:
        return html(404, "Not Found")
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return Reply(200, found[0], f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
