"""Kubernetes API conventions, and the ports through which tidegate's own API is served.

It knows no image, no registry route and no SQL: what it needs from elsewhere it declares here as a
Protocol (`Authorizer`) or as an error class that the implementer raises.
"""
