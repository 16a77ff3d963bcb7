"""The four patches through the API; texts of Kubernetes' API server."""

from typing import Any

import pytest

from tests.unit.apimachinery.http.in_process import Api

SECRETS = "/api/v1/namespaces/ns/secrets"
WIDGETS = "/apis/example.io/v1/widgets"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


def patch(api: Api, path: str, body: Any, kind: str = MERGE, **rest: Any) -> Any:
    """The answer to a patch; a text is sent as it is."""
    headers = {"content-type": kind, **rest.pop("headers", {})}
    content = {"content": body} if isinstance(body, str) else {"json": body}
    return api("PATCH", path, headers=headers, **content, **rest)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MERGE, {"type": "x"}),
        ("application/merge-patch+json; charset=utf-8", {"type": "x"}),
        ("application/json-patch+json", [{"op": "add", "path": "/type", "value": "x"}]),
        ("application/strategic-merge-patch+json", {"type": "x"}),
    ],
)
def test_each_kind_of_patch_changes_the_object(api: Api, kind: str, body: Any) -> None:
    api.secret("s", data={"a": "YQ=="})
    answer = patch(api, f"{SECRETS}/s", body, kind)
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == "x"
    assert answer.json()["data"] == {"a": "YQ=="}


def test_a_strategic_patch_joins_lists_by_their_key(api: Api) -> None:
    spec = {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}
    api.ok("POST", WIDGETS, json={"metadata": {"name": "w"}, "spec": spec})
    body = {"spec": {"ports": [{"name": "b", "port": 3}]}}
    answer = patch(api, f"{WIDGETS}/w", body, "application/strategic-merge-patch+json")
    assert sorted(each["port"] for each in answer.json()["spec"]["ports"]) == [1, 3]


def test_a_patch_that_changes_nothing_leaves_the_version(api: Api) -> None:
    made = api.secret("s", type="x")
    answer = patch(api, f"{SECRETS}/s", {"type": "x"})
    assert answer.json()["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    "kind", ["application/json", "application/apply-patch+cbor", "text/plain", ""]
)
def test_other_types_are_415_with_those_there_are(api: Api, kind: str) -> None:
    answer = patch(api, f"{SECRETS}/s", "{}", kind)
    assert answer.status_code == 415
    assert answer.json()["message"] == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, "
        "application/strategic-merge-patch+json, application/apply-patch+yaml"
    )


def test_a_patch_of_what_is_missing_is_404(api: Api) -> None:
    assert patch(api, f"{SECRETS}/s", {"type": "x"}).status_code == 404


def test_a_storage_that_has_nothing_to_change_leaves_the_answer_to_us(api: Api) -> None:
    answer = patch(api, "/apis/example.io/v1/faults/f", {})
    assert answer.json()["message"] == 'faults.example.io "f" not found'


def test_an_unknown_field_is_a_warning_or_a_refusal_as_asked(api: Api) -> None:
    api.secret("s")
    body = {"spek": 1}
    warned = patch(api, f"{SECRETS}/s", body)
    assert warned.status_code == 200
    assert warned.headers["warning"] == '299 - "unknown field \\"spek\\""'
    ignored = patch(api, f"{SECRETS}/s?fieldValidation=Ignore", body)
    assert "warning" not in ignored.headers
    refused = patch(api, f"{SECRETS}/s?fieldValidation=Strict", body)
    assert refused.status_code == 422
    assert refused.json()["message"] == (
        ' "" is invalid: patch: Invalid value: "…": strict decoding error: unknown field "spek"'
    )


@pytest.mark.parametrize(
    ("body", "kind", "fault", "code"),
    [
        ('{"type": "a", "type": "b"}', MERGE, 'duplicate field "type"', 422),
        (
            '{"metadata": {"labels": {"a": "1", "a": "2"}}}',
            "application/strategic-merge-patch+json",
            'duplicate field "metadata.labels.a"',
            422,
        ),
        (
            '[{"op": "add", "path": "/type", "value": "a", "value": "b"}]',
            "application/json-patch+json",
            'json patch duplicate field "[0].value"',
            422,
        ),
        (
            '[{"op": "add", "path": "/type", "value": "a", "why": "b"}]',
            "application/json-patch+json",
            'json patch unknown field "[0].why"',
            422,
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: a\ntype: b\n",
            APPLY,
            'duplicate field "type"',
            400,
        ),
    ],
)
def test_what_is_wrong_in_a_patch_itself_is_a_warning_or_a_refusal_as_asked(
    api: Api, body: str, kind: str, fault: str, code: int
) -> None:
    api.secret("s")
    path = f"{SECRETS}/s?fieldManager=m&dryRun=All"
    warned = patch(api, path, body, kind)
    assert warned.status_code == 200
    quoted = fault.replace('"', '\\"')
    assert warned.headers["warning"] == f'299 - "{quoted}"'
    assert "warning" not in patch(api, f"{path}&fieldValidation=Ignore", body, kind).headers
    refused = patch(api, f"{path}&fieldValidation=Strict", body, kind)
    assert refused.status_code == code
    prefix = "strict decoding error: " if code == 422 else "error strict decoding patch: "
    assert refused.json()["message"].endswith(prefix + fault)


