"""What the program tells about itself: audit events, the program log, request ids.

It knows no domain type: names, digests and users arrive as text. Nothing here may slow or fail the
request it tells about.
"""
