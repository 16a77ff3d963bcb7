"""What serves imagestreamimports: other registries are asked, the stream is written, all is told.

    judged -> looked for -> written, unless it only looks -> the request with its status filled in

The answer is 201 also when no image was found: its status says so, image by image, and clients
print that. Whoever may create imports needs no right to write streams, as in the original.
"""

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from tidegate.apimachinery.authorizer import Attributes, Authorizer
from tidegate.apimachinery.documents.metadata import validate_metadata
from tidegate.apimachinery.errors import (
    FieldError,
    Qualified,
    forbidden,
    invalid,
    invalid_object,
    missing,
    modified,
)
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Key
from tidegate.images.imports import statuses
from tidegate.images.imports.answering import Answer
from tidegate.images.imports.importing import Importer, Written, weight_of
from tidegate.images.imports.looking import Looking
from tidegate.images.imports.orders import Import
from tidegate.images.imports.planning import Outcome, Wanted, of_image, of_repository
from tidegate.images.kinds.group import GROUP
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, TagReference
from tidegate.images.kinds.image_stream_import import (
    IMAGE_STREAM_IMPORTS,
    ImageStreamImport,
    prepare_import,
)
from tidegate.images.streams.errors import LimitExceeded, QuotaExceeded
from tidegate.images.streams.refusals import answered
from tidegate.images.streams.rendering import heading
from tidegate.images.streams.renderings import Renderings
from tidegate.images.streams.stream import IMPORT, Actor, key_of
from tidegate.images.tags.reading import HEADER
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore import stream_tags
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid
from tidegate.remote.errors import RemoteError
from tidegate.remote.gateway import Urgency
from tidegate.remote.location import Location

IMAGES = 500
"""Images in one request: their tags change in one unit, for which other writers wait."""

WARNINGS, WARNING_LIMIT = 8, 500
"""Told in one answer, and characters of each: it is a header."""

_STREAM = Qualified("imagestream", GROUP)
"""As the original's refusals have it, in the singular."""


