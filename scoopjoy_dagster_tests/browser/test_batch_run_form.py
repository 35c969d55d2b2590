"""The script of the Batch Run form, run in Chromium against the embedded ERPNext.

The desk around it is a stand-in (`desk_stub.js`); the documents and requests are real ones of the embedded site, so
that a second click, a refusal and a missing right are what the server makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from scoopjoy_dagster.erpnext.desk_schema import BATCH_RUN, BATCH_RUN_REQUEST, RUN_NOW, form_script
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.browser.chromium import CHROMIUM
from scoopjoy_dagster_tests.world import change, insert

STUB = Path(__file__).with_name("desk_stub.js")
ACCOUNTANT = "accountant@scoopjoy.example"
STEPS = ("Close POS Shifts", "Calculate Royalties", "Generate Invoices", "Send Reports", "Sync to HQ")
LOOK_MS = 5000
EVIL = "<img src=x onerror=\"document.title='broken into'\">"
ALL = {"read": [BATCH_RUN, BATCH_RUN_REQUEST], "write": [BATCH_RUN], "create": [BATCH_RUN_REQUEST]}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests; each has a page without memory."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


class Desk:
    """A form in a browser, and the site behind it."""

    def __init__(self, page: Page, site: SandboxERPNext) -> None:
        self.page = page
        self.site = site
        self.asked: list[str] = []
        """Methods that the page has called."""

    # -- the site -----------------------------------------------------------------------------------------------------

    def run(self, status: str, *steps: str, **values: Any) -> str:
        """A Batch Run whose first steps have these statuses."""
        rows = [
            {"step_name": name, "step_order": at, "status": one, "error_message": "boom"}
            for at, (name, one) in enumerate(zip(STEPS, steps, strict=False), start=1)
        ]
        return insert(self.site, BATCH_RUN, run_date="2026-11-22", status=status, steps=rows, **values)

    def request(self, run: str, action: str, *, attempt: int = 0, **values: Any) -> str:
        """A request that somebody has made before."""
        name = insert(self.site, BATCH_RUN_REQUEST, batch_run=run, action=action, attempt=attempt, **values)
        self.keep_time()
        return name

    @property
    def requests(self) -> list[tuple[str, int, str, str]]:
        """Action, attempt, status and owner of every request, oldest first."""
        rows = sorted(self.site.documents(BATCH_RUN_REQUEST), key=lambda row: row["creation"])
        return [(row["action"], row["attempt"], row["status"], row["owner"]) for row in rows]

    # -- the form -----------------------------------------------------------------------------------------------------

    def keep_time(self, later: timedelta = timedelta()) -> None:
        """Give the desk the time of the site."""
        self.page.evaluate("now => { window.site_now = now }", str(self.site.site.clock() + later))

    def open(self, run: str) -> None:
        """Open the form of a document and wait until it has looked at the requests."""
        self.page.evaluate(
            """async name => {
                const { body } = await post("frappe.client.get", { doctype: "Batch Run", name });
                await open_form(body.message);
            }""",
            run,
        )
        self.settle()

    def open_new(self) -> None:
        self.page.evaluate("() => new_form()")
        self.settle()

    def settle(self) -> None:
        """Wait until every answer has come and has been worked on."""
        self.page.evaluate("() => settle()")

    @property
    def buttons(self) -> list[str]:
        return self.page.eval_on_selector_all("#head button", "all => all.map(one => one.textContent)")

    def click(self, label: str, times: int = 1) -> None:
        """Click a button, as often as a hasty person does before the page can react."""
        self.page.evaluate(
            """([label, times]) => {
                const button = [...document.querySelectorAll("#head button")].find(one => one.textContent === label);
                const { run } = button;
                for (let at = 0; at < times; at += 1) run();
            }""",
            [label, times],
        )
        self.settle()

    @property
    def intro(self) -> str:
        return self.page.inner_text("#intro")

    @property
    def intro_colour(self) -> str:
        return str(self.page.get_attribute("#intro div", "class"))

    def value(self, expression: str) -> Any:
        return self.page.evaluate(f"() => {expression}")

    def wait(self, milliseconds: int = LOOK_MS) -> int:
        """Let time pass on the form; returns how often it looked at the document."""
        self.asked.clear()
        while milliseconds > 0:
            self.page.clock.run_for(min(milliseconds, LOOK_MS))
            self.settle()
            milliseconds -= LOOK_MS
        return self.asked.count("frappe.client.get_value")


@contextmanager
def form(chromium: Browser, site: SandboxERPNext, user: str, allowed: dict[str, list[str]]) -> Iterator[Desk]:
    """A page with the desk's stand-in and our script, as a user's browser has it."""
    who = site.credentials(user)
    context = chromium.new_context(
        base_url=site.url, extra_http_headers={"Authorization": who.authorization}, service_workers="block"
    )
    try:
        page = context.new_page()
        desk = Desk(page, site)
        body = '<div id="intro"></div><div id="head"></div>'

        def shell(route: Route) -> None:
            route.fulfill(body=f"<!doctype html><body>{body}</body>", content_type="text/html")

        page.route("**/app/batch-run", shell)
        page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        page.on("request", lambda one: desk.asked.append(one.url.rpartition("/")[2]))
        page.clock.install()
        page.goto("/app/batch-run")
        page.evaluate("allowed => { window.allowed = allowed }", allowed)
        desk.keep_time()
        page.add_script_tag(path=STUB)
        page.add_script_tag(content=form_script()["script"])
        yield desk
    finally:
        context.close()


@pytest.fixture
def desk(chromium: Browser, chain_site: SandboxERPNext) -> Iterator[Desk]:
    """The desk of somebody who may write Batch Runs."""
    with form(chromium, chain_site, ACCOUNTANT, ALL) as opened:
        yield opened
        assert opened.value("document.title") != "broken into"


# -- Run Pipeline Now -------------------------------------------------------------------------------------------------


def test_a_new_document_is_for_yesterday_and_has_one_button_that_saves_and_asks(desk: Desk) -> None:
    desk.open_new()
    yesterday = (desk.site.site.clock() - timedelta(days=1)).date().isoformat()
    assert (desk.value("frm.doc.run_date"), desk.buttons) == (yesterday, [RUN_NOW])
    assert desk.page.get_attribute("#head button", "class") == "btn-primary"
    assert desk.value("frm.save_disabled") is True
    desk.click(RUN_NOW)
    (run,) = desk.site.documents(BATCH_RUN)
    assert (run["run_date"], run["status"], run["owner"]) == (yesterday, "Queued", ACCOUNTANT)
    assert desk.requests == [(RUN_NOW, 0, "Pending", ACCOUNTANT)]
    assert desk.buttons == []
    assert desk.intro.startswith(f"{ACCOUNTANT} asked for “Run Pipeline Now” at ")
    assert desk.intro_colour == "blue"


def test_a_hasty_person_makes_one_document_and_one_request(desk: Desk) -> None:
    desk.open_new()
    desk.click(RUN_NOW, times=3)
    assert len(desk.site.documents(BATCH_RUN)) == 1
    assert len(desk.requests) == 1
    assert desk.value("alerts") == ["Asked. Dagster looks every few seconds."]


def test_a_document_that_the_site_refuses_asks_for_nothing_and_can_be_tried_again(desk: Desk) -> None:
    desk.open_new()
    desk.value("frm.set_value('run_date', null)")
    desk.click(RUN_NOW)
    assert desk.value("dialogs") == ["MandatoryError"]
    assert (desk.requests, desk.buttons) == ([], [RUN_NOW])
    desk.value("frm.set_value('run_date', '2026-11-22')")
    desk.click(RUN_NOW)
    assert desk.requests == [(RUN_NOW, 0, "Pending", ACCOUNTANT)]


def test_a_saved_document_that_nobody_asked_for_can_still_be_started(desk: Desk) -> None:
    desk.open(desk.run("Queued"))
    assert desk.buttons == [RUN_NOW]
    desk.click(RUN_NOW)
    assert desk.requests == [(RUN_NOW, 0, "Pending", ACCOUNTANT)]


@pytest.mark.parametrize("status", ["Pending", "Started"])
def test_a_run_that_was_asked_for_is_not_offered_again(desk: Desk, status: str) -> None:
    run = desk.run("Queued")
    desk.request(run, RUN_NOW, status=status)
    desk.open(run)
    assert desk.buttons == []


def test_what_somebody_else_asked_for_a_moment_before_is_no_error(desk: Desk) -> None:
    run = desk.run("Queued")
    desk.open(run)
    desk.request(run, RUN_NOW)
    desk.click(RUN_NOW)
    assert desk.value("alerts") == ["This has been asked already."]
    assert desk.value("dialogs") == []
    assert len(desk.requests) == 1
    assert desk.intro.startswith("Administrator asked for “Run Pipeline Now”")


def test_any_other_refusal_is_the_desks_own_dialog_and_nothing_is_said_to_be_asked(desk: Desk) -> None:
    run = desk.run("Queued")
    desk.open(run)
    change(desk.site, "User", ACCOUNTANT, roles=[{"role": "Accounts User"}])
    desk.click(RUN_NOW)
    assert (desk.value("dialogs"), desk.value("alerts"), desk.requests) == (["PermissionError"], [], [])


# -- Retry ------------------------------------------------------------------------------------------------------------


def test_every_failed_step_can_be_retried_and_no_other(desk: Desk) -> None:
    desk.open(desk.run("Failed", "Success", "Failed", "Skipped", "Failed"))
    assert desk.buttons == ["Retry: Calculate Royalties", "Retry: Send Reports"]
    assert desk.page.get_attribute("#head button", "data-group") == "Retry"
    desk.click("Retry: Send Reports", times=2)
    assert desk.requests == [("Retry: Send Reports", 0, "Pending", ACCOUNTANT)]
    assert desk.buttons == []


@pytest.mark.parametrize("status", ["Queued", "Running"])
def test_nothing_is_retried_while_a_run_is_under_way(desk: Desk, status: str) -> None:
    run = desk.run(status, "Success", "Failed")
    desk.request(run, RUN_NOW, status="Started")
    desk.open(run)
    assert desk.buttons == []


def test_a_retry_is_numbered_by_the_retries_that_were(desk: Desk) -> None:
    run = desk.run("Failed", "Success", "Failed")
    (row,) = [one for one in desk.site.documents(BATCH_RUN)[0]["steps"] if one["status"] == "Failed"]
    change(desk.site, BATCH_RUN, run, steps=[{**row, "retry_count": 2}])
    desk.request(run, "Retry: Calculate Royalties", attempt=1, status="Started")
    desk.open(run)
    desk.click("Retry: Calculate Royalties")
    assert desk.requests[-1][:3] == ("Retry: Calculate Royalties", 2, "Pending")


def test_what_was_refused_can_be_asked_again_under_the_next_number(desk: Desk) -> None:
    run = desk.run("Failed", "Success", "Failed")
    desk.request(run, "Retry: Calculate Royalties", status="Refused", answer="The day is being closed.")
    desk.open(run)
    assert desk.intro.endswith("was refused: The day is being closed.")
    assert desk.intro_colour == "red"
    desk.click("Retry: Calculate Royalties")
    assert [one[1:3] for one in desk.requests] == [(0, "Refused"), (1, "Pending")]


def test_a_retry_that_dagster_has_started_is_not_offered_until_it_shows_or_is_lost(desk: Desk) -> None:
    run = desk.run("Failed", "Success", "Failed")
    desk.request(run, "Retry: Calculate Royalties", status="Started")
    desk.open(run)
    assert desk.buttons == []
    assert desk.intro.endswith("has been started. Its steps will appear here.")
    assert desk.wait() == 1
    desk.keep_time(later=timedelta(minutes=11))
    desk.open(run)
    assert desk.buttons == ["Retry: Calculate Royalties"]
    desk.click("Retry: Calculate Royalties")
    assert desk.requests[-1][1:3] == (1, "Pending")


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lacking", ["write", "create"])
def test_who_may_not_ask_sees_the_run_and_no_button(
    chromium: Browser, chain_site: SandboxERPNext, lacking: str
) -> None:
    with form(chromium, chain_site, ACCOUNTANT, {**ALL, lacking: []}) as desk:
        desk.open_new()
        assert desk.buttons == []
        run = desk.run("Failed", "Success", "Failed")
        desk.open(run)
        assert desk.buttons == []
        assert desk.intro == "Calculate Royalties failed: boom"


def test_who_may_not_read_requests_is_not_asked_for_a_permission(
    chromium: Browser, chain_site: SandboxERPNext
) -> None:
    change(chain_site, "User", ACCOUNTANT, roles=[{"role": "Accounts User"}])
    with form(chromium, chain_site, ACCOUNTANT, {"read": [BATCH_RUN], "write": [], "create": []}) as desk:
        run = desk.run("Running", "Running")
        desk.request(run, RUN_NOW, status="Started")
        desk.open(run)
        change(desk.site, BATCH_RUN, run, status="Completed")
        assert desk.wait() == 1
        assert (desk.value("frm.doc.status"), desk.value("dialogs")) == ("Completed", [])
        assert "frappe.client.get_list" not in desk.asked


# -- looking again ----------------------------------------------------------------------------------------------------


def test_a_running_document_is_loaded_again_when_it_changed_and_only_then(desk: Desk) -> None:
    run = desk.run("Running", "Running", "Pending")
    desk.open(run)
    assert (desk.wait(LOOK_MS - 100), desk.wait(100)) == (0, 1)
    assert desk.value("reloads") == 0
    change(desk.site, BATCH_RUN, run, status="Completed")
    assert desk.wait() == 1
    assert (desk.value("reloads"), desk.value("frm.doc.status")) == (1, "Completed")
    assert desk.wait(5 * LOOK_MS) == 0  # it has ended: nothing moves any more


def test_an_answer_to_a_request_shows_by_itself(desk: Desk) -> None:
    run = desk.run("Queued")
    name = desk.request(run, RUN_NOW)
    desk.open(run)
    change(desk.site, BATCH_RUN_REQUEST, name, status="Refused", answer="2026-11-22 has not ended.")
    desk.wait()
    assert desk.intro.endswith("was refused: 2026-11-22 has not ended.")
    assert desk.buttons == [RUN_NOW]


def test_a_request_that_nobody_picks_up_says_what_to_look_at(desk: Desk) -> None:
    run = desk.run("Queued")
    desk.request(run, RUN_NOW)
    desk.open(run)
    assert "Dagster looks every few seconds" in desk.intro
    desk.keep_time(later=timedelta(seconds=61))
    desk.wait()
    assert desk.intro.endswith("has not picked it up: is it running, and its sensor batch_run_desk on?")
    assert desk.intro_colour == "orange"


def test_a_form_that_somebody_writes_in_is_never_loaded_again(desk: Desk) -> None:
    run = desk.run("Running", "Running")
    desk.open(run)
    desk.value("(frm.doc.__unsaved = 1)")
    change(desk.site, BATCH_RUN, run, status="Completed")
    assert (desk.wait(3 * LOOK_MS), desk.value("reloads")) == (0, 0)
    desk.value("(frm.doc.__unsaved = 0)")
    desk.wait()
    assert desk.value("frm.doc.status") == "Completed"


def test_a_row_that_somebody_reads_stays_open(desk: Desk) -> None:
    run = desk.run("Running", "Running")
    desk.open(run)
    desk.value("(window.open_row = {})")
    change(desk.site, BATCH_RUN, run, status="Completed")
    desk.wait()
    assert desk.value("reloads") == 0
    desk.value("(window.open_row = undefined)")
    desk.wait()
    assert desk.value("reloads") == 1


def test_leaving_the_form_ends_the_looking(desk: Desk) -> None:
    desk.open(desk.run("Running", "Running"))
    desk.value("leave()")
    assert desk.wait(5 * LOOK_MS) == 0


def test_another_document_in_the_same_form_has_the_only_timer(desk: Desk) -> None:
    first, second = desk.run("Running", "Running"), desk.run("Running", "Running")
    desk.open(first)
    desk.page.evaluate(
        """async name => {
            const { body } = await post("frappe.client.get", { doctype: "Batch Run", name });
            frm.show(body.message);
            frm.refresh();
        }""",
        second,
    )
    desk.settle()
    assert desk.wait() == 1


def test_an_erpnext_that_is_away_for_a_moment_is_no_dialog_and_ends_nothing(desk: Desk) -> None:
    run = desk.run("Running", "Running")
    desk.open(run)
    desk.site.settings.maintenance = True
    assert desk.wait(2 * LOOK_MS) == 2
    assert desk.value("dialogs") == []
    desk.site.settings.maintenance = False
    change(desk.site, BATCH_RUN, run, status="Completed")
    desk.wait()
    assert desk.value("frm.doc.status") == "Completed"


# -- what is shown is text --------------------------------------------------------------------------------------------


def test_texts_of_documents_are_never_html(desk: Desk) -> None:
    run = desk.run("Failed", "Success", "Failed")
    row = desk.site.documents(BATCH_RUN)[0]["steps"][1]
    change(desk.site, BATCH_RUN, run, steps=[{**row, "step_name": EVIL, "error_message": EVIL}])
    desk.open(run)
    assert desk.buttons == [f"Retry: {EVIL}"]
    assert desk.intro == f"{EVIL} failed: no error was recorded"
    desk.request(run, "Retry: Send Reports", status="Refused", answer=f"a &lt;b&gt; {EVIL} c")
    desk.open(run)
    assert desk.intro.endswith("was refused: a <b> c")
    assert desk.page.query_selector("img") is None
    assert "&lt;img" in desk.value(f"formatted_status({EVIL!r})")


def test_a_long_error_is_cut_and_the_link_to_dagster_is_only_ever_a_link(desk: Desk) -> None:
    run = desk.run("Failed", "Failed", dagster_url="https://dagster.example/runs/1")
    row = desk.site.documents(BATCH_RUN)[0]["steps"][0]
    change(desk.site, BATCH_RUN, run, steps=[{**row, "error_message": "x" * 1000}])
    desk.open(run)
    assert desk.intro == f"Close POS Shifts failed: {'x' * 300}…"
    assert desk.buttons[0] == "Open in Dagster"
    with desk.site.site.transaction():
        desk.site.site.db.run("UPDATE \"tabBatch Run\" SET dagster_url = 'javascript://x/%0aalert(1)'")
    desk.open(run)
    assert "Open in Dagster" not in desk.buttons
