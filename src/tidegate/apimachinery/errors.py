"""What the Kubernetes conventions call wrong, whoever finds it; nothing here knows HTTP.

These belong to the ports that this room declares. The rooms behind a port raise them, and one
table gives each its Status.
"""


class Conflict(Exception):
    """The thing exists already, or is not at the version that the writer had read."""


class Expired(Exception):
    """The history after the revision asked for is no longer kept: list again, then watch."""
