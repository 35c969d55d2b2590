"""`scoopjoy dev` as a service manager starts it: what it prints, and who reaches the UI with it."""

from __future__ import annotations

import signal
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from scoopjoy_dagster_tests.cli.command import environment, eventually, processes_of, running
from scoopjoy_dagster_tests.end_to_end.graphql import ASSETS, UI

SETTINGS = {
    "ERPNEXT_URL": "http://127.0.0.1:9",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "secret",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
    "SCOOPJOY_AUTOMATION": "off",
}


@pytest.mark.timeout(240)
def test_the_address_that_dev_prints_opens_the_ui_and_a_link_of_an_alert_alone_does_not(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "local"
    with running(
        "dev", "--port", "0", environment=environment(directory, SETTINGS), output=tmp_path / "dev.txt"
    ) as dev:
        ui = UI(dev.wait_for(r"Dagster: (http://127\.0\.0\.1:\d+/\?token=\S+)", 150)[1])
        assert ui.ask(ASSETS)["assetNodes"]
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{ui.url}/runs/98e70347-be65-4f6f-9040-a7c5245d2c11", timeout=30)
        said = refused.value.read().decode()
        assert refused.value.code == 401
        assert "open the address that `scoopjoy dev`" in said
        assert said.count("\n") == 1
        logs = [path.read_text(errors="replace") for path in (directory / "logs").iterdir()]
        assert len(logs) == 3
        assert not [text for text in logs if ui.token in text or "Traceback" in text]
        assert dev.end(signal.SIGTERM) == 143
    assert eventually(lambda: processes_of(directory) == {}, within_s=20), processes_of(directory)
