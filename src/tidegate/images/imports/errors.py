"""Why an image is not imported where no other registry is to blame."""

from tidegate.remote.errors import RateLimited, RemoteError


class ImportsBusy(RateLimited):
    """Imports that are under way hold all that they may; `retry_after` is a guess."""


class OwnImage(RemoteError):
    """It is in this registry: what it is to be tagged from is an image stream."""
