"""ConfigurableResources that join the clients to Dagster: configuration only, opened once per step."""
