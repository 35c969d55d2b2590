"""The tests of the Helm chart need the chart: they are collected when DAGSTER_HELM_CHART names its directory."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("DAGSTER_HELM_CHART") else ["test_chart.py"]
