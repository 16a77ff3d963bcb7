"""Rules and texts of config/v1 Image, with examples of OpenShift's own tests of it."""

from typing import Any

import msgspec
import pytest

from tidegate.apimachinery.documents.metadata import validate_metadata
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.kinds.registries.image_config import IMAGE_CONFIGS, Image

RULE = (
    "each registry must be a valid hostname[:port][/path] or wildcard *.hostname format without "
    "tags or digests"
)


def image(**spec: Any) -> Image:
    return msgspec.convert({"metadata": {"name": "cluster"}, "spec": spec}, Image)


def faults(new: Image, old: Image | None = None) -> list[str]:
    return [str(each) for each in IMAGE_CONFIGS.strategy.validate(new, old)]


def sources(**lists: Any) -> Image:
    return image(registrySources=lists)


def test_only_one_may_be_made() -> None:
    (fault,) = validate_metadata(IMAGE_CONFIGS, ObjectMeta(name="other"), None)
    assert str(fault) == 'metadata.name: Invalid value: "other": must be cluster'
    assert validate_metadata(IMAGE_CONFIGS, ObjectMeta(name="cluster"), None) == []


def test_every_field_may_be_set() -> None:
    good = ["registry.io", "registry.io/myrepo", "*.example.com", "localhost:5000/repo"]
    assert faults(sources(blockedRegistries=good, insecureRegistries=good)) == []
    assert faults(sources(allowedRegistries=good)) == []
    new = image(
        allowedRegistriesForImport=[
            {"domainName": "*.io:*"},
            {"domainName": "a", "insecure": True},
        ],
        externalRegistryHostnames=["images.example.com:8443"],
        additionalTrustedCA={"name": "user-ca"},
        imageStreamImportMode="PreserveOriginal",
    )
    assert faults(new) == []
    assert faults(image(additionalTrustedCA={"name": ""})) == []


@pytest.mark.parametrize("field", ["blockedRegistries", "allowedRegistries", "insecureRegistries"])
@pytest.mark.parametrize("entry", ["registry.io/myrepo:latest", "registry.io/r@sha256:abc123", ""])
def test_an_entry_has_no_tag_and_no_digest(field: str, entry: str) -> None:
    assert faults(sources(**{field: ["good.io", entry]})) == [
        f'spec.registrySources.{field}[1]: Invalid value: "{entry}": {RULE}'
    ]


def test_blocked_and_allowed_registries_exclude_each_other() -> None:
    both = sources(blockedRegistries=["test"], allowedRegistries=["test"])
    (fault,) = faults(both)
    assert fault == (
        'spec.registrySources: Invalid value: "object": Only one of blockedRegistries or '
        "allowedRegistries may be set"
    )


def test_what_was_stored_hinders_no_other_change() -> None:
    stored = {"blockedRegistries": ["test"], "allowedRegistries": ["test", "x:latest"]}
    old = image(registrySources=stored)
    assert faults(image(registrySources=stored, externalRegistryHostnames=["a.b"]), old) == []
    longer = {**stored, "blockedRegistries": ["test", "test2"]}
    (fault,) = faults(image(registrySources=longer), old)
    assert "Only one of" in fault


def test_bad_values_are_refused_each_with_its_place() -> None:
    new = image(
        allowedRegistriesForImport=[{}, {"domainName": "a:b:c"}, {"domainName": "https://quay.io"}],
        externalRegistryHostnames=["images.example.com", "https://x/"],
        additionalTrustedCA={"name": "Bad_Name"},
        imageStreamImportMode="Other",
        registrySources={"containerRuntimeSearchRegistries": ["a", "b", "a"]},
    )
    found = faults(new)
    assert [each.partition(": ")[0] for each in found] == [
        "spec.allowedRegistriesForImport[0].domainName",
        "spec.allowedRegistriesForImport[1].domainName",
        "spec.allowedRegistriesForImport[2].domainName",
        "spec.externalRegistryHostnames[1]",
        "spec.additionalTrustedCA.name",
        "spec.imageStreamImportMode",
        "spec.registrySources.containerRuntimeSearchRegistries[2]",
    ]
    assert found[5] == (
        'spec.imageStreamImportMode: Unsupported value: "Other": supported values: "", "Legacy", '
        '"PreserveOriginal"'
    )


def test_a_list_has_an_end() -> None:
    many = [f"r{number}.io" for number in range(1025)]
    assert faults(sources(blockedRegistries=many)) == [
        "spec.registrySources.blockedRegistries: Too many: 1025: must have at most 1024 items"
    ]
    (fault,) = faults(image(allowedRegistriesForImport=[{"domainName": each} for each in many]))
    assert "Too many" in fault


def test_a_table_says_who_may_be_imported_from() -> None:
    imports, external, mode = (each.cell for each in IMAGE_CONFIGS.columns)
    assert imports(image(), 0.0) == "<all>"
    listed = [{"domainName": each} for each in ("a", "b", "c", "d", "e")]
    assert imports(image(allowedRegistriesForImport=listed), 0.0) == "a,b,c + 2 more"
    assert external(image(externalRegistryHostnames=["a.b"]), 0.0) == "a.b"
    assert mode(image(), 0.0) == ""
