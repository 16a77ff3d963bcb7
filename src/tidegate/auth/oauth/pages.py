"""The few pages that people see while they log in: plain HTML, one style sheet, no script.

Invariants: every text that is put in is escaped; a page may load nothing, be framed by nobody, and
send its form only to where its policy says.
"""

import secrets
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem; }
label, input, button { display: block; font: inherit; }
label { margin-top: 1rem; }
input { box-sizing: border-box; width: 100%; padding: .4rem; }
button { margin-top: 1.5rem; padding: .5rem 1.5rem; }
code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
.fault { border-left: .3rem solid #c9190b; padding-left: .7rem; }
"""


@dataclass(frozen=True, slots=True)
class Page:
    """An HTML document and the headers that keep it in its bounds."""

    html: str
    headers: tuple[tuple[bytes, bytes], ...]


def login_page(action: str, csrf: str, target: str, fault: str = "") -> Page:
    """Asks for a name and password, to send them to `action`; success leads to `target`."""
    return _page(
        "Log in to tidegate",
        f'{_fault(fault)}<form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}">'
        '<label for="username">User</label>'
        '<input id="username" name="username" autocomplete="username" autofocus required>'
        '<label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password"'
        ' required><button type="submit">Log in</button></form>',
        f"'self' {_source(target)}",
    )


def code_page(action: str, code: str, csrf: str) -> Page:
    """Asks whether to show a token, so that an address alone never shows one."""
    return _page(
        "You are logged in",
        f'<form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="code" value="{escape(code)}">'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}">'
        '<button type="submit">Display token</button></form>',
        "'self'",
    )


def token_page(token: str, origin: str, again: str) -> Page:
    """Shows a token and how it is used."""
    command = f"oc login --token={token} --server={origin}"
    request = (
        f'curl -H "Authorization: Bearer {token}" "{origin}/apis/user.openshift.io/v1/users/~"'
    )
    return _page(
        "Your API token is",
        f"<p><code>{escape(token)}</code></p>"
        f"<h2>Log in with this token</h2><pre>{escape(command)}</pre>"
        f"<h2>Use this token directly against the API</h2><pre>{escape(request)}</pre>"
        f'<p><a href="{escape(again)}">Request another token</a></p>',
        "'none'",
    )


def fault_page(fault: str, again: str) -> Page:
    """Says what went wrong, and where to begin anew."""
    return _page(
        "This did not work",
        f'{_fault(fault)}<p><a href="{escape(again)}">Request another token</a></p>',
        "'none'",
    )


def _fault(text: str) -> str:
    return f'<p class="fault" role="alert">{escape(text)}</p>' if text else ""


def _source(target: str) -> str:
    """`target` as a source of a policy: browsers also hold the answer's redirect against it."""
    parts = urlsplit(target)
    if parts.hostname is not None and ":" in parts.hostname:
        return f"{parts.scheme}:"  # the grammar has no IPv6 addresses
    return f"{parts.scheme}://{parts.netloc}"


def _page(title: str, body: str, form_action: str) -> Page:
    nonce = secrets.token_urlsafe(16)
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<style nonce="{nonce}">{_STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action {form_action}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    return Page(
        html,
        (
            (b"content-security-policy", policy.encode("latin-1")),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
        ),
    )
