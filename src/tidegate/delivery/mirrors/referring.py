"""The list of what refers to an image, at targets that do not keep one by themselves.

A registry that knows `subject` lists a referrer once it is pushed. At others, and in layouts, its
client keeps the list, as an index under a tag (distribution-spec, "Pushing Manifests with
Subject").
"""

from collections import defaultdict

from tidegate.delivery.mirrors.attached import fallback_index, fallback_tag
from tidegate.delivery.mirrors.closure import Closure, Member
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.places import Held, Target
from tidegate.oci import mediatype
from tidegate.oci.digest import Digest
from tidegate.oci.manifest import MANIFEST_LIMIT


async def list_referrers(target: Target, closure: Closure) -> None:
    """See that the target lists every referrer of the closure, which is there already."""
    referring: dict[Digest, list[Member]] = defaultdict(list)
    for member in closure.members:
        if member.subject is not None:
            referring[member.subject].append(member)
    for subject, members in referring.items():
        listed = set(await target.referrers(subject))
        if {each.held.digest for each in members} <= listed:
            continue
        tag = fallback_tag(subject)
        before = await target.manifest(tag)
        content = fallback_index(
            before.content if before is not None else None, [_descriptor(each) for each in members]
        )
        if len(content) > MANIFEST_LIMIT:
            raise NotCopied(f"{target.name} cannot list so many referrers of {subject}")
        await target.push_manifest(tag, Held(Digest.of(content), mediatype.OCI_INDEX, content), "")


def _descriptor(member: Member) -> dict[str, object]:
    """A referrer as a list shows it."""
    held, parsed = member.held, member.parsed
    document: dict[str, object] = {
        "mediaType": held.media_type,
        "digest": str(held.digest),
        "size": len(held.content),
    }
    if parsed.referrer_type is not None:
        document["artifactType"] = parsed.referrer_type
    if parsed.annotations:
        document["annotations"] = dict(parsed.annotations)
    return document
