"""Kinds of no real API, for tests of what is derived from declarations."""

from typing import Annotated, Any

from msgspec import field

from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.resource import Resource, Subresource


class Blade(Wire):
    """A blade turns in the wind."""

    name: Annotated[str, doc("Name of the blade.")] = ""
    length: Annotated[int, doc("Length in metres.", format="int32")] = 0


class WindmillSpec(Wire):
    """What is wanted of a windmill."""

    height: Annotated[int, doc("Height in metres.")]
    blades: Annotated[list[Blade], doc("The blades.", merge_key="name")] = field(
        default_factory=list
    )
    colours: Annotated[list[str], doc("Colours.", list_type="set")] = field(default_factory=list)
    notes: Annotated[dict[str, str], doc("Notes.", atomic=True)] = field(default_factory=dict)
    share: Annotated[float | None, doc("Share of the owner.")] = None


class Windmill(Object):
    """Windmill grinds what the wind brings."""

    spec: Annotated[WindmillSpec | None, doc("What is wanted.", replace=True)] = None
    built: Annotated[Time, doc("When it was built.")] = ""
    idle: Annotated[bool, doc("Whether it stands still.")] = False
    extra: Annotated[dict[str, Any], doc("Anything.")] = field(default_factory=dict)


class Grinding(Object):
    """Grinding asks a windmill for flour."""

    sacks: Annotated[int, doc("How many sacks.")] = 0


class Secret(Object):
    """Secret holds data that few may read."""

    data: Annotated[dict[str, str], doc("The data.")] = field(default_factory=dict)


class Review(Object):
    """Review is only ever created."""


WINDMILLS = Resource(
    group="stable.example.com",
    version="v1",
    kind="Windmill",
    plural="windmills",
    type=Windmill,
    namespaced=True,
    short_names=("wm",),
    categories=("all",),
    subresources={
        "status": Subresource(verbs=("update", "get", "patch"), kind="Windmill", type=Windmill),
        "grind": Subresource(
            verbs=("create",), kind="Grinding", type=Grinding, group="flour.k8s.io", version="v2"
        ),
    },
)
OLD_WINDMILLS = Resource(
    group="stable.example.com",
    version="v1beta1",
    kind="Windmill",
    plural="windmills",
    type=Windmill,
    namespaced=False,
    verbs=("get", "list"),
    singular="mill",
)
SECRETS = Resource(
    group="", version="v1", kind="Secret", plural="secrets", type=Secret, namespaced=True
)
REVIEWS = Resource(
    group="authorization.openshift.io",
    version="v1",
    kind="Review",
    plural="reviews",
    type=Review,
    namespaced=False,
    verbs=("create",),
    subresources={
        "log": Subresource(verbs=("get", "watch"), kind="Review", type=Review, paged=True)
    },
)
RESOURCES = (WINDMILLS, OLD_WINDMILLS, SECRETS, REVIEWS)
