"""The fault laboratory: seeded schedules of faults, kills and late changes, and an oracle that judges what is left.

`python -m scoopjoy_dagster_tests.chaos --help` says how to run it; docs/chaos.md says what it shows.
"""
