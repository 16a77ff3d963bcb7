"""A look at what was copied, before a tag names it.

look     what this run brought is there, with its size
reread   every byte of the closure is read at the target and hashed
"""

from collections.abc import Collection
from contextlib import aclosing

from tidegate.delivery.mirrors.closure import Closure, together
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.places import Target
from tidegate.oci.digest import Digest
from tidegate.oci.manifest import Descriptor


async def look(target: Target, closure: Closure, new: Collection[Digest]) -> None:
    """Raise `NotCopied` unless the target has what of the closure is `new`."""
    waiting = [_look_at(target, each) for each in _blobs(closure) if each.digest in new]
    await together(waiting)
    for member in closure.members:
        digest = member.held.digest
        if digest in new and member is not closure.root and await target.head(digest) != digest:
            raise NotCopied(f"{target.name} lost manifest {digest} after it was stored")


async def reread(target: Target, closure: Closure, assumed: Collection[str]) -> None:
    """Raise `NotCopied` unless every byte is at the target; `assumed` is not asked for.

    A manifest was compared with its digest where it was read.
    """
    for member in closure.members:
        digest = member.held.digest
        if digest in assumed or member is closure.root:
            continue
        if await target.manifest(digest) is None:
            raise NotCopied(f"{target.name} has no manifest {digest}")
    await together(_hash(target, each) for each in _blobs(closure) if each.digest not in assumed)


def _blobs(closure: Closure) -> list[Descriptor]:
    found = {blob.digest: blob for member in closure.members for blob in member.blobs}
    return list(found.values())


async def _look_at(target: Target, blob: Descriptor) -> None:
    size = await target.blob_size(blob.digest)
    if size != blob.size:
        said = "no" if size is None else f"{size} bytes of"
        raise NotCopied(f"{target.name} has {said} {blob.digest} after it was stored")


async def _hash(target: Target, blob: Descriptor) -> None:
    running, size = blob.digest.hasher(), 0
    async with aclosing(target.blob(blob.digest, blob.size, 0)) as pieces:
        async for piece in pieces:
            running.update(piece)
            size += len(piece)
    if size != blob.size or running.hexdigest() != blob.digest.encoded:
        raise NotCopied(f"{target.name} has other bytes for {blob.digest}")
