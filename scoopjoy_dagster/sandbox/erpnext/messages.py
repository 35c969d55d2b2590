"""``_server_messages``: what the site has to say to people, packed into the answer.

Belongs here: the packing, and how later lines make HTML in it harmless. Does not belong here: what is said.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from typing import Any

#: What HTML may stay in a message (frappe/utils/html_utils.py, ``clean_html``).
_KEPT = frozenset("div p br ul ol li strong b em i u table thead tbody td tr a".split())  # noqa: SIM905 - a list of words
_TAG = re.compile(r"<(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9]*)(?P<rest>[^<>]*)>")


def packed(messages: list[dict[str, Any]], *, clean: bool) -> str:
    """A JSON text of JSON texts. ``clean``: as v16 does it."""
    if not clean:
        return json.dumps([json.dumps(message) for message in messages])
    return _compact([_compact(_cleaned(message)) for message in messages])


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _cleaned(message: dict[str, Any]) -> dict[str, Any]:
    text = message["message"]
    shape = {"as_list": True} if isinstance(text, list) else {"as_table": False}
    rest = {key: value for key, value in message.items() if key not in {"message", "as_list"}}
    cleaned = {"message": [_harmless(line) for line in text] if isinstance(text, list) else _harmless(text)}
    if "raise_exception" in rest:
        rest["__frappe_exc_id"] = hashlib.sha224(str(text).encode()).hexdigest()
    return cleaned | shape | rest


def _harmless(text: str) -> str:
    """Tags that are not allowed fall away, what is between them stays; everything else is text."""
    parts, start = [], 0
    for found in _TAG.finditer(text):
        parts.append(_escaped(text[start : found.start()]))
        start = found.end()
        if found["name"].lower() in _KEPT:
            rest = found["rest"]
            if found["name"] == "a" and not found["end"]:
                rest += ' rel="noopener noreferrer"'
            parts.append(f"<{found['end']}{found['name']}{rest}>")
    return "".join(parts) + _escaped(text[start:])


def _escaped(text: str) -> str:
    return html.escape(html.unescape(text), quote=False)
