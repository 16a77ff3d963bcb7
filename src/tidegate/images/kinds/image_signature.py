"""ImageSignature: a signature of an image, kept in the Image, made and deleted on its own.

Its name is `IMAGE@SIGNATURE`. What a verifier found out (conditions and what follows from them)
cannot be said by whoever adds a signature.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import FieldError, forbidden, invalid, required
from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.resource import Resource, Strategy
from tidegate.images.kinds.group import GROUP, VERSION

ATOMIC = "AtomicImageV1"
"""The one type of signature that is known."""

TRUSTED, FOR_IMAGE = "Trusted", "ForImage"
"""Conditions; one makes no sense without the other."""

_UNKNOWN = "must be unset for unknown signature state"


class SignatureCondition(Wire):
    """What a verifier says of a signature."""

    type: Annotated[str, doc("What is said: Trusted or ForImage.")]
    status: Annotated[str, doc("True, False or Unknown.")]
    last_probe_time: Annotated[Time, doc("When it was last checked.")] = ""
    last_transition_time: Annotated[Time, doc("Since when it is so.")] = ""
    reason: Annotated[str, doc("Why, in one word.")] = ""
    message: Annotated[str, doc("Why, for people.")] = ""


class SignatureIssuer(Wire):
    """Who vouched for the key of a signature."""

    organization: Annotated[str, doc("Organization of the issuer.")] = ""
    common_name: Annotated[str, doc("Name of the issuer.")] = ""


class SignatureSubject(Wire):
    """Whose key made a signature."""

    organization: Annotated[str, doc("Organization of the signer.")] = ""
    common_name: Annotated[str, doc("Name of the signer.")] = ""
    public_key_id: Annotated[str, doc("The signer's public key, by its id.")] = field(
        name="publicKeyID", default_factory=str
    )


class ImageSignature(Object):
    """ImageSignature holds a signature of an image: who has signed which content.

    Its name is the image's name, '@', and a name of its own.
    """

    type: Annotated[str, doc("Form of the content; only AtomicImageV1 is known.")] = field(
        default_factory=str
    )
    content: Annotated[str, doc("The signature itself.", format="byte")] = field(
        default_factory=str
    )
    conditions: Annotated[
        list[SignatureCondition], doc("What a verifier says of it.", merge_key="type")
    ] = field(default_factory=list)
    image_identity: Annotated[
        str, doc("The pull spec that was signed, as the signature says; set by a verifier.")
    ] = ""
    signed_claims: Annotated[dict[str, str], doc("What else was signed; set by a verifier.")] = (
        field(default_factory=dict)
    )
    created: Annotated[Time, doc("When it was made, as it says; set by a verifier.")] = ""
    issued_by: Annotated[
        SignatureIssuer | None, doc("Who vouched for the key; set by a verifier.")
    ] = None
    issued_to: Annotated[SignatureSubject | None, doc("Whose key it was; set by a verifier.")] = (
        None
    )


def split_signature_name(name: str) -> tuple[str, str] | None:
    """The image and the signature in `IMAGE@SIGNATURE`; None for anything else."""
    image, _, signature = name.partition("@")
    return (image, signature) if image and signature and "@" not in signature else None


def signature_faults(signature: ImageSignature, path: str = "") -> list[FieldError]:
    """What is wrong with a signature, which is at `path` of what is written."""
    faults = []
    meta = signature.metadata
    if meta.labels:
        faults.append(forbidden(f"{path}metadata.labels", "signature labels cannot be set"))
    if meta.annotations:
        why = "signature annotations cannot be set"
        faults.append(forbidden(f"{path}metadata.annotations", why))
    if split_signature_name(meta.name) is None:
        why = "name must be of format <imageName>@<signatureName>"
        faults.append(invalid(f"{path}metadata.name", meta.name, why))
    if not signature.type:
        faults.append(required(f"{path}type"))
    if not signature.content:
        faults.append(required(f"{path}content"))
    elif not _is_base64(signature.content):
        faults.append(invalid(f"{path}content", "<content>", "must be base64"))
    return [*faults, *_condition_faults(signature, path)]


def _is_base64(content: str) -> bool:
    """Whether Go reads it as bytes: one signature that it does not read fails a list of images."""
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _condition_faults(signature: ImageSignature, path: str) -> list[FieldError]:
    faults = []
    statuses = {
        each.type: each.status
        for each in sorted(signature.conditions, key=lambda each: each.last_probe_time)
    }
    for there, absent in ((TRUSTED, FOR_IMAGE), (FOR_IMAGE, TRUSTED)):
        if there in statuses and absent not in statuses:
            why = f'missing "{absent}" condition type'
            faults.append(invalid(f"{path}conditions", "<conditions>", why))
    if statuses.get(TRUSTED, "Unknown") == "Unknown":
        said = {
            "imageIdentity": signature.image_identity,
            "signedClaims": signature.signed_claims,
            "issuedBy": signature.issued_by,
            "issuedTo": signature.issued_to,
        }
        faults += [
            invalid(f"{path}{name}", value if isinstance(value, str) else f"<{name}>", _UNKNOWN)
            for name, value in said.items()
            if value
        ]
    return faults


def _prepare(new: ImageSignature, _old: ImageSignature | None) -> None:
    """Only a verifier says what is true of a signature, and none adds it with the signature."""
    new.conditions, new.signed_claims = [], {}
    new.image_identity = new.created = ""
    new.issued_by = new.issued_to = None


def _validate(new: ImageSignature, _old: ImageSignature | None) -> Sequence[FieldError]:
    return signature_faults(new)


IMAGE_SIGNATURES = Resource(
    group=GROUP,
    version=VERSION,
    kind="ImageSignature",
    plural="imagesignatures",
    type=ImageSignature,
    namespaced=False,
    verbs=("create", "delete"),
    strategy=Strategy(name_fault=lambda _name: None, prepare=_prepare, validate=_validate),
)
