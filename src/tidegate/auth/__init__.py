"""Who is asking, and may they: identities, passwords, registry tokens, scopes, challenges.

It answers "may X do V on R in N" and knows nothing of images or manifests; only
`oauth/application.py` knows ASGI. Invariants: a secret appears in no error, log line or `repr`; a
token or a scope only ever narrows what the authorizer allows at the moment of the request.
"""
