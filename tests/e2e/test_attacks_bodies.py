"""Bodies and queries made to exhaust or confuse: each is answered, with no 500 and no dead worker.

No test measures a time; one that hangs fails by its client's patience of a minute. While an attack
is under way the server goes on serving somebody else, which is asked in the end.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.attacking import APPLY, LAIR, Scene, attacked
from tests.kube_client import CORE, RBAC, KubeClient
from tests.raw_http import exchange, request

MAPS = f"{CORE}/namespaces/{LAIR}/configmaps"
SECRETS = f"{CORE}/namespaces/{LAIR}/secrets"
ACCOUNTS = f"{CORE}/namespaces/{LAIR}/serviceaccounts"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
PROTOBUF = "application/vnd.kubernetes.protobuf"
JSON, YAML = "application/json", "application/yaml"
JSON_PATCH = "application/json-patch+json"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
MB = 1024 * 1024


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("bodies") / "data") as ready:
        path = "/apis/user.openshift.io/v1/users/~"
        yield ready
        assert ready.alice.get(path).status_code == 200


def send(client: KubeClient, path: str, body: bytes, content_type: str, **params: str) -> int:
    """The status of a POST, which must not be the server's fault."""
    answer = client.http.post(
        path, content=body, headers={"Content-Type": content_type}, params=params
    )
    assert answer.status_code < 500, answer.text
    return answer.status_code


def billion_laughs(levels: int = 9, width: int = 10) -> bytes:
    lines = ["a0: &a0 [" + ", ".join(["x"] * width) + "]"]
    lines += [
        f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * width) + "]"
        for level in range(1, levels)
    ]
    return "\n".join(lines).encode()


def nested(opening: str, depth: int, closing: str) -> bytes:
    return (opening * depth + closing * depth).encode()


def in_map(value: bytes) -> bytes:
    return b'{"metadata":{"name":"x"},"data":' + value + b"}"