@pytest.mark.parametrize("body", [{"data": {}}, {"metadata": {"labels": {}}}, {"type": ""}])
def test_a_patch_to_what_means_the_same_as_nothing_changes_nothing(api: Api, body: Any) -> None:
    made = api.secret("s")
    assert patch(api, f"{SECRETS}/s?fieldManager=m", body).json() == made


def test_managers_are_forgotten_when_a_writer_says_that_there_are_none(api: Api) -> None:
    api.secret("s", type="x")
    body: dict[str, Any] = {"metadata": {"managedFields": []}}
    answer = patch(api, f"{SECRETS}/s?fieldManager=m", body)
    assert "managedFields" not in answer.json()["metadata"]


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        ({"type": 1}, MERGE, 422),
        ({"data": {"a": "!"}}, MERGE, 422),
        ("{", MERGE, 400),
        ("[]", MERGE, 400),
        ('[{"op": "replace", "path": "", "value": 1}]', "application/json-patch+json", 422),
        ({"metadata": {"name": "other"}}, MERGE, 400),
        ({"metadata": {"namespace": "other"}}, MERGE, 400),
        ("- a", APPLY, 400),
        ("a: [", APPLY, 400),
    ],
)
def test_what_is_no_patch_is_refused(api: Api, body: Any, kind: str, code: int) -> None:
    api.secret("s")
    query = "?fieldManager=m" if kind == APPLY else ""
    answer = patch(api, f"{SECRETS}/s{query}", body, kind)
    assert answer.status_code == code, answer.text


def test_a_refused_patch_quotes_no_secret(api: Api) -> None:
    api.secret("s", data={"a": "c3dvcmRmaXNo"})
    answer = patch(api, f"{SECRETS}/s?fieldValidation=Strict", {"spek": 1})
    assert "c3dvcmRmaXNo" not in answer.text


def test_apply_makes_and_then_changes(api: Api) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ntype: {}\n"
    made = patch(api, f"{SECRETS}/s?fieldManager=m", text.format("x"), APPLY)
    assert made.status_code == 201, made.text
    (entry,) = made.json()["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("m", "Apply")
    changed = patch(api, f"{SECRETS}/s?fieldManager=m", text.format("y"), APPLY)
    assert (changed.status_code, changed.json()["type"]) == (200, "y")


def test_apply_conflicts_with_another_manager_unless_forced(api: Api) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ntype: {}\n"
    patch(api, f"{SECRETS}/s?fieldManager=m", text.format("x"), APPLY)
    other = patch(api, f"{SECRETS}/s?fieldManager=n", text.format("y"), APPLY)
    assert other.status_code == 409
    assert other.json()["message"] == ('Apply failed with 1 conflict: conflict with "m": .type')
    forced = patch(api, f"{SECRETS}/s?fieldManager=n&force=true", text.format("y"), APPLY)
    assert (forced.status_code, forced.json()["type"]) == (200, "y")


def test_apply_needs_a_manager_and_other_patches_know_no_force(api: Api) -> None:
    missing = patch(api, f"{SECRETS}/s", "{}", APPLY)
    assert missing.status_code == 422
    assert missing.json()["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for '
        "apply patch"
    )
    force = patch(api, f"{SECRETS}/s?force=true", {})
    assert force.json()["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for '
        "non-apply patch"
    )


def test_apply_that_makes_an_object_needs_the_right_to_create(api: Api) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n"
    api.rights.grant("u", "patch", "secrets", "ns")
    answer = patch(api, f"{SECRETS}/s?fieldManager=m", text, APPLY, user="u")
    assert answer.status_code == 403
    assert 'cannot create resource "secrets"' in answer.json()["message"]


def test_who_wrote_is_the_manager_by_parameter_or_user_agent(api: Api) -> None:
    headers = {"user-agent": "kubectl/v1.34.0 (linux/amd64)"}
    body = {"metadata": {"name": "s"}, "type": "x"}
    made = api.ok("POST", SECRETS, json=body, headers=headers)
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("kubectl", "Update")
    assert entry["fieldsV1"] == {"f:type": {}}
    changed = patch(api, f"{SECRETS}/s?fieldManager=me", {"data": {"a": "YQ=="}}).json()
    managers = [each["manager"] for each in changed["metadata"]["managedFields"]]
    assert sorted(managers) == ["kubectl", "me"]
