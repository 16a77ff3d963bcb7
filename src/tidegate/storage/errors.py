"""What can go wrong with stored bytes; a driver's own exceptions stay chained as the cause."""


class StorageError(Exception):
    """The store could not do what was asked; nothing became visible by halves."""


class PathRefused(StorageError):
    """A path that could leave the store's root; a fault of the caller, never of a client."""


class BlobMissing(StorageError):
    """There are no bytes at this path."""


class StorageFull(StorageError):
    """No space, quota or file size left; what was stored before is untouched."""


class UploadBusy(StorageError):
    """Another request or process is writing to the upload."""


class UploadTruncated(StorageError):
    """The upload holds fewer bytes than its session recorded: it has to begin again."""


class NetworkFilesystem(StorageError):
    """A directory on a file system whose locks and shared memory do not span machines."""
