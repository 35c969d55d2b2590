"""Control characters in other people's text: terminal escapes, NUL, and what turns the direction of writing around.

They are taken out where text enters, so that no log, terminal, mail, chat, table or page has to think of them. A text
that is only shown loses them (`shown`). A text that ERPNext must find a document by again cannot: the name of a Customer
may hold one, and keys, links and lookups need it as it is. There a stand-in takes the place of each (`held`), a
character of Unicode's private use that does nothing anywhere, and what is sent to ERPNext has the original again
(`released`). A text that has such a character itself gets the replacement character instead: its document is not found
any more, which the night says, and never taken for another.

Tab, line feed and CR LF stay, and so do the joiners (ZWJ, ZWNJ) that Indic scripts and emoji are written with.
"""

from __future__ import annotations

import json
import re
from typing import Any

_CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)"  # C0 and C1
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # Unicode's Bidi_Control
    r"|[\ud800-\udfff]"  # half of a pair: it cannot be written as UTF-8
)
_STAND_IN = 0xF0000
_STAND_INS = re.compile(
    "[\U000f0000-\U000f0008\U000f000b-\U000f001f\U000f007f-\U000f009f"
    "\U000f061c\U000f200e\U000f200f\U000f202a-\U000f202e\U000f2066-\U000f2069]"
)
_NO_CHARACTER = "\N{REPLACEMENT CHARACTER}"


def shown(text: str) -> str:
    """The text without control characters and their stand-ins, for texts that are only shown."""
    return _STAND_INS.sub("", _CONTROLS.sub("", text))


def held(value: Any) -> Any:
    """A decoded JSON value in whose texts each control character has its stand-in. Lists and objects are changed in place."""
    root = [value]
    waiting: list[Any] = [root]
    while waiting:  # no recursion: the nesting is the server's
        one = waiting.pop()
        for key, item in one.items() if type(one) is dict else enumerate(one):
            kind = type(item)
            if kind is str:
                if not item.isprintable():
                    one[key] = _held(item)
            elif kind is list or kind is dict:
                waiting.append(item)
        if type(one) is dict:
            for key in [key for key in one if not key.isprintable()]:
                one[_held(key)] = one.pop(key)
    return root[0]


def released(text: str) -> str:
    """The text with the control characters that `held` put stand-ins for."""
    return _STAND_INS.sub(lambda found: chr(ord(found[0]) - _STAND_IN), text)


def released_json(text: str) -> str:
    """The same for JSON: what `json.dumps` would have written without the stand-ins."""
    return _STAND_INS.sub(lambda found: json.dumps(released(found[0]), ensure_ascii=False)[1:-1], text)


def _held(text: str) -> str:
    return _CONTROLS.sub(_stand_in, _STAND_INS.sub(_NO_CHARACTER, text))


def _stand_in(found: re.Match[str]) -> str:
    code = ord(found[0])
    return _NO_CHARACTER if 0xD800 <= code <= 0xDFFF else chr(_STAND_IN + code)
