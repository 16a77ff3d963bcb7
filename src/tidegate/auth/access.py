"""The one decision about a request, as a value; `registry` turns it into an answer (DESIGN D6)."""

from collections.abc import Sequence
from enum import Enum

from tidegate.apimachinery.authorizer import Attributes, Authorizer
from tidegate.auth.identity import Identity
from tidegate.auth.scope import Grant, covers


class Decision(Enum):
    """What becomes of a request."""

    ALLOWED = "allowed"
    UNAUTHENTICATED = "unauthenticated"  # 401: whoever logs in may get further
    INSUFFICIENT_SCOPE = "insufficient scope"  # 401: a wider token would be given
    DENIED = "denied"  # 403: no token would help


async def decide(
    identity: Identity,
    alternatives: Sequence[Attributes],
    needed: Grant | None,
    authorizer: Authorizer,
) -> Decision:
    """Whether `identity` may go on: any of `alternatives` suffices, within the token's grants.

    Without alternatives, being somebody (or holding a token, be it an anonymous one) is enough. The
    right is asked before the scope: where the right is missing a wider token would not be given,
    and a client told to fetch one would try for ever.
    """
    if alternatives:
        for attributes in alternatives:
            if await authorizer.authorize(identity.user, attributes):
                break
        else:
            return Decision.UNAUTHENTICATED if identity.is_anonymous else Decision.DENIED
    elif identity.is_anonymous and identity.grants is None:
        return Decision.UNAUTHENTICATED
    if identity.grants is None or needed is None or covers(identity.grants, needed):
        return Decision.ALLOWED
    return Decision.INSUFFICIENT_SCOPE
