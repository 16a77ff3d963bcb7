"""The schema's history, one Alembic revision per module in `versions/`.

A revision is SQL text for both engines. `additive = True` in it says that a program of the
version before goes on working on the result; for any other, SQLite files are copied first.
Nothing here is imported by a server that finds its schema current.
"""
