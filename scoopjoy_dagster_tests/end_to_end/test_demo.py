"""`scoopjoy demo` as a newcomer runs it: the real processes, the real PostgreSQL, the UI's own requests."""

from __future__ import annotations

import re
import signal
import socket
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.error import HTTPError

import pytest

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster_tests.cli.command import environment, eventually, processes_of, running, scoopjoy
from scoopjoy_dagster_tests.end_to_end.graphql import ASSETS, FINISHED, UI

STEPS = ["closed_shifts", "royalties", "invoices", "reports", "hq_sync"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the demo keeps everything; its name is in the environment of every process that the demo starts."""
    return tmp_path / "embedded"


@pytest.mark.parametrize("version", ["15", "16"])
def test_demo_once_closes_the_last_day_with_equal_sums_and_leaves_no_process(
    directory: Path, version: str
) -> None:
    done = scoopjoy(
        "demo", "--once", "--json", "--erpnext-version", version, environment=environment(directory)
    )
    assert done.code == 0, done.err
    day = done.document
    assert day["status"] == "Completed"
    assets = day["assets"]
    assert list(assets) == STEPS
    assert {one["status"] for one in assets.values()} == {"Success"}
    # What was accrued is what the invoices carry and what headquarters was told, to the paisa.
    assert Decimal(assets["royalties"]["amount"]) > 0
    assert assets["royalties"]["amount"] == assets["invoices"]["amount"] == assets["hq_sync"]["amount"]
    assert assets["reports"]["amount"] == assets["royalties"]["facts"]["base"]
    totals = {total["name"]: total for total in day["control_totals"]}
    assert list(totals) == [one.name for one in CONTROL_TOTALS]
    for one in CONTROL_TOTALS:
        if one.blocking:
            assert totals[one.name]["passed"], totals[one.name]
            assert Decimal(totals[one.name]["difference"]) == 0
    assert assets["closed_shifts"]["seen"] == assets["closed_shifts"]["written"] > 0
    assert not [one for asset in assets.values() for one in asset["exceptions"] if one["severity"] == "error"]
    assert "success" in done.err
    # On v16 a till that was left open over midnight sells nothing until its shift is closed.
    shifts = assets["closed_shifts"]["seen"]
    closed = f"After the night run {shifts} of these {shifts} tills may open again."
    assert (closed in " ".join(done.err.split())) == (version == "16")
    assert processes_of(directory) == {}


@pytest.mark.timeout(240)
def test_the_ui_of_the_demo_materializes_an_asset_and_backfills_days_and_ctrl_c_ends_everything(
    directory: Path, tmp_path: Path
) -> None:
    with running(
        "demo", "--port", "0", environment=environment(directory), output=tmp_path / "demo.txt"
    ) as demo:
        ui = UI(demo.wait_for(r"Dagster UI: (http://127\.0\.0\.1:\d+/\?token=\S+)", 100)[1])
        closed = re.search(r"Business day (\S+): Completed\b", demo.printed)
        assert closed, demo.printed
        last = date.fromisoformat(closed[1])
        first_open, second_open = ((last - timedelta(days=back)).isoformat() for back in (2, 1))
        assert f"{first_open} to {second_open} are not closed yet" in " ".join(demo.printed.split())

        # Another user of this machine, who does not know the address that was printed.
        with pytest.raises(HTTPError, match="401"):
            UI(ui.url).ask(ASSETS)
        nodes = {node["assetKey"]["path"][0]: node for node in ui.ask(ASSETS)["assetNodes"]}
        assert nodes.keys() >= set(STEPS)
        for name in STEPS:
            assert nodes[name]["groupName"] == "nightly_close"
            assert nodes[name]["description"]
            assert nodes[name]["partitionKeys"][:3] == [first_open, second_open, last.isoformat()]
        assert eventually(ui.all_daemons_healthy, within_s=60)

        run = ui.materialize("closed_shifts", first_open)
        assert eventually(lambda: ui.run(run)["status"] in FINISHED, within_s=90)
        assert ui.run(run)["status"] == "SUCCESS"
        backfill = ui.backfill(STEPS, [first_open, second_open])
        # A run for each day; the daemon looks at a backfill twice a minute, so they are done before it is.
        assert eventually(lambda: len(ui.finished_runs_of(backfill)) == 2, within_s=180)
        of_days = {one["dagster/partition"]: one["status"] for one in ui.finished_runs_of(backfill)}
        assert of_days == {first_open: "SUCCESS", second_open: "SUCCESS"}
        assert eventually(lambda: ui.backfill_status(backfill) == "COMPLETED_SUCCESS", within_s=90)
        latest = {name: ui.latest(name, [first_open, second_open]) for name in STEPS}
        for day in (first_open, second_open):
            owed = latest["royalties"][day]["royalty_exact"]
            assert Decimal(owed) > 0
            assert latest["invoices"][day]["royalty_exact"] == latest["hq_sync"][day]["royalty_exact"] == owed
            assert [latest[name][day]["exceptions"] for name in STEPS] == [0] * len(STEPS)
            assert latest["reports"][day]["mails"] == "not asked for"
        # A run of another day that claims to be of this backfill, and of one of the command line, is of neither.
        claims = {"dagster/backfill": backfill, "scoopjoy/backfill": "cafe"}
        run = ui.materialize("reports", last.isoformat(), claims)
        assert eventually(lambda: ui.run(run)["status"] in FINISHED, within_s=90)
        assert ui.latest("reports", [last.isoformat()])[last.isoformat()].get("mails") != "not asked for"
        # The shifts of the first day were closed by the one asset before, so the backfill only adopted them.
        shifts = latest["closed_shifts"][first_open]
        assert shifts["written"] == 0
        assert shifts["adopted"] == shifts["seen"] > 0

        told = ui.page(demo.wait_for(r"Headquarters (http://127\.0\.0\.1:\S+)", 1)[1])
        assert all(day in told for day in (first_open, second_open, last.isoformat()))
        mails = ui.page(demo.wait_for(r"Mails\s+(http://127\.0\.0\.1:\d+\S*)", 1)[1])
        assert "ScoopJoy" in mails

        # The demo, PostgreSQL's keeper, the guard, the code server, the webserver and the daemon at least.
        assert len(processes_of(directory)) >= 6
        assert demo.end(signal.SIGINT) == 130
        assert "Traceback" not in demo.printed
    assert eventually(lambda: processes_of(directory) == {}, within_s=20), processes_of(directory)


def test_a_port_in_use_ends_the_demo_with_one_sentence(directory: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = scoopjoy("demo", "--port", port, environment=environment(directory))
    assert done.code == 3
    assert f"Port {port} is in use" in done.sentences
    assert len(done.err.strip().splitlines()) == 1
    assert done.out == ""
    assert not directory.exists()
    assert processes_of(directory) == {}
