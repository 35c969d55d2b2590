"""API keys: issued to users, looked up by requests.

Belongs here: key, secret and whose they are. Does not belong here: the ``Authorization`` header (``routes``).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.session import Session
    from scoopjoy_dagster.sandbox.erpnext.site import Site

#: Characters of a key and of a secret (frappe/core/doctype/user/user.py, ``generate_keys``).
LENGTH = 15


def owner(site: Site, api_key: str, api_secret: str) -> str | None:
    """The user to whom a key and its secret belong; ``None`` if the two do not match."""
    found = site.db.one("SELECT user, secret FROM auth WHERE api_key = ?", (api_key,))
    return str(found[0]) if found is not None and found[1] == api_secret else None


def pair_of(site: Site, user: str) -> tuple[str, str] | None:
    """Key and secret of a user; ``None`` before any have been issued."""
    found = site.db.one("SELECT api_key, secret FROM auth WHERE user = ?", (user,))
    return (str(found[0]), str(found[1])) if found is not None else None


def keep(site: Site, user: str, api_key: str, api_secret: str) -> None:
    """Store a user's key and secret; what was valid before is so no longer."""
    site.db.run("DELETE FROM auth WHERE user = ?", (user,))
    site.db.run("INSERT INTO auth VALUES (?, ?, ?)", (api_key, api_secret, user))


def generate(session: Session, user: str) -> dict[str, Any]:
    """A new secret for a user, and a key if there is none yet.

    Raises:
        SiteError: 403 without the role System Manager, 404 for an unknown user.
    """
    if session.user != "Administrator" and "System Manager" not in session.roles:
        raise SiteError("PermissionError")
    doc = session.load("User", user)
    secret = _random()
    doc["api_key"] = doc.get("api_key") or _random()
    session.save(doc)
    keep(session.site, doc.name, doc["api_key"], secret)
    return {"api_secret": secret}


def _random() -> str:
    return secrets.token_hex(LENGTH)[:LENGTH]
