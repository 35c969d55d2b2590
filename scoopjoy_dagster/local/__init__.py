"""Everything that lets one machine run the whole of Dagster: an embedded PostgreSQL, DAGSTER_HOME, child processes."""
