"""What the server does by itself, for people to look at: its jobs, and the registries it asks.

Nothing here is stored as a document, and nothing can be written: rows of the metastore are shown.
"""
