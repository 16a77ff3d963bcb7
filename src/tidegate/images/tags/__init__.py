"""Single tags and images of streams as resources: what is computed from streams and written there.

Nothing here is stored as such. Reads look at a header and a few rows; every write is one unit of
work on a `Stream`. Invariant: what a tag's resource says is what its stream says.
"""