REFUSED = {
    "empty": (b"", JSON),
    "blank": (b"  \n ", JSON),
    "null": (b"null", JSON),
    "a number": (b"1", JSON),
    "a list": (b"[]", JSON),
    "cut short": (b'{"metadata":{"name"', JSON),
    "two objects": (b"{}{}", JSON),
    "NaN": (in_map(b'{"a":NaN}'), JSON),
    "infinite": (in_map(b'{"a":1e999}'), JSON),
    "a huge number": (in_map(b'{"a":' + b"9" * MB + b"}"), JSON),
    "deep lists": (in_map(nested("[", 200_000, "]")), JSON),
    "deep objects": (in_map(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), JSON),
    "deep and cut short": (b"[" * MB, JSON),
    "UTF-16": ('{"metadata":{}}'.encode("utf-16"), JSON),
    "zeros": (b"\0" * 1000, JSON),
    "a billion laughs": (billion_laughs(), YAML),
    "an anchor in itself": (b"a: &a [*a]", YAML),
    "merged for ever": (b"a: &a\n  <<: *a\n", YAML),
    "a tag of Python": (b"!!python/object/apply:os.system [id]", YAML),
    "deep flow": (nested("[", 100_000, "]"), YAML),
    "deep blocks": ("".join(" " * each + "a:\n" for each in range(1500)).encode(), YAML),
    "documents": (b"a: 1\n---\n" * 1000, YAML),
    "a key that is a list": (b"? [a]\n: b", YAML),
    "YAML as JSON": (b"metadata: {name: x}", JSON),
    "a form": (b"a=b", "application/x-www-form-urlencoded"),
    "XML": (b"<a/>", "application/xml"),
    "no protobuf": (b"{}", PROTOBUF),
    "protobuf cut short": (b"k8s\0\x0a", PROTOBUF),
    "a protobuf length beyond the end": (b"k8s\0\x12\xff\xff\xff\xff\x7f", PROTOBUF),
    "a protobuf number without end": (b"k8s\0" + b"\xff" * 100, PROTOBUF),
    "a protobuf group": (b"k8s\0\x0b\x0c", PROTOBUF),
    "protobuf of an unknown kind": (b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod", PROTOBUF),
}
"""What can be no object of any kind."""


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("path", [MAPS, SECRETS, REVIEWS, f"{RBAC}/namespaces/{LAIR}/roles"])
def test_what_is_no_object_is_the_senders_mistake(scene: Scene, case: str, path: str) -> None:
    body, content_type = REFUSED[case]
    status = send(scene.mallory, path, body, content_type)
    assert status in (400, 413, 415, 422), (case, status)


@pytest.mark.parametrize(
    "text",
    [
        "1" * MB + "x",
        "1_" * (MB // 2) + "x",
        "0x" + "f" * MB,
        "0" + "7" * MB,
        "0b_",
        "0o_",
        "-0x__",
        "1e" + "9" * MB,
        "." + "1" * MB + "e",
        "-" * MB,
        "!!int 0b_",
        "!!float " + "1" * MB + "x",
        "a" + " " * MB + "b",
        "&" + "a" * MB + " b",
        '"' + "\\x41" * (MB // 4) + '"',
    ],
    ids=lambda text: text[:12],
)
def test_no_scalar_of_yaml_holds_a_worker(scene: Scene, text: str) -> None:
    """Anybody may send a review, so that anybody could have stopped the server with one."""
    body = f"spec:\n  nonResourceAttributes:\n    path: {text}\n".encode()
    with KubeClient(scene.server.url, None) as nobody:
        for client in (scene.mallory, nobody):
            send(client, REVIEWS, body, YAML)
            send(client, REVIEWS, f"{text}: 1\n".encode(), YAML)
            send(client, REVIEWS, f"spec: {{a: {text}}}\n".encode(), YAML)


def test_a_body_beyond_the_limit_is_not_read(scene: Scene) -> None:
    for path, form in ((MAPS, JSON), (MAPS, YAML), (MAPS, PROTOBUF), (REVIEWS, JSON)):
        assert send(scene.mallory, path, b" " * (3 * MB + 1), form) == 413
    for form in (JSON_PATCH, MERGE, STRATEGIC, APPLY):
        answer = scene.mallory.http.patch(
            f"{MAPS}/x",
            content=b" " * (3 * MB + 1),
            headers={"Content-Type": form},
            params={"fieldManager": "m"},
        )
        assert answer.status_code in (404, 413), answer.text
    announced = {
        "Authorization": f"Bearer {scene.mallory.token}",
        "Content-Length": str(10**15),
        "Content-Type": JSON,
    }
    refused = exchange(scene.server.address, request("POST", MAPS, announced), "POST")
    assert refused is not None
    assert refused.status == 413


def test_fields_given_many_times_or_unknown_are_told_of_in_moderation(scene: Scene) -> None:
    unknown = {f"field{number}": 1 for number in range(50_000)}
    body = json.dumps({"metadata": {"name": "many"}, **unknown}).encode()
    answer = scene.mallory.http.post(MAPS, content=body, params={"fieldValidation": "Strict"})
    assert answer.status_code == 400
    assert len(answer.content) < 20_000
    warned = scene.mallory.http.post(MAPS, content=body)
    assert warned.status_code == 201
    assert sum(len(value) for name, value in warned.headers.multi_items()) < 64_000
    twice = b'{"metadata":{"name":"twice"},"data":{' + b'"a":"b",' * 200_000 + b'"a":"c"}}'
    assert send(scene.mallory, MAPS, twice, JSON) == 201
    assert send(scene.mallory, MAPS, twice, JSON, fieldValidation="Strict") == 400


def test_metadata_has_bounds(scene: Scene) -> None:
    def meta(**more: Any) -> bytes:
        return json.dumps({"metadata": {"generateName": "x-", **more}}).encode()

    assert send(scene.mallory, MAPS, meta(annotations={"a": "x" * 256 * 1024}), JSON) == 422
    assert send(scene.mallory, MAPS, meta(annotations={"a": "x" * 1000}), JSON) == 201
    labels = {f"label{number}": "v" for number in range(10_000)}
    assert send(scene.mallory, MAPS, meta(labels=labels), JSON) in (201, 422)
    faulty: list[dict[str, Any]] = [
        {"labels": {"a": "x" * 64}},
        {"labels": {"a" * 64: "x"}},
        {"labels": {f"{number} bad": "x" for number in range(10_000)}},
        {"generateName": "x" * MB},
        {"generateName": "../"},
        {"name": "x" * 254},
        {"name": "a/b"},
        {"name": ".."},
        {"name": "%2e%2e"},
        {"finalizers": ["bad finalizer"] * 10_000},
        {"ownerReferences": [{}] * 10_000},
    ]
    for faults in faulty:
        answer = scene.mallory.http.post(MAPS, content=meta(**faults))
        assert answer.status_code in (400, 422), answer.text[:500]
        assert len(answer.content) < 32 * MB
    assert send(scene.mallory, MAPS, meta(creationTimestamp="x" * MB), JSON) in (201, 400)
    assert send(scene.mallory, MAPS, meta(creationTimestamp=5), JSON) == 400


def test_a_json_patch_grows_no_more_than_it_says(scene: Scene) -> None:
    scene.mallory.make(MAPS, {"metadata": {"name": "patched"}, "data": {"a": "x" * 1000}})
    doubling = [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(64)]
    spread = [
        {"op": "copy", "from": "/metadata", "path": f"/metadata/annotations/{number}"}
        for number in range(9_000)
    ]
    deep = [
        step
        for _ in range(3_000)
        for step in (
            {"op": "add", "path": "/c", "value": {}},
            {"op": "move", "from": "/data", "path": "/c/x"},
            {"op": "move", "from": "/c", "path": "/data"},
        )
    ]
    patches: list[Any] = [
        doubling,
        spread,
        deep,
        [{"op": "test", "path": "/data/a", "value": "y"}],
        [{"op": "test", "path": "", "value": {}}] * 10_000,
        [{"op": "add", "path": "/data/a", "value": "z"}] * 10_001,
        [{"op": "add", "path": "/a" * 100_000, "value": "z"}],
        [{"op": "move", "from": "", "path": "/data/a"}],
        [{"op": "copy", "from": "", "path": "/data/a"}],
        [{"op": "replace", "path": "", "value": None}],
        [{"op": "remove", "path": ""}],
        [{"op": "replace", "path": "/kind", "value": "Secret"}],
        [{"op": "replace", "path": "/metadata", "value": []}],
        [{"op": "add", "path": "/data/-1", "value": 1}],
        [{"op": "add", "path": "/metadata/managedFields/99999999999999999999", "value": 1}],
        [{"op": "nonsense"}],
        [{}],
        {},
        "text",
        [[]],
    ]
    for patch in patches:
        answer = scene.mallory.patch(f"{MAPS}/patched", patch, JSON_PATCH)
        assert answer.status_code in (400, 413, 422), (str(patch)[:100], answer.text[:300])
    assert scene.mallory.read(f"{MAPS}/patched")["data"] == {"a": "x" * 1000}


def test_a_merge_patch_makes_nothing_that_is_no_object_of_the_kind(scene: Scene) -> None:
    scene.mallory.make(ACCOUNTS, {"metadata": {"name": "merged"}})
    path = f"{ACCOUNTS}/merged"
    deep: Any = {}
    for _ in range(500):
        deep = {"a": deep}
    many = [{"name": f"n{number}"} for number in range(20_000)]
    for form, patch in (
        (MERGE, []),
        (MERGE, None),
        (MERGE, "x"),
        (MERGE, {"metadata": None}),
        (MERGE, {"metadata": {"name": None}}),
        (MERGE, {"kind": "Secret"}),
        (MERGE, {"secrets": {"a": "b"}}),
        (MERGE, {"metadata": {"labels": deep}}),
        (STRATEGIC, {"$patch": "delete"}),
        (STRATEGIC, {"$patch": "nonsense"}),
        (STRATEGIC, {"secrets": [{"$patch": "replace"}, {"$patch": 1}]}),
        (STRATEGIC, {"secrets": [{"no": "key"}]}),
        (STRATEGIC, {"secrets": [1, "x", None]}),
        (STRATEGIC, {"$setElementOrder/secrets": many}),
        (STRATEGIC, {"$setElementOrder/secrets": "x", "secrets": many[:1]}),
        (STRATEGIC, {"$deleteFromPrimitiveList/finalizers": 1}),
        (STRATEGIC, {"$retainKeys": ["x"]}),
        (STRATEGIC, {"metadata": {"$retainKeys": 1}}),
        (STRATEGIC, {"metadata": {"$patch": "merge", "$retainKeys": [{}]}}),
        (STRATEGIC, {"secrets": many}),
        (STRATEGIC, {"secrets": [{**each, "$patch": "delete"} for each in many]}),
        (APPLY, {"secrets": many}),
        (APPLY, {"metadata": {"name": "merged"}, "secrets": [1]}),
        (APPLY, [1]),
        (APPLY, {"metadata": {"managedFields": [{"manager": "x"}]}}),
        (APPLY, {"kind": "Secret", "apiVersion": "v1"}),
    ):
        answer = scene.mallory.patch(path, patch, form, fieldManager="m")
        assert answer.status_code < 500, (str(patch)[:100], answer.text[:300])
        name = scene.mallory.read(path)["metadata"]["name"]
        assert name == "merged"


BLANK = "+" * 16_000

QUERIES = [
    "labelSelector=a" + BLANK + "b",
    "labelSelector=a%3D" + BLANK + "!",
    "labelSelector=" + "a," * 5_000,
    "labelSelector=" + "%28" * 5_000,
    "labelSelector=a+in+%28" + "b," * 5_000,
    "labelSelector=a+in+%28" + "b," * 5_000 + "%29",
    "labelSelector=" + "!" * 15_000,
    "labelSelector=a%3C99999999999999999999999",
    "labelSelector=a%3D" + "b" * 15_000,
    "labelSelector=%00",
    "labelSelector=%ff%fe",
    "fieldSelector=" + "%5C" * 5_000,
    "fieldSelector=metadata.name%3D" + "%5C" * 4_999,
    "fieldSelector=" + ",metadata.name" * 1_000,
    "fieldSelector=" + "metadata.name%3Da," * 800,
    "fieldSelector=spec.x%3Da",
    "fieldSelector=%00",
    "limit=-1",
    "limit=99999999999999999999999999",
    "limit=x",
    "limit=1&continue=" + "A" * 15_000,
    "continue=bm9uc2Vuc2U",
    "continue=%00",
    "resourceVersion=-1",
    "resourceVersion=99999999999999999999999999",
    "resourceVersion=18446744073709551615",
    "resourceVersion=" + "1" * 15_000,
    "resourceVersion=%D9%A1",
    "resourceVersion=1&resourceVersionMatch=Exact",
    "resourceVersionMatch=nonsense&resourceVersion=1",
    "watch=true&resourceVersion=99999999999&timeoutSeconds=1",
    "watch=true&timeoutSeconds=99999999999999999999&resourceVersion=x",
    "watch=nonsense&timeoutSeconds=1",
    "timeoutSeconds=x",
    "&" * 15_000,
    "a=b&" * 3_000,
    "%zz=%",
    "pretty=%00",
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
def test_no_query_holds_a_worker_or_is_the_servers_fault(scene: Scene, query: str) -> None:
    headers = {"Authorization": f"Bearer {scene.mallory.token}", "Connection": "close"}
    for path in (MAPS, SECRETS, "/apis/project.openshift.io/v1/projects"):
        answer = exchange(scene.server.address, request("GET", f"{path}?{query}", headers))
        assert answer is not None
        assert answer.status < 500 or answer.status == 504, answer  # too new a resourceVersion
        assert len(answer.body) < MB


@pytest.mark.parametrize(
    "accept",
    [
        '"' * 10_000,
        "a/b;" * 5_000,
        "application/json;as=Table;v=v1;g=meta.k8s.io," * 300,
        "application/json;as=Nonsense;v=v1;g=meta.k8s.io",
        "application/vnd.kubernetes.protobuf",
        "*/*;q=nonsense",
        "application/json;q=1e999",
        "\xff\xfe",
        ";;;,,,===",
    ],
)
def test_no_accept_header_is_the_servers_fault(scene: Scene, accept: str) -> None:
    headers = {"Authorization": f"Bearer {scene.mallory.token}", "Accept": accept}
    for path in (MAPS, f"{MAPS}/none", "/openapi/v2", "/openapi/v3", "/api", "/apis"):
        answer = exchange(scene.server.address, request("GET", path, headers))
        assert answer is not None
        assert answer.status < 500, answer


def test_numbers_and_texts_of_kinds_are_bounded(scene: Scene) -> None:
    """Quantities, times and durations that mean enormous numbers."""
    quotas = f"{CORE}/namespaces/{LAIR}/resourcequotas"
    for quantity in ("1e999999999", "9" * 10_000, "1" + "0" * 60 + "E", "-1", ".", "1e-999999999"):
        body = {
            "metadata": {"generateName": "q-"},
            "spec": {"hard": {"openshift.io/imagestreams": quantity}},
        }
        answer = scene.admin.post(quotas, body)
        assert answer.status_code in (201, 400, 422), answer.text
        assert len(answer.text) < 50_000
    path = f"{ACCOUNTS}/builder/token"
    for spec in (
        {"expirationSeconds": 10**18},
        {"expirationSeconds": -(10**18)},
        {"expirationSeconds": 10**40},
        {"expirationSeconds": 1e300},
        {"expirationSeconds": 0},
        {"audiences": ["x" * 100_000]},
        {"audiences": [f"a{number}" for number in range(10_000)]},
        {"boundObjectRef": {"kind": "Pod", "name": "x"}},
        {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "../x"}},
    ):
        answer = scene.mallory.post(path, {"spec": spec})
        assert answer.status_code < 500, answer.text
