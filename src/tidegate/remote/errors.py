"""How a call over the network can fail."""

from collections.abc import Sequence


class RemoteError(Exception):
    """A call that brought nothing usable; the message names the address and what was wrong."""


class AddressRefused(RemoteError):
    """The address is not one that may be called: private, or not a server's at all."""


class RegistryBlocked(RemoteError):
    """The cluster's configuration keeps this registry out."""


class ContentMissing(RemoteError):
    """The registry says that it has no such repository, tag, manifest or blob."""


class AccessDenied(RemoteError):
    """The registry wants other credentials; `anonymous` when it was asked without any."""

    def __init__(self, message: str, *, anonymous: bool) -> None:
        super().__init__(message)
        self.anonymous = anonymous

    @property
    def wrong_credentials(self) -> bool:
        """Whether they were not believed at all: without any, the answer may be another.

        Told by the words that Docker Hub and others use, as OpenShift's importer tells it.
        """
        return not self.anonymous and "username or password" in str(self)


class RateLimited(RemoteError):
    """The registry, or what is left of what it allows, asks to wait `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(RemoteError):
    """The server cannot be reached, is too slow, or fails; a later call may succeed."""


class DetourUnavailable(Unavailable):
    """The server answered, and led to another one that cannot be reached."""


class Busy(Unavailable):
    """So many requests to the server are under way that this one did not get its turn."""


class LeftAlone(Unavailable):
    """It failed so often that it is not asked for a while: for `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InsecureOnly(RemoteError):
    """The registry speaks no TLS, or has a certificate that is not believed."""


class CertificateRefused(InsecureOnly):
    """It speaks TLS, and nobody whom we believe vouches for it."""


class NoRegistry(RemoteError):
    """The server answers, but not as a registry does."""


class ContentInvalid(RemoteError):
    """What came is not what its digest, size or type promised, or is larger than anything here."""


class LoopDetected(RemoteError):
    """The registry was asked for this already, by whoever asks us for it now."""


class SourcesFailed(RemoteError):
    """Neither the mirrors nor the registry itself could give it; `errors` in their order."""

    def __init__(self, errors: Sequence[RemoteError]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = tuple(errors)
