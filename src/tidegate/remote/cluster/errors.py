"""How a cluster's API server can fail; the message is the one of its Status, where it gave one."""

from tidegate.remote.errors import RemoteError, Unavailable


class ClusterUnavailable(Unavailable):
    """It cannot be reached, is too slow, or is starting or overloaded."""


class ClusterRefused(RemoteError):
    """It will not do what was asked; `code` is the HTTP status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ObjectMissing(ClusterRefused):
    """There is no such object, or no such resource."""


class ObjectConflict(ClusterRefused):
    """The object is at another version."""


class WatchExpired(ClusterRefused):
    """The version to watch from is no longer known: list again."""
