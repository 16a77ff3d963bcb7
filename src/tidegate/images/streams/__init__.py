"""Image streams: how their tags change, what is remembered of it, and how they are shown.

`stream.Stream` is one stream within a unit of work; every writer uses it, whichever API it serves.
"""
