"""Attachments: upload, the File row, download."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from pathlib import PurePosixPath
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import permissions
from scoopjoy_dagster.sandbox.erpnext.document import Doc
from scoopjoy_dagster.sandbox.erpnext.errors import thrown
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.values import whole
from scoopjoy_dagster.sandbox.erpnext.wire import Reply, Upload, html


def store(session: Session, upload: Upload, args: dict[str, Any]) -> Doc:
    """Keep the content and make its File row. The document that it hangs on need not exist (06-17)."""
    private = whole(args.get("is_private"))
    digest = hashlib.md5(upload.content, usedforsecurity=False).hexdigest()
    folder = "/private/files" if private else "/files"
    name = PurePosixPath(upload.filename.replace("\\", "/")).name
    url = f"{folder}/{name}"
    stored = session.site.db.one("SELECT body FROM content WHERE url = ?", (url,))
    if stored is not None and stored[0] != upload.content:
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
