"""Who may do what: one table, written by hand from Kubernetes' and OpenShift's default roles.

Three users hold `admin`, `edit` and `view` in the project `shop`, and nothing in `other`. Every row
is asked as each of them; a letter in its cell means that she may.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.images import Content, Pushable, small_image
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    USERS,
    KubeClient,
    add_user,
    kube_client,
    log_in,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient, client_of, error_codes
from tests.server import Server, serving, wait_until

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")

# A: admin of the project, E: may edit it, V: may view it.
# `edit` cannot even read roles; `view` reads no secrets (kubernetes.io, "User-facing roles").
IN_THE_PROJECT = """
                        get  list  watch  create  update  patch  delete  deletecollection
configmaps              AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
secrets                 AE.  AE.  AE.    AE.     AE.     AE.    AE.     AE.
serviceaccounts         AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
events                  AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
resourcequotas          AEV  AEV  AEV    ...     ...     ...    ...     ...
limitranges             AEV  AEV  AEV    ...     ...     ...    ...     ...
tagpolicies             AEV  AEV  AEV    A..     A..     A..    A..     A..
triggerpolicies         AEV  AEV  AEV    A..     A..     A..    A..     A..
rollouts                AEV  AEV  AEV    A..     A..     A..    A..     A..
mirrors                 AEV  AEV  AEV    A..     A..     A..    A..     A..
eventsubscriptions      AEV  AEV  AEV    A..     A..     A..    A..     A..
imageapprovals          AEV  AEV  AEV    A..     ---     ---    A..     A..
imagechanges            ---  AEV  AEV    ---     ---     ---    ---     ---
backgroundjobs          AEV  AEV  ---    ---     ---     ---    ---     ---
pods                    AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
replicationcontrollers  AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
deployments             AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
daemonsets              AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
replicasets             AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
statefulsets            AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
jobs                    AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
cronjobs                AEV  AEV  AEV    AE.     AE.     AE.    AE.     AE.
roles                   A..  A..  A..    A..     A..     A..    A..     A..
rolebindings            A..  A..  A..    A..     A..     A..    A..     A..
"""

# Streams and their parts (image-api 16); `---` is a verb that nobody has. That an administrator may
# only read `imagestreams/status` keeps history what it was; `view` pulls and reads no secrets.
STREAMS = """
                          get  list  watch  create  update  patch  delete  deletecollection
imagestreams              AEV  AEV   AEV    AE.     AE.     AE.    AE.     AE.
imagestreamtags           AEV  AEV   ---    AE.     AE.     AE.    AE.     ---
imagetags                 AEV  AEV   ---    AE.     AE.     AE.    AE.     ---
imagestreamimages         AEV  ---   ---    ---     ---     ---    ---     ---
imagestreammappings       ---  ---   ---    AE.     ---     ---    ---     ---
imagestreamimports        ---  ---   ---    AE.     ---     ---    ---     ---
imagestreams/status       AEV  ---   ---    ---     ...     ...    ---     ---
imagestreams/layers       AEV  ---   ---    ---     ---     ---    ---     ---
imagestreams/secrets      AE.  ---   ---    ---     ---     ---    ---     ---
imagestreams/undelete     ---  ---   ---    AE.     ---     ---    ---     ---
imagestreamtags/history   AEV  ---   ---    ---     ---     ---    ---     ---
imagestreamtags/rollback  ---  ---   ---    AE.     ---     ---    ---     ---
imagestreamtags/undelete  ---  ---   ---    AE.     ---     ---    ---     ---
"""

# What a subscription could not tell, with the bodies of its messages.
LETTERS = """
                                get  list  watch  create  update  patch  delete  deletecollection
eventsubscriptions/deadletters  A..  ---   ---    ---     ---     ---    ---     ---
eventsubscriptions/replay       ---  ---   ---    A..     ---     ---    ---     ---
"""

LETTERS_ELSEWHERE = LETTERS.replace("A..", "...")

STREAMS_ELSEWHERE = STREAMS.replace("AEV", "...").replace("AE.", "...")

# The same users in a project where they hold nothing.
ELSEWHERE = """
                    get  list  watch  create  update  patch  delete  deletecollection
