"""A worker listens to the queue of its site, however it is started, and `scoopjoy check` says whether one does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scoopjoy_dagster.cli.check import _celery
from scoopjoy_dagster.local.processes import ChildProcesses
from scoopjoy_dagster.settings import Settings, load_settings
from scoopjoy_dagster_tests.celery.redis import start_redis
from scoopjoy_dagster_tests.celery.sites import CELERY, PROJECT
from scoopjoy_dagster_tests.local.system import eventually


def settings(broker: str, queue: str) -> Settings:
    return load_settings(
        {
            "ERPNEXT_URL": "https://erp.example",
            "ERPNEXT_API_KEY": "key",
            "ERPNEXT_API_SECRET": "secret",
            "SCOOPJOY_GO_LIVE": "2026-11-01",
            "SCOOPJOY_EXECUTOR": "celery",
            "SCOOPJOY_CELERY_BROKER": broker,
            "SCOOPJOY_CELERY_QUEUE": queue,
        }
    )


@pytest.mark.parametrize(
    "more", [(), ("--queues", ""), ("--queues", "dagster")], ids=["none", "empty", "other"]
)
def test_a_worker_listens_to_the_queue_of_its_site_whatever_its_command_says(
    children: ChildProcesses, tmp_path: Path, more: tuple[str, ...]
) -> None:
    broker = start_redis(children, tmp_path)
    assert "no worker listens to the queue pune" in _celery(settings(broker, "pune")).message
    worker = children.start(
        "worker",
        [
            *(str(CELERY), "--app", "dagster_celery.app", "worker", "--pool", "solo", "--loglevel", "INFO"),
            *more,
        ],
        environment={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT / "deploy" / "celery"),
            "SCOOPJOY_CELERY_BROKER": broker,
            "SCOOPJOY_CELERY_QUEUE": "pune",
        },
        directory=tmp_path,
    )

    def ready() -> bool:
        worker.check_alive()
        return " ready." in worker.log.read_text(encoding="utf-8", errors="replace")

    def listening() -> bool:
        # A worker that has just said that it is ready may still be too busy to answer in time.
        line = _celery(settings(broker, "pune"))
        return (line.level, line.message) == ("ok", "1 on the queue pune")

    assert eventually(ready, 60), worker.last_lines()
    assert eventually(listening, 30), worker.last_lines()
    for queue in ("dagster", "delhi"):
        line = _celery(settings(broker, queue))
        assert line.level == "error"
        assert "SCOOPJOY_CELERY_QUEUE" in line.action


def test_a_broker_that_is_away_is_a_line_that_does_not_show_its_password() -> None:
    line = _celery(settings("redis://:sentinel-password@127.0.0.1:9/0", "pune"))
    assert line.level == "error"
    assert "SCOOPJOY_CELERY_BROKER" in line.action
    assert "sentinel-password" not in line.message
