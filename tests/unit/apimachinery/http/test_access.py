"""Who may do what: texts as `kubectl` prints them from a Kubernetes API server."""

import pytest

from tests.unit.apimachinery.http.in_process import Api
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.http.impersonation import acting_user
from tidegate.apimachinery.http.request import Request

SECRETS = "/api/v1/namespaces/ns/secrets"


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        (
            "GET",
            SECRETS,
            (
                'secrets is forbidden: User "u" cannot list resource "secrets" in API group "" '
                "in the "
                'namespace "ns"'
            ),
        ),
        (
            "GET",
            "/api/v1/secrets?watch=true",
            (
                'secrets is forbidden: User "u" cannot watch resource "secrets" in API group "" '
                "at the "
                "cluster scope"
            ),
        ),
        (
            "GET",
            f"{SECRETS}/s",
            (
                'secrets "s" is forbidden: User "u" cannot get resource "secrets" in API group '
                '"" in '
                'the namespace "ns"'
            ),
        ),
        (
            "POST",
            "/apis/example.io/v1/widgets/w/token",
            (
                'widgets.example.io "w" is forbidden: User "u" cannot create resource '
                '"widgets/token" '
                'in API group "example.io" in the namespace "w"'
            ),
        ),
        (
            "GET",
            "/api/v1/namespaces/ns",
            (
                'namespaces "ns" is forbidden: User "u" cannot get resource "namespaces" in API '
                "group "
                '"" in the namespace "ns"'
            ),
        ),
        (
            "DELETE",
            "/apis/none.io/v1/things",
            (
                'things.none.io is forbidden: User "u" cannot deletecollection resource '
                '"things" in '
                'API group "none.io" at the cluster scope'
            ),
        ),
        ("GET", "/metrics", 'forbidden: User "u" cannot get path "/metrics"'),
        ("POST", "/<x>", 'forbidden: User "u" cannot post path "/&lt;x&gt;"'),
    ],
)
def test_a_denial_says_who_may_not_do_what(api: Api, method: str, path: str, message: str) -> None:
    answer = api(method, path, user="u")
    assert answer.status_code == 403
    assert answer.json()["reason"] == "Forbidden"
    assert answer.json()["message"] == message


def test_nobody_without_credentials_is_judged_as_anonymous(api: Api) -> None:
    answer = api("GET", f"{SECRETS}/s", user="")
    assert answer.status_code == 403
    assert 'User "system:anonymous" cannot get' in answer.json()["message"]
    api.rights.grant("system:anonymous", "get", "/version")
    assert api("GET", "/version", user="").status_code == 200


def test_a_wrong_token_is_401(api: Api) -> None:
    answer = api("GET", SECRETS, user="wrong")
    assert answer.status_code == 401
    assert answer.json()["reason"] == "Unauthorized"


def test_a_throttled_client_is_told_when_to_come_again(api: Api) -> None:
    answer = api("GET", SECRETS, user="hasty")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["details"]["retryAfterSeconds"] == 7


def test_a_right_to_one_name_allows_to_list_and_watch_that_name(api: Api) -> None:
    api.rights.grant("u", "list", "secrets", "ns", "s")
    assert api("GET", f"{SECRETS}?fieldSelector=metadata.name%3Ds", user="u").status_code == 200
    assert api("GET", f"{SECRETS}?fieldSelector=metadata.name%3D%3Ds", user="u").status_code == 200
    assert api("GET", f"{SECRETS}?fieldSelector=metadata.name!%3Ds", user="u").status_code == 403
    escaped = "type%3D%5C,metadata.name%3Ds"
    assert api("GET", f"{SECRETS}?fieldSelector={escaped}", user="u").status_code == 403
    assert api("GET", SECRETS, user="u").status_code == 403


def test_an_object_that_names_a_namespace_is_judged_there(api: Api) -> None:
    api.rights.grant("u", "get", "widgets", "w")
    assert api("GET", "/apis/example.io/v1/widgets/w", user="u").status_code == 404
    assert api("GET", "/apis/example.io/v1/widgets/x", user="u").status_code == 403


def test_impersonation_needs_the_right_to_it(api: Api) -> None:
    headers = {"impersonate-user": "x"}
    denied = api("GET", SECRETS, user="u", headers=headers)
    assert denied.status_code == 403
    assert denied.json()["message"] == (
        'users "x" is forbidden: User "u" cannot impersonate resource "users" in API group "" at '
        "the cluster scope"
    )
    api.rights.grant("u", "impersonate", "users", "", "x")
    acting = api("GET", SECRETS, user="u", headers=headers)
    assert 'User "x" cannot list' in acting.json()["message"]
    api.rights.grant("x", "list", "secrets", "ns")
    assert api("GET", SECRETS, user="u", headers=headers).status_code == 200


