"""Storage of resources whose objects are documents: one module per verb, and what they share.

`storage.DocumentStorage` puts the verbs together. It behaves as a Kubernetes API server with etcd
behind it does; it knows no HTTP and no SQL.
"""
