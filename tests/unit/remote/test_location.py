import pytest

from tidegate.oci.pull_spec import PullSpec
from tidegate.remote.location import Location

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("spec", "location"),
    [
        ("nginx", Location("docker.io", "library/nginx")),
        ("grafana/loki:1", Location("docker.io", "grafana/loki")),
        ("docker.io/nginx", Location("docker.io", "library/nginx")),
        ("index.docker.io/grafana/loki", Location("docker.io", "grafana/loki")),
        ("registry-1.docker.io/library/nginx", Location("docker.io", "library/nginx")),
        ("quay.io/org/app:v1", Location("quay.io", "org/app")),
        ("Quay.io/org/app", Location("quay.io", "org/app")),
        ("host:5000/a/b/c/d@" + DIGEST, Location("host:5000", "a/b/c/d")),
        ("localhost/app", Location("localhost", "app")),
    ],
)
def test_a_pull_spec_names_a_repository_of_a_registry(spec: str, location: Location) -> None:
    assert Location.of(PullSpec.parse(spec)) == location


def test_a_location_with_a_tag_or_digest_is_a_pull_spec() -> None:
    location = Location("quay.io", "org/app")
    assert location.at("v1") == "quay.io/org/app:v1"
    assert location.at(DIGEST) == f"quay.io/org/app@{DIGEST}"
    assert location.at("sha256") == "quay.io/org/app:sha256"


def test_docker_hub_answers_elsewhere() -> None:
    assert Location("docker.io", "library/nginx").authority == "registry-1.docker.io"
    assert Location("quay.io", "org/app").authority == "quay.io"
