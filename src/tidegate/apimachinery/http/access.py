"""May she? The question to the authorizer, and the refusal in the words that clients print."""

from tidegate.apimachinery.authorizer import Attributes, Authorizer, User
from tidegate.apimachinery.errors import Forbidden, Qualified, forbid


async def require(authorizer: Authorizer, user: User, asked: Attributes) -> None:
    """Return when `user` may do it, else raise `Forbidden`."""
    if not await authorizer.authorize(user, asked):
        raise refusal(user, asked)


def refusal(user: User, asked: Attributes) -> Forbidden:
    """`secrets "x" is forbidden: User "u" cannot get resource "secrets" in API group "" …`."""
    why = _escaped(f"User {quoted(user.name)} cannot {asked.verb} {_what(asked)}")
    if asked.path:
        return Forbidden(f"forbidden: {why}")
    resource = asked.resource.partition("/")[0]
    return forbid(Qualified(resource, asked.group), asked.name, why)


def _what(asked: Attributes) -> str:
    if asked.path:
        return f"path {quoted(asked.path)}"
    where = (
        f"in the namespace {quoted(asked.namespace)}" if asked.namespace else "at the cluster scope"
    )
    return f"resource {quoted(asked.resource)} in API group {quoted(asked.group)} {where}"


def quoted(text: str) -> str:
    """A text as Go's `%q` prints it, for all that names are made of."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    """Nothing in a refusal looks like HTML (as Kubernetes does it)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
