import asyncio

import msgspec
import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Key
from tidegate.kinds.image_approval import (
    IMAGE_APPROVALS,
    ApprovalStorage,
    ImageApproval,
    ImageApprovalSpec,
    ImageApprovalStatus,
)
from tidegate.kinds.image_change import (
    IMAGE_CHANGES,
    ChangedWorkload,
    ContainerChange,
    ImageChange,
    ImageChangeStatus,
)

IMAGE = "sha256:" + "a" * 64


def test_the_server_says_who_approved_whatever_the_client_says() -> None:
    async def story() -> ImageApproval:
        store = MemoryStore()
        namespace = b'{"metadata":{"name":"shop","uid":"1"}}'
        await store.write(
            lambda tx: tx.put(Key("namespaces", "", "shop"), "1", lambda _: namespace)
        )
        new = ImageApproval(
            metadata=ObjectMeta(name="one"),
            spec=ImageApprovalSpec(image=IMAGE),
            status=ImageApprovalStatus(approved_by="root"),
        )
        call = Call(user=User("ann"), verb="create", namespace="shop")
        body = await ApprovalStorage(store).create(call, new)
        return msgspec.json.decode(body, type=ImageApproval)

    made = asyncio.run(story())
    assert made.status.approved_by == "ann"
    assert [each.cell(made, 0.0) for each in IMAGE_APPROVALS.columns] == [IMAGE, "<all>", "ann", ""]


def test_an_approval_is_never_changed() -> None:
    assert {"update", "patch"} & set(IMAGE_APPROVALS.verbs) == set()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (ImageApprovalSpec(), "spec.image"),
        (ImageApprovalSpec(image="web:1"), "spec.image"),
        (ImageApprovalSpec(image=IMAGE.upper()), "spec.image"),
        (ImageApprovalSpec(image=IMAGE, workloads=["[a"]), "spec.workloads[0]"),
        (ImageApprovalSpec(image=IMAGE, workloads=["a"] * 33), "spec.workloads"),
        (ImageApprovalSpec(image=IMAGE, reason="a" * 1025), "spec.reason"),
    ],
)
def test_what_approves_nothing_is_refused(spec: ImageApprovalSpec, field: str) -> None:
    (fault,) = IMAGE_APPROVALS.strategy.validate(ImageApproval(spec=spec), None)
    assert fault.field == field


def test_a_table_of_changes_says_what_a_project_waits_for() -> None:
    change = ImageChange(
        status=ImageChangeStatus(
            workload=ChangedWorkload(kind="Deployment", name="web"),
            state="Waiting",
            message="waits for approval",
            changes=[
                ContainerChange(container="a", from_="shop/web:1", wanted="r/a"),
                ContainerChange(container="b", from_="shop/web:1", wanted="r/b"),
            ],
        )
    )
    assert [each.cell(change, 0.0) for each in IMAGE_CHANGES.columns] == [
        "Deployment/web",
        "shop/web:1",
        "Waiting",
        "waits for approval",
        "r/a,r/b",
    ]
