"""Signatures of images, `/extensions/v2/PROJECT/STREAM/signatures/DIGEST`, as OpenShift has them.

A signature belongs to an image wherever that is, under the name `DIGEST@NAME`, and is read through
any stream that has the image. Each is kept as the document of an image.openshift.io/v1
ImageSignature.
"""

import base64
import binascii
import uuid

import msgspec

from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.metastore import manifests
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import Documents, DocumentUnit
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.registry.errors import ManifestUnknown, SignatureExists, SignatureInvalid
from tidegate.registry.request import Request
from tidegate.registry.response import Response, json_response

RESOURCE = "imagesignatures.image.openshift.io"

BODY_LIMIT = 1024 * 1024
"""Bytes of a request; a simple signature has some hundreds."""

PAGE = 1000
"""Signatures of one image that are shown."""

USUAL_TYPE = "AtomicImageV1"
"""What no type at all stands for."""


class Signature(msgspec.Struct, rename="camel", kw_only=True):
    """A signature on the wire; `name` is `DIGEST@NAME`, `content` base64."""

    schema_version: int = 2
    name: str
    type: str = ""
    content: str


class _Stored(msgspec.Struct):
    """What is read of a document again."""

    type: str
    content: str


class Signatures:
    """The signature endpoint."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._documents = Documents(database)

    async def page(self, repository: RepositoryName, digest: Digest) -> Response:
        """GET: the signatures of an image that the stream has; `ManifestUnknown` otherwise."""
        if await manifests.by_digest(self._database, repository, digest) is None:
            raise ManifestUnknown(f"{repository} has no manifest {digest}")
        listing = await self._documents.list(RESOURCE, after=("", f"{digest}@"), limit=PAGE)
        found = []
        for each in listing.documents:
            if not each.key.name.startswith(f"{digest}@"):
                break
            stored = msgspec.json.decode(each.body, type=_Stored)
            found.append(Signature(name=each.key.name, type=stored.type, content=stored.content))
        return json_response(200, {"signatures": found})

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


def _read(body: bytes, digest: Digest) -> Signature:
    try:
        signature = msgspec.json.decode(body, type=Signature)
        base64.b64decode(signature.content, validate=True)
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise SignatureInvalid("the body is no signature: schemaVersion, name, content") from error
    image, at, name = signature.name.partition("@")
    if signature.schema_version != 2 or not at or not name or "@" in name or "/" in name:
        raise SignatureInvalid("schemaVersion is 2, and the name DIGEST@NAME")
    if image != digest or len(name) > 128:
        raise SignatureInvalid("the signature's name is for another image, or too long")
    signature.type = signature.type or USUAL_TYPE
    return signature


def _keep(tx: DocumentTransaction, digest: Digest, signature: Signature) -> None:
    others = tx.list(RESOURCE, None, Key(RESOURCE, "", f"{digest}@"), PAGE)
    for each in others:
        if not each.key.name.startswith(f"{digest}@"):
            break
        stored = msgspec.json.decode(each.body, type=_Stored)
        same = (stored.type, stored.content) == (signature.type, signature.content)
        if each.key.name == signature.name or same:
            raise SignatureExists("the image has this signature")
    uid = str(uuid.uuid4())

    def encode(revision: int) -> bytes:
        metadata = {"name": signature.name, "uid": uid, "resourceVersion": str(revision)}
        return msgspec.json.encode(
            {
                "kind": "ImageSignature",
                "apiVersion": "image.openshift.io/v1",
                "metadata": metadata,
                "type": signature.type,
                "content": signature.content,
            }
        )

    tx.put(Key(RESOURCE, "", signature.name), uid, encode)
