"""Control characters in ERPNext's texts: nobody sees one anywhere, and the document that has one in its name is still found."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from datetime import date
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.figures import DayFigures, FranchiseFigures
from scoopjoy_dagster.accounting.keys import digest, royalty_key
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.bounded_http import decoded
from scoopjoy_dagster.clean_text import held, released, released_json, shown
from scoopjoy_dagster.erpnext.batches import insert_all_once
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, Client
from scoopjoy_dagster.erpnext.errors import Rejected, plain_text
from scoopjoy_dagster.erpnext.session import encode
from scoopjoy_dagster.hq import payload
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.erpnext.scripted import Answer, answering, session_with
from scoopjoy_dagster_tests.world import DAY, THANE, exact

if TYPE_CHECKING:
    from scoopjoy_dagster_tests.world import World

COMMANDS = "".join(
    chr(code)
    for code in range(0x10000)
    if unicodedata.bidirectional(chr(code)) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
)
EVIL = "Thane\u202e\u2066 \x1b[2J\x1b]0;owned\x07\x9b31m\x7f\x08 Gelato"
HONEST = [
    "क्\u200dष \u200c श्री",
    "👩\u200d🍳 Cone",
    "Tab\there\nand\r\nthere",
    "O'Cone's Café",
    "₹ 5",
    "𝒜\U0010fffd",
]


def controls(text: str) -> list[str]:
    return re.findall(
        r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", text
    )


STAND_INS = "".join(chr(0xF0000 + ord(one)) for one in controls("".join(map(chr, range(0x2100)))))


def test_the_whole_set_is_unicode_s() -> None:
    assert set(COMMANDS) <= set(controls(COMMANDS))
    for code in range(0x10000):
        one = chr(code)
        if unicodedata.category(one) == "Cc" and one not in "\t\n":
            assert shown(one) == ""
        elif one not in controls(one) and not 0xD800 <= code <= 0xDFFF:
            assert shown(one) == held([one])[0] == released(one) == one


@pytest.mark.parametrize("text", HONEST)
def test_joiners_scripts_tabs_and_line_ends_stay(text: str) -> None:
    assert shown(text) == text
    assert decoded(json.dumps({text: [text]}).encode()) == {text: [text]}
    assert encode({"a": text}) == json.dumps({"a": text}, ensure_ascii=False).encode()


@given(st.text())
def test_what_was_read_is_sent_back_as_it_was(text: str) -> None:
    (kept,) = decoded(json.dumps([text]).encode())
    assert not controls(kept)
    assert released(kept) == re.sub(rf"[\ud800-\udfff{STAND_INS}]", "\ufffd", text)
    assert json.loads(encode([kept])) == [released(kept)]
    assert shown(kept) == shown(released(kept))


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_text_in_a_decoded_answer_has_one(value: Any) -> None:
    for ascii_only in (True, False):
        sent = json.dumps({"message": value}, ensure_ascii=ascii_only).encode(errors="surrogatepass")
        try:
            found = decoded(sent)
        except ValueError:
            continue  # half a pair is no UTF-8
        written = json.dumps(found, ensure_ascii=False)
        assert not controls(
            re.sub(r"\\[bf]|\\u00[01]\w", "\x00", written.replace("\\\\", "")).replace("\n", "")
        )


def test_two_names_that_differ_in_one_stay_two() -> None:
    names = ["A\u202eB", "AB", "A\x00B", "A\U000f202eB"]
    assert len({held([name])[0] for name in names}) == len(names)


# -- identity -----------------------------------------------------------------------------------------------------------


def test_keys_digests_and_documents_of_such_a_name_are_what_they_always_were() -> None:
    """Otherwise an upgrade would post and send again what is there."""
    (kept,) = held([EVIL])
    day = date(2026, 11, 22)
    for name, same in ((EVIL, kept), (EVIL * 9, kept * 9)):
        assert released(royalty_key("ScoopJoy", day, same, 0)) == royalty_key("ScoopJoy", day, name, 0)
        plain = json.dumps({"customer": name}, ensure_ascii=False, separators=(",", ":"))
        assert digest({"customer": same}) == hashlib.sha256(plain.encode()).hexdigest()[:32]
        assert released_json(json.dumps(same, ensure_ascii=False)) == json.dumps(name, ensure_ascii=False)
    one = DayFigures(ZERO, ZERO, ZERO, 0, (FranchiseFigures(kept, kept, 1, ZERO, ZERO, ZERO),))
    (stored,) = decoded(encode([one.as_text()]))
    assert DayFigures.from_text(stored) == DayFigures.from_text(one.as_text()) == one
    document = {"company": kept, "business_day": "2026-11-22", "revision": 0}
    assert payload.canonical(document) == payload.canonical(document | {"company": EVIL})
    assert payload.idempotency_key(document) == f"hq:{EVIL}:2026-11-22:0"


# -- messages -----------------------------------------------------------------------------------------------------------


def test_a_message_of_erpnext_is_shown_without() -> None:
    inner = json.dumps([json.dumps({"message": f"{EVIL}&#x202e;&#155;"})])
    with (
        answering(Answer(417, {"exc_type": "Validation\x1bError", "_server_messages": inner})) as site,
        session_with(site) as session,
        pytest.raises(Rejected) as refused,
    ):
        Client(session).rows("Customer", ["name"], [])
    assert not controls(str(refused.value))
    assert "ValidationError: Thane [2J]0;owned31m Gelato" in str(refused.value)
    assert plain_text(f"a{EVIL}") == "aThane [2J]0;owned31m Gelato"


def test_why_a_document_of_many_was_not_stored_is_shown_without_and_cut() -> None:
    inner = json.dumps([json.dumps({"message": EVIL * 100})])
    body = {"exc_type": "ValidationError", "_server_messages": inner}
    entry = {KEY_FIELD: "royalty:1", DIGEST_FIELD: "x"}
    with answering(Answer(417, body)) as site, session_with(site) as session:
        ((_, said),) = insert_all_once(Client(session), "Journal Entry", [entry], labels=["Thane"])
    assert isinstance(said, Rejected)
    assert not controls(str(said))
    assert said.said.startswith("ValidationError: Thane [2J]0;owned31m Gelato")
    assert len(said.said) < 500


# -- a night with such a customer ---------------------------------------------------------------------------------------


def test_a_franchise_with_control_characters_in_its_name_is_closed_once_and_nobody_sees_them(
    full_chain: World, capfd: pytest.CaptureFixture[str]
) -> None:
    chain = full_chain
    customer = seed.add_franchise(chain.erpnext, EVIL, group="Metro Partners", rate=10)
    assert customer == EVIL
    chain.invoice(customer, "1000")
    chain.invoice(THANE, "500")
    run = chain.close()
    assert run.success, [event.message for event in run.result.get_step_failure_events()]

    # ERPNext has it under its own name, once, and finds it again.
    (entry,) = [
        one
        for one in chain.erpnext.documents("Journal Entry")
        if any(row.get("party") == EVIL for row in one["accounts"])
    ]
    assert entry["custom_scoopjoy_key"] == royalty_key(entry["company"], DAY, EVIL, 0)
    assert max(exact(row["debit"]) for row in entry["accounts"]) > 0
    chain.erpnext.requests.reset()
    again = chain.close()
    assert again.success
    assert chain.erpnext.requests.writes == 0

    # Headquarters has the names of ERPNext, too.
    assert chain.headquarters is not None
    (told,) = chain.headquarters.deliveries
    assert [row["customer"] for row in told.payload["franchises"]].count(EVIL) == 1

    # Nobody sees one.
    for record in chain.instance.all_logs(run.result.run_id):
        for text in (record.user_message, record.message, *texts_of(record.dagster_event)):
            assert not controls(text), text
    assert chain.mail is not None
    mails = [mail.message for mail in chain.mail.messages]
    assert mails
    for mail in mails:
        assert not controls(mail["Subject"])
        for kind in ("html", "plain"):
            assert not controls(body(mail, kind))
        assert "Gelato" in body(mail, "html")
    said = capfd.readouterr()
    assert not controls(re.sub(r"\x1b\[\d*(;\d+)*m", "", said.out + said.err))  # Dagster's own colours


def test_a_name_with_a_stand_in_of_its_own_is_not_taken_for_the_other_and_the_night_says_so(
    full_chain: World,
) -> None:
    chain = full_chain
    right, wrong = "A\u202eB Gelato", "A\U000f202eB Gelato"
    for name, amount in ((right, "1000"), (wrong, "70")):
        chain.invoice(seed.add_franchise(chain.erpnext, name, group="Metro Partners", rate=10), amount)
    run = chain.close()
    parties = {
        row["party"]: exact(row["debit"])
        for one in chain.erpnext.documents("Journal Entry")
        for row in one["accounts"]
        if row.get("party") in {right, wrong}
    }
    assert parties == {right: 100}
    assert [one["who"] for one in run.exceptions("royalties")] == ["A\N{REPLACEMENT CHARACTER}B Gelato"]


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()) if part else ""


def texts_of(value: Any) -> list[str]:
    """Every text in an event, its metadata included."""
    from dagster import serialize_value

    if value is None:
        return []
    found: list[str] = []

    def walk(one: Any) -> None:
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, dict):
            walk(list(one.keys()) + list(one.values()))
        elif isinstance(one, list):
            for item in one:
                walk(item)

    walk(json.loads(serialize_value(value)))
    return found