configmaps          ...  ...   ...    ...     ...     ...    ...     ...
secrets             ...  ...   ...    ...     ...     ...    ...     ...
serviceaccounts     ...  ...   ...    ...     ...     ...    ...     ...
tagpolicies         ...  ...   ...    ...     ...     ...    ...     ...
triggerpolicies     ...  ...   ...    ...     ...     ...    ...     ...
rollouts            ...  ...   ...    ...     ...     ...    ...     ...
mirrors             ...  ...   ...    ...     ...     ...    ...     ...
eventsubscriptions  ...  ...   ...    ...     ...     ...    ...     ...
imageapprovals      ...  ...   ...    ...     ---     ---    ...     ...
imagechanges        ---  ...   ...    ---     ---     ---    ---     ---
backgroundjobs      ...  ...   ---    ---     ---     ---    ---     ---
pods                ...  ...   ...    ...     ...     ...    ...     ...
deployments         ...  ...   ...    ...     ...     ...    ...     ...
roles               ...  ...   ...    ...     ...     ...    ...     ...
rolebindings        ...  ...   ...    ...     ...     ...    ...     ...
"""

# Everybody may list projects, and sees hers; who logs in may read cluster roles (basic-user).
OF_THE_CLUSTER = """
                           get  list  watch  create  update  patch  delete  deletecollection
