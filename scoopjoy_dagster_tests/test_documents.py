"""The documents against the program: what they name is there, and what is there is named."""

from __future__ import annotations

import ast
import base64
import json
import re
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from scoopjoy_dagster.cli.main import app
from scoopjoy_dagster.erpnext.preflight import PERMISSIONS
from scoopjoy_dagster.hq import signature
from scoopjoy_dagster.hq.payload import canonical, delivery_id, idempotency_key
from scoopjoy_dagster.settings import ELSEWHERE, Settings, load_settings, variable

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *DOCS.rglob("*.md")])
RUNBOOK = (DOCS / "operations.md").read_text(encoding="utf-8")
REQUIRED = {
    "ERPNEXT_URL": "https://erp.example.com",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "secret",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
}


def _text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """What `docs/make_configuration.py` makes of the settings."""
    return runpy.run_path(str(DOCS / "make_configuration.py"))


# -- settings ---------------------------------------------------------------------------------------------------------


def test_configuration_and_the_example_are_what_the_settings_make(made: dict[str, Any]) -> None:
    text = _text("configuration.md")
    assert text == made["configuration"](text), "run .venv/bin/python docs/make_configuration.py"
    assert (PROJECT / ".env.example").read_text(encoding="utf-8") == made["example"]()


@pytest.mark.parametrize("key", Settings.model_fields)
def test_every_setting_is_named_with_its_meaning_and_default(key: str, made: dict[str, Any]) -> None:
    field = Settings.model_fields[key]
    default = made["default_of"](field)
    shown = "**required**" if default is None else f"`{default}`" if default else "empty"
    assert f"| `{variable(key)}` | {field.description} | {shown} |" in _text("configuration.md")


def test_the_defaults_of_the_example_are_those_of_the_program() -> None:
    lines = (PROJECT / ".env.example").read_text(encoding="utf-8").splitlines()
    found = [match for line in lines if (match := re.fullmatch(r'#([A-Z_]+)=("?)(.*)\2', line))]
    written: dict[str, str] = {match[1]: match[3] for match in found}
    ours = {variable(key) for key in Settings.model_fields}
    assert load_settings(
        {**REQUIRED, **{name: value for name, value in written.items() if value and name in ours}}
    ) == load_settings(REQUIRED)


def _variables_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:ERPNEXT|SCOOPJOY|SMTP)_[A-Z_]*[A-Z]\b", text))


def test_no_document_names_a_variable_that_nothing_reads() -> None:
    known = {variable(key) for key in Settings.model_fields} | {
        *ELSEWHERE,
        *_variables_in((PROJECT / "scoopjoy_dagster_tests/contract/conftest.py").read_text(encoding="utf-8")),
    }
    for document in DOCUMENTS:
        assert _variables_in(document.read_text(encoding="utf-8")) <= known, document


# -- the runbook ------------------------------------------------------------------------------------------------------


