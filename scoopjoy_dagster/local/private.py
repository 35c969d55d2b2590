"""Directories and files that no other user of the machine can look into, write to or lock."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO


def private_directory(path: Path) -> Path:
    """A directory of ours alone; made when it is not there.

    For root one right is left to its group: to pass through, for the embedded PostgreSQL, which runs as another user.

    Raises:
        OSError: it cannot be made, or belongs to somebody else.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = 0o710 if os.geteuid() == 0 else 0o700
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~kept:
        path.chmod(mode & kept)
    return path


def private_file(path: Path, mode: str) -> IO[bytes]:
    """Open a file of ours alone, as `open` does with a mode such as "wb"; also one that others could read before.

    Raises:
        OSError: it cannot be opened, or belongs to somebody else.
    """
    file = open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115 - it is returned
    os.fchmod(file.fileno(), 0o600)
    return file
