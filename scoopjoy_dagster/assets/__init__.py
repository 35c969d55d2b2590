"""The five assets of the nightly close. Each is thin: read, plan, apply, describe."""
