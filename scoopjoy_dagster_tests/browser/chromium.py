"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import BrowserContext, sync_playwright

CHROMIUM = shutil.which("chromium")
"""The browser's program; None where it is not installed (`apt install chromium`)."""

PATIENCE_MS = 120_000
"""How long a page may take for anything: two slow cores serve the UI, run the close and draw the page at once."""


@contextmanager
def browser(width: int = 1500, height: int = 1000) -> Iterator[BrowserContext]:
    """A new browser without memory, closed at the end."""
    with sync_playwright() as playwright:
        # No sandbox: tests run as root in containers. No /dev/shm: containers have 64 MB of it, a page needs more.
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        context = chromium.new_context(color_scheme="light", viewport={"width": width, "height": height})
        context.set_default_timeout(PATIENCE_MS)
        yield context
        chromium.close()
