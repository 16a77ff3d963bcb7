"""Who may, and what a refusal says (DESIGN: 401, 401 insufficient_scope, 403)."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.authorizers import Rights
from tests.images import Content, small_image
from tests.registry_client import error_codes
from tests.server import PASSWORD, USERNAME
from tests.unit.registry.in_process import InProcess, in_process
from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.registry.request import Receive, Scope, Send

IMAGE = small_image("one")
REPOSITORY = "shop/web"
REQUESTS = [
    ("GET", f"/v2/{REPOSITORY}/manifests/1", "pull"),
    ("HEAD", f"/v2/{REPOSITORY}/manifests/1", "pull"),
    ("PUT", f"/v2/{REPOSITORY}/manifests/2", "pull,push"),
    ("DELETE", f"/v2/{REPOSITORY}/manifests/1", "delete"),
    ("GET", f"/v2/{REPOSITORY}/blobs/{IMAGE.blobs[0].digest}", "pull"),
    ("DELETE", f"/v2/{REPOSITORY}/blobs/{IMAGE.blobs[0].digest}", "delete"),
    ("POST", f"/v2/{REPOSITORY}/blobs/uploads/", "pull,push"),
    ("PATCH", f"/v2/{REPOSITORY}/blobs/uploads/{'0' * 32}", "pull,push"),
    ("DELETE", f"/v2/{REPOSITORY}/blobs/uploads/{'0' * 32}", "pull,push"),
    ("GET", f"/v2/{REPOSITORY}/tags/list", "pull"),
    ("GET", f"/v2/{REPOSITORY}/referrers/{IMAGE.digest}", "pull"),
]


@pytest.mark.parametrize(("method", "path", "actions"), REQUESTS)
def test_nobody_is_challenged_for_exactly_what_the_request_needs(
    registry: InProcess, method: str, path: str, actions: str
) -> None:
    answer = registry.client(None).http.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="http://registry.test/openshift/token",service="tidegate",'
        f'scope="repository:{REPOSITORY}:{actions}"'
    )


@pytest.mark.parametrize(("method", "path", "actions"), REQUESTS)
def test_a_token_of_another_repository_is_told_to_get_a_wider_one(
    registry: InProcess, method: str, path: str, actions: str
) -> None:
    narrow = registry.bearer(registry.token("repository:shop/other:pull,push,delete"))
    answer = narrow.http.request(method, path)
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert f"repository:{REPOSITORY}:{actions}" in challenge
    wide = registry.bearer(registry.token(f"repository:{REPOSITORY}:{actions}"))
    assert wide.http.request(method, path).status_code not in (401, 403)


@pytest.mark.parametrize(("method", "path", "actions"), REQUESTS)
def test_who_lacks_the_right_is_denied_whether_the_name_exists_or_not(
    tmp_path: Path, method: str, path: str, actions: str
) -> None:
    with in_process(tmp_path, Rights(), more_users=("una",)) as registry:
        registry.client().push(REPOSITORY, IMAGE, "1")
        una = registry.client("una")
        there = una.http.request(method, path)
        absent = una.http.request(method, path.replace("shop/web", "no/where"))
        assert (there.status_code, absent.status_code) == (403, 403)
        assert there.content == absent.content
        if method != "HEAD":
            assert error_codes(there) == ["DENIED"]
        token = registry.bearer(registry.token(f"repository:{REPOSITORY}:{actions}", name="una"))
        assert token.http.request(method, path).status_code == 403


def test_the_ping_wants_somebody(registry: InProcess) -> None:
    answer = registry.client(None).http.get("/v2/")
    assert answer.status_code == 401
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
    assert registry.client().http.get("/v2/").json() == {}
    assert registry.bearer(registry.token()).http.get("/v2/").status_code == 200


def test_the_catalog_shows_what_the_user_may_pull(tmp_path: Path) -> None:
    with in_process(tmp_path, Rights(("una", "get", "shop")), more_users=("una",)) as registry:
        for name in ("bank/a", "bank/b", "shop/a", "shop/b", "shop/c", "zoo/a"):
            registry.client().put_blob(name, Content(b"x"))
        una = registry.client("una")
        assert una.http.get("/v2/_catalog").json()["repositories"] == ["shop/a", "shop/b", "shop/c"]
        page = una.http.get("/v2/_catalog?n=2")
        assert page.json()["repositories"] == ["shop/a", "shop/b"]
        assert page.headers["link"] == '</v2/_catalog?n=2&last=shop/b>; rel="next"'
        last = una.http.get("/v2/_catalog?n=2&last=shop/b")
        assert last.json()["repositories"] == ["shop/c"]
        assert "link" not in last.headers
        assert len(registry.client().http.get("/v2/_catalog").json()["repositories"]) == 6


def test_the_catalog_is_not_for_nobody(registry: InProcess) -> None:
    nobody = registry.client(None).http.get("/v2/_catalog")
    assert nobody.status_code == 401
    assert 'scope="registry:catalog:*"' in nobody.headers["www-authenticate"]
    token = registry.token("registry:catalog:*")
    assert registry.bearer(token).http.get("/v2/_catalog").status_code == 200
    narrow = registry.token("repository:shop/web:pull")
    refused = registry.bearer(narrow).http.get("/v2/_catalog")
    assert refused.status_code == 401
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


def test_a_first_push_needs_the_right_to_create_a_stream(tmp_path: Path) -> None:
    rights = Rights(("una", "get", "shop"), ("una", "update", "shop"))
    with in_process(tmp_path, rights, more_users=("una",)) as registry:
        registry.client().push(REPOSITORY, IMAGE, "1")
        una = registry.client("una")
        una.push(REPOSITORY, IMAGE, "2")
        refused = una.http.post("/v2/shop/other/blobs/uploads/")
        assert (refused.status_code, error_codes(refused)) == (403, ["DENIED"])
        assert una.put_manifest("shop/other", "1", IMAGE.manifest).status_code == 403


def test_a_push_into_a_missing_project_makes_it_for_who_may_request_one(tmp_path: Path) -> None:
    rights = Rights(("una", "create", ""), ("una", "create", "hers"))
    with in_process(tmp_path, rights, more_users=("una", "eve")) as registry:
        una, eve = registry.client("una"), registry.client("eve")
        assert eve.http.post("/v2/hers/web/blobs/uploads/").status_code == 403
        assert una.http.head(f"/v2/hers/web/blobs/{IMAGE.digest}").status_code == 404
        token = registry.bearer(registry.token("repository:hers/web:pull,push", name="una"))
        assert token.http.post("/v2/hers/web/blobs/uploads/").status_code == 202
        # there now, and hers by a binding that this test's authorizer does not know of
        assert una.http.post("/v2/hers/web/blobs/uploads/").status_code == 403


def test_a_push_that_is_none_makes_no_project(tmp_path: Path) -> None:
    rights = Rights(("una", "create", ""), ("una", "create", "hers"))
    with in_process(tmp_path, rights, more_users=("una",)) as registry:
        http = registry.client("una").http
        assert http.put("/v2/hers/web/manifests/-").status_code == 400
        assert http.post("/v2/hers/web/blobs/uploads/?mount=none").status_code == 400
        assert http.post("/v2/hers/web/manifests/1").status_code == 405
        # were it there, this authorizer would not let her in
        assert http.post("/v2/hers/web/blobs/uploads/").status_code == 202


def test_a_manifest_goes_only_with_every_tag_that_names_it(tmp_path: Path) -> None:
    class OneTag(Rights):
        async def authorize(self, user: User, attributes: Attributes) -> bool:
            if user.name == "una" and attributes.verb == "delete":
                return (attributes.resource, attributes.name) == ("imagestreamtags", "web:1")
            return await super().authorize(user, attributes)

    with in_process(tmp_path, OneTag(), more_users=("una",)) as registry:
        una = registry.client("una")
        for tag in ("1", "2"):
            registry.client().push(REPOSITORY, IMAGE, tag)
        path = f"/v2/{REPOSITORY}/manifests"
        assert una.http.delete(f"{path}/{IMAGE.digest}").status_code == 403
        assert una.http.delete(f"{path}/2").status_code == 403
        assert una.http.delete(f"{path}/1").status_code == 202
        assert una.http.delete(f"{path}/{IMAGE.digest}").status_code == 403
        registry.client().push(REPOSITORY, IMAGE, "1")
        assert registry.client().http.delete(f"{path}/2").status_code == 202
        assert una.http.delete(f"{path}/{IMAGE.digest}").status_code == 202
        assert una.http.delete(f"{path}/{IMAGE.digest}").status_code == 403  # and not 404


def test_a_scoped_token_signs_where_it_may_push_if_its_owner_may_sign(tmp_path: Path) -> None:
    pushing = [(name, verb, "shop") for name in ("sig", "una") for verb in ("get", "update")]
    rights = Rights(*pushing, ("sig", "create", ""))
    with in_process(tmp_path, rights, more_users=("sig", "una")) as registry:
        registry.client().push(REPOSITORY, IMAGE, "1")
        path = f"/extensions/v2/{REPOSITORY}/signatures/{IMAGE.digest}"
        signature = {"schemaVersion": 2, "name": f"{IMAGE.digest}@a", "content": "AA=="}

        def put(name: str, *scopes: str) -> int:
            client = registry.bearer(registry.token(*scopes, name=name))
            return client.http.put(path, json=signature).status_code

        assert put("sig", f"repository:{REPOSITORY}:pull") == 401
        assert put("sig", "repository:shop/other:pull,push") == 401
        assert put("una", f"repository:{REPOSITORY}:pull,push") == 403
        assert put("sig", f"repository:{REPOSITORY}:pull,push") == 201


def test_an_image_is_signed_by_who_may_and_shows_it_to_who_may_pull(tmp_path: Path) -> None:
    rights = Rights(("una", "get", "shop"), ("sig", "get", "shop"), ("sig", "create", ""))
    with in_process(tmp_path, rights, more_users=("una", "sig", "eve")) as registry:
        registry.client().push(REPOSITORY, IMAGE, "1")
        path = f"/extensions/v2/{REPOSITORY}/signatures/{IMAGE.digest}"
        una, sig = registry.client("una"), registry.client("sig")
        signature = {
            "schemaVersion": 2,
            "type": "atomic",
            "name": f"{IMAGE.digest}@first",
            "content": base64.b64encode(b"signed").decode(),
        }
        assert una.http.get(path).json() == {"signatures": []}
        for refused in (
            registry.client("eve").http.get(path),
            registry.client("eve").http.put(path, json=signature),
            una.http.put(path, json=signature),
        ):
            assert (refused.status_code, error_codes(refused)) == (403, ["DENIED"])
        assert registry.client(None).http.get(path).status_code == 401
        scoped = registry.token(f"repository:{REPOSITORY}:pull,push", name="sig")
        assert registry.bearer(scoped).http.put(path, json=signature).status_code == 401
        assert sig.http.put(path, json=signature).status_code == 201
        assert una.http.get(path).json() == {"signatures": [signature]}
        for again in (signature, signature | {"name": f"{IMAGE.digest}@second"}):
            answer = sig.http.put(path, json=again)
            assert (answer.status_code, error_codes(answer)) == (409, ["SIGNATURE_EXISTS"])
        other = small_image("another").digest
        faulty: tuple[object, ...] = (
            signature | {"schemaVersion": 1},
            signature | {"name": f"{other}@x"},
            signature | {"name": IMAGE.digest},
            signature | {"name": f"{IMAGE.digest}@a@b"},
            signature | {"content": "%"},
            [],
        )
        for bad in faulty:
            answer = sig.http.put(path, json=bad)
            assert (answer.status_code, error_codes(answer)) == (400, ["SIGNATURE_INVALID"])
        nowhere = f"/extensions/v2/{REPOSITORY}/signatures/{other}"
        assert sig.http.get(nowhere).status_code == 404
        unknown = signature | {"name": f"{other}@x"}
        assert sig.http.put(nowhere, json=unknown).status_code == 404
        assert una.http.delete(path).status_code == 403
        assert sig.http.delete(path).status_code == 405


def test_metrics_tell_what_is_stored_to_who_may_read_them(tmp_path: Path) -> None:
    path = "/extensions/v2/metrics"
    with in_process(tmp_path, Rights(("una", "get", "")), more_users=("una", "eve")) as registry:
        registry.client().push(REPOSITORY, IMAGE, "1")
        assert registry.client(None).http.get(path).status_code == 401
        refused = registry.client("eve").http.get(path)
        assert (refused.status_code, error_codes(refused)) == (403, ["DENIED"])
        shown = registry.client("una").http.get(path)
        assert shown.headers["content-type"].startswith("text/plain")
        assert {
            f"tidegate_blobs {len(IMAGE.blobs)}",
            f"tidegate_blob_bytes {sum(len(blob.data) for blob in IMAGE.blobs)}",
            "tidegate_manifests 1",
            "tidegate_cached_blobs 0",
            "tidegate_cached_blob_bytes 0",
        } <= set(shown.text.splitlines())
        assert registry.client("una").http.post(path).status_code == 405
        scoped = registry.token(f"repository:{REPOSITORY}:pull")
        assert registry.bearer(scoped).http.get(path).status_code == 401


def test_a_blob_that_somebody_holds_is_not_pruned(registry: InProcess) -> None:
    blob = Content(b"held")
    registry.client().put_blob(REPOSITORY, blob)
    path = f"/admin/blobs/{blob.digest}"
    assert registry.client(None).http.delete(path).status_code == 401
    refused = registry.client().http.delete(path)
    assert refused.status_code == 405
    assert REPOSITORY in refused.text
    assert registry.client().http.delete(f"/v2/{REPOSITORY}/blobs/{blob.digest}").status_code == 202
    assert registry.client().http.delete(path).status_code == 204
    assert registry.client().http.delete(path).status_code == 204
    assert registry.client().http.get(path).status_code == 405


def test_nobody_pulls_unless_the_setting_says_so_and_never_pushes(tmp_path: Path) -> None:
    with in_process(tmp_path, Rights(anonymous_pull=True)) as registry:
        registry.client().push(REPOSITORY, IMAGE, "1")
        nobody = registry.client(None)
        assert nobody.manifest(REPOSITORY, "1").status_code == 200
        assert nobody.http.get("/v2/").status_code == 401  # or docker would never log in
        assert nobody.put_manifest(REPOSITORY, "2", IMAGE.manifest).status_code == 401
        issued = nobody.http.get(f"/openshift/token?scope=repository:{REPOSITORY}:pull,push")
        token = registry.bearer(issued.json()["token"])
        assert token.http.get("/v2/").status_code == 200
        assert token.manifest(REPOSITORY, "1").status_code == 200
        assert token.put_manifest(REPOSITORY, "2", IMAGE.manifest).status_code == 401


def test_nobody_gets_no_token_where_nobody_may_anything(registry: InProcess) -> None:
    answer = registry.client(None).http.get(f"/openshift/token?scope=repository:{REPOSITORY}:pull")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_the_oauth_form_gives_a_token_too(registry: InProcess) -> None:
    form = {
        "grant_type": "password",
        "service": "tidegate",
        "scope": f"repository:{REPOSITORY}:pull",
        "username": USERNAME,
        "password": PASSWORD,
    }
    nobody = registry.client(None)
    answer = nobody.http.post("/openshift/token", data=form)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert registry.bearer(answer.json()["access_token"]).http.get("/v2/").status_code == 200
    wrong = nobody.http.post("/openshift/token", data=form | {"password": "wrong"})
    assert wrong.status_code == 401
    other = nobody.http.post("/openshift/token", data=form | {"grant_type": "implicit"})
    assert (other.status_code, other.json()["error"]) == (400, "unsupported_grant_type")
    assert nobody.http.put("/openshift/token").status_code == 400


@pytest.mark.parametrize("authorization", ["Basic !!!", "Basic YWRtaW46d3Jvbmc=", "Digest x", "x"])
def test_wrong_credentials_are_401_and_never_taken_for_nobody(
    tmp_path: Path, authorization: str
) -> None:
    with in_process(tmp_path, Rights(anonymous_pull=True)) as registry:
        registry.client().push(REPOSITORY, IMAGE, "1")
        answer = registry.client(None).http.get(
            f"/v2/{REPOSITORY}/manifests/1", headers={"Authorization": authorization}
        )
        assert (answer.status_code, error_codes(answer)) == (401, ["UNAUTHORIZED"])


@pytest.mark.parametrize(
    "name", ["busybox", "a/b/c", "A/b", "a/b__c", "..%2f..%2fetc/passwd", "a/%00", "a%2fb/c"]
)
def test_a_name_of_another_form_is_refused_with_the_rule(registry: InProcess, name: str) -> None:
    answer = registry.client().http.get(f"/v2/{name}/manifests/latest")
    assert (answer.status_code, error_codes(answer)) == (400, ["NAME_INVALID"])
    assert "<project>/<stream>" in answer.text


def test_an_unknown_path_is_404(registry: InProcess) -> None:
    answer = registry.client().http.get("/v2/a/b/nothing")
    assert (answer.status_code, error_codes(answer)) == (404, ["UNSUPPORTED"])


@pytest.mark.parametrize("host", ["u@h", "a b", '"x"', "h:port", ""])
def test_a_host_that_is_none_is_400_and_reaches_no_challenge(
    registry: InProcess, host: str
) -> None:
    for path in ("/v2/", "/openshift/token"):
        answer = registry.client(None).http.get(path, headers={"Host": host})
        assert (answer.status_code, error_codes(answer)) == (400, ["UNSUPPORTED"])


def test_every_request_is_recorded_once_with_who_what_and_how_it_ended(registry: InProcess) -> None:
    registry.client().put_blob(REPOSITORY, Content(b"x"))
    registry.client(None).manifest(REPOSITORY, "1")
    pushed, denied = registry.audit[-2], registry.audit[-1]
    assert (pushed.action, pushed.user, pushed.repository, pushed.status) == (
        "push",
        "admin",
        REPOSITORY,
        201,
    )
    assert (denied.action, denied.user, denied.reference, denied.status) == (
        "pull",
        "system:anonymous",
        "1",
        401,
    )


def test_a_right_that_is_lost_while_a_manifest_arrives_counts_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = Rights(("una", "update", "shop"), ("una", "get", "shop"), ("una", "create", "shop"))
    with in_process(tmp_path, rights, ("una",)) as registry:
        registry.client().push(REPOSITORY, IMAGE, "1")
        una = registry.client("una")
        assert una.put_manifest(REPOSITORY, "2", IMAGE.manifest).status_code == 201
        serve = registry._registry

        async def slowly(scope: Scope, receive: Receive, send: Send) -> None:
            async def last() -> dict[str, Any]:
                rights._allowed.clear()
                return await receive()

            await serve(scope, last, send)

        monkeypatch.setattr(registry, "_registry", slowly)
        refused = una.put_manifest(REPOSITORY, "3", IMAGE.manifest)
        assert (refused.status_code, error_codes(refused)) == (403, ["DENIED"])
        assert registry.client().tags(REPOSITORY) == ["1", "2"]


def test_the_audit_log_tells_whose_password_was_guessed(registry: InProcess) -> None:
    registry.client("una", "a wrong guess").http.get("/v2/")
    assert [(each.user, each.status) for each in registry.audit] == [("una", 401)]
