"""What a client is told when another registry does not give what she wants.

429 with how long to wait, if any registry said so; else 404, by which clients show the text. The
text names the registry and what is wrong with it, not by which addresses it was asked.
"""

import math
from collections.abc import Sequence

from tidegate.registry.errors import (
    BlobUnknown,
    PullThroughFailed,
    RegistryError,
    TooManyRequests,
)
from tidegate.remote.errors import (
    AccessDenied,
    AddressRefused,
    CertificateRefused,
    ContentInvalid,
    ContentMissing,
    InsecureOnly,
    LeftAlone,
    LoopDetected,
    NoRegistry,
    RateLimited,
    RegistryBlocked,
    RemoteError,
    SourcesFailed,
    Unavailable,
)

_WHY: tuple[tuple[type[RemoteError], str], ...] = (
    (ContentMissing, "does not have it any more"),
    (AccessDenied, "does not give it with the pull secrets of this project"),
    (RegistryBlocked, "is blocked by this registry's configuration"),
    (AddressRefused, "is at an address that is not allowed"),
    (CertificateRefused, "has a certificate that nobody trusted vouches for"),
    (InsecureOnly, "speaks no TLS, which the tag would have to allow"),
    (LoopDetected, "asks this registry for it"),
    (ContentInvalid, "gave something else than was asked for"),
    (NoRegistry, "is no registry"),
    (LeftAlone, "failed again and again, and is left alone for a while"),
    (RemoteError, "cannot be reached, or is too slow"),
)


def blob_refusal(error: RemoteError, hosts: Sequence[str]) -> RegistryError:
    """The answer to a pull of a blob that none of `hosts` gave."""
    return _limited(error) or BlobUnknown(f"blob unknown: {_told(error, ' or '.join(hosts))}")


def manifest_refusal(error: RemoteError, source: str) -> RegistryError:
    """The answer to a pull of the manifest that is at `source`, a pull spec."""
    return _limited(error) or PullThroughFailed(
        f"unable to pull manifest from {source}: {_told(error, source.partition('/')[0])}"
    )


def why(error: RemoteError) -> str:
    """What is wrong with a registry, to be read after its name."""
    (found, *_) = _each(error)
    return next(text for kind, text in _WHY if isinstance(found, kind))


def is_silence(error: RemoteError) -> bool:
    """Whether nothing is known of what was asked: the registry is down, slow, or wants to wait.

    Whatever else went wrong is an answer, unless another source of the same may have had another.
    """
    return any(isinstance(each, (RateLimited, Unavailable)) for each in _each(error))


def _told(error: RemoteError, host: str) -> str:
    return f"{host} {why(error)}"


def _limited(error: RemoteError) -> TooManyRequests | None:
    limits = [each for each in _each(error) if isinstance(each, RateLimited)]
    if not limits:
        return None
    seconds = max(1, math.ceil(max(each.retry_after for each in limits)))
    text = "the registry that has this allows no more requests now"
    return TooManyRequests(text, [(b"retry-after", str(seconds).encode())])


def _each(error: RemoteError) -> Sequence[RemoteError]:
    """The error, or those of several sources, also of sources of sources."""
    if not isinstance(error, SourcesFailed):
        return (error,)
    return [one for each in error.errors for one in _each(each)]
