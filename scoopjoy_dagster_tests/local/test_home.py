"""DAGSTER_HOME holds the shipped dagster.yaml, and the environment points there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from sqlalchemy import make_url

from scoopjoy_dagster.local.home import PROJECT, HomeError, prepare_home, psycopg2_url, shipped_file

if TYPE_CHECKING:
    from pathlib import Path

URL = "postgresql+psycopg2://u:p@db/dagster"


def test_the_shipped_file_is_in_the_home_and_an_edit_reaches_it_at_the_next_start(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    for text in ("telemetry: {enabled: false}\n", "telemetry: {enabled: true}\n"):
        (project / "dagster.yaml").write_text(text)
        prepare_home(home, URL, project=project)
        assert (home / "dagster.yaml").read_text() == text


def test_the_environment_points_at_home_and_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    environment = prepare_home(Path("relative"), "postgres://u:p@db/dagster", base={"PATH": "/bin"})
    assert environment["DAGSTER_HOME"] == str(tmp_path / "relative")
    assert environment["SCOOPJOY_POSTGRES_URL"] == URL
    assert environment["DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT"] == "25"
    assert environment["PATH"] == "/bin"


def test_a_home_that_links_to_the_shipped_file_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").symlink_to(shipped_file("dagster.yaml"))
    prepare_home(tmp_path, URL)
    assert (tmp_path / "dagster.yaml").is_symlink()


def test_the_home_is_for_nobody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    prepare_home(tmp_path, URL)
    assert tmp_path.stat().st_mode & 0o007 == 0
    prepare_home(tmp_path / "new", URL)
    assert tmp_path.joinpath("new").stat().st_mode & 0o077 == 0


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match=r"/file/home cannot be used \(Not a directory\): give it to"):
        prepare_home(tmp_path / "file" / "home", URL)


def test_a_proxy_is_not_asked_for_servers_on_this_machine(tmp_path: Path) -> None:
    environment = prepare_home(tmp_path, URL, base={"NO_PROXY": "internal.example"})
    assert environment["NO_PROXY"] == "internal.example,127.0.0.1,localhost"
    assert environment["no_proxy"] == "127.0.0.1,localhost"


def test_without_the_repository_one_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match=r"dagster\.yaml is not in .* run this from a clone"):
        prepare_home(tmp_path / "home", URL, project=tmp_path)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["dagster.yaml", "workspace.yaml"])
def test_the_repository_has_the_files(name: str) -> None:
    assert shipped_file(name) == PROJECT / name


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgres+psycopg2", "postgresql+psycopg2"])
def test_every_usual_scheme_becomes_the_one_that_works(scheme: str) -> None:
    assert psycopg2_url(f"{scheme}://u:p%40@db:5433/dagster?sslmode=require") == (
        "postgresql+psycopg2://u:p%40@db:5433/dagster?sslmode=require"
    )


PARTS = ["sentinel", "Zk3v", "Qw8r"]


@pytest.mark.parametrize("sign", ["@", "/", "%", "%zz", " ", "\t", "@@", "/@", "1/", "1?x/", "?@", "#@"])
def test_a_sign_in_the_password_that_would_end_it_is_refused_without_any_part_of_it(sign: str) -> None:
    with pytest.raises(ValueError, match="write @ as %40") as caught:
        psycopg2_url(f"postgresql://{PARTS[0]}:{PARTS[1]}{sign}{PARTS[2]}@db.example:5432/dagster")
    assert not [part for part in PARTS if part in str(caught.value)]
    assert str(caught.value).count(". ") == 0, "one sentence"


@pytest.mark.parametrize("password", ["p%40%3A%2F%3F%23%25", "p!$&'()*+,;=-._~[]:?#", "pä₹", ""])
@pytest.mark.parametrize(
    "rest",
    ["db:5432/dagster", "db", "[::1]:5432/dagster", "a:1,b:2/dagster", "/dagster?host=/run/x&port=5432"],
)
def test_what_is_written_in_percent_or_needs_no_writing_is_taken_for_what_it_is(
    password: str, rest: str
) -> None:
    url = psycopg2_url(f"postgresql://u%40:{password}@{rest}")
    assert url == f"postgresql+psycopg2://u%40:{password}@{rest}"
    if "," not in rest:
        assert make_url(url).password == unquote(password)


@pytest.mark.parametrize(
    "url", ["", "db/dagster", "mysql://u:geheim@db/x", "postgresql+asyncpg://u:geheim@db/x", "postgresql://"]
)
def test_another_database_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="must be postgresql") as caught:
        psycopg2_url(url)
    assert "geheim" not in str(caught.value)
