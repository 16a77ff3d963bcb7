"""Who may write a Rollout."""

import asyncio

import pytest

from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.errors import Forbidden, Invalid
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import Admitted, Call
from tidegate.delivery.rollouts.serving import TagWriters
from tidegate.kinds.rollout import Rollout, RolloutSpec
from tidegate.kinds.rollout_traffic import RolloutTraffic


class Rights:
    """Allows one user everything, and notes what was asked."""

    def __init__(self) -> None:
        self.asked: list[Attributes] = []

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        self.asked.append(attributes)
        return user.name == "ann"


def rollout(tag: str) -> Rollout:
    return Rollout(metadata=ObjectMeta(name="r", namespace="shop"), spec=RolloutSpec(tag=tag))


def admit(user: str, new: Rollout | None, old: Rollout | None = None) -> list[Attributes]:
    rights = Rights()
    call = Call(user=User(user), verb="create", namespace="shop", name="r")
    asyncio.run(TagWriters(rights, cluster=False).admit(Admitted(call, new, old)))
    return rights.asked


def test_who_writes_a_rollout_may_update_its_tag() -> None:
    asked = Attributes("update", "imagestreamtags", "shop", "web:1")
    assert admit("ann", rollout("web:1")) == [asked]
    with pytest.raises(Forbidden, match="which its writer may not update"):
        admit("eve", rollout("web:1"))


def test_nobody_moves_a_rollout_to_a_tag_that_is_not_hers() -> None:
    assert admit("eve", rollout("web:1"), rollout("web:1")) == []
    with pytest.raises(Forbidden):
        admit("eve", rollout("web:2"), rollout("web:1"))


def test_whoever_may_delete_one_may() -> None:
    assert admit("eve", None, rollout("web:1")) == []


def test_weights_take_a_cluster_and_stay_where_they_are_when_there_is_none_any_more() -> None:
    weighs = rollout("web:1")
    weighs.spec.traffic = RolloutTraffic(http_route="web")
    with pytest.raises(Invalid, match="this server has none") as refused:
        admit("ann", weighs, rollout("web:1"))
    assert [each.field for each in refused.value.causes] == ["spec.traffic"]
    admit("ann", weighs, weighs)
    call = Call(user=User("ann"), verb="create", namespace="shop", name="r")
    asyncio.run(TagWriters(Rights(), cluster=True).admit(Admitted(call, weighs, None)))
