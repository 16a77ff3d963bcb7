"""What can be wrong with an OCI value; `registry/errors.py` gives each its HTTP answer."""


class OciError(ValueError):
    """A value breaks a rule of the specification; the message is a sentence for the client."""


class NameInvalid(OciError):
    """A repository name that tidegate does not accept."""


class TagInvalid(OciError):
    """A tag outside `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`."""


class DigestInvalid(OciError):
    """Text that is no digest of a registered algorithm."""


class DigestMismatch(OciError):
    """Content whose digest is not the one that was claimed."""


class SizeMismatch(OciError):
    """Content whose length is not the one that was claimed."""


class ManifestInvalid(OciError):
    """Bytes that are no manifest or index of a known media type."""


class RangeInvalid(OciError):
    """A chunk or a byte range that does not fit what is there."""