def test_a_service_account_is_impersonated_by_its_own_right(api: Api) -> None:
    headers = {"impersonate-user": "system:serviceaccount:ns:robot"}
    api.rights.grant("u", "impersonate", "users")
    denied = api("GET", SECRETS, user="u", headers=headers)
    assert denied.json()["message"] == (
        'serviceaccounts "robot" is forbidden: User "u" cannot impersonate resource '
        '"serviceaccounts" in API group "" in the namespace "ns"'
    )


@pytest.mark.parametrize(
    ("header", "value", "resource", "group"),
    [
        ("impersonate-group", "system:masters", "groups", ""),
        ("impersonate-uid", "1", "uids", "authentication.k8s.io"),
        ("impersonate-extra-Example.io%2fscope", "a", "userextras", "authentication.k8s.io"),
    ],
)
def test_groups_uids_and_extras_are_rights_of_their_own(
    api: Api, header: str, value: str, resource: str, group: str
) -> None:
    api.rights.grant("u", "impersonate", "users")
    headers = {"impersonate-user": "x", header: value}
    denied = api("GET", SECRETS, user="u", headers=headers)
    assert denied.status_code == 403
    subject = f"{resource}.{group}" if group else resource
    asked = "userextras/example.io/scope" if resource == "userextras" else resource
    assert denied.json()["message"].startswith(
        f'{subject} "{value}" is forbidden: User "u" cannot impersonate resource "{asked}"'
    )
    nobody = api("GET", SECRETS, headers={header: value})
    assert nobody.status_code == 400


def test_who_is_impersonated_gets_the_groups_of_kubernetes(api: Api) -> None:
    def groups(*headers: tuple[bytes, bytes]) -> tuple[str, ...]:
        scope = {"method": "GET", "path": "/", "query_string": b"", "headers": list(headers)}

        async def nothing() -> dict[str, object]:
            return {}

        acting = acting_user(Request(scope, nothing), User("root"), api.rights)
        return api.run(acting).groups

    user = (b"impersonate-user", b"x")
    assert groups(user) == ("system:authenticated",)
    assert groups(user, (b"impersonate-group", b"g")) == ("g", "system:authenticated")
    assert groups(user, (b"impersonate-group", b"system:unauthenticated")) == (
        "system:unauthenticated",
    )
    anonymous = (b"impersonate-user", b"system:anonymous")
    assert groups(anonymous) == ("system:unauthenticated",)
    assert groups(anonymous, (b"impersonate-group", b"system:unauthenticated")) == groups(anonymous)
    known = (b"impersonate-group", b"system:authenticated")
    assert groups(user, known) == ("system:authenticated",)
    assert groups(user, (b"impersonate-uid", b"1"), (b"impersonate-extra-a", b"b")) == groups(user)
    assert groups((b"impersonate-user", b"system:serviceaccount:ns:robot")) == (
        "system:serviceaccounts",
        "system:serviceaccounts:ns",
        "system:authenticated",
    )


def test_writes_and_denials_are_recorded_and_reads_are_not(api: Api) -> None:
    api.secret("s", data={"a": "c2VjcmV0"})
    api("GET", f"{SECRETS}/s")
    api("GET", SECRETS, user="u")
    api("GET", SECRETS, user="wrong")
    api("GET", SECRETS, user="u", headers={"impersonate-user": "root"})
    api("DELETE", f"{SECRETS}/s?dryRun=All", headers={"impersonate-user": "root"})
    shown = [
        (each.action, each.user, each.reference, each.status, each.detail)
        for each in api.audit.events
    ]
    assert shown == [
        ("create", "root", "secrets ns/s", 201, ""),
        ("list", "u", "secrets ns", 403, ""),
        ("get", "", SECRETS, 401, ""),
        ("list", "u", "secrets ns", 403, "as root"),
        ("delete", "root", "secrets ns/s", 200, "as root, dry run"),
    ]


def test_an_impersonating_user_without_a_name_is_nobody_else(api: Api) -> None:
    assert api("GET", SECRETS, headers={"impersonate-user": ""}).status_code == 200
    assert (
        api("GET", SECRETS, headers={"impersonate-user": "", "impersonate-uid": "1"})
        .json()["message"]
        .endswith("without impersonating a user")
    )


def test_a_new_object_is_recorded_by_the_name_it_got(api: Api) -> None:
    api.ok("POST", "/apis/example.io/v1/widgets", json={"metadata": {"name": "w"}})
    api.ok("POST", SECRETS, json={"metadata": {"generateName": "g-"}})
    widget, secret = (each.reference for each in api.audit.events)
    assert widget == "widgets.example.io w"
    assert secret.startswith("secrets ns/g-")


def test_a_path_that_is_no_unicode_is_refused_like_any_other(api: Api) -> None:
    assert api("GET", "/%ff", user="u").status_code == 403


def test_what_nobody_foresaw_is_a_500_without_its_text(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    answer = api("POST", "/apis/example.io/v1/faults", json={})
    assert answer.status_code == 500
    assert answer.json()["reason"] == "InternalError"
    assert "swordfish" not in answer.text
    assert "swordfish" in caplog.text
