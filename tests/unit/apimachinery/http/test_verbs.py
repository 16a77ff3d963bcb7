"""What each verb answers; expected values from Kubernetes' API conventions and its source."""

import pytest

from tests.unit.apimachinery.http.in_process import Api

SECRETS = "/api/v1/namespaces/ns/secrets"
WIDGETS = "/apis/example.io/v1/widgets"
REVIEWS = "/apis/example.io/v1/reviews"


def test_create_answers_201_with_the_object_as_it_was_stored(api: Api) -> None:
    answer = api("POST", SECRETS, json={"metadata": {"name": "s"}, "data": {"a": "YQ=="}})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert (body["kind"], body["apiVersion"]) == ("Secret", "v1")
    assert body["metadata"]["namespace"] == "ns"
    assert body["metadata"]["uid"]
    assert body["data"] == {"a": "YQ=="}


def test_create_from_yaml(api: Api) -> None:
    text = "kind: Secret\napiVersion: v1\nmetadata:\n  name: s\ntype: Opaque\n"
    answer = api("POST", SECRETS, content=text, headers={"content-type": "application/yaml"})
    assert answer.status_code == 201
    assert answer.json()["type"] == "Opaque"


def test_uid_and_creation_time_of_a_new_object_are_the_servers(api: Api) -> None:
    given = {"name": "s", "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z"}
    metadata = api.ok("POST", SECRETS, json={"metadata": given})["metadata"]
    assert metadata["uid"] != "mine"
    assert metadata["creationTimestamp"] == "2026-01-02T03:04:05Z"


def test_get_and_head(api: Api) -> None:
    made = api.secret("s")
    assert api.ok("GET", f"{SECRETS}/s") == made
    head = api("HEAD", f"{SECRETS}/s")
    assert head.status_code == 200
    assert head.content == b""
    assert int(head.headers["content-length"]) > 0


def test_get_of_a_missing_object_is_a_status(api: Api) -> None:
    answer = api("GET", f"{SECRETS}/s")
    assert answer.status_code == 404
    assert answer.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'secrets "s" not found',
        "reason": "NotFound",
        "details": {"name": "s", "kind": "secrets"},
        "code": 404,
    }


def test_list_is_a_list_of_the_kind_with_a_version(api: Api) -> None:
    api.secret("a")
    api.secret("b")
    body = api.ok("GET", SECRETS)
    assert (body["kind"], body["apiVersion"]) == ("SecretList", "v1")
    assert int(body["metadata"]["resourceVersion"]) > 0
    assert [each["metadata"]["name"] for each in body["items"]] == ["a", "b"]
    assert api.ok("GET", "/api/v1/secrets")["items"] == body["items"]


def test_an_empty_list_has_items(api: Api) -> None:
    assert api.ok("GET", SECRETS)["items"] == []


def test_pages_of_a_list_go_on_where_the_last_one_ended(api: Api) -> None:
    for name in "abc":
        api.secret(name)
    first = api.ok("GET", f"{SECRETS}?limit=2")
    assert [each["metadata"]["name"] for each in first["items"]] == ["a", "b"]
    token = first["metadata"]["continue"]
    second = api.ok("GET", SECRETS, params={"limit": 2, "continue": token})
    assert [each["metadata"]["name"] for each in second["items"]] == ["c"]
    assert "continue" not in second["metadata"]


def test_selectors_choose(api: Api) -> None:
    api.secret("a", metadata={"labels": {"app": "x"}})
    api.secret("b", type="Opaque")
    by_label = api.ok("GET", f"{SECRETS}?labelSelector=app%3Dx")["items"]
    by_field = api.ok("GET", f"{SECRETS}?fieldSelector=type%3DOpaque")["items"]
    assert [each["metadata"]["name"] for each in by_label + by_field] == ["a", "b"]


