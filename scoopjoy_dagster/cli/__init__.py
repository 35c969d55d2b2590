"""The `scoopjoy` command: a thin layer over Dagster, and the embedded world of `scoopjoy demo`."""
