"""An `Authorizer` of a written list, for tests that are not about roles."""

from collections.abc import Callable

from tidegate.apimachinery.authorizer import Attributes, User

MASTERS = "system:masters"


class Rights:
    """Allows what is listed as `(user, verb, project)`; administrators may do everything.

    Administrators are the user `admin` and the group `system:masters`. With `anonymous_pull`
    everybody, logged in or not, pulls everything.
    """

    def __init__(self, *allowed: tuple[str, str, str], anonymous_pull: bool = False) -> None:
        self._allowed = set(allowed)
        self._anonymous_pull = anonymous_pull

    async def judge(self, user: User) -> Callable[[Attributes], bool]:
        return lambda attributes: self._allows(user, attributes)

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        return self._allows(user, attributes)

    def _allows(self, user: User, attributes: Attributes) -> bool:
        if user.name == "admin" or MASTERS in user.groups:
            return True
        if self._anonymous_pull and (attributes.verb, attributes.resource) == (
            "get",
            "imagestreams/layers",
        ):
            return True
        return (user.name, attributes.verb, attributes.namespace) in self._allowed
