"""Make the pictures of the documents from a real run: an embedded world, closed days and a failed one, Dagster's UI, the mails.

    make screenshots

Needs `chromium` (Debian: apt install chromium) and `pdftoppm` (poppler-utils) on the path. Look at each picture before it
is committed: only what the program really shows is kept.

The Batch Run form is part of ERPNext's desk, which the embedded ERPNext has not. Its picture is taken only when a real
desk is named: DESK_URL, DESK_USER and DESK_PASSWORD, of a site with a finished Batch Run.
"""

# ruff: noqa: INP001 - a script, no package

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import BrowserContext, Page, sync_playwright

from scoopjoy_dagster.cli import demo
from scoopjoy_dagster.cli.closing import close_day
from scoopjoy_dagster.cli.workplace import workplace
from scoopjoy_dagster.definitions import build_defs
from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster.local.services import running_dagster
from scoopjoy_dagster.partitions import ZONE

HERE = Path(__file__).parent
COLOURS = 128
LARGEST = 300_000
PATIENCE_MS = 120_000
LOCATION = "locations/scoopjoy_dagster"
FRANCHISE = "Franchise Koramangala"
"""The one whose royalty rate somebody has typed wrong on the day that fails."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the pictures are taken of: the servers, the UI's address with its token, the last day that is closed, and how the next one is made to fail.

    `fail` closes the day after somebody has typed a royalty rate wrong, and gives the run's id.
    """

    world: demo.World
    ui: str
    closed: date
    fail: Callable[[], str]


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """The embedded world and Dagster, three days closed."""
    with ExitStack() as stack:
        demo.OPEN_DAYS = 4
        world = stack.enter_context(demo.embedded_world(datetime.now(ZONE)))
        port = free_port()
        os.environ.update(world.environment(f"http://127.0.0.1:{port}"))
        os.environ["SCOOPJOY_AUTOMATION"] = "off"  # nothing may change while pictures are taken
        os.environ.pop("SCOOPJOY_POSTGRES_URL", None)
        place = stack.enter_context(workplace(directory / "local"))
        place.prepare_storage()
        children = ChildProcesses(place.directory / "logs")
        running = stack.enter_context(
            running_dagster(children, place.environment, port=port, directory=place.directory)
        )
        definitions = build_defs(place.settings)
        first = world.last_day - timedelta(days=demo.OPEN_DAYS - 1)

        def close(day: date) -> str:
            with place.instance() as instance:
                done = close_day(definitions, instance, day, tell=lambda *_: None)
            print(f"{day}: {done.status}")  # noqa: T201
            return done.run_id

        def fail() -> str:
            session = world.erpnext.session()
            with world.erpnext.site.transaction():
                customer = session.load("Customer", FRANCHISE)
                session.amend(customer, {"custom_royalty_percentage": 450})
                session.save(customer)
            return close(world.last_day)

        for offset in range(demo.OPEN_DAYS - 1):
            close(first + timedelta(days=offset))
        yield Stage(world, running.address, world.last_day - timedelta(days=1), fail)


def settled(page: Page) -> None:
    """Wait until a page has loaded all and stands still: two looks at it, half a second apart, are the same."""
    page.wait_for_load_state("networkidle", timeout=PATIENCE_MS)
    page.wait_for_function("() => !document.body.innerText.includes('Loading')", timeout=PATIENCE_MS)
    before = b""
    for _ in range(60):
        now = page.screenshot()
        if now == before:
            return
        before = now
        page.wait_for_timeout(500)


def screen(
    context: BrowserContext, url: str, width: int, height: int, act: Callable[[Page], None] = lambda _: None
) -> bytes:
    """A page once it has come to rest, after what a person does there, as PNG."""
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    # The UI keeps connections open for ever: only what is drawn says when it is done.
    page.goto(url, wait_until="domcontentloaded")
    page.wait_for_function("() => document.body.innerText.length > 200", timeout=PATIENCE_MS)
    act(page)
    settled(page)
    picture = page.screenshot()
    page.close()
    return picture


TOP_OF_TRACE = """() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const tops = [];
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const at = node.data.indexOf("Stack Trace");
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + 5);
    tops.push(range.getBoundingClientRect().top);
  }
  const seen = tops.filter(top => top > 400 && top < window.innerHeight);
  return seen.length ? Math.max(...seen) : window.innerHeight;
}"""
"""Where on the screen the first stack trace begins: it names the directories of whoever takes the pictures."""


