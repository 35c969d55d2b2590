"""The rules of the nightly close: money, royalty policy, shifts, plans and control totals.

Pure logic only. Nothing here does I/O, reads a clock, or knows ERPNext's wire format or Dagster; everything
takes plain values and returns plain values, so that a rule can be read, tested and audited on its own.
"""
