"""Make the pictures of the documents from a real run: an embedded world, three closed days, Dagster's UI, the mails.

    .venv/bin/pip install playwright        # drives the browser; the browser itself is Debian's package chromium
    .venv/bin/python docs/pictures/make_pictures.py

Needs `chromium` and `pdftoppm` (poppler-utils) on the path. Look at each picture before it is committed: only what the
program really shows is kept.
"""

# ruff: noqa: INP001 - a script, no package

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import BrowserContext, sync_playwright

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.session import Session

HERE = Path(__file__).parent
SCOOPJOY = Path(sys.executable).with_name("scoopjoy")
COLOURS = 128
LARGEST = 300_000
GROUP = "locations/scoopjoy_dagster/asset-groups/nightly_close/lineage"


@contextmanager
def serving(environment: dict[str, str], command: str, wanted: str, log: Path) -> Iterator[str]:
    """A `scoopjoy` command that serves, once its output has what is wanted; yields the output so far."""
    with log.open("wb") as output:
        process = subprocess.Popen([SCOOPJOY, command, "--port", "0"], env=environment, stdout=output)  # noqa: S603
    try:
        while wanted not in log.read_text():
            if process.poll() is not None:
                sys.exit(f"scoopjoy {command} has ended: {log.read_text()}")
            time.sleep(0.2)
        yield log.read_text()
    finally:
        process.terminate()
        process.wait()


def welcomed(context: BrowserContext, ui: str) -> None:
    """Send away what a new browser is greeted with, and fold the navigation: both are remembered."""
    page = context.new_page()
    page.goto(ui)
    for label in ("Skip", "Hide navigation"):
        page.get_by_text(label, exact=True).first.click()
    page.wait_for_timeout(1000)
    page.close()


def screen(context: BrowserContext, url: str, width: int, height: int) -> bytes:
    """A page of the UI once it has come to rest, as PNG."""
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.goto(url)
    page.wait_for_timeout(3000)
    page.wait_for_function("() => !document.body.innerText.includes('Loading')", timeout=60_000)
    page.wait_for_timeout(2000)
    picture = page.screenshot()
    page.close()
    return picture


def keep(name: str, picture: bytes | Path) -> None:
    """Store a picture with few colours, which is all that screens of text need."""
    target = HERE / f"{name}.png"
    if isinstance(picture, bytes):
        target.write_bytes(picture)
    else:
        shutil.copyfile(picture, target)
    with Image.open(target) as image:
        image.convert("RGB").quantize(COLOURS).save(target, optimize=True)
    if target.stat().st_size > LARGEST:
        sys.exit(f"{target} is larger than {LARGEST} bytes")


def statement(settings: dict[str, str], directory: Path) -> Path:
    """The first page of a royalty statement of the last day, as ERPNext gives it back."""
    with Session(
        settings["ERPNEXT_URL"], settings["ERPNEXT_API_KEY"], settings["ERPNEXT_API_SECRET"]
    ) as session:
        files = Client(session).rows(
            "File",
            ["name", "file_name", "file_url"],
            [["file_name", "like", "royalty-statement-%"]],
            order_by="file_name desc",
        )
        pdf = directory / "statement.pdf"
        pdf.write_bytes(session.download(str(files[0]["file_url"]), doing="read a statement"))
    subprocess.run(  # noqa: S603
        ["pdftoppm", "-png", "-r", "90", "-singlefile", pdf, pdf.with_suffix("")],  # noqa: S607
        check=True,
    )
    return pdf.with_suffix(".png")


def main() -> None:
    """Start the world, close its days, take the pictures, stop everything."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        base = {**os.environ, "SCOOPJOY_DIRECTORY": str(directory / "local"), "PYTHONUNBUFFERED": "1"}
        with serving(base, "sandbox", "# mails:", directory / "sandbox.txt") as printed:
            settings = dict(re.findall(r"^export (\w+)='(.*)'$", printed, re.MULTILINE))
            mails = re.findall(r"# mails: (\S+)", printed)[0]
            environment = {**base, **settings}
            first = date.fromisoformat(settings["SCOOPJOY_GO_LIVE"])
            last = first + timedelta(days=2)
            subprocess.run(  # noqa: S603
                [SCOOPJOY, "backfill", "--from", str(first), "--to", str(last)], env=environment, check=True
            )
            with (
                serving(environment, "dev", "Dagster: http", directory / "dev.txt") as dev,
                sync_playwright() as playwright,
            ):
                ui = re.findall(r"Dagster: (\S+)", dev)[0]
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                context = browser.new_context(color_scheme="light")
                welcomed(context, ui)
                keep("asset-graph", screen(context, f"{ui}/{GROUP}", 1280, 840))
                partition = f"{ui}/assets/royalties?view=partitions&partition={last}"
                keep("partition", screen(context, partition, 1280, 1360))
                page = context.new_page()
                page.goto(mails)
                mail = page.get_by_role("link").first.evaluate("link => link.href")
                keep("report-mail", screen(context, mail, 1100, 1360))
                browser.close()
            keep("royalty-statement", statement(settings, directory))


if __name__ == "__main__":
    main()
