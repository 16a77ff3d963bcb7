"""Server-side apply: who owns which field of an object, and merging what an owner applies.

Pure functions on JSON values and `Schema`; nothing here knows a kind, storage or HTTP. It gives the
results of Kubernetes' structured-merge-diff and managedFields, because clients keep and compare
them. Invariants: an input is never changed; a manager without fields has no entry; an entry's time
changes only with what its manager did.
"""