def test_update_replaces_and_a_stale_one_conflicts(api: Api) -> None:
    made = api.secret("s")
    made["type"] = "Opaque"
    answer = api("PUT", f"{SECRETS}/s", json=made)
    assert answer.status_code == 200
    stale = api("PUT", f"{SECRETS}/s", json={**made, "type": "other"})
    assert stale.status_code == 409
    assert stale.json()["message"] == (
        'Operation cannot be fulfilled on secrets "s": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_update_of_another_name_or_namespace_is_refused(api: Api) -> None:
    api.secret("s")
    other = api("PUT", f"{SECRETS}/s", json={"metadata": {"name": "t"}})
    assert other.status_code == 400
    assert other.json()["message"] == (
        "the name of the object (t) does not match the name on the URL (s)"
    )
    elsewhere = api("PUT", f"{SECRETS}/s", json={"metadata": {"name": "s", "namespace": "x"}})
    assert elsewhere.json()["message"] == (
        "the namespace of the provided object does not match the namespace sent on the request"
    )
    nameless = api("PUT", f"{SECRETS}/s", json={})
    assert nameless.json()["message"] == (
        "the name of the object (s based on URL) was undeterminable: name must be provided"
    )


def test_update_makes_what_is_missing_only_where_the_kind_allows_it(api: Api) -> None:
    made = api("PUT", f"{WIDGETS}/w", json={"metadata": {"name": "w"}})
    assert made.status_code == 201
    assert api("PUT", f"{SECRETS}/s", json={"metadata": {"name": "s"}}).status_code == 404


def test_update_that_makes_an_object_needs_the_right_to_create(api: Api) -> None:
    api.rights.grant("u", "update", "widgets", "w")
    answer = api("PUT", f"{WIDGETS}/w", json={"metadata": {"name": "w"}}, user="u")
    assert answer.status_code == 403
    assert 'User "u" cannot create resource "widgets"' in answer.json()["message"]
    api.rights.grant("u", "create", "widgets", "w")
    again = api("PUT", f"{WIDGETS}/w", json={"metadata": {"name": "w"}}, user="u")
    assert again.status_code == 201


def test_delete_answers_a_status_that_names_what_is_gone(api: Api) -> None:
    made = api.secret("s")
    answer = api("DELETE", f"{SECRETS}/s")
    assert answer.status_code == 200
    assert answer.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "s", "kind": "secrets", "uid": made["metadata"]["uid"]},
    }


def test_delete_answers_the_object_while_finalizers_hold_it(api: Api) -> None:
    api.secret("s", metadata={"finalizers": ["example.io/hold"]})
    held = api("DELETE", f"{SECRETS}/s")
    assert held.status_code == 200
    assert held.json()["metadata"]["deletionTimestamp"]
    cascading = api("DELETE", f"{SECRETS}/s", json={"orphanDependents": False})
    assert cascading.status_code == 202


def test_delete_options_in_a_body_are_checked_and_obeyed(api: Api) -> None:
    api.secret("s")

    def deleted(**options: object) -> tuple[int, str]:
        answer = api("DELETE", f"{SECRETS}/s", json={"kind": "DeleteOptions", **options})
        return answer.status_code, answer.json().get("message", "")

    assert deleted(preconditions={"uid": "other"})[0] == 409
    assert deleted(propagationPolicy="Sideways") == (
        422,
        (
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: '
            '"Sideways": supported values: "Foreground", "Background", "Orphan", "nil"'
        ),
    )
    assert deleted(propagationPolicy="Orphan", orphanDependents=True)[0] == 422
    assert deleted(kind="Secret")[0] == 400
    assert deleted(gracePeriodSeconds="soon")[0] == 400
    assert deleted(dryRun=["All"])[0] == 200
    assert api("GET", f"{SECRETS}/s").status_code == 200


def test_delete_options_in_the_query(api: Api) -> None:
    api.secret("s")
    assert api("DELETE", f"{SECRETS}/s?propagationPolicy=X").status_code == 422
    assert api("DELETE", f"{SECRETS}/s?gracePeriodSeconds=x").status_code == 400
    assert api("DELETE", f"{SECRETS}/s?dryRun=All").status_code == 200
    assert api("DELETE", f"{SECRETS}/s?propagationPolicy=Background").status_code == 200
    assert api("GET", f"{SECRETS}/s").status_code == 404


def test_delete_collection_deletes_what_is_selected_and_answers_it(api: Api) -> None:
    api.secret("a", metadata={"labels": {"app": "x"}})
    api.secret("b")
    body = api.ok("DELETE", f"{SECRETS}?labelSelector=app%3Dx")
    assert body["kind"] == "SecretList"
    assert [each["metadata"]["name"] for each in body["items"]] == ["a"]
    left = api.ok("GET", SECRETS)["items"]
    assert [each["metadata"]["name"] for each in left] == ["b"]


def test_a_collection_is_deleted_in_one_namespace_and_never_in_all(api: Api) -> None:
    api.secret("a")
    assert api("DELETE", "/api/v1/secrets").status_code == 405
    assert api("DELETE", "/api/v1/namespaces//secrets").status_code == 405
    assert len(api.ok("GET", SECRETS)["items"]) == 1
    assert api("DELETE", "/apis/example.io/v1/widgets").status_code == 200


def test_a_review_is_answered_with_201(api: Api) -> None:
    answer = api("POST", "/apis/example.io/v1/reviews", json={})
    assert answer.status_code == 201
    assert answer.json()["answer"] == "root"


def test_a_subresource_is_created_under_its_object(api: Api) -> None:
    answer = api("POST", f"{WIDGETS}/w/token", json={"kind": "Review", "apiVersion": "v1"})
    assert answer.status_code == 201
    assert answer.json()["answer"] == "root w"


def test_a_get_of_a_paged_subresource_takes_the_options_of_a_list(api: Api) -> None:
    found = api.ok("GET", f"{WIDGETS}/w/log?limit=7&continue=abc")
    assert found["answer"] == "root w 7 abc"
    assert api("GET", f"{WIDGETS}/w/log?limit=many").status_code == 400


