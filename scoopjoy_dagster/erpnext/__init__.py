"""ERPNext over its REST API: session, errors, retries, queries, documents, and what differs by version.

Belongs here: everything that knows ERPNext's wire format. Does not belong here: rules of accounting (they are in
`accounting` and take plain values) and Dagster.
"""
