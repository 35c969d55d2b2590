"""Measurements that people run by hand; their figures stand in the documents, with the machine named.

`python -m scoopjoy_dagster_tests.benchmarks` measures nights, backfills and the start (docs/performance.md); beside it
stand measurements of one thing each, with a command line of their own.
"""
