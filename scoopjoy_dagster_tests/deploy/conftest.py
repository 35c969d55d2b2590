"""Some tests need what is not everywhere: the Helm chart, whose directory DAGSTER_HELM_CHART names, and nginx."""

from __future__ import annotations

import os

from scoopjoy_dagster_tests.deploy.files import NGINX

collect_ignore_glob = [
    *([] if os.environ.get("DAGSTER_HELM_CHART") else ["test_chart.py"]),
    *([] if NGINX else ["test_nginx.py"]),
]
