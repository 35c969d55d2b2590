"""The Batch Run desk: every run of the close as a Batch Run in ERPNext, and the buttons there that start runs here.

Dagster's record of runs is the truth; the documents in ERPNext mirror it. They are made again from that record for as
long as they differ, so an ERPNext that was away loses nothing, and no run ever waits for its mirror.
"""
