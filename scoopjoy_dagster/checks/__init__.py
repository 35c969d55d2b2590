"""Control totals as asset checks, partitioned by business day: one step for each asset, and a result for each total."""
