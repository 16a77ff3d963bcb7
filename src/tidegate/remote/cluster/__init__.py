"""The API of a Kubernetes cluster: where it is, who we are to it, and how its objects are followed.

The cluster is named by the administrator, so it may be at any address; nothing that a user writes
leads here. Knows no kind. Invariant: a credential goes to the address that its file names, over TLS
that is checked against the authority that it names, and is in no error and no log.
"""
