"""What can be wrong with a layout; each text is a sentence for a person and names the file."""


class LayoutError(Exception):
    """A layout that cannot be read or written."""


class LayoutMissing(LayoutError):
    """There is no such directory or archive."""


class LayoutInvalid(LayoutError):
    """What is there is no layout, or one that nobody should read."""


class LayoutBusy(LayoutError):
    """Another process writes to it."""
