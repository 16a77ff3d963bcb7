"""Forms of answers: Accept headers as kubectl, oc and client-go send them."""

from typing import Any

import pytest
import yaml

from tests.unit.apimachinery.http.in_process import Api
from tidegate.apimachinery.errors import NotAcceptable
from tidegate.apimachinery.http.negotiation import Form, negotiate

SECRETS = "/api/v1/namespaces/ns/secrets"
KUBECTL = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,"
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
INFORMER = (
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)
JSON, YAML = Form("application/json"), Form("application/yaml")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/yaml", YAML),
        ("text/html, application/json;q=0.5, application/yaml;q=0.9", YAML),
        ("application/json;q=0, application/yaml", YAML),
        ("application/json;q=x", JSON),
        ("application/vnd.kubernetes.protobuf,application/json", JSON),
        ("application/json;pretty=1", JSON),
        ("application/json;stream=watch", JSON),
        ("application/json;stream=other, application/yaml", YAML),
        (KUBECTL, Form(kind="Table")),
        (
            "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
            Form(kind="Table", version="v1beta1"),
        ),
        ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", JSON),
        ("application/json;as=Chair;v=v1;g=meta.k8s.io,application/json", JSON),
        (INFORMER, Form(kind="PartialObjectMetadataList")),
    ],
)
def test_the_first_form_that_there_is_wins(accept: str, form: Form) -> None:
    assert negotiate(accept) == form


@pytest.mark.parametrize(
    "accept", ["application/vnd.kubernetes.protobuf", "application/cbor", "text/html", ";"]
)
def test_a_client_that_takes_nothing_we_have_is_told_so(accept: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept)
    assert str(caught.value) == (
        "only the following media types are accepted: application/json, application/yaml"
    )


def get(api: Api, path: str, accept: str) -> Any:
    answer = api("GET", path, headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_list_as_a_table(api: Api) -> None:
    made = api.secret("s", type="Opaque")
    table = get(api, SECRETS, KUBECTL)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["metadata"]["resourceVersion"]
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Type", "Age"]
    (row,) = table["rows"]
    assert row["cells"] == ["s", "Opaque", "0s"]
    assert row["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": made["metadata"],
    }


def test_a_table_carries_as_much_of_its_objects_as_asked(api: Api) -> None:
    made = api.secret("s")
    (whole,) = get(api, f"{SECRETS}?includeObject=Object", KUBECTL)["rows"]
    (none,) = get(api, f"{SECRETS}?includeObject=None", KUBECTL)["rows"]
    assert whole["object"] == made
    assert "object" not in none
    bad = api("GET", f"{SECRETS}?includeObject=Half", headers={"accept": KUBECTL})
    assert bad.status_code == 400
    assert bad.json()["message"] == (
        'Unable to convert to Table as requested: includeObject: Invalid value: "Half": must be '
        "'Metadata', 'Object', 'None', or empty"
    )


def test_an_object_as_a_table_of_one_row(api: Api) -> None:
    made = api.secret("s")
    table = get(api, f"{SECRETS}/s", KUBECTL)
    assert len(table["rows"]) == 1
    assert table["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_errors_stay_statuses(api: Api) -> None:
    answer = api("GET", f"{SECRETS}/s", headers={"accept": KUBECTL})
    assert answer.json()["kind"] == "Status"


def test_metadata_alone(api: Api) -> None:
    made = api.secret("s", data={"a": "YQ=="})
    listed = get(api, SECRETS, INFORMER)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["apiVersion"] == "meta.k8s.io/v1"
    (item,) = listed["items"]
    one = get(api, f"{SECRETS}/s", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    assert item == one
    assert one["metadata"] == made["metadata"]
    assert "data" not in one


@pytest.mark.parametrize(
    ("path", "kind"),
    [(SECRETS, "PartialObjectMetadata"), (f"{SECRETS}/s", "PartialObjectMetadataList")],
)
def test_a_list_is_no_object_and_an_object_no_list(api: Api, path: str, kind: str) -> None:
    api.secret("s")
    accept = f"application/json;as={kind};g=meta.k8s.io;v=v1"
    assert api("GET", path, headers={"accept": accept}).status_code == 406


def test_yaml(api: Api) -> None:
    made = api.secret("s", data={"a": "YQ=="})
    answer = api("GET", f"{SECRETS}/s", headers={"accept": "application/yaml"})
    assert answer.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(answer.text)["data"] == made["data"]


def test_a_long_table_is_made_all_the_same(api: Api) -> None:
    for each in range(501):
        api.secret(f"s{each}")
    assert len(get(api, SECRETS, KUBECTL)["rows"]) == 501
    text = api("GET", SECRETS, headers={"accept": "application/yaml"}).text
    assert text.count("kind: Secret\n") == 501
