"""The signatures of a delivery: Standard Webhooks over id, timestamp and body, and the old one over the body alone.

A secret is what its prefix says: `whsec_` and base64 is a symmetric key (HMAC-SHA256, `v1`), `whsk_` and base64 the private
half of an ed25519 pair (`v1a`), and anything else is itself a symmetric key, its bytes in UTF-8.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from importlib.util import find_spec

SYMMETRIC, PRIVATE = "whsec_", "whsk_"
SHORTEST_KEY = 24
"""Bytes of a symmetric key at least, as the specification asks: a shorter one can be guessed from a recorded delivery."""

_TOO_SHORT = (
    f"has fewer than {SHORTEST_KEY} bytes and can be guessed: make a new one with `openssl rand -base64 32 | sed s/^/whsec_/`, and "
    "move this one to SCOOPJOY_HQ_PREVIOUS_SECRET until headquarters knows the new one"
)


def problem(secret: str, *, replaced: bool = False) -> str:
    """Why nothing can be signed with a secret, as the rest of a sentence without any part of it; empty for one that is right.

    Args:
        secret: as it was set.
        replaced: it signs only until the receiver knows the one that replaces it; any text may.
    """
    if not secret.startswith((SYMMETRIC, PRIVATE)):
        if not secret:
            return "is empty"
        return "" if replaced or len(secret.encode()) >= SHORTEST_KEY else _TOO_SHORT
    key = _key(secret)
    if key is None:
        return f"begins with {SYMMETRIC} or {PRIVATE}, but what follows is no base64"
    if secret.startswith(SYMMETRIC):
        return (
            ""
            if len(key) >= SHORTEST_KEY
            else f"is too short: after {SYMMETRIC} come 24 to 64 bytes in base64"
        )
    if len(key) not in {32, 64}:
        return f"is no ed25519 key: after {PRIVATE} come the 32 bytes of the private key, or these and the public one, in base64"
    if find_spec("cryptography") is None:
        return "is an ed25519 key, for which the library cryptography is needed: install scoopjoy_dagster[ed25519]"
    return ""


def standard(secrets: Sequence[str], identifier: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: a signature by each of the secrets, which are right."""
    content = f"{identifier}.{timestamp}.".encode() + body
    return " ".join(_signature(secret, content) for secret in secrets)


def of_body(secrets: Sequence[str], body: bytes) -> str:
    """The old header: `sha256=` and the hex HMAC-SHA256 of the body by the first secret that is shared, as it is written.

    Empty when none is shared. It does not stop a replay; it is sent to receivers that know no other.
    """
    shared = next((one for one in secrets if not one.startswith(PRIVATE)), "")
    if not shared:
        return ""
    return "sha256=" + hmac.new(shared.encode("utf-8"), body, hashlib.sha256).hexdigest()


def spellings(secrets: Sequence[str]) -> re.Pattern[bytes]:
    """What finds the secrets in an answer: as they were set, and the keys in them, plain, in hex, or escaped as in URLs and JSON."""
    forms = []
    for secret in secrets:
        if secret.startswith((SYMMETRIC, PRIVATE)):
            forms.append((secret.partition("_")[2].rstrip("="), "utf-8"))
            forms.append(((_key(secret) or b"").decode("latin-1"), "latin-1"))
        else:
            forms.append((secret, "utf-8"))
    return re.compile(
        b"|".join(b"".join(_spelt(char, encoding) for char in text) for text, encoding in forms),
        re.IGNORECASE,
    )


def _spelt(char: str, encoding: str) -> bytes:
    """A pattern that finds one character, or one byte of a key, however it is written."""
    raw = char.encode(encoding)
    in_hex = b"".join(rb"(?:%%|\\x)?%02x" % byte for byte in raw)
    in_json = re.sub("(....)", r"\\\\u\1", char.encode("utf-16-be").hex()).encode()
    return rb"(?:\\?" + re.escape(raw) + b"|" + in_hex + b"|" + in_json + b")"


def _signature(secret: str, content: bytes) -> str:
    key = _key(secret) or b""
    if secret.startswith(PRIVATE):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return "v1a," + _base64(Ed25519PrivateKey.from_private_bytes(key[:32]).sign(content))
    return "v1," + _base64(hmac.digest(key, content, hashlib.sha256))


def _key(secret: str) -> bytes | None:
    for prefix in (SYMMETRIC, PRIVATE):
        if secret.startswith(prefix):
            text = secret.removeprefix(prefix)
            try:
                return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            except binascii.Error:
                return None
    return secret.encode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
