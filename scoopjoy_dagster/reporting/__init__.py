"""From the numbers of one business day to what people read: mail, charts, PDF, XLSX and royalty statements.

What belongs here: the shape of a report (`model`), its renderings (`html`, `charts`, `pdf`, `xlsx`), its identity
(`digest`) and the way it is sent (`render`, `mail`). What does not: reading ERPNext, deciding what is owed, choosing the
recipients or keeping delivery records. Nothing here knows Dagster.
"""
