"""What a person does in Dagster's UI, asked of the real webserver in the UI's own language."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from scoopjoy_dagster.webserver import TOKEN_HEADER

SELECTOR = {
    "repositoryLocationName": "scoopjoy_dagster",
    "repositoryName": "__repository__",
}

FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}

ASSETS = """{ assetNodes { assetKey { path } groupName isPartitioned description partitionKeys } }"""

HEALTH = """{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"""

LAUNCH = """
mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""

BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""

RUN = (
    """query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status jobName tags { key value } } } }"""
)

BACKFILL_STATUS = """
query Status($id: String!) { partitionBackfillOrError(backfillId: $id) {
  __typename ... on PartitionBackfill { status } } }
"""

RUNS_OF_BACKFILL = """
query Runs($id: String!) { runsOrError(filter: { tags: [{ key: "dagster/backfill", value: $id }] }) {
  ... on Runs { results { status tags { key value } } } } }
"""

MATERIALIZATIONS = """
query Latest($key: AssetKeyInput!, $days: [String!]) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetMaterializations(partitions: $days, limit: 20) { partition
    metadataEntries { label ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue } } } } } }
"""


class UI:
    """Dagster's webserver at the address that was printed, with its token."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.url = f"{parts.scheme}://{parts.netloc}"
        self.token = parse_qs(parts.query).get("token", [""])[0]

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer's data."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json", TOKEN_HEADER: self.token},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def page(self, url: str) -> str:
        """A page as text."""
        with urllib.request.urlopen(url, timeout=30) as response:
            return str(response.read().decode())

    def all_daemons_healthy(self) -> bool:
        """Whether every daemon that this instance needs has a fresh heartbeat."""
        statuses = self.ask(HEALTH)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(one["healthy"] for one in statuses if one["required"])

    def materialize(self, asset: str, day: str, tags: Mapping[str, str] | None = None) -> str:
        """Press "Materialize" for one partition of one asset, with further tags. Returns the run's id."""
        named = {"dagster/partition": day, **(tags or {})}
        params = {
            "selector": {**SELECTOR, "jobName": "__ASSET_JOB", "assetSelection": [{"path": [asset]}]},
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in named.items()]},
        }
        launched = self.ask(LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def backfill(
        self, assets: Sequence[str], days: Sequence[str], tags: Mapping[str, str] | None = None
    ) -> str:
        """Ask for a backfill of assets over days, its runs with these tags. Returns its id."""
        params = {
            "assetSelection": [{"path": [asset]} for asset in assets],
            "partitionNames": list(days),
            "title": "two open days",
            "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        }
        launched = self.ask(BACKFILL, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def run(self, run_id: str) -> Mapping[str, Any]:
        """A run's job, status and tags."""
        found: Mapping[str, Any] = self.ask(RUN, id=run_id)["runOrError"]
        return found

    def backfill_status(self, backfill_id: str) -> str:
        """A backfill's status."""
        found = self.ask(BACKFILL_STATUS, id=backfill_id)["partitionBackfillOrError"]
        assert found["__typename"] == "PartitionBackfill", found
        return str(found["status"])

    def finished_runs_of(self, backfill_id: str) -> list[dict[str, str]]:
        """The tags of each run of a backfill that has ended, and its `status`."""
        found = self.ask(RUNS_OF_BACKFILL, id=backfill_id)["runsOrError"]["results"]
        return [
            {"status": one["status"], **{tag["key"]: tag["value"] for tag in one["tags"]}}
            for one in found
            if one["status"] in FINISHED
        ]

    def latest(self, asset: str, days: Sequence[str]) -> dict[str, dict[str, Any]]:
        """By day, the metadata of the latest materialization of an asset."""
        answer = self.ask(MATERIALIZATIONS, key={"path": [asset]}, days=list(days))
        found: dict[str, dict[str, Any]] = {}
        for one in answer["assetNodeOrError"]["assetMaterializations"]:  # newest first
            entries = {
                entry["label"]: entry.get("text", entry.get("intValue")) for entry in one["metadataEntries"]
            }
            found.setdefault(one["partition"], entries)
        return found
