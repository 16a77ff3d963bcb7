import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.unit.delivery.triggers.things import HOST, digest, image, source
from tests.unit.delivery.triggers.world import World, world
from tidegate.delivery.triggers import tags
from tidegate.delivery.triggers.policies import Selection
from tidegate.delivery.triggers.tags import Tags, by_digest, candidate_of
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.trigger_policy import Follow
from tidegate.metastore import followed_tags
from tidegate.metastore.followed_tags import FollowedTag, Stay
from tidegate.oci.name import RepositoryName

WEB = RepositoryName("shop/web")
HOSTS = Hosts(HOST, "registry.example.com")
LOCAL = '{"name": "1", "referencePolicy": {"type": "Local"}}'
SOURCE = '{"name": "1", "referencePolicy": {"type": "Source"}}'


def told(directory: Path, story: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with world(directory) as made:
            await story(made)

    asyncio.run(run())


def pull_spec(reference: str | None, image: str | None = None, spec: str | None = None) -> str:
    found = candidate_of(WEB, FollowedTag("1", spec, reference, image, 0.0), HOSTS)
    return "" if found is None else found.image


def test_the_pull_spec_of_a_tag_is_as_its_reference_policy_says() -> None:
    a, hub = digest("a"), "docker.io/library/web"
    # image-api 4.7: a pushed image, an imported one by both policies
    assert pull_spec(f"/shop/web@{a}", a) == image("a")
    assert pull_spec(f"{hub}@{a}", a) == pull_spec(f"{hub}@{a}", a, SOURCE) == f"{hub}@{a}"
    assert pull_spec(f"{hub}@{a}", a, LOCAL) == image("a")
    # 18.8: a reference into another project of this registry stays what it is
    assert pull_spec(f"/lab/web@{a}", a) == image("a", "lab/web")


def test_a_digest_is_written_wherever_there_is_one() -> None:
    a = digest("a")
    assert pull_spec("docker.io/x:1", a) == f"docker.io/x@{a}"
    assert pull_spec("docker.io/x:1") == pull_spec("docker.io/x:1", "", LOCAL) == "docker.io/x:1"
    assert by_digest("no pull spec!", a) == "no pull spec!"


def test_a_tag_without_an_image_names_nothing() -> None:
    assert pull_spec(None, None, LOCAL) == ""


def test_tags_are_read_as_they_are_and_those_that_are_deleted_are_not_there(
    tmp_path: Path,
) -> None:
    async def story(made: World) -> None:
        read = Tags(made.database, HOSTS)
        await made.push("shop/web", "1", "a")
        await made.push("shop/web", "2", "b")
        await made.push("shop/web", "2", "c")
        await made.push("shop/web", "gone", "d")
        await made.untag("shop/web", "gone")
        found = await read.named(WEB, ["1", "2", "gone", "none"])
        assert {str(each): one.digest for each, one in found.items()} == {
            "shop/web:1": digest("a"),
            "shop/web:2": digest("c"),
        }
        assert await read.named(RepositoryName("shop/none"), ["1"]) == {}

    told(tmp_path, story)


def test_the_newest_of_many_tags_is_found_page_by_page_and_then_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "PAGE", 7)
    monkeypatch.setattr(tags, "IN_LOOP", 3)

    async def story(made: World) -> None:
        read = Tags(made.database, HOSTS)
        selection = Selection.of(Follow(versions="1.x"))
        assert await read.newest(WEB, selection) is None
        await made.push("shop/web", "1.50.0", "a")
        for minor in range(30):
            await made.push("shop/web", f"1.{minor}.0", "b")
        assert await read.newest(WEB, selection) == "1.50.0"
        assert await read.newest(WEB, selection) == "1.50.0"
        await made.push("shop/web", "1.50.1", "c")
        await made.push("shop/web", "2.0.0", "c")
        assert await read.newest(WEB, selection) == "1.50.1"
        await made.untag("shop/web", "1.50.1")
        assert await read.newest(WEB, selection) == "1.50.0"
        fine = Selection.of(Follow(versions="1.x", pattern="1[.]2.*"))
        assert await read.newest(WEB, fine) == "1.29.0"

    told(tmp_path, story)


def test_how_long_images_were_in_a_tag_is_read_of_its_events(tmp_path: Path) -> None:
    async def story(made: World) -> None:
        begin = made.now
        for letter, seconds in (("a", 10), ("b", 20), ("a", 5)):
            await made.push("shop/web", "1", letter)
            made.now += seconds
        await made.untag("shop/web", "1")
        stays = await followed_tags.stays(made.database, WEB, "1")
        assert stays == [
            Stay(digest("a"), begin, begin + 10),
            Stay(digest("b"), begin + 10, begin + 30),
            Stay(digest("a"), begin + 30, begin + 35),
            Stay("", begin + 35, None),
        ]
        read = Tags(made.database, HOSTS)
        presence = await read.presence(source(), [digest("a"), digest("c")])
        assert (presence[digest("a")].longest, presence[digest("a")].since) == (10, None)
        assert presence[digest("c")].longest == 0

    told(tmp_path, story)
