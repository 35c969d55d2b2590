"""Whether Dagster runs as this program needs it: with PostgreSQL, a queue, run monitoring and retries, as `dagster.yaml` says.

Dagster starts without that file, too, in silence: on SQLite, without any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scoopjoy_dagster.partitions import PARTITION

if TYPE_CHECKING:
    import dagster as dg

REMEDY = "Put this program's dagster.yaml into DAGSTER_HOME and restart the code server, the webserver and the daemon."
"""What to do about every shortcoming."""


def shortcomings(instance: dg.DagsterInstance) -> list[str]:
    """What a Dagster instance lacks, a sentence each; empty where it lacks nothing."""
    kept = type(instance.run_storage).__name__
    queue = instance.get_concurrency_config().run_queue_config
    # By its name, not made: Kubernetes' launcher asks for a service-account token, which a run's pod need not have.
    launcher = instance.get_ref().run_launcher_data
    limited = {limit["key"] for limit in queue.tag_concurrency_limits} if queue else set()
    found = {
        f"Runs are kept by {kept}, not in PostgreSQL.": kept == "PostgresRunStorage",
        "No queue keeps two runs of one day apart.": PARTITION in limited,
        "Run monitoring is off: a run that is lost stays started for ever.": instance.run_monitoring_enabled,
        "Run monitoring does not see that the process of a run is gone.": (
            launcher is not None and launcher.class_name != "DefaultRunLauncher"
        ),
        "Retries are off: a run that is lost is not run again.": instance.run_retries_enabled,
    }
    return [sentence for sentence, right in found.items() if not right]


def home_problem(environment: Mapping[str, str]) -> str:
    """What is wrong with DAGSTER_HOME, as far as its files say; empty when it is not set, or right."""
    home = environment.get("DAGSTER_HOME", "")
    if not home or (Path(home) / "dagster.yaml").is_file():
        return ""
    return f"DAGSTER_HOME is {home}, where no dagster.yaml is: Dagster runs there on SQLite, without a queue, monitoring and retries."
