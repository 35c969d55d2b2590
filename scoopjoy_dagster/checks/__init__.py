"""Control totals as asset checks: what a day must add up to, asked of ERPNext again after it was written."""
