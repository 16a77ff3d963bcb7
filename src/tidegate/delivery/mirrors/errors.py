"""Why an image was not copied; each text is a sentence for whoever asked for it."""


class NotCopied(Exception):
    """An image that cannot be copied as it is; what is at the target stays as it was."""


class ImageMissing(NotCopied):
    """The source has no such image."""


class ClosureTooLarge(NotCopied):
    """More belongs to an image than anybody would attach to one."""
