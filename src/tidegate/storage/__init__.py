"""Blob bytes: where they lie, how they get there, and that they are what their digest says.

Knows digests and paths, not repositories, tags or rows: what may be read by whom is decided above.

The invariant: a file under `blobs/` is complete, its bytes were synced to disk before it got its
name, and nobody writes to it afterwards. Everything unfinished lies under `uploads/`, where a kill,
a full disk or a power cut can leave what it likes.
"""
