"""What another registry has about an image beside it: signatures, attestations, SBOMs.

    cosign's tags    sha256-HEX.sig, .att, .sbom
    referrers        manifests whose subject is the image, by the API or its fallback tag
    simple ones      of registries that offer OpenShift's extension for signatures

All of it is a supplement: what cannot be had, is too much or is about another image is left out,
and an import goes on. What refers to a referrer is not looked for.
"""

from collections.abc import Sequence
from dataclasses import replace

from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.fetching import Allowance, beside, check_layers, parsed, together
from tidegate.oci.digest import Digest
from tidegate.oci.mediatype import INDEXES
from tidegate.remote.errors import ContentInvalid, ContentMissing, RemoteError
from tidegate.remote.gateway import Registries
from tidegate.remote.location import Location

REFERRERS = 50
"""Of one image; the others stay where they are."""

SIGNATURES = 10
"""Simple ones of one image, as in the original."""

SIGNATURE_LIMIT = 64 * 1024
"""Bytes of one, many times what a signed digest needs."""

_COSIGN = (".sig", ".att", ".sbom")


class Attached:
    """Looks for what is about an image; `faults` are sentences about what did not come."""

    def __init__(self, registries: Registries, location: Location, allowance: Allowance) -> None:
        self._registries = registries
        self._location = location
        self._allowance = allowance
        self.faults: list[str] = []

    async def of(self, image: Fetched) -> Fetched:
        """The image with all that was found about it."""
        tags = [image.digest.replace(":", "-", 1) + suffix for suffix in _COSIGN]
        tagged = [each for each in await together(map(self._tagged, tags)) if each is not None]
        known = {each.digest for each in tagged}
        listed = [each for each in await self._listed(image.digest) if each not in known]
        found = await together(self._referrer(each, image.digest) for each in listed)
        referrers = (*tagged, *(each for each in found if each is not None))
        return replace(image, referrers=referrers, signatures=await self._signatures(image.digest))

    async def _tagged(self, tag: str) -> Fetched | None:
        try:
            await self._registries.head(self._location, tag)  # mostly there is none
            return replace(await self._manifest(tag), tag=tag)
        except ContentMissing:
            return None
        except RemoteError as error:
            self.faults.append(f"{self._location.at(tag)} was not imported: {error}")
            return None

    async def _listed(self, image: Digest) -> Sequence[Digest]:
        try:
            descriptors = await self._registries.referrers(self._location, image)
        except ContentMissing:
            return ()
        except RemoteError as error:
            self.faults.append(f"what refers to {image} was not imported: {error}")
            return ()
        found = list(dict.fromkeys(each.digest for each in descriptors))
        if len(found) > REFERRERS:
            self.faults.append(
                f"{len(found)} manifests refer to {image}, of which {REFERRERS} were imported"
            )
        return found[:REFERRERS]

    async def _referrer(self, digest: Digest, image: Digest) -> Fetched | None:
        try:
            found = await self._manifest(digest)
            subject = found.manifest.subject
            if subject is None or subject.digest != image:
                raise ContentInvalid(f"it does not refer to {image}")
        except RemoteError as error:
            self.faults.append(f"{digest} was not imported: {error}")
            return None
        return found

    async def _manifest(self, reference: str) -> Fetched:
        remote = await self._registries.manifest(self._location, reference)
        self._allowance.take_manifest(len(remote.content))
        manifest = await beside(remote, parsed, remote)
        check_layers(remote.digest, manifest)
        if manifest.media_type in INDEXES:
            raise ContentInvalid("it is an index, which is imported as an image alone")
        return Fetched(
            digest=remote.digest,
            media_type=manifest.media_type,
            content=remote.content,
            manifest=manifest,
            location=remote.location,
            mirror=remote.mirror,
        )

    async def _signatures(self, image: Digest) -> tuple[bytes, ...]:
        try:
            found = await self._registries.signatures(self._location, image)
        except RemoteError as error:
            self.faults.append(f"signatures of {image} were not imported: {error}")
            return ()
        return tuple(each for each in found if len(each) <= SIGNATURE_LIMIT)[:SIGNATURES]
