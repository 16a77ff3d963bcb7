"""Where the image of a tag is pulled from, by the tag's policy (image-api 4.7)."""

import pytest

from tidegate.images.kinds.image_stream import ImageStream, ImageStreamSpec
from tidegate.images.kinds.tag_reference import TagReference, TagReferencePolicy
from tidegate.images.streams.hosts import Hosts
from tidegate.images.tags.rendering import pull_spec
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.name import RepositoryName

STREAM = RepositoryName("shop/web")
IMAGE = "sha256:" + "a" * 64
OUTSIDE = f"docker.io/library/x@{IMAGE}"
HERE = f"/shop/web@{IMAGE}"


def shown(
    policy: str, hosts: Hosts, reference: str = OUTSIDE, image: str = IMAGE, imported: str = ""
) -> str:
    header = ImageStream(spec=ImageStreamSpec(docker_image_repository=imported))
    spec = TagReference(name="t", reference_policy=TagReferencePolicy(type=policy))
    event = TagEvent(1, 0.0, 0.0, reference, image, 1, "import", "")
    return pull_spec(STREAM, header, spec, event, hosts)


@pytest.mark.parametrize(
    ("policy", "internal", "expected"),
    [
        ("Source", "registry:5000", OUTSIDE),
        ("Local", "registry:5000", f"registry:5000/shop/web@{IMAGE}"),
        ("Source", "", OUTSIDE),
        ("Local", "", OUTSIDE),  # nowhere else to pull it from
    ],
)
def test_10_what_was_imported_is_pulled_as_the_policy_says_where_there_is_a_host(
    policy: str, internal: str, expected: str
) -> None:
    assert shown(policy, Hosts(internal)) == expected


def test_without_a_host_of_its_own_a_stream_is_where_it_was_imported_from() -> None:
    assert shown("Local", Hosts(), imported="quay.io/a/b") == f"quay.io/a/b@{IMAGE}"


@pytest.mark.parametrize("policy", ["Source", "Local"])
def test_what_was_pushed_is_pulled_from_here_by_both_policies(policy: str) -> None:
    assert shown(policy, Hosts("registry:5000"), HERE) == f"registry:5000{HERE}"


def test_a_reference_without_an_image_is_where_it_says() -> None:
    expected = "docker.io/library/x:1"
    assert shown("Local", Hosts("registry:5000"), expected, image="") == expected
