"""The Kubernetes API over ASGI: the only part of this room that knows HTTP.

A request goes route -> authenticate -> impersonate -> authorize -> decode -> storage -> encode ->
audit, in `application.py`; every other module is one of those steps. It knows no kind: what is
served is the list of `Served` that the assembly hands in. Invariants: nothing is looked up before
the authorizer agreed; after the first byte of an answer no second one follows.
"""