class ImportStorage:
    """Creates of imagestreamimports."""

    def __init__(
        self,
        importer: Importer,
        renderings: Renderings,
        authorizer: Authorizer,
        config: RegistryConfig,
    ) -> None:
        self._importer = importer
        self._renderings = renderings
        self._authorizer = authorizer
        self._config = config

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`."""
        if not isinstance(new, ImageStreamImport):
            raise TypeError("not an ImageStreamImport")
        version, uid = new.metadata.resource_version, new.metadata.uid
        new.metadata.resource_version = new.metadata.uid = ""
        prepare_import(new, None, self._config.import_mode())
        await self._judge(call, new)
        name = RepositoryName(f"{call.namespace}/{new.metadata.name}")
        uid = await self._check(name, version, uid)
        return await _Request(self._importer, self._renderings, call, new, name, uid).run()

    async def _judge(self, call: Call, new: ImageStreamImport) -> None:
        """Raise `Invalid` for a request that breaks a rule, or asks a registry it may not ask."""
        faults = validate_metadata(IMAGE_STREAM_IMPORTS, new.metadata, None)
        faults += IMAGE_STREAM_IMPORTS.strategy.validate(new, None)
        if len(new.spec.images) > IMAGES:
            why = f"at most {IMAGES} images are imported at once"
            faults.append(invalid("spec.images", len(new.spec.images), why))
        faults = faults or await self._kept_out(call, new)
        if faults:
            raise invalid_object(IMAGE_STREAM_IMPORTS.qualified_kind, new.metadata.name, faults)

    async def _kept_out(self, call: Call, new: ImageStreamImport) -> list[FieldError]:
        """Registries that users may not import from; administrators may from all."""
        policy = (await self._config.current()).imports()
        asked = {f"spec.images[{n}].from.name": each for n, each in enumerate(new.spec.images)}
        faults = []
        sources = [(path, each.from_.name, each.import_policy) for path, each in asked.items()]
        if (whole := new.spec.repository) is not None:
            sources.append(("spec.repository.from.name", whole.from_.name, whole.import_policy))
        for path, source, import_policy in sources:
            spec = _parsed(source)
            why = spec and policy.import_fault(spec, insecure=import_policy.insecure)
            if why:
                faults.append(forbidden(path, why))
        if faults and await self._sees_all(call):
            return []
        return faults

    async def _sees_all(self, call: Call) -> bool:
        # the original asks for a resource of this name, which no role of its own grants
        for resource in ("images", "imagestreammapping"):
            if await self._authorizer.authorize(call.user, Attributes("create", resource)):
                return True
        return False

    async def _check(self, name: RepositoryName, version: str, uid: str) -> str:
        """Refuse what is not for this namespace, or for the stream as it is; the stream's uid."""
        store = self._importer.store
        if await store.get(Key("namespaces", "", name.project)) is None:
            raise missing(Qualified("namespaces"), name.project)
        document = await store.get(key_of(name))
        if document is None:
            if version or uid:
                raise missing(IMAGE_STREAMS.qualified, name.stream)
            return ""
        found = HEADER.decode(document.body).metadata
        if uid and uid != found.uid:
            raise missing(IMAGE_STREAMS.qualified, name.stream)
        if version and version != found.resource_version:
            why = f'the image stream was updated from "{version}" to "{found.resource_version}"'
            raise modified(_STREAM, name.stream, why)
        return found.uid


class _Request:
    """One import that was judged, on its way; `uid` is the stream's, empty if there is none yet."""

    def __init__(
        self,
        importer: Importer,
        renderings: Renderings,
        call: Call,
        request: ImageStreamImport,
        name: RepositoryName,
        uid: str,
    ) -> None:
        self._importer = importer
        self._renderings = renderings
        self._call = call
        self._request = request
        self._name = name
        self._uid = uid

    async def run(self) -> bytes:
        """Do it all; the answer."""
        with await self._importer.looking(self._name.project, Urgency.ASKED) as looking:
            return await self._run(looking)

    async def _run(self, looking: Looking) -> bytes:
        spec, answer = self._request.spec, Answer()
        whole = await self._repository(looking, answer)
        specs = await self._specs([each.to.name for each in spec.images if each.to is not None])
        wanted = [*whole, *(of_image(each, specs) for each in spec.images)]
        outcomes, images, applied = await self._written(await looking.all(wanted), looking)
        stream = None if applied is None else await self._shown(applied.document.body)
        found = (each.fetched for each in outcomes)
        weight = sum(weight_of(each) for each in found if each is not None)
        put = answer.encoded, self._request, outcomes, images, stream
        return await self._importer.beside(weight, *put)

    async def _repository(self, looking: Looking, answer: Answer) -> list[Wanted]:
        """What is wanted of the repository."""
        repository = self._request.spec.repository
        if repository is None:
            return []
        source, insecure = repository.from_.name, repository.import_policy.insecure
        try:
            tags = await looking.tags(source, insecure=insecure)
        except RemoteError as error:
            location = Location.of(PullSpec.parse(source))
            answer.repository_failed(statuses.failed(str(location), location, error))
            return []
        wanted, more = of_repository(repository, tags)
        answer.repository(len(wanted), more)
        specs = await self._specs([each.to for each in wanted])
        return [each.preferring(specs.get(each.to)) for each in wanted]

    async def _specs(self, tags: Sequence[str]) -> dict[str, TagReference]:
        """What is wanted of those tags that the stream has."""
        found = await stream_tags.read_specs(self._importer.database, self._name, tags)
        return {tag: _SPEC.decode(spec) for tag, spec in found.items()}

    async def _written(self, outcomes: Sequence[Outcome], looking: Looking) -> Written:
        call, importer, warnings = self._call, self._importer, looking.warnings
        if not self._request.spec.import_:
            call.warnings.extend(_shortened(warnings))
            return await importer.looked(outcomes)
        asked = Import(self._name, outcomes, {}, str(uuid.uuid4()), self._uid)
        actor = Actor(call.user.name, IMPORT, importer.clock())
        with answered(self._name.stream):
            try:
                written = await importer.write(asked, actor, dry_run=call.dry_run)
            except (LimitExceeded, QuotaExceeded) as error:
                if not call.dry_run:
                    await importer.note_refusal(asked, error)
                raise
        if not call.dry_run:
            importer.tell(self._name, written.outcomes, actor, call.source)
        applied = () if written.applied is None else written.applied.warnings
        call.warnings.extend(_shortened([*warnings, *applied]))
        return written

    async def _shown(self, body: bytes) -> bytes:
        """The stream that was written as clients see it; what a dry run wrote is that already."""
        if self._call.dry_run:
            return body
        return (await self._renderings.one(heading(body))).body


def _shortened(warnings: Iterable[str]) -> list[str]:
    return [text[:WARNING_LIMIT] for text in dict.fromkeys(warnings)][:WARNINGS]


def _parsed(source: str) -> PullSpec | None:
    try:
        return PullSpec.parse(source)
    except PullSpecInvalid:
        return None


_SPEC = msgspec.json.Decoder(TagReference)
