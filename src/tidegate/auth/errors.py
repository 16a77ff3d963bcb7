"""How asking to be let in can fail; `registry/errors.py` gives each its HTTP answer."""

import math


class AuthError(Exception):
    """A request whose credentials, scope or origin cannot be used."""


class InvalidCredentials(AuthError):
    """Credentials that prove nothing; the message never says which part was wrong.

    `user` is the name that was claimed, for the audit log alone.
    """

    def __init__(self, message: str = "invalid user name or password", user: str = "") -> None:
        super().__init__(message)
        self.user = user


class TokenInvalid(InvalidCredentials):
    """A bearer token that is not one of ours, or no longer."""


class IssuerUnavailable(TokenInvalid):
    """A token that cannot be checked, as its issuer does not give its keys: nobody's guess."""


class Throttled(AuthError):
    """Too many failures before this attempt, which was not even tried."""

    def __init__(self, retry_after: float, user: str = "") -> None:
        super().__init__("too many failed attempts")
        self.retry_after = max(1, math.ceil(retry_after))
        """Whole seconds, for the `Retry-After` header."""
        self.user = user


class HashingBusy(Throttled):
    """More passwords wait to be checked than the queue holds: nobody's fault in particular."""


class InvalidScope(AuthError):
    """A scope beyond the bounds of what is read."""


class InvalidTokenRequest(AuthError):
    """A token request that breaks the protocol; `code` is one of RFC 6749 section 5.2."""

    def __init__(self, message: str, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.code = code


class HostInvalid(AuthError):
    """A request whose Host header is missing, doubled or no host (RFC 9112 section 3.2: 400)."""


class PasswordRefused(AuthError):
    """A new password, or the name of a new user, that breaks a rule named in the message."""
