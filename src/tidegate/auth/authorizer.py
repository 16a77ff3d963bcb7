"""Who may do what, until RBAC decides: administrators everything, others what anonymous may."""

from tidegate.apimachinery.authorizer import Attributes, User

ADMINISTRATORS = "system:masters"
"""The group that Kubernetes' authorizers allow everything."""

AUTHENTICATED = "system:authenticated"
"""The group of everybody who logged in, in Kubernetes."""


class LocalAuthorizer:
    """An `Authorizer` of two rules; `anonymous_pull` lets everybody pull everything."""

    def __init__(self, *, anonymous_pull: bool) -> None:
        self._anonymous_pull = anonymous_pull

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        if ADMINISTRATORS in user.groups:
            return True
        return (
            self._anonymous_pull
            and attributes.verb == "get"
            and attributes.resource == "imagestreams/layers"
        )
