"""Facts that stand in the way of a write to a stream; each API gives them its own answer."""


class StreamRefused(Exception):
    """A write that the project's rules do not allow; the text is for whoever tried."""


class TagRefused(StreamRefused):
    """The name of a tag, or what it is to name, breaks a rule of the project."""


class TagImmutable(StreamRefused):
    """The tag has an image already, and a rule keeps it there."""


class LimitExceeded(StreamRefused):
    """More than a LimitRange allows. Clients look for `exceeds the maximum limit` in the text."""


class QuotaExceeded(StreamRefused):
    """More than a ResourceQuota allows. Clients look for `exceeded quota:` in the text."""


class RegistryNotAllowed(StreamRefused):
    """What is to be copied comes from a registry that users may not import from."""


class ImageHeld(Exception):
    """Something that whoever deletes an image cannot be expected to know of still names it."""


class StreamMissing(Exception):
    """There is no such stream, or it is not for the pusher to make it."""


class SourceMissing(Exception):
    """The stream, tag or image that a tag is to come from is not there."""


class SourceAmbiguous(Exception):
    """Several images begin with the part of a digest that was given."""


class SourceForbidden(Exception):
    """The stream that a tag is to come from is not for its writer to read; `stream` is NS/NAME."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.stream = stream
