"""What `oc adm prune images --confirm` asks of a server, as its sources say, without `oc`.

    LIST imagestreams, LIST images in pages of 5,000
    each stream:  GET, then PUT of the status without the events that are not to be kept
                  DELETE /v2/STREAM/blobs/D       layers that no event left in the stream needs
                  DELETE /v2/STREAM/manifests/D   images that no event left in the stream names
    each image that no stream shows:  DELETE /admin/blobs/D  its layers, configuration and manifest
                  DELETE the Image, unless all of those were refused

(openshift/oc, pkg/cli/admin/prune/imageprune/prune.go.) It believes what it is shown: what it does
not see is not there. The registry is asked with the token of the API.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.images import IMAGE_INDEX
from tests.kube_client import KubeClient

IMAGES = "/apis/image.openshift.io/v1"

Json = dict[str, Any]


@dataclass
class Pruner:
    """One run; `refused` are the answers to deletes that were not done."""

    client: KubeClient
    keep_revisions: int = 3
    images: dict[str, Json] = field(default_factory=dict)
    streams: dict[str, Json] = field(default_factory=dict)
    refused: list[httpx.Response] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Read all there is, which takes a while; `prune` works with this."""
        for each in self.client.read(f"{IMAGES}/imagestreams")["items"]:
            self.streams[f"{each['metadata']['namespace']}/{each['metadata']['name']}"] = each
        token = ""
        while True:
            page = self.client.read(f"{IMAGES}/images", **{"limit": 5000, "continue": token})
            self.images |= {each["metadata"]["name"]: each for each in page["items"]}
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def prune(self, *only: str) -> None:
        """Prune the streams, those named or all, then the images that none of all shows."""
        for name in only or tuple(self.streams):
            self.streams[name] = self._prune_stream(name)
        self._prune_images()

    def _prune_stream(self, name: str) -> Json:
        namespace, _, stream_name = name.partition("/")
        path = f"{IMAGES}/namespaces/{namespace}/imagestreams/{stream_name}"
        stream = self.client.read(path)
        tags = stream["status"].get("tags", [])
        manifests, blobs = self._counts(tags)
        unneeded: list[str] = []
        links: dict[str, None] = {}
        pruned = 0
        for each in tags:
            kept = []
            for number, item in enumerate(each["items"] or ()):
                image = self.images.get(item["image"])
                if image is not None and number < self.keep_revisions:
                    kept.append(item)
                    continue
                pruned += 1
                if image is None:
                    continue
                unneeded += _used_up(manifests, [item["image"]])
                links |= dict.fromkeys(_used_up(blobs, blobs_of(image)))
            each["items"] = kept
        for blob in links:
            self._delete(f"/v2/{name}/blobs/{blob}")
        if not pruned:
            return stream
        stream["status"]["tags"] = [each for each in tags if each["items"]]
        answer = self.client.put(f"{path}/status", stream)
        assert answer.status_code == 200, answer.text
        for digest in unneeded:
            self._delete(f"/v2/{name}/manifests/{digest}")
        written: Json = answer.json()
        return written

    def _counts(self, tags: list[Json]) -> tuple[Counter[str], Counter[str]]:
        manifests, blobs = Counter[str](), Counter[str]()
        for each in tags:
            for item in each["items"] or ():
                if image := self.images.get(item["image"]):
                    manifests[item["image"]] += 1
                    blobs.update(blobs_of(image))
        return manifests, blobs

    def _prune_images(self) -> None:
        used = {
            item["image"]
            for stream in self.streams.values()
            for tag in stream["status"].get("tags", ())
            for item in tag["items"] or ()
        }
        for name in used & self.images.keys():
            used |= {each["digest"] for each in self.images[name].get("dockerImageManifests", ())}
        counts = Counter[str]()
        for name, image in self.images.items():
            counts.update([name, *blobs_of(image)])
        for name, image in self.images.items():
            if name in used:
                continue
            blobs = _used_up(counts, [*blobs_of(image), name])
            answers = [self._delete(f"/admin/blobs/{blob}") for blob in blobs]
            if all(answers) or any(answers):
                self._delete(f"{IMAGES}/images/{name}")

    def _delete(self, path: str) -> bool:
        answer = self.client.delete(path)
        if answer.status_code in (200, 202, 204, 404):
            if answer.status_code != 404:
                self.deleted.append(path)
            return True
        self.refused.append(answer)
        return False


def blobs_of(image: Json) -> list[str]:
    """The layers of an image, and its configuration."""
    blobs = [each["name"] for each in image.get("dockerImageLayers") or ()]
    if image.get("dockerImageManifestMediaType") != IMAGE_INDEX:
        blobs.append(image["dockerImageMetadata"]["Id"])
    return blobs


def _used_up(counts: Counter[str], names: list[str]) -> list[str]:
    """Those of the names of which this was the last."""
    gone = []
    for name in names:
        counts[name] -= 1
        if not counts[name]:
            gone.append(name)
    return gone
