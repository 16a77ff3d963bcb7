"""The OAuth server that `oc login` and browsers use: RFC 6749, RFC 7636, RFC 8693, RFC 8414.

Invariants: nobody is ever redirected to an address that the client did not register; a code is
used once; a token is kept as its hash alone and stands in no log, error or `repr`.
"""
