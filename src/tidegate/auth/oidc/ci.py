"""CI without stored secrets: an issuer's token for a job becomes a short-lived one of ours.

Whose it is says a template over the token's claims: with `project:{project_path}` a job of
`shop/web` is the user `ci:NAME:project:shop/web`, to whom roles are bound as to any user. Claims
are written by whoever may name a project or a branch, hence the invariant: no claim can end the
place that the template gives it, and every name begins with `ci:NAME:`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.auth.errors import TokenInvalid
from tidegate.auth.oidc.names import CI_PREFIX, NAME_LIMIT, Claims, checked, text_of
from tidegate.auth.oidc.verification import ALGORITHMS
from tidegate.remote.errors import RemoteError
from tidegate.remote.https import check_url

LIFETIME_LIMIT = 3600

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PLACE = re.compile(r"\{([A-Za-z0-9_./-]+)\}")
_GLOB = re.compile(r"\*\*|\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CiIssuer:
    """A CI system, which of its jobs may log in, and as whom.

    `require` maps claims to the values that they must have: `*` in one stands for any characters
    but `/`, `**` for any at all. It is never empty: on a CI system that many share, whoever has an
    account could log in otherwise.
    """

    name: str
    issuer: str
    audience: str
    subject: str
    require: Mapping[str, str]
    groups: tuple[str, ...] = ()
    lifetime: int = 900
    ca_file: str = ""
    algorithms: tuple[str, ...] = field(default=ALGORITHMS)

    @property
    def prefix(self) -> str:
        return f"{CI_PREFIX}{self.name}:"


def check_ci_issuers(issuers: Sequence[CiIssuer]) -> None:
    """Refuse issuers that cannot be used; `ValueError` says what to change."""
    for each in issuers:
        for fault in _faults(each):
            raise ValueError(f"CI issuer {each.name!r}: {fault}")
    if len({each.name for each in issuers}) < len(issuers):
        raise ValueError("two CI issuers have one name")


def _faults(issuer: CiIssuer) -> Sequence[str]:
    faults = []
    if _NAME.fullmatch(issuer.name) is None:
        faults.append("a name is made of a-z, 0-9 and dashes")
    try:
        check_url(issuer.issuer)
    except RemoteError as error:
        faults.append(str(error))
    if not issuer.audience:
        faults.append("audience is needed")
    if not 0 < issuer.lifetime <= LIFETIME_LIMIT:
        faults.append(f"lifetime is at most {LIFETIME_LIMIT} seconds")
    if not issuer.require:
        faults.append("require is needed, as in require.repository_owner")
    faults += [
        f"template {template!r}: write {{claim}}"
        for template in (issuer.subject, *issuer.groups)
        if set("{}") & set(_PLACE.sub("", template))
    ]
    faults += [
        f"template {template!r}: put a colon between two claims"  # which neither can have
        for template in (issuer.subject, *issuer.groups)
        if any(len(_PLACE.findall(part)) > 1 for part in template.split(":"))
    ]
    if _PLACE.search(issuer.subject) is None:
        faults.append("a subject names a claim, or every job is the same user")
    if not issuer.algorithms or set(issuer.algorithms) - set(ALGORITHMS):
        faults.append(f"algorithms are of {', '.join(ALGORITHMS)}")
    return faults


def require_claims(issuer: CiIssuer, claims: Claims) -> None:
    """That the token is of a job which may log in."""
    for name, wanted in issuer.require.items():
        if not matches(wanted, text_of(claims, name)):
            raise TokenInvalid(f"the token's claim {name!r} is not what is required")


def matches(wanted: str, text: str) -> bool:
    """Whether a claim is what is required of it."""
    pattern = "".join(
        {"*": "[^/]*", "**": ".*"}.get(part, re.escape(part))
        for part in re.split(f"({_GLOB.pattern})", wanted)
    )
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def subject_of(issuer: CiIssuer, claims: Claims) -> str:
    """The user that a job is."""
    return issuer.prefix + render(issuer.subject, claims)


def groups_of(issuer: CiIssuer, claims: Claims) -> tuple[str, ...]:
    """The groups that a job is in; a claim that is all of one must not pass for another."""
    only = len(issuer.groups) == 1
    return tuple(
        issuer.prefix + render(template, claims, colons=only) for template in issuer.groups
    )


def render(template: str, claims: Claims, *, colons: bool = True) -> str:
    """A template with claims in their places.

    Where several parts make up a name, a claim with a colon could stand for two of them, so it is
    refused; with `colons` the claim that is a whole name (`{sub}`) may have some. `*` is refused
    everywhere: nobody shall mistake a name for a pattern.
    """
    alone = colons and _PLACE.fullmatch(template) is not None

    def place(match: re.Match[str]) -> str:
        name = match[1]
        text = checked(text_of(claims, name), f"the claim {name!r}")
        if any(each.isspace() or each in "*{}" or (each == ":" and not alone) for each in text):
            raise TokenInvalid(f"the claim {name!r} has characters that could forge a name")
        return text

    rendered = _PLACE.sub(place, template)
    if len(rendered) > 2 * NAME_LIMIT:
        raise TokenInvalid("the name that the claims make is too long")
    return rendered
