"""Rules of openshift-apiserver's ValidateImageSignature."""

import pytest

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds.image_signature import (
    IMAGE_SIGNATURES,
    ImageSignature,
    SignatureCondition,
    SignatureIssuer,
    SignatureSubject,
    signature_faults,
    split_signature_name,
)


def signature() -> ImageSignature:
    return ImageSignature(
        metadata=ObjectMeta(name="sha256:1@s"), type="AtomicImageV1", content="AA=="
    )


def faults(found: ImageSignature) -> list[str]:
    return [str(each) for each in signature_faults(found)]


def test_a_signature_has_a_type_a_content_and_a_name_of_two_parts() -> None:
    assert faults(signature()) == []
    assert faults(ImageSignature()) == [
        'metadata.name: Invalid value: "": name must be of format <imageName>@<signatureName>',
        "type: Required value",
        "content: Required value",
    ]


@pytest.mark.parametrize("name", ["a", "a@", "@b", "a@b@c"])
def test_a_name_has_exactly_one_at(name: str) -> None:
    assert split_signature_name(name) is None
    assert split_signature_name("a@b") == ("a", "b")


def test_a_signature_has_no_labels_and_no_annotations() -> None:
    found = signature()
    found.metadata.labels = found.metadata.annotations = {"a": "b"}
    assert faults(found) == [
        "metadata.labels: Forbidden: signature labels cannot be set",
        "metadata.annotations: Forbidden: signature annotations cannot be set",
    ]


@pytest.mark.parametrize(("there", "absent"), [("Trusted", "ForImage"), ("ForImage", "Trusted")])
def test_one_condition_makes_no_sense_without_the_other(there: str, absent: str) -> None:
    found = signature()
    found.conditions = [SignatureCondition(type=there, status="True")]
    (fault,) = faults(found)
    assert fault.endswith(f'missing "{absent}" condition type')


def test_identities_are_known_only_of_a_verified_signature() -> None:
    found = signature()
    found.image_identity, found.signed_claims = "r.io/a", {"a": "b"}
    found.issued_by, found.issued_to = SignatureIssuer(), SignatureSubject()
    assert [each.partition(":")[0] for each in faults(found)] == [
        "imageIdentity",
        "signedClaims",
        "issuedBy",
        "issuedTo",
    ]
    found.conditions = [
        SignatureCondition(type=each, status="True") for each in ("Trusted", "ForImage")
    ]
    assert faults(found) == []


def test_who_adds_a_signature_does_not_say_that_it_is_good() -> None:
    found = signature()
    found.conditions = [SignatureCondition(type="Trusted", status="True")]
    found.image_identity, found.created = "r.io/a", "2024-01-01T00:00:00Z"
    found.issued_by, found.issued_to = SignatureIssuer(), SignatureSubject()
    found.signed_claims = {"a": "b"}
    IMAGE_SIGNATURES.strategy.prepare(found, None)
    assert found == signature()
    assert list(IMAGE_SIGNATURES.strategy.validate(found, None)) == []
    assert IMAGE_SIGNATURES.strategy.name_fault is not None
    assert IMAGE_SIGNATURES.strategy.name_fault("a") is None
