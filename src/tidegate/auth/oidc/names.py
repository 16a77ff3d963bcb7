"""Names from outside: which claims become which users and groups, and which never do.

    local users      no colon
    issuers          PREFIX + claim; PREFIX is `NAME:` unless set
    CI               `ci:NAME:` + what the template makes of the claims
    Kubernetes       `system:`

Invariant: no two of these can ever give the same name. A name without a prefix has no colon, no
prefix begins with another one, and `system:` and `ci:` are nobody's to set.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tidegate.auth.errors import TokenInvalid

CI_PREFIX = "ci:"

RESERVED = ("system:", CI_PREFIX)

NAME_LIMIT = 256
"""Characters of a claim that becomes a name."""

GROUP_LIMIT = 250
"""Groups of one token; Entra ID sends no more than 200."""

Claims = Mapping[str, Any]


def text_of(claims: Claims, name: str) -> str:
    """A claim as text: of a string, a number or a truth; `TokenInvalid` for all else."""
    value = claims.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise TokenInvalid(f"the token has no usable claim {name!r}")
    return value


def checked(text: str, what: str) -> str:
    """Text that may be part of a name: visible, of a bounded length."""
    if not 0 < len(text) <= NAME_LIMIT:
        raise TokenInvalid(f"{what} has no characters or more than {NAME_LIMIT}")
    if not text.isprintable() or text != text.strip():
        raise TokenInvalid(f"{what} has characters that no name may have")
    return text


def user_name(prefix: str, text: str) -> str:
    """The user of an issuer with this prefix."""
    name = prefix + checked(text, "the user name")
    if not prefix and (":" in name or name == "~"):
        raise TokenInvalid("a user name without a prefix has no colon")
    return name


def group_names(prefix: str, claim: object) -> tuple[str, ...]:
    """The groups of an issuer with this prefix; without a prefix those with a colon are left out.

    So is what is no text: an issuer's other groups are no reason to refuse somebody.
    """
    given: Iterable[object] = [claim] if isinstance(claim, str) else claim or ()  # type: ignore[assignment]
    if not isinstance(given, Sequence) or len(given) > GROUP_LIMIT:
        raise TokenInvalid(f"the groups are no list, or more than {GROUP_LIMIT}")
    return tuple(
        prefix + each
        for each in given
        if isinstance(each, str)
        and 0 < len(each) <= NAME_LIMIT
        and each.isprintable()
        and (prefix or ":" not in each)
    )


def check_prefixes(prefixes: Mapping[str, str]) -> None:
    """Refuse prefixes, by the names of their issuers, that could give one name to two people.

    Raises `ValueError` with a message for the operator.
    """
    for name, prefix in prefixes.items():
        for reserved in RESERVED:
            if prefix and (prefix.startswith(reserved) or reserved.startswith(prefix)):
                raise ValueError(f"issuer {name!r}: prefix {prefix!r} meets {reserved!r}")
        if prefix and ":" not in prefix:
            raise ValueError(f"issuer {name!r}: prefix {prefix!r} has no colon, as local names")
        for other, theirs in prefixes.items():
            if other != name and prefix.startswith(theirs) and (prefix == theirs or theirs):
                raise ValueError(
                    f"issuers {name!r} and {other!r}: one prefix begins with the other"
                )
