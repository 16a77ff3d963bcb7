"""Triggers on workloads kept here: what is pushed is what runs, as policies let it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.delivery.triggers.things import deployment, digest, entry, image
from tests.unit.delivery.triggers.world import World, acting, until, world
from tidegate.apimachinery.store import Key
from tidegate.delivery.triggers.decision import Candidate, Hold
from tidegate.delivery.triggers.planning import Edit
from tidegate.delivery.triggers.stored_targets import StoredTargets
from tidegate.delivery.triggers.targets import Seen, Synced
from tidegate.delivery.triggers.workload import Source, Workload
from tidegate.kinds.trigger_policy import Follow, Soak, TriggerWebhook
from tidegate.remote.errors import RemoteError

HOUR = 3600.0


@pytest.fixture
def story(tmp_path: Path) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    """Runs a coroutine on a world of its own."""

    def run(tell: Callable[[World], Awaitable[None]]) -> None:
        async def inside() -> None:
            async with world(tmp_path) as made:
                await tell(made)

        asyncio.run(inside())

    return run


Story = Callable[[Callable[[World], Awaitable[None]]], None]


def runs(made: World, letter: str, name: str = "web", namespace: str = "shop") -> Any:
    async def condition() -> bool:
        return await made.image(name, namespace) == letter

    return condition


def waits(made: World, *reasons: str, name: str = "deployment.web", project: str = "shop") -> Any:
    async def condition() -> bool:
        found = await made.change(name, project)
        return (found.reasons if found else []) == list(reasons)

    return condition


def test_a_push_changes_who_follows_the_tag_and_nobody_else(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.push("shop/web", "1", "a")
        await made.deploy("web")
        await made.deploy("other", entry("web:2"))
        async with acting(made.triggers()):
            await until(runs(made, "a"))  # as it was when the loop began
            await made.push("shop/web", "1", "b")
            await until(runs(made, "b"))
            assert await made.image("other") == "web:1"
            await made.push("shop/web", "2", "c")
            await until(runs(made, "c", "other"))
            assert await made.image("web") == "b"

    story(tell)


def test_a_change_is_counted_managed_audited_and_told(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.push("shop/web", "1", "a")
        values = deployment()
        values["metadata"]["generation"] = 3
        values["metadata"]["managedFields"] = [
            {"manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1",
             "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}
        ]  # fmt: skip
        values["spec"]["template"]["spec"]["unknown"] = {"kept": 1}
        await made.put_workload(values)
        async with acting(made.triggers()):
            await until(runs(made, "a"))
            await until(lambda: made.events())
        stored = await made.workload()
        assert stored["metadata"]["generation"] == 4
        managers = [each["manager"] for each in stored["metadata"]["managedFields"]]
        assert managers == ["kubectl", "tidegate-triggers"]
        assert stored["spec"]["template"]["spec"]["unknown"] == {"kept": 1}
        (audited,) = made.audit.events
        assert (audited.action, audited.user) == ("trigger", "system:tidegate:triggers")
        assert (audited.repository, audited.digest, audited.status) == (
            "shop/web",
            digest("a"),
            200,
        )
        assert audited.reference == "1 deployments.apps shop/web"
        assert audited.detail == f"container web from web:1 to {image('a')}"
        assert await made.events() == [
            ("ImageChanged", f"container web gets {image('a')} of shop/web:1")
        ]

    story(tell)


def test_an_image_that_was_set_by_hand_is_put_back(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.push("shop/web", "1", "a")
        await made.deploy(images=(image("a"),))
        async with acting(made.triggers()):
            await made.deploy(images=("by/hand:1",))
            await until(runs(made, "a"))
            # unless the trigger is paused (image-api 18.21)
            await made.deploy("web", entry(paused=True), images=("by/hand:2",))
            await made.push("shop/web", "1", "b")
            await made.deploy("marker")
            await until(runs(made, "b", "marker"))
            assert await made.image() == "by/hand:2"

    story(tell)


def test_a_tag_that_is_deleted_leaves_what_runs(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.push("shop/web", "1", "a")
        await made.deploy()
        async with acting(made.triggers()):
            await until(runs(made, "a"))
            await made.untag("shop/web", "1")
            await made.deploy("marker", entry("web:2"))
            await made.push("shop/web", "2", "b")
            await until(runs(made, "b", "marker"))
            assert await made.image() == "a"

    story(tell)


def test_nothing_is_lost_or_done_twice_by_who_takes_over(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.push("shop/web", "1", "a")
        for index in range(20):
            await made.deploy(f"w{index}")
        async with acting(made.triggers(parallel=1)):
            await until(runs(made, "a", "w3"))
        await made.push("shop/web", "1", "b")  # while nobody acts
        async with acting(made.triggers()):
            for index in range(20):
                await until(runs(made, "b", f"w{index}"))
        changed = [(each.reference, each.digest) for each in made.audit.events]
        assert len(changed) == len(set(changed))
        versions = [(await made.workload(f"w{each}"))["metadata"] for each in range(20)]
        async with acting(made.triggers()):
            await made.deploy("marker")
            await until(runs(made, "b", "marker"))
        assert versions == [(await made.workload(f"w{each}"))["metadata"] for each in range(20)]

    story(tell)


def test_who_lost_the_lead_and_may_lead_again_acts_on_what_happened_meanwhile(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.push("shop/web", "1", "a")
        await made.deploy()
        triggers = made.triggers()
        async with acting(triggers):
            await until(runs(made, "a"))
        await made.push("shop/web", "1", "b")
        await made.delete("deployments.apps", "shop", "web")
        await made.deploy("next")
        async with acting(triggers):
            await until(runs(made, "b", "next"))

    story(tell)


def test_a_thousand_workloads_on_one_tag_are_changed_by_a_few_at_a_time(story: Story) -> None:
    async def tell(made: World) -> None:
        under_way, most = 0, 0

        class Counting(StoredTargets):
            async def write(self, workload: Workload, edits: Sequence[Edit]) -> Workload | None:
                nonlocal under_way, most
                under_way += 1
                most = max(most, under_way)
                try:
                    return await super().write(workload, edits)
                finally:
                    under_way -= 1

        targets = made.targets()
        targets.__class__ = Counting
        await made.push("shop/web", "1", "a")
        await asyncio.gather(
            *(made.deploy(f"w{index}", images=(image("a"),)) for index in range(1000))
        )
        async with acting(made.triggers(targets=targets)):
            await made.deploy("marker")
            await until(_all(made, 1))
            made.audit.events.clear()
            await made.push("shop/web", "1", "b")
            await until(_all(made, 1001))
        assert 1 < most <= 16
        assert {each.digest for each in made.audit.events} == {digest("b")}

    story(tell)


def _all(made: World, count: int) -> Any:
    async def condition() -> bool:
        return len(made.audit.events) >= count

    return condition


def test_who_overtakes_is_not_overwritten_and_gets_the_image_all_the_same(story: Story) -> None:
    async def tell(made: World) -> None:
        class Late(StoredTargets):
            late = 0

            async def write(self, workload: Workload, edits: Sequence[Edit]) -> Workload | None:
                if not Late.late:
                    Late.late = 1
                    await made.deploy(images=("by/hand:1",), labels={"edited": "yes"})
                return await super().write(workload, edits)

        targets = made.targets()
        targets.__class__ = Late
        await made.push("shop/web", "1", "a")
        await made.deploy()
        async with acting(made.triggers(targets=targets)):
            await until(_all(made, 1))
        assert (await made.workload())["metadata"]["labels"] == {"edited": "yes"}
        assert [each.status for each in made.audit.events] == [200]
        assert "from by/hand:1 to" in made.audit.events[0].detail

    story(tell)


def test_a_change_of_what_triggers_do_not_look_at_is_no_conflict(story: Story) -> None:
    async def tell(made: World) -> None:
        class Stale(StoredTargets):
            async def write(self, workload: Workload, edits: Sequence[Edit]) -> Workload | None:
                values = await made.workload()
                values["status"] = {"replicas": 1}
                await made.put_workload(values)
                return await super().write(replace(workload, version="1"), edits)

        targets = made.targets()
        targets.__class__ = Stale
        await made.push("shop/web", "1", "a")
        await made.deploy()
        async with acting(made.triggers(targets=targets)):
            await until(runs(made, "a"))
        assert (await made.workload())["status"] == {"replicas": 1}

    story(tell)


def test_a_policy_of_another_process_holds_a_workload_that_comes_right_after_it(
    story: Story, tmp_path: Path
) -> None:
    async def tell(made: World) -> None:
        withheld: list[Callable[[], None]] = []

        class InItsOwnTime(StoredTargets):
            async def follow(self, seen: Seen, synced: Synced) -> None:
                await super().follow(lambda *told: withheld.append(lambda: seen(*told)), synced)

        targets = made.targets()
        targets.__class__ = InItsOwnTime
        await made.push("shop/web", "1", "a")
        await made.deploy()
        async with acting(made.triggers(targets=targets)), world(tmp_path) as elsewhere:
            await until(_any(withheld))
            await elsewhere.policy(requires_approval=True)
            for tell_now in withheld:  # before anybody looks for what other processes did
                tell_now()
            await until(waits(made, "WaitsForApproval"))
        assert await made.image() == "web:1"

    story(tell)


def _any(things: Sequence[object]) -> Any:
    async def condition() -> bool:
        return bool(things)

    return condition


def test_a_workload_that_no_rule_allows_is_audited_as_refused(story: Story) -> None:
    async def tell(made: World) -> None:
        values = deployment()
        values["spec"]["selector"] = {}  # which came past validation, long ago
        await made.put_workload(values)
        await made.push("shop/web", "1", "a")
        async with acting(made.triggers()):
            await until(_all(made, 1))
        (audited,) = made.audit.events
        assert audited.status == 403
        assert "spec.selector" in audited.detail
        assert await made.image() == "web:1"

    story(tell)


def test_an_image_of_another_project_takes_the_right_to_pull_it(story: Story) -> None:
    async def tell(made: World) -> None:
        elsewhere = entry()
        elsewhere["from"]["namespace"] = "lab"
        await made.push("lab/web", "1", "a")
        await made.deploy("web", elsewhere)
        triggers = made.triggers()
        async with acting(triggers):
            await until(waits(made, "NotAllowed"))
            change = await made.change()
            assert (change.state, change.changes[0].wanted) == ("Refused", image("a", "lab/web"))
            assert "get imagestreams/layers" in change.message
            await until(_noted(made, "ImageChangeRefused"))
            assert await made.image() == "web:1"
            made.rights.pullers.add(("system:serviceaccount:shop:default", "lab"))
            await made.store.write(
                lambda tx: tx.put(BINDING, "uid", lambda revision: b'{"metadata":{"uid":"uid"}}')
            )
            await until(runs(made, "a"))
            await until(waits(made))

    story(tell)


BINDING = Key("rolebindings.rbac.authorization.k8s.io", "lab", "pullers")


def test_an_image_waits_for_approval_and_who_approved_is_audited(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.policy(requires_approval=True)
        await made.push("shop/web", "1", "a")
        await made.deploy()
        async with acting(made.triggers()):
            await until(waits(made, "WaitsForApproval"))
            change = await made.change()
            assert change.message == f"waits for an ImageApproval of {digest('a')}"
            assert json.loads(change.patch) == {
                "spec": {
                    "template": {"spec": {"containers": [{"name": "web", "image": image("a")}]}}
                }
            }
            await made.approve("b")
            await made.approve("a", by="rob")
            await until(waits(made))
            assert await made.image() == "a"
            assert made.audit.events[-1].detail.endswith(", approved by rob")
            # taking the approval back changes nothing that runs
            await made.delete("imageapprovals.tidegate.io", "shop", "rob-a")
            await made.push("shop/web", "1", "c")
            await until(waits(made, "WaitsForApproval"))
            assert await made.image() == "a"

    story(tell)


def test_a_soak_is_over_by_the_clock(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.policy(soak=Soak(duration="24h"))
        await made.push("shop/web", "1", "a")
        await made.deploy()
        triggers = made.triggers()
        async with acting(triggers):
            await until(waits(made, "Soaks"))
            made.now += 23 * HOUR
            await made.push("shop/web", "2", "b")
            triggers.look_at_all("shop")
            assert await made.image() == "web:1"
            made.now += HOUR
            triggers.look_at_all("shop")
            await until(runs(made, "a"))
            # an image that soaked before need not again: going back is quick
            await made.push("shop/web", "1", "b")
            await until(waits(made, "Soaks"))
            await made.push("shop/web", "1", "a")
            await until(waits(made))
            assert await made.image() == "a"

    story(tell)


def test_an_image_soaks_in_another_tag_before_it_is_promoted(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.policy(project="prod", soak=Soak(duration="2h", tag="lab/web:staging"))
        made.rights.pullers.add(("system:serviceaccount:prod:default", "lab"))
        await made.push("lab/web", "staging", "a")
        made.now += 3 * HOUR
        await made.push("lab/web", "staging", "b")
        made.now += HOUR
        await made.push("prod/web", "1", "b")
        await made.deploy(namespace="prod")
        triggers = made.triggers()
        async with acting(triggers):
            await until(waits(made, "Soaks", project="prod"))
            change = await made.change(project="prod")
            assert change.until == "2026-09-21T19:13:20Z"  # two hours after it came there
            await made.push("prod/web", "1", "a")
            await until(runs(made, "a", namespace="prod"))
            # of a tag that its pods may not pull nothing is learnt, and nothing let through
            made.rights.pullers.clear()
            await made.deploy("other", namespace="prod")
            await until(waits(made, "Soaks", name="deployment.other", project="prod"))
            held = await made.change("deployment.other", "prod")
            assert "waits until it has been in lab/web:staging for 2h" in held.message

    story(tell)


def test_the_newest_version_in_a_range_is_followed(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.policy(follow=Follow(versions="^1.4"))
        await made.push("shop/web", "1.3.0", "a")
        await made.push("shop/web", "1.4.2", "b")
        await made.push("shop/web", "2.0.0", "c")
        await made.deploy("web", entry("web:latest"))
        async with acting(made.triggers()):
            await until(runs(made, "b"))
            await made.push("shop/web", "1.10.0", "d")
            await until(runs(made, "d"))
            await made.push("shop/web", "1.9.9", "e")
            await made.push("shop/web", "1.11.0-rc.1", "f")
            await made.push("shop/web", "latest", "g")
            await made.push("shop/web", "1.10.0", "h")  # moved, though it should not be
            await until(runs(made, "h"))
            # a version that is withdrawn is followed no more
            await made.untag("shop/web", "1.10.0")
            await until(runs(made, "e"))
            await made.policy(follow=Follow(versions="<1.4"))
            await until(runs(made, "a"))
            await made.delete("triggerpolicies.tidegate.io", "shop", "rules")
            await until(runs(made, "g"))

    story(tell)


def test_of_tags_that_match_a_pattern_the_one_that_changed_last_is_followed(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.policy(follow=Follow(pattern="main-[0-9a-f]{7}"))
        await made.push("shop/web", "main-fffffff", "a")
        await made.push("shop/web", "main-0000000", "b")
        await made.push("shop/web", "pr-12", "c")
        await made.deploy("web", entry("web:latest"))
        async with acting(made.triggers()):
            await until(runs(made, "b"))
            await made.push("shop/web", "main-1234567", "d")
            await until(runs(made, "d"))
            await made.push("shop/web", "main-fffffff", "e")
            await until(runs(made, "e"))

    story(tell)


def test_a_policy_is_for_the_workloads_that_it_names(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.policy("a", paused=True, workloads=["api-*"])
        await made.policy("b", paused=True, match_labels={"tier": "front"})
        await made.push("shop/web", "1", "a")
        await made.deploy("api-1")
        await made.deploy("front", labels={"tier": "front"})
        await made.deploy("web")
        async with acting(made.triggers()):
            await until(runs(made, "a"))
            await until(waits(made, "Paused", name="deployment.api-1"))
            await until(waits(made, "Paused", name="deployment.front"))
            await made.policy("a", paused=False, workloads=["api-*"])
            await until(runs(made, "a", "api-1"))

    story(tell)


def test_report_mode_changes_nothing_and_tells_the_webhook_once_a_digest(story: Story) -> None:
    async def tell(made: World) -> None:
        hook = TriggerWebhook(url="https://ci.example.com/hook", secret="hook")
        await made.policy(mode="Report", webhook=hook)
        await made.push("shop/web", "1", "a")
        await made.deploy(images=("registry.internal:5000/shop/web:1",))
        before = await made.workload()
        triggers = made.triggers()
        async with acting(triggers):
            await until(waits(made, "ReportOnly"))
            assert made.hook.calls == []  # the secret is not there yet
            await until(_says(made, "; there is no Secret hook with a key 'secret'"))
            secret = {"metadata": {"uid": "s"}, "data": {"secret": "c2VzYW1l"}}
            await made.store.write(
                lambda tx: tx.put(SECRET, "s", lambda _: json.dumps(secret).encode())
            )
            made.hook.answers = [RemoteError("no answer"), 500, 204]
            await _told(made, triggers, 3)
            change = await made.change()
            assert (change.state, change.message) == (
                "Proposed",
                "is only reported, as its policy says",
            )
            assert change.kustomization == (
                "images:\n- name: registry.internal:5000/shop/web\n"
                f"  newName: registry.internal:5000/shop/web\n  digest: {digest('a')}\n"
            )
            url, headers, body = made.hook.calls[-1]
            assert url == "https://ci.example.com/hook"
            assert headers["X-Tidegate-Signature-256"].startswith("sha256=")
            assert {each[1]["Idempotency-Key"] for each in made.hook.calls} == {
                headers["Idempotency-Key"]
            }
            assert (body["workload"]["name"], body["changes"][0]["wanted"]) == ("web", image("a"))
        async with acting(made.triggers()):  # another process
            await made.push("shop/web", "1", "b")
            await _told(made, triggers, 4)
            await until(_noted(made, "ImageChangeProposed", "ImageChangeProposed"))
        assert made.hook.calls[-1][2]["changes"][0]["wanted"] == image("b")
        assert await made.workload() == before

    story(tell)


SECRET = Key("secrets", "shop", "hook")


def _noted(made: World, *reasons: str) -> Any:
    async def condition() -> bool:
        return [reason for reason, _ in await made.events()] == list(reasons)

    return condition


def _says(made: World, words: str) -> Any:
    async def condition() -> bool:
        return words in (await made.change()).message

    return condition


async def _told(made: World, triggers: Any, count: int) -> None:
    async def told() -> bool:
        made.now += 1.0  # what failed is tried again after some seconds
        triggers.look_at_all("shop")
        change = await made.change()
        return len(made.hook.calls) == count and bool(change.reported)

    await until(told, f"{count} calls")
    for _ in range(5):
        triggers.look_at_all("shop")
        await asyncio.sleep(0)


def test_a_fault_is_shown_and_gone_when_it_is_mended(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.push("shop/web", "1", "a")
        await made.deploy("web", entry(), entry())
        async with acting(made.triggers()):
            await until(waits(made, "FaultyTrigger"))
            assert "same fieldPath" in (await made.change()).message
            await made.deploy("web", entry())
            await until(runs(made, "a"))
            await until(waits(made))

    story(tell)


def test_what_is_said_of_a_workload_goes_with_it(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.policy(paused=True)
        await made.push("shop/web", "1", "a")
        for name in ("web", "late"):
            await made.deploy(name)
        async with acting(made.triggers()):
            for name in ("web", "late"):
                await until(waits(made, "Paused", name=f"deployment.{name}"))
            await made.delete("deployments.apps", "shop", "web")
            await until(waits(made))
        await made.delete("deployments.apps", "shop", "late")  # while nobody acts
        async with acting(made.triggers()):
            await until(waits(made, name="deployment.late"))

    story(tell)


def test_a_gate_holds_and_lets_go(story: Story) -> None:
    class Closed:
        closed = True

        def holds(
            self, workload: Workload, source: Source, candidate: Candidate, now: float
        ) -> Sequence[Hold]:
            asked = (workload.name, str(source), candidate.digest)
            assert asked == ("web", "shop/web:1", digest("a"))
            return [Hold("Rollout", "waits for its turn")] if self.closed else []

    async def tell(made: World) -> None:
        await made.push("shop/web", "1", "a")
        await made.deploy()
        gate = Closed()
        triggers = made.triggers(gate)
        async with acting(triggers):
            await until(waits(made, "Rollout"))
            gate.closed = False
            triggers.look_at_all("shop")
            await until(runs(made, "a"))

    story(tell)


def test_a_stream_that_was_deleted_and_made_anew_is_followed(story: Story) -> None:
    async def tell(made: World) -> None:
        await made.policy(follow=Follow(versions="1.x"))
        await made.push("shop/web", "1.5.0", "a")
        await made.deploy()
        async with acting(made.triggers()):
            await until(runs(made, "a"))
            await made.untag("shop/web", "1.5.0")
            await made.push("shop/web", "1.2.0", "b")
            await until(runs(made, "b"))

    story(tell)