def without_trace(context: BrowserContext, url: str, width: int, height: int) -> bytes:
    """A page of a failed run down to where its stack trace begins."""
    cut = io.BytesIO()

    def look(page: Page) -> None:
        # The last line of the log, which the daemon writes a moment after the end of the run.
        page.get_by_text("Not retrying run").first.wait_for()
        settled(page)
        top = int(page.evaluate(TOP_OF_TRACE))
        with Image.open(io.BytesIO(page.screenshot())) as image:
            image.crop((0, 0, image.width, top - 6)).save(cut, "PNG")

    screen(context, url, width, height, look)
    return cut.getvalue()


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
    print(f"{name}.png: {target.stat().st_size:,} bytes")  # noqa: T201


# -- what a person does on a page before the picture ------------------------------------------------------------------


def fold_navigation(page: Page) -> None:
    """Fold the navigation, which is remembered."""
    page.get_by_text("Hide navigation", exact=True).first.click()


def show_plots(page: Page) -> None:
    page.get_by_text("Plots", exact=True).first.click()


def open_dialog(page: Page) -> None:
    """The dialog of "Materialize", with the last day chosen and the place for the configuration open."""
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Latest").click()
    dialog.get_by_text("Config", exact=True).click()


# -- pictures that are not of Dagster's UI ----------------------------------------------------------------------------


def statement(stage: Stage, directory: Path) -> Path:
    """The first page of a royalty statement of the last day, as ERPNext gives it back."""
    robot = stage.world.erpnext.robot
    with Session(stage.world.erpnext.url, robot.api_key, robot.api_secret) as session:
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


def newest_report(context: BrowserContext, mails: str) -> str:
    """Address of the newest report mail on the page of the mails."""
    page = context.new_page()
    page.goto(mails)
    link: str = page.get_by_role("link").first.evaluate("link => link.href")
    page.close()
    return link


def batch_run_form(context: BrowserContext) -> bytes | None:
    """The newest Batch Run in the desk of a real ERPNext, as a user sees it; None when no desk is named."""
    desk, user, password = (os.environ.get(f"DESK_{name}", "") for name in ("URL", "USER", "PASSWORD"))
    if not (desk and user and password):
        return None
    answer = context.request.post(f"{desk}/api/method/login", form={"usr": user, "pwd": password})
    if not answer.ok:
        sys.exit(f"{desk} does not let {user} in: HTTP {answer.status}")
    runs = context.request.get(
        f"{desk}/api/resource/Batch Run", params={"order_by": "creation desc", "limit_page_length": "1"}
    ).json()["data"]
    if not runs:
        sys.exit(f"{desk} has no Batch Run: close a day with this ERPNext first.")
    return screen(
        context,
        f"{desk}/app/batch-run/{runs[0]['name']}",
        1280,
        1000,
        lambda page: page.get_by_text("Close POS Shifts").first.wait_for(timeout=PATIENCE_MS),
    )


def take_pictures(stage: Stage, context: BrowserContext, directory: Path) -> None:
    """All of them."""
    ui, _, token = stage.ui.partition("/?")
    asset = f"{ui}/assets/royalties"
    screen(context, f"{ui}/assets?{token}", 1280, 840, fold_navigation)
    check = "does_the_ledger_equal_the_rule"
    keep("checks", screen(context, f"{asset}?view=checks&checkDetail={check}", 1280, 1000))
    keep("asset-graph", screen(context, f"{ui}/{LOCATION}/asset-groups/nightly_close/lineage", 1280, 840))
    failed_run = stage.fail()
    keep("catalog", screen(context, f"{ui}/assets", 1280, 620))
    keep("asset", screen(context, f"{ui}/assets/hq_sync?view=overview", 1280, 900))
    keep("plots", screen(context, f"{asset}?view=overview", 1280, 1360, show_plots))
    keep("partition", screen(context, f"{asset}?view=partitions&partition={stage.closed}", 1280, 1360))
    keep("materialize", screen(context, asset, 1280, 840, open_dialog))
    keep("launchpad", screen(context, f"{ui}/{LOCATION}/jobs/nightly_close/playground", 1280, 840))
    keep("failed-run", without_trace(context, f"{ui}/runs/{failed_run}", 1280, 1000))
    keep("report-mail", screen(context, newest_report(context, stage.world.mail.url), 1100, 1360))
    keep("royalty-statement", statement(stage, directory))
    form = batch_run_form(context)
    if form:
        keep("batch-run", form)
    else:
        print("batch-run.png: not taken, DESK_URL, DESK_USER and DESK_PASSWORD name no desk")  # noqa: T201


def main() -> None:
    """Start the world, take the pictures, stop everything."""
    for program in ("chromium", "pdftoppm"):
        if not shutil.which(program):
            sys.exit(f"{program} is not installed (Debian: apt install chromium poppler-utils)")
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        with stage(directory) as made, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            context = browser.new_context(color_scheme="light")
            context.set_default_timeout(PATIENCE_MS)
            take_pictures(made, context, directory)
            browser.close()


if __name__ == "__main__":
    main()
