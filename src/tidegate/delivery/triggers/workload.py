"""A workload as triggers see it: what its containers run, and which tags they follow."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tidegate.oci.name import RepositoryName


class WorkloadKey(NamedTuple):
    """Where a workload is: `resource` is `plural.group`."""

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource} {self.namespace}/{self.name}"


class Source(NamedTuple):
    """A tag that is followed, whether it is there or not."""

    stream: RepositoryName
    tag: str

    def __str__(self) -> str:
        return f"{self.stream}:{self.tag}"


class Place(NamedTuple):
    """A field that names an image: where in the object, of which container, what it is now.

    `pointer` is RFC 6901; `container` is empty where it is no container's. One that is not `there`
    has to be added.
    """

    pointer: str
    container: str
    image: str
    there: bool = True


@dataclass(frozen=True, slots=True)
class Trigger:
    """One tag with the places that follow it.

    `remembered` is where the object notes what it was triggered with last: DeploymentConfigs. With
    `gates_all` an unresolved tag holds up the whole object.
    """

    source: Source
    places: tuple[Place, ...]
    remembered: Place | None = None
    gates_all: bool = False


class BuildTrigger(NamedTuple):
    """A tag whose image starts a build: `last` is the image of the build before.

    `reference` is the object reference as the BuildConfig has it.
    """

    source: Source
    reference: Mapping[str, str]
    last: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload that has triggers; `fault` says why none of them can be followed.

    `version` is its resourceVersion, `account` the service account that its pods run as.
    """

    key: WorkloadKey
    api_version: str
    kind: str
    uid: str
    version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    account: str = "default"
    triggers: tuple[Trigger, ...] = ()
    builds: tuple[BuildTrigger, ...] = ()
    fault: str = ""

    @property
    def namespace(self) -> str:
        return self.key.namespace

    @property
    def name(self) -> str:
        return self.key.name

    def sources(self) -> Iterator[Source]:
        """The tags that its triggers name."""
        yield from (each.source for each in self.triggers)
        yield from (each.source for each in self.builds)
