"""Service accounts: identities of programs, their tokens, and the pull secrets made of those.

A token is bound to its account, and to a Secret if it was made for one: it is void when either is
gone. Invariant: a token is only ever in the answer to who asked for it, and in the data of Secrets.
"""
