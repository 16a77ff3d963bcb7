"""HTTP as a client that trusts nobody: connections, deadlines, limits, redirects.

Nothing here knows what a registry is. httpcore speaks the protocol; what it would leave to the
caller is decided here: which addresses are connected to, whose certificates are believed, how long
anything may take and how much may come.
"""
