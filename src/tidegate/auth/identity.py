"""Who a request comes from, once established."""

from dataclasses import dataclass

from tidegate.apimachinery.authorizer import ANONYMOUS, User
from tidegate.auth.scope import Grant


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, and what the token that she came with is limited to (None: not limited)."""

    user: User
    grants: tuple[Grant, ...] | None = None

    @property
    def is_anonymous(self) -> bool:
        return self.user.name == ANONYMOUS.name


NOBODY = Identity(ANONYMOUS)
"""A request without credentials."""
