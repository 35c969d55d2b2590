"""The files under `deploy/`, read as their programs read them."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
PROGRAMS = Path(sysconfig.get_path("scripts"))
"""Where the programs lie that came with the test libraries: hadolint, caddy."""
NGINX = shutil.which("nginx")
"""The web server's program; None where it is not installed (`apt install nginx-light`)."""


def read_yaml(name: str) -> Any:
    """A YAML file under `deploy/`, its anchors and merges resolved."""
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile: each instruction and its text, continued lines joined."""
    found: list[tuple[str, str]] = []
    joined = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word and not word.startswith("#"):
            found.append((word, " ".join(rest.split())))
    return found
