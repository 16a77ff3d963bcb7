"""How a call over the network can fail."""


class RemoteError(Exception):
    """A call that brought nothing usable; the message names the address and what was wrong."""
