"""That a form was sent from a page of ours: the same secret in a cookie and in the form.

Another site can send the form but neither read nor set the cookie. Over TLS the cookie's name
begins with `__Host-`, so that not even a neighbouring host can set it.
"""

import hmac
import re
import secrets

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def cookie_name(*, tls: bool) -> str:
    return "__Host-csrf" if tls else "csrf"


def read_cookie(header: str, *, tls: bool) -> str:
    """The secret in a Cookie header, empty when there is none that is ours."""
    for each in header.split(";"):
        name, _, value = each.strip().partition("=")
        if name == cookie_name(tls=tls) and _SECRET.fullmatch(value):
            return value
    return ""


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def set_cookie(secret: str, *, tls: bool) -> tuple[bytes, bytes]:
    """The header that has a browser keep the secret until it is closed."""
    attributes = "Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if tls else "")
    return (b"set-cookie", f"{cookie_name(tls=tls)}={secret}; {attributes}".encode("ascii"))


def matches(cookie: str, field: str) -> bool:
    """Whether the form's field is the cookie's secret."""
    return bool(cookie) and hmac.compare_digest(cookie.encode(), field.encode())
