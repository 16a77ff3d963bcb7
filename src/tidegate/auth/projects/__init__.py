"""Projects: namespaces, what everybody finds in one, and who sees which.

A project is a Namespace seen as OpenShift shows it. Invariant: a namespace is never without its
default bindings and service accounts for longer than a controller takes to look, and its name is
free again only when nothing that was in it can be read any more.
"""
