"""What is called over the network: other servers, each by its own rules of trust.

Everything outward goes through here. Invariants: every call has a timeout and a limit on what it
takes in; the network is a transport that is passed in, so that tests need none; no other room
retries.
"""
