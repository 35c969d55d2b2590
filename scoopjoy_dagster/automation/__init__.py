"""What runs by itself: the nightly schedule, the failure alerts and the watchdog.

Everything here decides by what Dagster's storage says about the days and the runs, never by a message that may have
been missed. What a day's steps do is in `assets`.
"""
