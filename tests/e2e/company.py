"""A company with three projects, each of whose people may do what the role says, and a stranger.

dora   developer         edit in dev, view in test
tess   tester            edit in test, registry-viewer in dev
rhea   release manager   edit in prod, system:image-puller in test
paul   who runs it       system:image-puller in prod
mallory                  nobody to them, with a project of her own
"""

import base64
import contextlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.images import Pushable, artifact, index, small_image
from tests.kube_client import (
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient, client_of
from tests.server import PASSWORD, Server, serving
from tests.tools import Program, require

IMAGES = "/apis/image.openshift.io/v1"
SECRET = "s" * 32  # of the path of the admission webhook

ROLES = (
    ("dora", "dev", "edit"),
    ("dora", "test", "view"),
    ("tess", "test", "edit"),
    ("tess", "dev", "registry-viewer"),
    ("rhea", "prod", "edit"),
    ("rhea", "test", "system:image-puller"),
    ("paul", "prod", "system:image-puller"),
    ("mallory", "lair", "admin"),
)


class Person(NamedTuple):
    """Somebody with a password, logged in with every client."""

    kube: KubeClient
    registry: RegistryClient
    tidegate: Program
    environment: dict[str, str]

    def skopeo(self) -> Program:
        return Program(require("skopeo"), self.environment)

    def podman(self) -> Program:
        home = self.environment["HOME"]
        storage = ("--root", f"{home}/store", "--runroot", f"{home}/run")
        plain = ("--storage-driver", "vfs", "--cgroup-manager", "cgroupfs")
        return Program(
            require("podman"), self.environment, (*storage, *plain, "--events-backend", "file")
        )


@dataclass(frozen=True)
class Company:
    """The server, and everybody on it."""

    server: Server
    admin: KubeClient
    people: dict[str, Person]

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    def project(self, name: str, *editors: str) -> None:
        self.admin.make(f"{PROJECTS}/projectrequests", project(name))
        for each in editors:
            self.bind(each, name, "edit")

    def bind(self, user: str, where: str, role: str) -> None:
        binding = role_binding(f"{user}-{role.replace(':', '-')}", role, user)
        self.admin.make(f"{RBAC}/namespaces/{where}/rolebindings", binding)

    def stored(self) -> dict[str, tuple[int, int]]:
        """Each file of bytes: its size, and when it was written."""
        files = self.server.files("blobs")
        return {str(each): (each.stat().st_size, each.stat().st_mtime_ns) for each in files}


@contextlib.contextmanager
def founded(data: Path) -> Iterator[Company]:
    """A server with everybody on it."""
    server = Server(data, settings={"admission_secret": SECRET})
    with serving(server), ExitStack() as stack:
        admin = stack.enter_context(kube_client(server))
        company = Company(server, admin, {})
        for name in ("dev", "test", "prod", "lair"):
            company.project(name)
        for who, where, role in ROLES:
            company.bind(who, where, role)
        for name in ("dora", "tess", "rhea", "paul", "mallory"):
            add_user(server, name)
            home = stack.enter_context(TemporaryDirectory(prefix="home-"))
            company.people[name] = person(server, name, Path(home), stack)
        yield company
    assert "Traceback" not in server.log, server.log


def person(server: Server, name: str, home: Path, stack: ExitStack) -> Person:
    for folder in ("config", "runtime"):
        (home / folder).mkdir()
    environment = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_RUNTIME_DIR": str(home / "runtime"),
        "REGISTRY_AUTH_FILE": str(home / "auth.json"),
    }
    pair = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
    (home / "auth.json").write_text(json.dumps({"auths": {server.address: {"auth": pair}}}))
    tidegate = Program(server.program, environment)
    tidegate("login", server.url, "-u", name, "--password-stdin", stdin=f"{PASSWORD}\n")
    return Person(
        stack.enter_context(kube_client(server, name)),
        stack.enter_context(client_of(server, credentials=(name, PASSWORD))),
        tidegate,
        environment,
    )


def tag_path(where: str, stream: str, tag: str, subresource: str = "") -> str:
    path = f"{IMAGES}/namespaces/{where}/imagestreamtags/{stream}:{tag}"
    return f"{path}/{subresource}" if subresource else path


def as_oc_sends_it(stream: str, tag: str, image: Pushable, source: str) -> dict[str, Any]:
    """The body of `oc tag SOURCE/STREAM:TAG STREAM:TAG`, which has looked the digest up."""
    origin = {"kind": "ImageStreamImage", "namespace": source, "name": f"{stream}@{image.digest}"}
    return {
        "kind": "ImageStreamTag",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": f"{stream}:{tag}", "creationTimestamp": None},
        "tag": {
            "name": tag,
            "annotations": None,
            "from": origin,
            "generation": None,
            "importPolicy": {"importMode": "Legacy"},
            "referencePolicy": {"type": "Source"},
        },
        "generation": 0,
        "lookupPolicy": {"local": False},
        "image": {
            "metadata": {"creationTimestamp": None},
            "dockerImageMetadata": None,
            "dockerImageMetadataVersion": "",
            "dockerImageLayers": None,
        },
    }


def promote(company: Company, app: str, image: Pushable, tag: str = "1.0") -> None:
    """From dev by the tester and from test by the release manager."""
    company["tess"].tidegate("tag", f"dev/{app}:{tag}", f"test/{app}:{tag}")
    company["rhea"].tidegate("tag", f"test/{app}@{image.digest}", f"prod/{app}:{tag}")


class Release(NamedTuple):
    """An image for two architectures, and what is said of it."""

    image: Pushable
    sbom: Pushable  # its subject is the image
    vouched: Pushable  # its subject is the SBOM
    child: Pushable  # its subject is the arm64 image
    cosign: Pushable  # found by its tag alone

    @property
    def cosign_tag(self) -> str:
        return f"{self.image.digest.replace(':', '-')}.sig"

    @property
    def everything(self) -> tuple[Pushable, ...]:
        return (self.image, self.sbom, self.vouched, self.child)


def release(mark: str) -> Release:
    arm = small_image(f"{mark} arm", architecture="arm64")
    image = index(small_image(f"{mark} amd"), arm)
    sbom = artifact("example/sbom", f"{mark} sbom".encode(), image)
    vouched = artifact("example/signature", f"{mark} vouched".encode(), sbom)
    child = artifact("example/scan", f"{mark} scan".encode(), arm)
    cosign = artifact("example/cosign", f"{mark} cosign".encode())
    return Release(image, sbom, vouched, child, cosign)
