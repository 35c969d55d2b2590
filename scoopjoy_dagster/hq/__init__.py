"""Signed delivery of a business day's totals to headquarters: the payload, its schema, and the HTTP client."""
