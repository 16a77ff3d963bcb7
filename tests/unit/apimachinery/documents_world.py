"""A kind, its storage on a `MemoryStore`, and short words to drive it, for tests of documents."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import FieldError, required
from tidegate.apimachinery.meta import Object, ObjectMeta, OwnerReference, Wire, doc
from tidegate.apimachinery.resource import Resource, Strategy
from tidegate.apimachinery.selectors import EVERYTHING, Selection
from tidegate.apimachinery.storage import (
    Call,
    Deleted,
    DeleteOptions,
    Event,
    ListOptions,
    Page,
    Updated,
    Watch,
    WatchOptions,
)
from tidegate.apimachinery.store import Key

T = TypeVar("T")

NOW = 1_700_000_000.75
STAMP = "2023-11-14T22:13:20Z"
"""NOW, as metadata has it: `date -u -d @1700000000`."""


class WidgetSpec(Wire):
    """What is wanted of a widget."""

    size: Annotated[int, doc("How big.")] = 0
    color: Annotated[str, doc("Which colour.")] = ""
    finalizers: Annotated[list[str], doc("As a Namespace has them.")] = msgspec.field(
        default_factory=list
    )


class WidgetStatus(Wire):
    """What there is of a widget."""

    phase: Annotated[str, doc("How far it is.")] = ""


class Widget(Object):
    """Something to store."""

    spec: Annotated[WidgetSpec, doc("What is wanted.")] = msgspec.field(default_factory=WidgetSpec)
    status: Annotated[WidgetStatus, doc("What there is.")] = msgspec.field(
        default_factory=WidgetStatus
    )


def _prepare(new: Widget, old: Widget | None) -> None:
    new.spec.color = new.spec.color or "grey"


def _validate(new: Widget, old: Widget | None) -> Sequence[FieldError]:
    return [required("spec.size", "must be positive")] if new.spec.size < 0 else []


WIDGETS: Resource[Widget] = Resource(
    group="example.com",
    version="v1",
    kind="Widget",
    plural="widgets",
    type=Widget,
    namespaced=True,
    fields={"spec.color": lambda widget: widget.spec.color},
    strategy=Strategy(prepare=_prepare, validate=_validate, counts_generation=True),
)

CRATES: Resource[Widget] = Resource(
    group="example.com",
    version="v1",
    kind="Crate",
    plural="crates",
    type=Widget,
    namespaced=False,
)

USER = User("ann")


class World:
    """Storage of widgets in the namespaces `shop` and `yard`, and of crates in none."""

    def __init__(self, **options: Any) -> None:
        self.store = MemoryStore(rehearse=True, decoys=100)
        self.widgets = self.storage(WIDGETS, **options)
        self.crates = self.storage(CRATES)
        self.namespace("shop")
        self.namespace("yard")

    def storage(self, resource: Resource[Widget], **options: Any) -> DocumentStorage[Widget]:
        return DocumentStorage(resource, self.store, **{"clock": lambda: NOW, **options})

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(scenario)

    def namespace(self, name: str, **parts: Any) -> None:
        body = msgspec.json.encode({"metadata": {"name": name}, **parts})
        key = Key("namespaces", "", name)
        asyncio.run(self.store.write(lambda tx: tx.put(key, f"uid-{name}", lambda _: body)))

    async def create(self, *widgets: Widget, dry_run: bool = False) -> list[dict[str, Any]]:
        made = []
        for each in widgets:
            call = asked("create", each.metadata.namespace or "shop", dry_run=dry_run)
            made.append(read(await self.widgets.create(call, each)))
        return made

    async def get(self, name: str, namespace: str = "shop") -> dict[str, Any]:
        return read(await self.widgets.get(asked("get", namespace), name))

    async def names(self, namespace: str = "shop") -> list[str]:
        return names(await self.list(namespace=namespace))

    async def list(
        self, selection: Selection = EVERYTHING, *, namespace: str = "shop", **options: Any
    ) -> Page:
        wanted = ListOptions(selection=selection, **options)
        return await self.widgets.list(asked("list", namespace), wanted)

    async def update(
        self,
        name: str,
        change: Callable[[dict[str, Any]], None],
        *,
        dry_run: bool = False,
        creates: bool = False,
    ) -> Updated:
        """Update as a patch does: `change` edits the object's JSON values."""

        def changed(current: Mapping[str, Any] | None) -> Widget:
            values = dict(current or {"metadata": {}})
            change(values)
            return msgspec.convert(values, Widget)

        call = asked("patch", "shop", dry_run=dry_run)
        return await self.widgets.update(call, name, changed, creates=creates)

    async def replace(self, widget: Widget, **options: Any) -> Updated:
        """Update as a PUT does."""
        return await self.widgets.update(
            asked("update", "shop"), widget.metadata.name, lambda _: widget, **options
        )

    async def delete(self, name: str, *, dry_run: bool = False, **options: Any) -> Deleted:
        call = asked("delete", "shop", dry_run=dry_run)
        return await self.widgets.delete(call, name, DeleteOptions(**options))

    async def watch(
        self, revision: int | None, selection: Selection = EVERYTHING, *, namespace: str = "shop",
        initial: bool = False,
    ) -> Watch:  # fmt: skip
        options = WatchOptions(selection=selection, revision=revision, initial=initial)
        return await self.widgets.watch(asked("watch", namespace), options)


def asked(verb: str, namespace: str = "shop", *, dry_run: bool = False) -> Call:
    return Call(user=USER, verb=verb, namespace=namespace, dry_run=dry_run)


def widget(
    name: str = "",
    namespace: str = "",
    *,
    size: int = 1,
    color: str = "",
    owners: Sequence[OwnerReference] = (),
    **metadata: Any,
) -> Widget:
    return Widget(
        metadata=ObjectMeta(
            name=name, namespace=namespace, owner_references=list(owners), **metadata
        ),
        spec=WidgetSpec(size=size, color=color),
    )


def owner(
    made: Mapping[str, Any], kind: str = "Widget", *, blocks: bool | None = None
) -> OwnerReference:
    metadata = made["metadata"]
    return OwnerReference(
        api_version="example.com/v1",
        kind=kind,
        name=metadata["name"],
        uid=metadata["uid"],
        block_owner_deletion=blocks,
    )


def read(body: bytes) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.json.decode(body)
    return values


def names(page: Page) -> list[str]:
    return [read(each)["metadata"]["name"] for each in page.bodies]


def revision(body: bytes | Mapping[str, Any]) -> int:
    values = read(body) if isinstance(body, bytes) else body
    return int(values["metadata"]["resourceVersion"])


def shown(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Kinds and names of events."""
    return [(each.kind, read(each.body)["metadata"].get("name", "")) for each in events]


async def upcoming(watch: Watch) -> list[tuple[str, str]]:
    """What a watch tells of all that has happened until now."""
    told: list[tuple[str, str]] = []
    while events := await watch.next(0.01):
        told += shown(events)
    return told