def test_dry_run_stores_nothing(api: Api) -> None:
    answer = api("POST", f"{SECRETS}?dryRun=All", json={"metadata": {"name": "s"}})
    assert answer.status_code == 201
    assert api("GET", f"{SECRETS}/s").status_code == 404


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "dryRun=Some",
            (
                'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: '
                'supported values: "All"'
            ),
        ),
        (
            "fieldManager=" + "x" * 129,
            (
                'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more '
                "than 128 bytes"
            ),
        ),
        (
            "fieldValidation=Maybe",
            (
                'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: '
                '"Maybe": supported values: "", "Ignore", "Strict", "Warn"'
            ),
        ),
    ],
)
def test_options_of_a_write_are_checked(api: Api, query: str, message: str) -> None:
    answer = api("POST", f"{SECRETS}?{query}", json={"metadata": {"name": "s"}})
    assert answer.status_code == 422
    assert answer.json()["message"] == message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "resourceVersionMatch=Exact",
            (
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless "
                "resourceVersion is provided"
            ),
        ),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            (
                'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for '
                'resourceVersion "0"'
            ),
        ),
        (
            "sendInitialEvents=true",
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ),
        (
            "watch=1&sendInitialEvents=true",
            (
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting "
                "resourceVersionMatch to NotOlderThan"
            ),
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            (
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch "
                "unless "
                "sendInitialEvents is provided"
            ),
        ),
    ],
)
def test_options_of_a_list_are_checked(api: Api, query: str, message: str) -> None:
    answer = api("GET", f"{SECRETS}?{query}")
    assert answer.status_code == 422
    assert answer.json()["message"] == f'ListOptions.meta.k8s.io "" is invalid: {message}'


@pytest.mark.parametrize(
    "query",
    [
        "resourceVersion=x",
        "resourceVersion=-1",
        "limit=x",
        "limit=1_0",
        "limit=9223372036854775808",
        "fieldSelector=spec.x%3D1",
        "continue=x",
    ],
)
def test_parameters_that_cannot_be_read_are_400(api: Api, query: str) -> None:
    assert api("GET", f"{SECRETS}?{query}").status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "resourceVersion=1&resourceVersionMatch=Exact&continue=x",
        "resourceVersion=1&resourceVersionMatch=Sometimes",
        "watch=1&sendInitialEvents=1&resourceVersionMatch=NotOlderThan&continue=x",
        "watch=1&sendInitialEvents=1&resourceVersionMatch=Exact",
    ],
)
def test_options_that_contradict_each_other_are_422(api: Api, query: str) -> None:
    assert api("GET", f"{SECRETS}?{query}").status_code == 422


def test_a_manager_is_printable(api: Api) -> None:
    answer = api("POST", f"{SECRETS}?fieldManager=a%07", json={"metadata": {"name": "s"}})
    assert answer.json()["message"] == (
        'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "a": '
        "invalid character U+0007 (at position 1)"
    )


def test_a_limit_may_be_as_large_as_an_int64(api: Api) -> None:
    api.secret("a")
    assert len(api.ok("GET", f"{SECRETS}?limit=9223372036854775807")["items"]) == 1


def test_a_version_that_is_yet_to_come_is_to_be_asked_for_again(api: Api) -> None:
    answer = api("GET", f"{SECRETS}?resourceVersion=99")
    assert (answer.status_code, answer.headers["retry-after"]) == (504, "1")
    assert answer.json()["message"].startswith("Timeout: Too large resource version: 99, current: ")


def test_a_limit_that_is_no_ascii_number_is_400(api: Api) -> None:
    assert api("GET", f"{SECRETS}?limit=%D9%A3").status_code == 400


def test_metadata_that_is_no_object_is_refused(api: Api) -> None:
    for method, path in (("POST", SECRETS), ("PUT", f"{SECRETS}/s"), ("POST", REVIEWS)):
        answer = api(method, path, json={"metadata": []})
        assert answer.status_code == 400, (method, path)
        assert "cannot unmarshal array into Go struct field" in answer.json()["message"]


def test_status_has_a_subresource_of_its_own(api: Api) -> None:
    api.ok("POST", WIDGETS, json={"metadata": {"name": "w"}, "spec": {"size": 1}})
    wanted = {"metadata": {"name": "w"}, "status": {"phase": "Ready"}}
    answer = api("PUT", f"{WIDGETS}/w/status?fieldManager=m", json=wanted)
    assert answer.status_code == 200, answer.text
    entries = answer.json()["metadata"]["managedFields"]
    (entry,) = (each for each in entries if each["manager"] == "m")
    assert entry["subresource"] == "status"
    assert "f:spec" not in entry["fieldsV1"]


def test_what_is_never_updated_has_no_managers(api: Api) -> None:
    assert "managedFields" not in api.ok("POST", REVIEWS, json={})["metadata"]


def test_a_continue_token_and_a_version_exclude_each_other(api: Api) -> None:
    answer = api("GET", f"{SECRETS}?continue=x&resourceVersion=5")
    assert answer.json()["message"] == (
        "specifying resource version is not allowed when using continue"
    )
