"""The commands of people who use a server and lack `oc`: a client like any other.

They know what the public HTTP API tells and nothing else: no database, no settings of a server, no
rule of their own about images. Invariant: what a command prints or changes, `curl` with the same
token could.
"""
