"""OpenID Connect: logins that somebody else vouches for, and CI tokens exchanged for ours.

Invariant: only a configured issuer's own keys, by an asymmetric algorithm, prove anything; and
nobody from outside ever gets a name of Kubernetes' own, of a local user, or of another issuer.
"""
