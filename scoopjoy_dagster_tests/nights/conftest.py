"""Simulated nights: only where libfaketime is installed; else nothing here is collected, and the run says so at its end."""

from __future__ import annotations

from scoopjoy_dagster_tests.nights.clock import LIBRARY

collect_ignore_glob = [] if LIBRARY else ["test_*.py"]
