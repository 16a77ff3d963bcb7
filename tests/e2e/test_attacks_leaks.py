"""No secret is written down where it does not belong: logs, audit, events, errors, processes.

Every secret that a session has is one that nobody could take for something else; then all that the
server wrote, and every error it answered, is searched for each of them.
"""

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.attacking import APPLY, LAIR, Scene, account_token, attacked
from tests.images import small_image
from tests.kube_client import CORE, KubeClient, add_user, log_in
from tests.registry_client import basic, client_of
from tests.server import wait_until
from tests.tools import must

SECRETS = f"{CORE}/namespaces/{LAIR}/secrets"
MAPS = f"{CORE}/namespaces/{LAIR}/configmaps"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"


class Known:
    """The secrets of a session, and the answers that must not hold any."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.secrets: dict[str, str] = {}
        self.answers: list[httpx.Response] = []

    def secret(self, what: str) -> str:
        """A new secret that can be recognised."""
        text = f"s3cr3t-{secrets.token_hex(12)}"
        self.know(what, text)
        return text

    def know(self, what: str, text: str) -> None:
        self.secrets[what] = text

    def refused(self, answer: httpx.Response) -> httpx.Response:
        """Note an answer that is an error."""
        assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
        self.answers.append(answer)
        return answer

    def forms(self) -> Iterator[tuple[str, str]]:
        """Each secret as it is, in base64 and in an address; of a token its signature, too."""
        for what, text in self.secrets.items():
            yield what, text
            yield f"{what}, encoded", base64.b64encode(text.encode()).decode().rstrip("=")
            yield f"{what}, quoted", quote(text, safe="")
            if text.startswith("eyJ"):
                yield f"{what}, signature", text.rpartition(".")[2]
            if text.startswith("sha256~"):
                yield f"{what}, bare", text.removeprefix("sha256~")

    def found_in(self, text: str) -> list[str]:
        return [what for what, form in self.forms() if form in text]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """A session with secrets, after which the server has seen each in every wrong place."""
    with attacked(tmp_path_factory.mktemp("leaks") / "data") as scene:
        known = Known(scene)
        gather(known)
        misuse_on_the_api(known)
        misuse_credentials(known)
        misuse_the_registry(known)
        yield known


def gather(known: Known) -> None:
    """Make and use secrets as people do."""
    scene = known.scene
    password = known.secret("password")
    add_user(scene.server, "carol", password)
    known.know("the administrator's token", str(scene.admin.token))
    known.know("access token", log_in(scene.server.url, "carol", password))
    known.know("account token", account_token(scene.mallory, LAIR, "builder"))
    with client_of(scene.server, credentials=("carol", password)) as carol:
        known.know("registry token", carol.token("repository:carols/app:pull,push"))
        carol.push("carols/app", small_image("carol's"), "1")
    with KubeClient(scene.server.url, known.secrets["access token"]) as carol_api:
        carol_api.read("/apis/user.openshift.io/v1/users/~")
    data = {"password": base64.b64encode(known.secret("secret's value").encode()).decode()}
    scene.mallory.make(SECRETS, {"metadata": {"name": "stored"}, "data": data})
    config = {"auths": {"registry.example": {"auth": known.secret("docker config")}}}
    scene.mallory.make(
        SECRETS,
        {
            "metadata": {"name": "pull"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(config)},
        },
    )
    scene.mallory.make(
        SECRETS,
        {
            "metadata": {
                "name": "minted",
                "annotations": {"kubernetes.io/service-account.name": "builder"},
            },
            "type": "kubernetes.io/service-account-token",
        },
    )
    minted = scene.mallory.read(f"{SECRETS}/minted")["data"]["token"]
    known.know("minted token", base64.b64decode(minted).decode())


def misuse_on_the_api(known: Known) -> None:
    """Values of Secrets in objects and patches that are wrong in every way."""
    mallory = known.scene.mallory
    value = known.secret("a value in a wrong object")
    encoded = base64.b64encode(value.encode()).decode()
    meta = {"metadata": {"name": "wrong"}}
    wrong: list[Any] = [
        {**meta, "stringData": {"bad key!": value}},
        {**meta, "stringData": {"a": [value]}},
        {**meta, "stringData": {"a": {"b": value}}},
        {**meta, "stringData": value},
        {**meta, "stringData": [value]},
        {**meta, "data": {"a": value}},  # no base64
        {**meta, "data": {"a": f"{encoded}!"}},
        {**meta, "data": encoded},
        {**meta, "data": [encoded]},
        {**meta, "type": "kubernetes.io/dockerconfigjson", "stringData": {"a": value}},
        {
            **meta,
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": value},
        },
        {
            **meta,
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": f'{{"auths": {{"x": "{value}"}}}}'},
        },
        {**meta, "type": "kubernetes.io/dockercfg", "stringData": {".dockercfg": f"[{value}"}},
        {**meta, "type": "kubernetes.io/tls", "stringData": {"tls.crt": value}},
        {**meta, "type": "kubernetes.io/ssh-auth", "stringData": {"key": value}},
        {**meta, "type": "kubernetes.io/service-account-token", "stringData": {"token": value}},
        {"metadata": {"name": "Wrong Name"}, "stringData": {"a": value}},
        {"metadata": {"name": "stored"}, "stringData": {"a": value}},
        {**meta, "stringData": {"a": value * 60_000}},
        {**meta, "immutable": value},
        {**meta, "stringData": {"a": value}, "kind": "ConfigMap", "apiVersion": "v1"},
    ]
    for body in wrong:
        known.refused(mallory.post(SECRETS, body))
        known.refused(mallory.post(SECRETS, body, fieldValidation="Strict"))
    for content, form in (
        (f'{{"stringData":{{"a":"{value}"', "application/json"),
        (f'{{"stringData":{{"a":{value}}}}}', "application/json"),
        (f'{{"data":{{"a":"{encoded}\\x"}}}}', "application/json"),
        (f"stringData: {{a: {value}", "application/yaml"),
        (f"stringData:\n  a: {value}\n b: 1", "application/yaml"),
        (f"stringData:\n  a: *{value}", "application/yaml"),
        (f"stringData: !{value} 1", "application/yaml"),
        (f"%{value}\n---\na: 1", "application/yaml"),
        (f"k8s\0{value}", "application/vnd.kubernetes.protobuf"),
        (value, "text/plain"),
        (value, "application/json"),
    ):
        if form != "application/yaml" or "*" not in content:  # an alias is a name
            known.refused(
                mallory.http.post(SECRETS, content=content.encode(), headers={"Content-Type": form})
            )
    unknown = {**meta, "stringData": {"a": value}, "unknown": value, "spec": {"x": value}}
    known.refused(mallory.post(SECRETS, unknown, fieldValidation="Strict"))
    warned = mallory.post(SECRETS, unknown, dryRun="All")
    assert warned.status_code == 201
    assert not known.found_in(str(warned.headers)), warned.headers
    path = f"{SECRETS}/stored"
    stored = known.secrets["secret's value"]
    patches: list[tuple[str, Any]] = [
        (JSON_PATCH, [{"op": "test", "path": "/data/password", "value": value}]),
        (JSON_PATCH, [{"op": "add", "path": "/data/x", "value": value}]),
        (JSON_PATCH, [{"op": "add", "path": "/data/x", "value": [encoded]}]),
        (JSON_PATCH, [{"op": "move", "from": "/data", "path": "/type"}]),
        (JSON_PATCH, [{"op": "copy", "from": "/data/password", "path": "/metadata/labels"}]),
        (JSON_PATCH, [{"op": "copy", "from": "/data", "path": "/metadata/name"}]),
        (JSON_PATCH, [{"op": "copy", "from": "/data", "path": "/metadata"}]),
        (JSON_PATCH, [{"op": "copy", "from": "/data", "path": ""}]),
        (JSON_PATCH, [{"op": "copy", "from": "/data", "path": "/immutable"}]),
        (JSON_PATCH, [{"op": "add", "path": f"/{value}/x", "value": 1}]),
        (JSON_PATCH, [{"op": value, "path": "/data"}]),
        (JSON_PATCH, value),
        (MERGE, {"data": {"password": value}}),
        (MERGE, {"data": {"password": [encoded]}}),
        (MERGE, {"data": encoded}),
        (MERGE, {"stringData": {"a": 1}}),
        (MERGE, {"metadata": {"resourceVersion": "1"}, "stringData": {"a": value}}),
        (MERGE, {"metadata": {"uid": "other"}, "stringData": {"a": value}}),
        (MERGE, {"type": "kubernetes.io/tls"}),
        (MERGE, value),
        (STRATEGIC, {"data": {"$patch": value}}),
        (STRATEGIC, {"data": [encoded]}),
        (STRATEGIC, {"metadata": {"ownerReferences": [{"kind": value}]}}),
        (STRATEGIC, {"metadata": {"ownerReferences": [value]}}),
        (
            STRATEGIC,
            {
                "metadata": {
                    "$setElementOrder/ownerReferences": [value],
                    "ownerReferences": [{"uid": "u"}],
                }
            },
        ),
        (APPLY, {"kind": "Secret", "apiVersion": "v1", "data": {"password": value}}),
        (APPLY, {"kind": "Secret", "apiVersion": "v1", "data": value}),
        (APPLY, {"kind": "Secret", "apiVersion": "v1", "stringData": [value]}),
        (APPLY, {"kind": "Secret", "apiVersion": "v1", "stringData": {"a": [value]}}),
        (APPLY, {"kind": "Secret", "apiVersion": "v1", "immutable": value}),
        (APPLY, {"kind": "Secret", "apiVersion": "v1", "metadata": {"finalizers": value}}),
        (APPLY, {"kind": "Secret", "apiVersion": "v2", "stringData": {"password": value}}),
        (
            APPLY,
            {
                "kind": "Secret",
                "apiVersion": "v1",
                "metadata": {"name": "stored"},
                "data": {"password": encoded},
            },
        ),
    ]
    for form, patch in patches:
        known.refused(mallory.patch(path, patch, form, fieldManager="another"))
    current = mallory.read(path)
    for changes in (
        {"metadata": {**current["metadata"], "resourceVersion": "1"}},
        {"metadata": {"name": "other"}},
        {"type": "kubernetes.io/tls"},
        {"data": {"password": value}},
    ):
        known.refused(mallory.put(path, {**current, **changes}))
    assert stored == base64.b64decode(mallory.read(path)["data"]["password"]).decode()
    # on the other kinds that hold what people should not have put there
    for body in ({"data": {"a": [value]}}, {"data": value}, {"binaryData": {"a": value}}):
        known.refused(mallory.post(MAPS, {"metadata": {"name": "wrong"}, **body}))


def misuse_credentials(known: Known) -> None:
    """Real secrets in places where they do not hold."""
    server = known.scene.server
    url, held = server.url, dict(known.secrets)
    paths = (
        "/v2/",
        "/v2/carols/app/manifests/1",
        "/openshift/token",
        "/apis/user.openshift.io/v1/users/~",
        f"{CORE}/secrets",
    )
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        for what, text in held.items():
            spoilt = {
                "as another scheme": {"Authorization": f"Token {text}"},
                "cut short": {"Authorization": f"Bearer {text[:-1]}"},
                "twice": {"Authorization": f"Bearer {text} {text}"},
            }
            if text.startswith(("eyJ", "sha256~")):
                spoilt["in a name's place"] = basic(text, "x-oauth-basic")
            else:  # in a name's place it is the name of who failed to log in
                spoilt["as another's password"] = basic("nobody", text)
            for path in paths:
                for how, headers in spoilt.items():
                    answer = client.get(path, headers=headers)
                    assert answer.status_code in (401, 403, 429), (what, how, answer.text)
                    known.answers.append(answer)
            for field in ("code", "client_secret", "code_verifier", "subject_token"):
                form = {"grant_type": "authorization_code", "client_id": "x", field: text}
                known.refused(client.post("/oauth/token", data=form))
                known.refused(client.post("/openshift/token", data={"password": text, **form}))
            parameters = {"client_id": text, "state": text, "redirect_uri": text}
            known.refused(client.get("/oauth/authorize", params=parameters))
        review = {"spec": {"token": held["access token"] + "x"}}
        made = known.scene.admin.make("/apis/authentication.k8s.io/v1/tokenreviews", review)
        assert not made["status"].get("authenticated")
        assert not known.found_in(json.dumps(made["status"])), made
        good = {"spec": {"token": held["access token"]}}
        made = known.scene.admin.make("/apis/authentication.k8s.io/v1/tokenreviews", good)
        assert made["status"]["authenticated"]


def misuse_the_registry(known: Known) -> None:
    """Secrets in names, references, media types and bodies of pushes."""
    server = known.scene.server
    with known.scene.registry("mallory") as mallory:
        for text in (known.secrets["account token"], known.secrets["access token"]):
            bad = json.dumps({"schemaVersion": 2, "config": text, "layers": [text]}).encode()
            known.refused(
                mallory.http.put(
                    f"/v2/{LAIR}/app/manifests/x",
                    content=bad,
                    headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
                )
            )
        assert mallory.http.post(f"/v2/{LAIR}/app/blobs/uploads/").status_code == 202
    assert server.ready()


def audit(known: Known) -> str:
    return (known.scene.server.data / "audit.log").read_text("utf-8", "replace")


def test_no_secret_is_in_the_answer_to_what_was_wrong(known: Known) -> None:
    assert len(known.answers) > 200
    for answer in known.answers:
        leaked = known.found_in(answer.text) + known.found_in(str(answer.headers))
        assert not leaked, (leaked, answer.request.method, answer.request.url.path, answer.text)


def test_no_secret_is_in_the_log(known: Known) -> None:
    assert not known.found_in(known.scene.server.log)


def test_no_secret_is_in_the_audit_log(known: Known) -> None:
    with httpx.Client(base_url=known.scene.server.url, trust_env=False) as client:
        last = f"last-{secrets.token_hex(4)}"
        client.get("/v2/", headers={"User-Agent": last})
    wait_until(lambda: last in audit(known), what="the audit log to be written")
    for line in audit(known).splitlines():
        assert not known.found_in(line), (known.found_in(line), line)


def test_no_secret_is_in_an_event_or_in_who_manages_which_field(known: Known) -> None:
    scene = known.scene
    assert not known.found_in(scene.admin.get(f"{CORE}/events").text)
    for each in scene.admin.read(f"{CORE}/secrets")["items"]:
        kept = json.dumps(each["metadata"])
        assert not known.found_in(kept), kept
    tokens = scene.admin.get("/apis/oauth.openshift.io/v1/oauthaccesstokens").text
    assert not known.found_in(tokens)


def test_a_table_of_secrets_shows_no_value(known: Known) -> None:
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    answer = known.scene.mallory.http.get(SECRETS, headers=headers)
    assert answer.json()["kind"] == "Table"
    assert not known.found_in(answer.text)


def test_no_secret_is_among_the_arguments_or_open_files_of_a_process(known: Known) -> None:
    server = known.scene.server
    assert server.process is not None
    for process in (server.process.pid, *server.worker_ids()):
        arguments = Path(f"/proc/{process}/cmdline").read_text("utf-8", "replace")
        assert not known.found_in(arguments)
    assert not known.found_in("\n".join(server.open_files()))


def test_what_is_stored_of_a_login_is_no_secret(known: Known) -> None:
    """Neither passwords nor access tokens are in the database, nor in a backup of it then."""
    data = known.scene.server.data
    for path in known.scene.server.files():
        content = path.read_bytes()
        for what in ("password", "access token", "the administrator's token", "registry token"):
            text = known.secrets[what].removeprefix("sha256~")
            assert text.encode() not in content, (what, path.relative_to(data))


def test_what_the_server_keeps_is_for_its_user_alone(known: Known) -> None:
    """Nobody else on the machine reads the database, the keys or the audit log."""
    data = known.scene.server.data
    if data.stat().st_mode & 0o077 == 0:
        return
    for path in known.scene.server.files():
        if path.suffix in (".db", ".sqlite", ".key", ".log") or "sqlite" in path.name:
            assert path.stat().st_mode & 0o077 == 0, path


def test_commands_do_not_print_secrets(known: Known) -> None:
    server = known.scene.server
    for words in (("user", "list"), ("check",)):
        printed = must(
            *(server.program, *words, "--data", str(server.data)),
            environment=server.environment(),
        )
        assert not known.found_in(printed)