namespaces                 AEV  ...   ...    ...     ...     ...    ...     ...
projects                   AEV  AEV   AEV    ...     A..     A..    A..     ...
clusterroles               AEV  AEV   AEV    ...     ...     ...    ...     ...
clusterrolebindings        ...  ...   ...    ...     ...     ...    ...     ...
users                      ...  ...   ...    ...     ...     ...    ...     ...
groups                     ...  ...   ...    ...     ...     ...    ...     ...
identities                 ...  ...   ...    ...     ...     ...    ...     ...
oauthaccesstokens          ...  ...   ...    ...     ...     ...    AEV     ...
images                     ...  ...   ...    ...     ...     ...    ...     ...
imagesignatures            ---  ---   ---    ...     ---     ---    ...     ---
clustereventsubscriptions  ...  ...   ...    ...     ...     ...    ...     ...
clusterbackgroundjobs      ...  ...   ---    ---     ---     ---    ---     ---
upstreams                  ...  ...   ---    ---     ---     ---    ---     ---
image_configs              ...  ...   ...    ---     ...     ...    ---     ---
imagedigestmirrorsets      ...  ...   ...    ...     ...     ...    ...     ...
imagetagmirrorsets         ...  ...   ...    ...     ...     ...    ...     ...
"""

NOTE = "openshift.io/description"
"""An annotation that may be changed on every kind, projects among them."""

CONFIG = "/apis/config.openshift.io/v1"
IMAGE_CONFIGS = "image_configs"
"""Here for `images` of that group, of which there is one, `cluster`."""

USER_NAMES = {"A": "ada", "E": "eddie", "V": "vic"}

GROUPS = {
    "roles": RBAC,
    "rolebindings": RBAC,
    "clusterroles": RBAC,
    "clusterrolebindings": RBAC,
    "projects": PROJECTS,
    "users": USERS,
    "groups": USERS,
    "identities": USERS,
    "oauthaccesstokens": "/apis/oauth.openshift.io/v1",
    **dict.fromkeys(
        (
            *("tagpolicies", "triggerpolicies", "rollouts", "imageapprovals", "imagechanges"),
            *("mirrors", "eventsubscriptions", "clustereventsubscriptions", "upstreams"),
            *("backgroundjobs", "clusterbackgroundjobs"),
        ),
        "/apis/tidegate.io/v1",
    ),
    **dict.fromkeys(("imagedigestmirrorsets", "imagetagmirrorsets"), CONFIG),
    IMAGE_CONFIGS: CONFIG,
    **dict.fromkeys(("deployments", "daemonsets", "replicasets", "statefulsets"), "/apis/apps/v1"),
    **dict.fromkeys(("jobs", "cronjobs"), "/apis/batch/v1"),
    **dict.fromkeys(
        (
            *("images", "imagesignatures", "imagestreams", "imagestreamtags", "imagetags"),
            *("imagestreamimages", "imagestreammappings", "imagestreamimports"),
        ),
        "/apis/image.openshift.io/v1",
    ),
}

POD = {"containers": [{"name": "web", "image": "web:1"}]}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": POD}
SELECTING = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}


class Cell(NamedTuple):
    """One verb on one resource, and the letters of those who may."""

    where: str
    resource: str
    verb: str
    allowed: str


def cells(where: str, table: str) -> list[Cell]:
    head, *rows = table.strip().splitlines()
    assert tuple(head.split()) == VERBS
    found = []
    for row in rows:
        resource, *columns = row.split()
        for verb, column in zip(VERBS, columns, strict=True):
            if column != "---":
                found.append(Cell(where, resource, verb, column.replace(".", "")))
    return found


TABLE = [
    *cells("shop", IN_THE_PROJECT),
    *cells("shop", STREAMS),
    *cells("shop", LETTERS),
    *cells("other", ELSEWHERE),
    *cells("other", LETTERS_ELSEWHERE),
    *cells("other", STREAMS_ELSEWHERE),
    *cells("", OF_THE_CLUSTER),
]

ELSEWHERE_IMAGE = "docker.io/library/busybox@sha256:" + "a" * 64
FROM_WEB = {"name": "t", "from": {"kind": "ImageStreamTag", "name": "web:1.0"}}
HOOK = {"url": "https://registry.example.com/hook", "suspend": True}
MIRRORED = [{"source": "registry.example.com", "mirrors": ["mirror.example.com/registry"]}]
SUBJECT = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "somebody"}

BODIES: dict[str, dict[str, Any]] = {
    "configmaps": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}},
    "secrets": {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "1"}},
    "serviceaccounts": {"apiVersion": "v1", "kind": "ServiceAccount"},
    "events": {
        "apiVersion": "v1",
        "kind": "Event",
        "reason": "Pushed",
        "type": "Normal",
        "involvedObject": {"kind": "ConfigMap", "name": "x"},
    },
    "resourcequotas": {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "spec": {"hard": {"openshift.io/imagestreams": "1000"}},
    },
    "limitranges": {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "spec": {"limits": [{"type": "openshift.io/Image", "max": {"storage": "1Gi"}}]},
    },
    "tagpolicies": {
        "apiVersion": "tidegate.io/v1",
        "kind": "TagPolicy",
        "spec": {"immutable": ["v*"]},
    },
    "triggerpolicies": {
        "apiVersion": "tidegate.io/v1",
        "kind": "TriggerPolicy",
        "spec": {"requiresApproval": True},
    },
    "mirrors": {
        "apiVersion": "tidegate.io/v1",
        "kind": "Mirror",
        "spec": {
            "source": {"repository": "registry.example.com/org/app"},
            "target": {"stream": "app"},
            "suspend": True,
        },
    },
    "imageapprovals": {
        "apiVersion": "tidegate.io/v1",
        "kind": "ImageApproval",
        "spec": {"image": f"sha256:{64 * 'a'}"},
    },
    "rollouts": {
        "apiVersion": "tidegate.io/v1",
        "kind": "Rollout",
        "spec": {"tag": "web:1.0", "steps": [{"name": "all"}], "suspend": True},
    },
    "eventsubscriptions": {
        "apiVersion": "tidegate.io/v1",
        "kind": "EventSubscription",
        "spec": HOOK,
    },
    "clustereventsubscriptions": {
        "apiVersion": "tidegate.io/v1",
        "kind": "ClusterEventSubscription",
        "spec": HOOK,
    },
    "imagedigestmirrorsets": {
        "apiVersion": "config.openshift.io/v1",
        "kind": "ImageDigestMirrorSet",
        "spec": {"imageDigestMirrors": MIRRORED},
    },
    "imagetagmirrorsets": {
        "apiVersion": "config.openshift.io/v1",
        "kind": "ImageTagMirrorSet",
        "spec": {"imageTagMirrors": MIRRORED},
    },
    "roles": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    },
    "rolebindings": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "view",
        },
        "subjects": [SUBJECT],
    },
    "pods": {"apiVersion": "v1", "kind": "Pod", "spec": POD},
    "replicationcontrollers": {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "spec": {"template": TEMPLATE},
    },
    "deployments": {"apiVersion": "apps/v1", "kind": "Deployment", "spec": SELECTING},
    "daemonsets": {"apiVersion": "apps/v1", "kind": "DaemonSet", "spec": SELECTING},
    "replicasets": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": SELECTING},
    "statefulsets": {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": SELECTING},
    "jobs": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": TEMPLATE}},
    "cronjobs": {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}},
    },
    "clusterroles": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    },
    "clusterrolebindings": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "view",
        },
        "subjects": [SUBJECT],
    },
    "namespaces": {"apiVersion": "v1", "kind": "Namespace"},
    "projects": {"apiVersion": "project.openshift.io/v1", "kind": "Project"},
    "users": {"apiVersion": "user.openshift.io/v1", "kind": "User"},
    "groups": {"apiVersion": "user.openshift.io/v1", "kind": "Group", "users": ["somebody"]},
    "identities": {
        "apiVersion": "user.openshift.io/v1",
        "kind": "Identity",
        "providerName": "corp",
        "providerUserName": "somebody",
    },
    "images": {"dockerImageReference": ELSEWHERE_IMAGE},
    "imagesignatures": {"type": "AtomicImageV1", "content": "AA=="},
    "imagestreams": {"spec": {"lookupPolicy": {"local": True}}},
    "imagestreamtags": {"tag": FROM_WEB},
    "imagetags": {"spec": FROM_WEB},
    "imagestreammappings": {
        "tag": "mapped",
        "image": {
            "metadata": {"name": ELSEWHERE_IMAGE.partition("@")[2]},
            "dockerImageReference": ELSEWHERE_IMAGE,
        },
    },
    "imagestreamimports": {
        "spec": {"import": False, "images": [{"from": {"kind": "DockerImage", "name": "x:1"}}]}
    },
}


class Scene(NamedTuple):
    """A server with two projects, an image in each, and the three users."""

    server: Server
    admin: KubeClient
    users: dict[str, KubeClient]
    registry: RegistryClient
    images: dict[str, Pushable]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with serving(Server(tmp_path_factory.mktemp("access") / "data")) as server:
        admin = kube_client(server)
        for name in ("shop", "other"):
            admin.make(f"{PROJECTS}/projectrequests", project(name))
        for letter, role in (("A", "admin"), ("E", "edit"), ("V", "view")):
            add_user(server, USER_NAMES[letter])
            binding = role_binding(f"{role}-of-shop", role, USER_NAMES[letter])
            admin.make(f"{RBAC}/namespaces/shop/rolebindings", binding)
        users = {letter: kube_client(server, name) for letter, name in USER_NAMES.items()}
        mirrors = "/apis/tidegate.io/v1/namespaces/shop/{}"
        admin.make(mirrors.format("mirrors"), {**BODIES["mirrors"], "metadata": {"name": "app"}})
        job = mirrors.format("backgroundjobs/mirror:app")
        wait_until(lambda: admin.get(job).status_code == 200, what="the work for a Mirror")
        registry = client_of(server)
        images = {name: small_image(name) for name in ("shop", "other")}
        for name, image in images.items():
            registry.push(f"{name}/web", image, "1.0")
        yield Scene(server, admin, users, registry, images)
        for client in (admin, *users.values()):
            client.http.close()
        registry.http.close()


def path_of(cell: Cell) -> str:
    resource = cell.resource.partition("/")[0]
    group = GROUPS.get(resource, CORE)
    namespaced = f"/namespaces/{cell.where}" if cell.where else ""
    return f"{group}{namespaced}/{'images' if resource == IMAGE_CONFIGS else resource}"


def changed(cell: Cell, letter: str) -> dict[str, Any]:
    """A merge patch that changes what may be changed of the kind."""
    if cell.resource == "imagetags":
        return {"spec": {"importPolicy": {"importMode": "PreserveOriginal"}}}
    return {"metadata": {"annotations": {NOTE: letter}}}


TOLD_OF = ("rollouts", "mirrors", "eventsubscriptions", "clustereventsubscriptions")
"""What the server writes to by itself."""

READ_ALONE = ("backgroundjobs", "clusterbackgroundjobs", "upstreams")
"""What only the server makes. In the project `shop` there is the work for a Mirror `app`."""

OF_WEB = (
    *("imagestreams/status", "imagestreams/layers", "imagestreams/secrets"),
    *("imagestreammappings", "imagestreamimports"),
)
"""What is asked of the stream that is there from the start."""


def name_of(cell: Cell, letter: str) -> str:
    if cell.resource == "identities":
        return f"corp:{cell.verb}-{letter.lower()}"
    if cell.resource in ("namespaces", "projects") and cell.verb != "delete":
        return "shop"
    if cell.resource in OF_WEB:
        return "web"
    if cell.resource == IMAGE_CONFIGS:
        return "cluster"
    if cell.resource in READ_ALONE:
        return "mirror:app"
    if cell.resource == "imagesignatures":
        return f"{ELSEWHERE_IMAGE.partition('@')[2]}@{letter.lower()}"
    own = f"{cell.verb}-{cell.resource.replace('/', '-')}-{letter.lower()}"
    return f"{own}:t" if is_tag(cell) else own


def is_tag(cell: Cell) -> bool:
    """Whether objects of the resource, or those that it is a part of, are tags of streams."""
    return cell.resource.startswith(("imagestreamtags", "imagetags"))


def body_of(cell: Cell, name: str, **metadata: Any) -> dict[str, Any]:
    body = {**BODIES[cell.resource], "metadata": {"name": name, **metadata}}
    if cell.resource == "identities":
        body["providerUserName"] = name.partition(":")[2]
    if cell.resource == "events":
        body["involvedObject"] = {**body["involvedObject"], "namespace": cell.where}
    return body


def prepared(scene: Scene, cell: Cell, letter: str) -> str:
    """The name of an object that is there to be read, changed or deleted."""
    name = name_of(cell, letter)
    if cell.resource == "oauthaccesstokens":
        secret = log_in(scene.server.url).removeprefix("sha256~")
        digest = urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).rstrip(b"=")
        return f"sha256~{digest.decode()}"
    if cell.resource == "imagestreamimages":
        return f"web@{scene.images[cell.where].digest}"
    if cell.resource.startswith("imagestreams/") or is_tag(cell):
        return prepared_part(scene, cell, name)
    if cell.resource.startswith("eventsubscriptions/"):
        cell = cell._replace(resource="eventsubscriptions", verb="get")
    if cell.verb in ("create", "list", "watch", "deletecollection") or name == "shop":
        return name
    if cell.resource in ("imagesignatures", IMAGE_CONFIGS, *READ_ALONE):
        return name
    if cell.resource == "projects":  # one in which the user is what she is in `shop`
        scene.admin.make(f"{PROJECTS}/projectrequests", project(name))
        role = {"A": "admin", "E": "edit", "V": "view"}[letter]
        binding = role_binding("given", role, USER_NAMES[letter])
        scene.admin.make(f"{RBAC}/namespaces/{name}/rolebindings", binding)
        return name
    scene.admin.make(path_of(cell), body_of(cell, name))
    return name


def prepared_part(scene: Scene, cell: Cell, name: str) -> str:
    """The name of a tag with two events, or of a stream; deleted where it is to come back."""
    if name == "web" or cell.verb == "list" or (cell.verb == "create" and "/" not in cell.resource):
        return name
    kind = "imagestreamtags" if is_tag(cell) else "imagestreams"
    path = path_of(cell._replace(resource=kind))
    if is_tag(cell):
        scene.registry.push(f"{cell.where}/{name.partition(':')[0]}", small_image(name), "t")
    scene.admin.make(path, {**BODIES[kind], "metadata": {"name": name}})
    if cell.resource.endswith("/undelete"):
        scene.admin.delete(f"{path}/{name}")
    return name


def ask(scene: Scene, cell: Cell, letter: str) -> httpx.Response:
    """Do what the cell says as one of the users."""
    user, path = scene.users[letter], path_of(cell)
    name = prepared(scene, cell, letter)
    url = "/".join(filter(None, (path, name, cell.resource.partition("/")[2])))
    match cell.verb:
        case "list":
            return user.get(path)
        case "watch":
            return opened(user, path)
        case "create" if "/" in cell.resource:
            return user.post(url, {})
        case "create":
            wanted = f"new-{name}" if cell.resource in ("namespaces", "projects") else name
            body = {} if cell.resource == "oauthaccesstokens" else body_of(cell, wanted)
            return user.post(path, body)
        case "deletecollection":
            return user.delete(path, labelSelector="nobody=has-this")
        case "get":
            return user.get(url)
        case "delete":
            return user.delete(url)
        case "patch":
            return user.patch(url, changed(cell, letter))
    body = scene.admin.read(url)
    if cell.resource in TOLD_OF:  # the server may write meanwhile how it goes
        del body["metadata"]["resourceVersion"]
    if cell.resource == "imagetags":
        body["spec"] |= changed(cell, letter)["spec"]
    else:
        body["metadata"].setdefault("annotations", {})[NOTE] = f"{letter}-put"
    return user.put(url, body)


def opened(user: KubeClient, path: str) -> httpx.Response:
    """The head of a watch, or the whole of a refusal."""
    with user.http.stream("GET", path, params={"watch": "true", "timeoutSeconds": "5"}) as answer:
        if answer.is_error:
            answer.read()
        return answer


@pytest.mark.parametrize(
    "cell", TABLE, ids=lambda cell: "-".join(filter(None, (cell.where, cell.resource, cell.verb)))
)
def test_a_verb_on_a_kind_is_for_those_whom_the_table_names(scene: Scene, cell: Cell) -> None:
    if cell.resource == "tagpolicies":  # of which a project may have eight
        assert scene.admin.delete(path_of(cell)).status_code == 200
    for letter in USER_NAMES:
        answer = ask(scene, cell, letter)
        if letter in cell.allowed:
            assert answer.status_code < 300, (letter, answer.status_code, answer.text)
        else:
            assert answer.status_code == 403, (letter, answer.status_code, answer.text)
            status = answer.json()
            assert status["reason"] == "Forbidden"
            assert f'User "{USER_NAMES[letter]}" cannot {cell.verb} resource' in status["message"]


# What each does to the registry. `new`: a stream that is not there yet.
ON_THE_REGISTRY = """
ping                       AEV
catalog                    AEV
pull-manifest-by-tag       AEV
pull-manifest-by-digest    AEV
head-manifest              AEV
pull-blob                  AEV
head-blob                  AEV
list-tags                  AEV
list-referrers             AEV
start-upload               AE.
start-upload-new           AE.
upload-blob                AE.
upload-status              AE.
cancel-upload              AE.
push-manifest              AE.
push-manifest-by-digest    AE.
mount-within-project       AE.
mount-from-other           AE.
delete-tag                 AE.
delete-manifest            AE.
delete-blob                AE.
prune-blob                 ...
read-metrics               ...
read-signatures            AEV
read-signatures-other      ...
write-signature            ...
pull-manifest-other        ...
pull-blob-other            ...
list-tags-other            ...
list-referrers-other       ...
start-upload-other         ...
push-manifest-other        ...
mount-into-other           ...
delete-tag-other           ...
push-to-a-new-project      AEV
push-to-a-reserved-name    ...
"""

OPERATIONS = [
    (operation, allowed.replace(".", ""))
    for operation, allowed in (row.split() for row in ON_THE_REGISTRY.strip().splitlines())
]


def request_of(operation: str, scene: Scene, letter: str) -> tuple[str, str, Content | None]:
    """Method, path and body of an operation, on something made for it where it takes away."""
    where = "other" if operation.endswith("-other") and "from" not in operation else "shop"
    kind = operation.removesuffix("-other")
    image = scene.images[where]
    web, blob = f"/v2/{where}/web", image.blobs[0].digest
    mine = small_image(f"{operation}-{letter}")
    pusher = scene.registry
    match kind:
        case "ping":
            return "GET", "/v2/", None
        case "catalog":
            return "GET", "/v2/_catalog", None
        case "pull-manifest-by-tag" | "pull-manifest":
            return "GET", f"{web}/manifests/1.0", None
        case "pull-manifest-by-digest":
            return "GET", f"{web}/manifests/{image.digest}", None
        case "head-manifest":
            return "HEAD", f"{web}/manifests/1.0", None
        case "pull-blob":
            return "GET", f"{web}/blobs/{blob}", None
        case "head-blob":
            return "HEAD", f"{web}/blobs/{blob}", None
        case "list-tags":
            return "GET", f"{web}/tags/list", None
        case "list-referrers":
            return "GET", f"{web}/referrers/{image.digest}", None
        case "start-upload":
            return "POST", f"{web}/blobs/uploads/", None
        case "start-upload-new":
            return "POST", f"/v2/{where}/new-{letter.lower()}/blobs/uploads/", None
        case "upload-blob":
            location = pusher.open_upload("shop/web")
            return "PUT", f"{location}?digest={mine.blobs[0].digest}", mine.blobs[0]
        case "upload-status":
            return "GET", pusher.open_upload("shop/web"), None
        case "cancel-upload":
            return "DELETE", pusher.open_upload("shop/web"), None
        case "push-manifest":
            return "PUT", f"{web}/manifests/1.0-{letter}", image.manifest
        case "push-manifest-by-digest":
            return "PUT", f"{web}/manifests/{image.digest}", image.manifest
        case "mount-within-project":
            return "POST", f"/v2/shop/web2/blobs/uploads/?mount={blob}&from=shop/web", None
        case "mount-from-other" | "mount-from":
            secret = scene.images["other"].blobs[0].digest
            return "POST", f"{web}/blobs/uploads/?mount={secret}&from=other/web", None
        case "mount-into":
            own = scene.images["shop"].blobs[0].digest
            return "POST", f"/v2/other/web/blobs/uploads/?mount={own}&from=shop/web", None
        case "delete-tag":
            pusher.push(f"{where}/web", mine, f"gone-{letter}")
            return "DELETE", f"{web}/manifests/gone-{letter}", None
        case "delete-manifest":
            pusher.push(f"{where}/web", mine, f"gone-{letter}")
            return "DELETE", f"{web}/manifests/{mine.digest}", None
        case "delete-blob":
            pusher.put_blob("shop/web", mine.blobs[1])
            return "DELETE", f"{web}/blobs/{mine.blobs[1].digest}", None
        case "prune-blob":
            return "DELETE", f"/admin/blobs/{small_image('nowhere').digest}", None
        case "read-signatures":
            return "GET", f"/extensions{web}/signatures/{image.digest}", None
        case "write-signature":
            return "PUT", f"/extensions{web}/signatures/{image.digest}", None
        case "read-metrics":
            return "GET", "/extensions/v2/metrics", None
        case "push-to-a-new-project":
            return "POST", f"/v2/of-{letter.lower()}/web/blobs/uploads/", None
        case "push-to-a-reserved-name":
            return "POST", f"/v2/openshift-{letter.lower()}/web/blobs/uploads/", None
    raise AssertionError(operation)


@pytest.mark.parametrize(("operation", "allowed"), OPERATIONS, ids=[row[0] for row in OPERATIONS])
def test_an_operation_of_the_registry_is_for_those_whom_the_table_names(
    scene: Scene, operation: str, allowed: str
) -> None:
    for letter in USER_NAMES:
        method, path, body = request_of(operation, scene, letter)
        answer = scene.users[letter].http.request(
            method,
            path,
            content=body.data if body else None,
            headers={"Content-Type": body.media_type} if body else {},
        )
        if letter in allowed:
            assert answer.status_code < 300, (letter, answer.status_code, answer.text)
        else:
            assert answer.status_code == 403, (letter, answer.status_code, answer.text)
            if method != "HEAD":
                assert error_codes(answer) == ["DENIED"]
        if operation == "catalog":
            shown = answer.json()["repositories"]
            assert "shop/web" in shown, shown
            assert not [name for name in shown if name.startswith("other/")], shown
        if operation == "mount-from-other":
            assert answer.status_code in (202, 403), answer.text  # never 201: no byte of it
        if operation == "mount-within-project" and letter in allowed:
            assert answer.status_code == 201, answer.text


def test_everybody_sees_and_ends_her_own_logins_and_no_others(scene: Scene) -> None:
    path = "/apis/oauth.openshift.io/v1/useroauthaccesstokens"
    mine = scene.users["V"].read(path)["items"]
    assert {each["userName"] for each in mine} == {"vic"}
    other = scene.users["A"].read(path)["items"][0]["metadata"]["name"]
    assert scene.users["V"].get(f"{path}/{other}").status_code == 404
    assert scene.users["V"].delete(f"{path}/{other}").status_code == 404
    assert scene.users["A"].get(f"{path}/{other}").status_code == 200


def test_the_table_is_as_large_as_it_claims() -> None:
    assert len(TABLE) + len(OPERATIONS) >= 120
