"""The patches that clients send: JSON patch, merge patch, strategic merge patch.

Pure functions on JSON values; nothing here knows a kind, storage or HTTP. Invariants: an input is
never changed (a result may share parts with its inputs), and a refusal is an `ApiError` with the
code and text of a Kubernetes API server.
"""
