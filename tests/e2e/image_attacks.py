"""What mallory tries with image streams: ways to write a tag, and how streams and tags are written.

Every way says the same wish in another request, so that a wall has to hold in all of them.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from tests.e2e.attacking import APPLY, LAIR, VAULT, Scene
from tests.images import Pushable
from tests.kube_client import KubeClient

GROUP = "/apis/image.openshift.io/v1"
VERSION = "image.openshift.io/v1"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"

Origin = Mapping[str, Any]
Way = Callable[[KubeClient, str, Origin], httpx.Response]

names = (f"t{number}" for number in itertools.count())


def path(resource: str, name: str = "", subresource: str = "", project: str = LAIR) -> str:
    parts = [GROUP, "namespaces", project, resource, name, subresource]
    return "/".join(part for part in parts if part)


def stream(name: str, *tags: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": VERSION,
        "kind": "ImageStream",
        "metadata": {"name": name},
        "spec": {"tags": list(tags), **spec},
    }


def istag(tag: str, origin: Origin | None, of: str = "app", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": VERSION,
        "kind": "ImageStreamTag",
        "metadata": {"name": f"{of}:{tag}"},
        "tag": {"name": tag, **({} if origin is None else {"from": origin}), **more},
    }


def itag(tag: str, origin: Origin | None) -> dict[str, Any]:
    return {
        "apiVersion": VERSION,
        "kind": "ImageTag",
        "metadata": {"name": f"app:{tag}"},
        "spec": {"name": tag, **({} if origin is None else {"from": origin})},
    }


def tag_of(client: KubeClient, tag: str) -> httpx.Response:
    """Make a tag of her own that is then changed."""
    own = {"kind": "ImageStreamTag", "name": "app:1"}
    return client.put(path("imagestreamtags", f"app:{tag}"), istag(tag, own))


def post_tag(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    return client.post(path("imagestreamtags"), istag(tag, origin))


def put_tag(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    return client.put(path("imagestreamtags", f"app:{tag}"), istag(tag, origin))


def change_tag(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    assert tag_of(client, tag).status_code == 201
    change = {"tag": {"name": tag, "from": origin}}
    return client.patch(path("imagestreamtags", f"app:{tag}"), change)


def apply_tag(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    where = path("imagestreamtags", f"app:{tag}")
    return client.patch(where, istag(tag, origin), APPLY, fieldManager="m", force="true")


def post_image_tag(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    return client.post(path("imagetags"), itag(tag, origin))


def put_image_tag(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    return client.put(path("imagetags", f"app:{tag}"), itag(tag, origin))


def apply_image_tag(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    where = path("imagetags", f"app:{tag}")
    return client.patch(where, itag(tag, origin), APPLY, fieldManager="m", force="true")


def merge_stream(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    return client.patch(
        path("imagestreams", "app"), {"spec": {"tags": [{"name": tag, "from": origin}]}}
    )


def patch_stream(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    change = {"spec": {"tags": [{"name": tag, "from": origin}]}}
    return client.patch(path("imagestreams", "app"), change, STRATEGIC)


def json_patch_stream(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    where = "/spec/tags"
    change = [{"op": "add", "path": where, "value": [{"name": tag, "from": origin}]}]
    return client.patch(path("imagestreams", "app"), change, JSON_PATCH)


def apply_stream(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    wanted = stream("app", {"name": tag, "from": origin})
    return client.patch(
        path("imagestreams", "app"), wanted, APPLY, fieldManager=f"m{tag}", force="true"
    )


def put_stream(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    while True:  # until no import of what other ways wrote comes between
        found = client.read(path("imagestreams", "app"))
        found["spec"]["tags"] = [{"name": tag, "from": origin}]
        answer = client.put(path("imagestreams", "app"), found)
        if answer.status_code != 409:
            return answer


def post_stream(client: KubeClient, tag: str, origin: Origin) -> httpx.Response:
    return client.post(path("imagestreams"), stream(f"new-{tag}", {"name": tag, "from": origin}))


WAYS: tuple[Way, ...] = (
    post_tag,
    put_tag,
    change_tag,
    apply_tag,
    post_image_tag,
    put_image_tag,
    apply_image_tag,
    merge_stream,
    patch_stream,
    json_patch_stream,
    apply_stream,
    put_stream,
    post_stream,
)


def origins(digest: str, uid: str) -> dict[str, Origin]:
    """Ways to say alice's image."""
    tag, image, other = "ImageStreamTag", "ImageStreamImage", "DockerImage"
    return {
        "tag": {"kind": tag, "namespace": VAULT, "name": "app:1"},
        "bare tag": {"kind": tag, "namespace": VAULT, "name": "1"},
        "image": {"kind": image, "namespace": VAULT, "name": f"app@{digest}"},
        "bare image": {"kind": image, "namespace": VAULT, "name": digest},
        "part of image": {"kind": image, "namespace": VAULT, "name": f"app@{digest[7:15]}"},
        "own image": {"kind": image, "name": f"app@{digest}"},
        "own namespace, image": {"kind": image, "namespace": LAIR, "name": digest},
        "path": {"kind": tag, "name": f"../{VAULT}/app:1"},
        "name with slash": {"kind": tag, "name": f"{VAULT}/app:1"},
        "own namespace, name with slash": {
            "kind": tag,
            "namespace": LAIR,
            "name": f"{VAULT}/app:1",
        },
        "namespace with path": {"kind": tag, "namespace": f"{LAIR}/../{VAULT}", "name": "app:1"},
        "namespace with stream": {"kind": tag, "namespace": f"{VAULT}/app", "name": "1"},
        "upper case": {"kind": tag, "namespace": VAULT.upper(), "name": "app:1"},
        "blank": {"kind": tag, "namespace": f"{VAULT} ", "name": "app:1"},
        "wildcard": {"kind": image, "name": "app@%"},
        "any": {"kind": image, "name": "app@"},
        "no kind": {"namespace": VAULT, "name": "app:1"},
        "odd kind": {"kind": "imagestreamtag", "namespace": VAULT, "name": "app:1"},
        "deleted": {"kind": tag, "namespace": VAULT, "name": f"gone~{uid}:1"},
        "own deleted name": {"kind": tag, "name": f"gone~{uid}:1"},
        "encoded": {"kind": tag, "name": f"..%2f{VAULT}%2fapp:1"},
        "docker": {"kind": other, "name": f"{VAULT}/app:1"},
        "docker digest": {"kind": other, "name": f"{VAULT}/app@{digest}"},
        "docker with namespace": {"kind": other, "namespace": VAULT, "name": "app:1"},
    }


def unread(scene: Scene, image: Pushable, *texts: str) -> None:
    """Mallory has got nothing of an image of alice's, neither bytes nor what is said of it."""
    streams = scene.mallory.read(path("imagestreams"))["items"]
    with scene.registry() as registry:
        for each in streams:
            repository = f"{LAIR}/{each['metadata']['name']}"
            assert registry.manifest(repository, image.digest).status_code == 404, repository
            for blob in image.blobs:
                assert registry.blob(repository, blob.digest).status_code == 404, repository
            name = f"{each['metadata']['name']}@{image.digest}"
            assert scene.mallory.get(path("imagestreamimages", name)).status_code == 404
    for resource in ("imagestreamtags", "imagetags"):
        answer = scene.mallory.get(path(resource))
        for text in texts:
            assert text not in answer.text, (resource, text)