def _pattern(node: ast.expr) -> str | None:
    """A regular expression for the text of an expression; None for one that is no literal text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"[^|`*]+"
            for part in node.values
        )
    return None


@cache
def _nodes(folder: str = "") -> tuple[ast.AST, ...]:
    """Every node of the program's source, without the embedded world's."""
    files = sorted((PROJECT / "scoopjoy_dagster" / folder).rglob("*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files if "sandbox" not in path.parts]
    return tuple(node for tree in trees for node in ast.walk(tree))


@cache
def _whats() -> set[str]:
    """What every finding of the program says it is, as patterns."""
    found: set[str | None] = set()
    for node in _nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
            given = (
                node.args[1]
                if len(node.args) > 1
                else next(k.value for k in node.keywords if k.arg == "what")
            )
            found.add(_pattern(given))
            assert _pattern(given), f"line {node.lineno}: what a finding is must be a literal"
        if isinstance(node, ast.Dict):
            found |= {
                _pattern(value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value == "what"
            }
    return {one for one in found if one}


@cache
def _subjects() -> set[str]:
    """Subjects of alerts, as patterns."""
    parts = {part for node in _nodes("automation") if isinstance(node, ast.JoinedStr) for part in node.values}
    return {
        pattern
        for node in _nodes("automation")
        if isinstance(node, ast.JoinedStr | ast.Constant)
        and node not in parts
        and (pattern := _pattern(node))
        and pattern.startswith((r"\[CRITICAL\]\ ", r"\[WARNING\]\ "))
    }


def test_there_are_findings_and_alerts_to_look_for() -> None:
    assert len(_whats()) > 20
    assert len(_subjects()) >= 4


@pytest.mark.parametrize("what", sorted(_whats()))
def test_the_runbook_has_a_row_for_everything_that_an_exception_row_can_say(what: str) -> None:
    assert re.search(rf"^\| \*\*{what}\*\*[^|]*\| (error|warning) \|", RUNBOOK, re.MULTILINE), what


@pytest.mark.parametrize("subject", sorted(_subjects()))
def test_the_runbook_explains_every_subject_of_an_alert(subject: str) -> None:
    assert re.search(rf"^\| `{subject}` \|", RUNBOOK, re.MULTILINE), subject


def test_every_row_of_the_runbook_is_one_that_the_program_can_make() -> None:
    rows = re.findall(r"^\| \*\*([^*]+)\*\*[^|]*\| (?:error|warning) \|", RUNBOOK, re.MULTILINE)
    assert rows
    for row in rows:
        assert any(re.fullmatch(what, row) for what in _whats()), row


# -- commands, permissions, protocol ----------------------------------------------------------------------------------


def test_every_command_and_option_is_in_the_runbook() -> None:
    for name, command in app.commands.items():
        line = re.search(rf"^\| `scoopjoy {name}\b([^`]*)`", RUNBOOK, re.MULTILINE)
        assert line, name
        options = {opt for one in command.params if isinstance(one, click.Option) for opt in one.opts}
        assert options - {"-h", "--help"} == set(re.findall(r"--[a-z-]+", line[1])), name


def test_no_document_shows_a_command_that_is_not_there() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for name in re.findall(r"(?:`|/|^\s*)scoopjoy ([a-z]+)\b", text, re.MULTILINE):
            assert name in app.commands, f"{document}: scoopjoy {name}"


def test_every_permission_that_the_close_needs_is_in_the_security_document() -> None:
    rows = re.findall(r"^\| (\w[\w ]+) \| ([a-z, ]+) \|$", _text("security.md"), re.MULTILINE)
    begin = rows.index(("DocType", "permissions")) + 1
    assert rows[begin:] == [(doctype, ", ".join(actions)) for doctype, actions in PERMISSIONS]


def _boundaries() -> dict[str, str]:
    section = _text("security.md").partition("## Boundaries\n")[2].partition("\n## ")[0]
    parts = re.split(r"^### (.*)$", section, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("boundary", _boundaries())
def test_each_boundary_says_what_is_trusted_and_checked_and_which_tests_attempt_it(boundary: str) -> None:
    parts = re.split(r"^- \*\*(\w[\w ]*):\*\*", _boundaries()[boundary], flags=re.MULTILINE)[1:]
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(told) == ["Trusted", "Checked", "Attempted by"]
    assert all(text.strip() for text in told.values())
    attempts = re.findall(r"`(\S+\.py)::(test_\w+)`", told["Attempted by"])
    assert attempts
    assert re.sub(r"`\S+::test_\w+`", "", told["Attempted by"]).strip(" ,\n") == "", "names of tests alone"
    for file, name in attempts:
        tests = ast.parse((PROJECT / "scoopjoy_dagster_tests" / file).read_text(encoding="utf-8")).body
        assert name in {one.name for one in tests if isinstance(one, ast.FunctionDef)}, f"{file}::{name}"


def _example(language: str) -> str:
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```", _text("hq-protocol.md"), re.MULTILINE | re.DOTALL
    )
    return found[0]


@pytest.fixture
def document() -> dict[str, Any]:
    """The example document of the protocol."""
    found: dict[str, Any] = json.loads(_example("json"))
    return found


def test_the_verification_that_headquarters_is_given_accepts_our_signature_and_nothing_else(
    document: dict[str, Any],
) -> None:
    names: dict[str, Any] = {}
    exec(compile(_example("python"), "hq-protocol.md", "exec"), names)
    body = canonical(document)
    secret = "whsec_" + base64.b64encode(b"s" * 32).decode()
    key = idempotency_key(document)
    headers = {
        "idempotency-key": key,
        "webhook-id": delivery_id(key),
        "webhook-timestamp": "1000",
        "webhook-signature": signature.standard([secret], delivery_id(key), 1000, body),
    }
    assert names["verify"](headers, body, secret, now=1100) == document
    with pytest.raises(ValueError, match="signature"):
        names["verify"](headers, body + b" ", secret, now=1100)
    with pytest.raises(ValueError, match="signature"):
        names["verify"](headers, body, "whsec_" + base64.b64encode(b"t" * 32).decode(), now=1100)
    with pytest.raises(ValueError, match="signature"):
        names["verify"](headers | {"webhook-timestamp": "1300"}, body, secret, now=1301)
    with pytest.raises(ValueError, match="timestamp"):
        names["verify"](headers, body, secret, now=1301)
    with pytest.raises(ValueError, match="the key is not"):
        names["verify"](headers | {"idempotency-key": "hq:x"}, body, secret, now=1100)
    other = headers | {"webhook-id": "x", "webhook-signature": signature.standard([secret], "x", 1000, body)}
    with pytest.raises(ValueError, match="the id is not"):
        names["verify"](other, body, secret, now=1100)


def test_the_example_of_the_protocol_has_the_fields_of_the_schema(document: dict[str, Any]) -> None:
    path = PROJECT / "scoopjoy_dagster/hq/daily_totals.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    fields = schema["properties"]
    assert sorted(document) == sorted(schema["required"])
    assert sorted(document["totals"]) == sorted(fields["totals"]["required"])
    for row in document["franchises"]:
        assert sorted(row) == sorted(fields["franchises"]["items"]["required"])


# -- the documents themselves -----------------------------------------------------------------------------------------


def _anchor(heading: str) -> str:
    """A heading as GitHub makes an anchor of it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file) if file else path
        assert found.resolve().is_relative_to(PROJECT), target
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", _prose(found.read_text(encoding="utf-8")), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, target


def test_the_index_names_every_decision_by_its_title() -> None:
    index = _text("adr/README.md")
    decisions = sorted((DOCS / "adr").glob("[0-9]*.md"))
    assert len(decisions) == len(re.findall(r"^\| \[\d+\]", index, re.MULTILINE))
    for path in decisions:  # one that is no longer in force leaves its number free
        number = int(path.name[:4])
        title = path.read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith(f"# {number}. "), path
        assert f"| [{number}]({path.name}) | {title.partition('. ')[2]} |" in index
        for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in path.read_text(encoding="utf-8"), path


def test_pictures_are_small_and_shown() -> None:
    shown = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    for picture in (DOCS / "pictures").glob("*.png"):
        assert picture.stat().st_size < 300_000, picture
        assert f"pictures/{picture.name}" in shown, picture
