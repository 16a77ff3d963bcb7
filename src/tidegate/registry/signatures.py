"""Signatures of images, `/extensions/v2/PROJECT/STREAM/signatures/DIGEST`, as OpenShift has them.

A signature belongs to an image wherever that is, under the name `DIGEST@NAME`, and is read through
any stream that has the image. It is kept in the Image, where the API shows it too; podman and
skopeo use this endpoint where an answer announces it (`response.SIGNATURES`).
"""

import time
import uuid

import msgspec

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import Key
from tidegate.images import signatures
from tidegate.images.kinds.image import IMAGES
from tidegate.images.kinds.image_signature import (
    ATOMIC,
    IMAGE_SIGNATURES,
    ImageSignature,
    signature_faults,
)
from tidegate.metastore import manifests
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import Documents, DocumentUnit
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.registry.errors import ManifestUnknown, SignatureExists, SignatureInvalid
from tidegate.registry.request import Request
from tidegate.registry.response import Response, json_response

BODY_LIMIT = 1024 * 1024
"""Bytes of a request; a simple signature has some hundreds."""

WAITING = 1000
"""Signatures that are shown of a manifest that has no Image yet."""


class Signature(msgspec.Struct, rename="camel", kw_only=True):
    """A signature on the wire; `name` is `DIGEST@NAME`, `content` base64."""

    schema_version: int = 2
    name: str
    type: str = ""
    content: str


class _Signed(msgspec.Struct):
    """What is read of an Image."""

    signatures: list[ImageSignature] = msgspec.field(default_factory=list)


_SIGNED = msgspec.json.Decoder(_Signed).decode
_SIGNATURE = msgspec.json.Decoder(ImageSignature).decode


class Signatures:
    """The signature endpoint."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._documents = Documents(database)

    async def page(self, repository: RepositoryName, digest: Digest) -> Response:
        """GET: the signatures of an image that the stream has; `ManifestUnknown` otherwise."""
        if await manifests.by_digest(self._database, repository, digest) is None:
            raise ManifestUnknown(f"{repository} has no manifest {digest}")
        image = await self._documents.get(Key(IMAGES.key, "", digest))
        found = [] if image is None else _SIGNED(image.body).signatures
        found += await self._waiting(digest)
        return json_response(200, {"signatures": [_shown(each) for each in found]})

    async def _waiting(self, digest: Digest) -> list[ImageSignature]:
        start = f"{digest}@"
        listing = await self._documents.list(signatures.WAITING, after=("", start), limit=WAITING)
        return [
            _SIGNATURE(each.body) for each in listing.documents if each.key.name.startswith(start)
        ]

    async def add(self, request: Request, repository: RepositoryName, digest: Digest) -> Response:
        """PUT: keep one more.

        `SignatureInvalid` for a body of another form or about another image, `ManifestUnknown`
        where the stream does not have the image, `SignatureExists` for a name, or a type and
        content, that the image has already.
        """
        signature = _read(await request.body(BODY_LIMIT), digest)

        def unit(tx: Transaction) -> None:
            if not manifests.known(tx, repository, [digest]):
                raise ManifestUnknown(f"{repository} has no manifest {digest}")
            _keep(DocumentUnit(tx), digest, signature)

        await self._database.write(unit)
        return Response(201)


def _shown(signature: ImageSignature) -> Signature:
    kind = signatures.SHORT_TYPE if signature.type == ATOMIC else signature.type
    return Signature(name=signature.metadata.name, type=kind, content=signature.content)


def _read(body: bytes, digest: Digest) -> ImageSignature:
    try:
        sent = msgspec.json.decode(body, type=Signature)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SignatureInvalid("the body is no signature: schemaVersion, name, content") from error
    image, at, name = sent.name.partition("@")
    if sent.schema_version != 2 or not at or not name or "@" in name or "/" in name:
        raise SignatureInvalid("schemaVersion is 2, and the name DIGEST@NAME")
    if image != digest or len(name) > 128:
        raise SignatureInvalid("the signature's name is for another image, or too long")
    kind = ATOMIC if sent.type in ("", signatures.SHORT_TYPE) else sent.type
    signature = ImageSignature(metadata=ObjectMeta(name=sent.name), type=kind, content=sent.content)
    faults = signature_faults(signature)
    if faults:
        raise SignatureInvalid(str(faults[0]))
    return signature


def _keep(tx: DocumentUnit, digest: Digest, signature: ImageSignature) -> None:
    try:
        signatures.add(tx, signature, time.time())
    except signatures.ImageMissing:
        _keep_for_later(tx, digest, signature)
    except signatures.SignatureTaken as error:
        raise SignatureExists("the image has this signature") from error
    except signatures.SignaturesTooLarge as error:
        raise SignatureInvalid("the image has no room for more signatures") from error


def _keep_for_later(tx: DocumentUnit, digest: Digest, signature: ImageSignature) -> None:
    """Let a signature wait for its Image; a repository of an older version has none yet."""
    try:
        signatures.check_free(signature, signatures.kept(tx, digest))
    except signatures.SignatureTaken as error:
        raise SignatureExists("the image has this signature") from error
    signature.api_version, signature.kind = IMAGE_SIGNATURES.api_version, IMAGE_SIGNATURES.kind
    signature.metadata.uid = str(uuid.uuid4())

    def encode(revision: int) -> bytes:
        signature.metadata.resource_version = str(revision)
        return msgspec.json.encode(signature)

    tx.put(Key(signatures.WAITING, "", signature.metadata.name), signature.metadata.uid, encode)
