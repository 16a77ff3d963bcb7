"""Discovery documents, as Kubernetes' API conventions and its clients describe them."""

from typing import Any

import msgspec
import pytest

from tests.unit.apimachinery.windmills import RESOURCES, SECRETS, WINDMILLS
from tidegate.apimachinery.discovery import Discovery
from tidegate.apimachinery.errors import NotAcceptable
from tidegate.apimachinery.published import Published

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2BETA1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
KUBECTL_1_37 = f"{V2},application/json"  # what it sends to /api and /apis
STANDARD = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def read(document: Published | None) -> Any:
    assert document is not None
    return msgspec.json.decode(document.body)


def test_core_lists_its_versions() -> None:
    document = Discovery(RESOURCES, "tidegate.example.com:6443").api("application/json, */*")
    assert document.content_type == "application/json"
    assert read(document) == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": "tidegate.example.com:6443"}
        ],
    }


def test_groups_come_as_declared_and_prefer_their_first_version() -> None:
    beta = {"groupVersion": "stable.example.com/v1beta1", "version": "v1beta1"}
    stable = {"groupVersion": "stable.example.com/v1", "version": "v1"}
    review = {"groupVersion": "authorization.openshift.io/v1", "version": "v1"}
    assert read(Discovery(RESOURCES).apis()) == {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": "stable.example.com",
                "versions": [stable, beta],
                "preferredVersion": stable,
            },
            {
                "name": "authorization.openshift.io",
                "versions": [review],
                "preferredVersion": review,
            },
        ],
    }


def test_one_group_is_an_api_group() -> None:
    version = {"groupVersion": "authorization.openshift.io/v1", "version": "v1"}
    assert read(Discovery(RESOURCES).group("authorization.openshift.io")) == {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": "authorization.openshift.io",
        "versions": [version],
        "preferredVersion": version,
    }


def test_resources_of_a_version_are_followed_by_their_subresources() -> None:
    assert read(Discovery(RESOURCES).resources("stable.example.com", "v1")) == {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "stable.example.com/v1",
        "resources": [
            {
                "name": "windmills",
                "singularName": "windmill",
                "namespaced": True,
                "kind": "Windmill",
                "verbs": STANDARD,
                "shortNames": ["wm"],
                "categories": ["all"],
            },
            {
                "name": "windmills/grind",
                "singularName": "",
                "namespaced": True,
                "group": "flour.k8s.io",
                "version": "v2",
                "kind": "Grinding",
                "verbs": ["create"],
            },
            {
                "name": "windmills/status",
                "singularName": "",
                "namespaced": True,
                "kind": "Windmill",
                "verbs": ["get", "patch", "update"],
            },
        ],
    }


def test_core_resources_name_no_group() -> None:
    listed = read(Discovery(RESOURCES).resources("", "v1"))
    assert listed["groupVersion"] == "v1"
    assert [each["name"] for each in listed["resources"]] == ["secrets"]


def test_a_declared_singular_name_is_shown() -> None:
    listed = read(Discovery(RESOURCES).resources("stable.example.com", "v1beta1"))
    assert listed["resources"][0]["singularName"] == "mill"
    assert listed["resources"][0]["namespaced"] is False


@pytest.mark.parametrize(("group", "version"), [("", "v2"), ("none.example.com", "v1")])
def test_what_is_not_served_is_not_described(group: str, version: str) -> None:
    discovery = Discovery(RESOURCES)
    assert discovery.resources(group, version) is None
    assert discovery.group(group) is None


def test_a_client_that_takes_the_aggregated_form_gets_everything_at_once() -> None:
    document = Discovery((WINDMILLS, SECRETS)).apis(KUBECTL_1_37)
    assert document.content_type == V2
    windmill = {"group": "stable.example.com", "version": "v1", "kind": "Windmill"}
    assert read(document) == {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": "stable.example.com"},
                "versions": [
                    {
                        "version": "v1",
                        "resources": [
                            {
                                "resource": "windmills",
                                "responseKind": windmill,
                                "scope": "Namespaced",
                                "singularResource": "windmill",
                                "verbs": STANDARD,
                                "shortNames": ["wm"],
                                "categories": ["all"],
                                "subresources": [
                                    {
                                        "subresource": "grind",
                                        "responseKind": {
                                            "group": "flour.k8s.io",
                                            "version": "v2",
                                            "kind": "Grinding",
                                        },
                                        "verbs": ["create"],
                                    },
                                    {
                                        "subresource": "status",
                                        "responseKind": windmill,
                                        "verbs": ["get", "patch", "update"],
                                    },
                                ],
                            }
                        ],
                        "freshness": "Current",
                    }
                ],
            }
        ],
    }


def test_the_aggregated_core_group_has_no_name() -> None:
    (core,) = read(Discovery(RESOURCES).api(KUBECTL_1_37))["items"]
    assert core["metadata"] == {}
    assert core["versions"][0]["resources"][0]["resource"] == "secrets"
    assert read(Discovery((WINDMILLS,)).api(KUBECTL_1_37))["items"] == []


def test_cluster_scope_is_said_in_the_aggregated_form() -> None:
    (_, review) = read(Discovery(RESOURCES).apis(V2))["items"]
    assert review["versions"][0]["resources"][0]["scope"] == "Cluster"


def test_clients_of_1_26_get_the_beta_of_the_aggregated_form() -> None:
    document = Discovery(RESOURCES).apis(f"{V2BETA1},application/json")
    assert document.content_type == V2BETA1
    assert read(document)["apiVersion"] == "apidiscovery.k8s.io/v2beta1"


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,*/*;q=0.1",
         "application/json"),
        (f"{V2};profile=nopeer,application/json", V2),
        (f"application/json;q=0.5,{V2}", V2),
        (f"{V2};q=0,application/json", "application/json"),
        ("application/vnd.kubernetes.protobuf,application/json", "application/json"),
    ],
)  # fmt: skip
def test_the_form_is_the_first_that_the_client_takes(accept: str, answered: str) -> None:
    discovery = Discovery(RESOURCES)
    assert discovery.api(accept).content_type == answered
    assert discovery.apis(accept).content_type == answered


def test_a_client_that_takes_neither_form_is_told_which_there_are() -> None:
    discovery = Discovery(RESOURCES)
    with pytest.raises(NotAcceptable, match="only the following media types are accepted: app"):
        discovery.apis("application/vnd.kubernetes.protobuf")
    with pytest.raises(NotAcceptable):
        discovery.resources("", "v1", "text/html")


def test_the_etag_follows_the_content_and_tells_the_forms_apart() -> None:
    discovery, other = Discovery(RESOURCES), Discovery((SECRETS,))
    plain, aggregated = discovery.apis(), discovery.apis(V2)
    assert plain.etag == Discovery(RESOURCES).apis().etag
    assert len({plain.etag, aggregated.etag, other.apis().etag}) == 3
    assert discovery.apis(V2) is aggregated


@pytest.mark.parametrize(
    ("header", "held"),
    [("", False), ('"other"', False), ("{}", True), ('W/{}, "x"', True), ('"x", {}', True),
     ("*", True)],
)  # fmt: skip
def test_a_client_whose_copy_is_right_is_known_by_its_header(header: str, held: bool) -> None:
    document = Discovery(RESOURCES).api()
    assert document.held(header.replace("{}", document.etag)) is held


def test_documents_are_made_once() -> None:
    discovery = Discovery(RESOURCES)
    assert discovery.resources("", "v1") is discovery.resources("", "v1")
    assert discovery.api() is discovery.api()
