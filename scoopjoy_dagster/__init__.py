"""The nightly close of a franchise that keeps its books in ERPNext, as daily-partitioned Dagster assets."""
