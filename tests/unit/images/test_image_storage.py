"""Images go only when nothing holds them; lists show what a pruner may judge; what went returns.

Facts: image-api 8.1, 15.4 and 18.24; registry-and-operator 4.3, of which image a pruner deletes.
"""

import time
from pathlib import Path

import msgspec
import pytest

from tests.unit.images.image_world import WEB, World, call, digest
from tidegate.apimachinery.errors import (
    AlreadyExists,
    BadRequest,
    Invalid,
    NotFound,
    UpdateConflict,
)
from tidegate.apimachinery.meta import OwnerReference
from tidegate.apimachinery.selectors import EVERYTHING, Selection, parse_labels
from tidegate.apimachinery.storage import DeleteOptions, ListOptions
from tidegate.images import image_undelete
from tidegate.images.image_undelete import ImageUndeletes
from tidegate.images.kinds.image import Image, ImageLayer, ImageUndelete
from tidegate.metastore.documents import Documents
from tidegate.metastore.tag_events import SHOWN
from tidegate.oci.name import RepositoryName


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def delete(world: World, letter: str, **more: bool) -> None:
    asked = call("delete", digest(letter), **more)
    world.images(lambda images: images.delete(asked, digest(letter), DeleteOptions()))


def delete_all(world: World, selection: Selection = EVERYTHING) -> None:
    asked = ListOptions(selection=selection)
    world.images(
        lambda images: images.delete_collection(call("deletecollection"), asked, DeleteOptions())
    )


def undelete(world: World, letter: str, *, dry_run: bool = False, window: float = 3600.0) -> Image:
    asked = call("create", digest(letter), subresource="undelete", dry_run=dry_run)
    body = world.run(
        lambda db: ImageUndeletes(Documents(db), db, window, time.time).create(
            asked, ImageUndelete()
        )
    )
    return msgspec.json.decode(body, type=Image)


def test_an_image_that_nothing_holds_is_deleted(world: World) -> None:
    world.image("a")
    delete(world, "a")
    assert world.stored("a") is None


def test_a_tag_holds_the_images_of_its_history(world: World) -> None:
    world.stream()
    world.image("a")
    world.tag("v1", "a", "b")
    with pytest.raises(UpdateConflict) as refused:
        delete(world, "a")
    assert str(refused.value) == (
        f'Operation cannot be fulfilled on images.image.openshift.io "{digest("a")}": '
        f"image {digest('a')} is held by shop/web:v1"
    )
    assert world.stored("a") is not None


def test_an_event_that_is_past_what_streams_show_holds_too(world: World) -> None:
    world.stream()
    world.image("a")
    world.tag("v1", "a", *"bc" * (SHOWN // 2 + 1))
    with pytest.raises(UpdateConflict, match="shop/web:v1"):
        delete(world, "a")


def test_a_manifest_without_a_tag_holds(world: World) -> None:
    world.image("a")
    world.manifest("a")
    with pytest.raises(UpdateConflict, match=f"is held by shop/web@{digest('a')}$"):
        delete(world, "a")
    world.unpushed("a")
    delete(world, "a")


def test_an_index_holds_a_child_that_is_no_manifest_of_its_own_any_more(world: World) -> None:
    world.image("c")
    world.manifest("c")
    world.manifest("a", "c")
    world.unpushed("c")
    with pytest.raises(UpdateConflict, match=f"held by shop/web@{digest('a')}, an index"):
        delete(world, "c")
    world.unpushed("a")
    delete(world, "c")


def test_a_signature_holds_itself_but_not_what_it_signed(world: World) -> None:
    for letter in "as":
        world.image(letter)
    world.manifest("a")
    world.manifest("s", of="a")
    with pytest.raises(UpdateConflict):
        delete(world, "s")
    world.unpushed("a")
    delete(world, "a")


def test_what_a_deleted_tag_or_stream_had_is_not_held(world: World) -> None:
    world.stream()
    for letter in "ab":
        world.image(letter)
    world.manifest("b")
    world.tag("v1", "a")
    world.tag("v2", "b")
    world.untag("v1")
    delete(world, "a")
    world.end_stream()
    delete(world, "b")


def test_a_rehearsed_delete_is_refused_alike_and_leaves_the_image(world: World) -> None:
    world.image("a")
    delete(world, "a", dry_run=True)
    assert world.stored("a") is not None
    world.manifest("a")
    with pytest.raises(UpdateConflict):
        delete(world, "a", dry_run=True)


def test_deleting_all_images_stops_at_one_that_is_held(world: World) -> None:
    for letter in "abc":
        world.image(letter)
    world.manifest("b")
    with pytest.raises(UpdateConflict, match="is held by shop/web"):
        delete_all(world)
    assert [bool(world.stored(letter)) for letter in "abc"] == [True, True, True]
    world.unpushed("b")
    delete_all(world)
    assert [bool(world.stored(letter)) for letter in "abc"] == [False, False, False]


def test_an_image_that_finalizers_keep_is_held_to_the_end(world: World) -> None:
    world.image("a")
    world.manifest("a")

    def finalizers(*names: str) -> None:
        def change(current: object) -> Image:
            image = msgspec.convert(current, Image)
            image.metadata.finalizers = list(names)
            return image

        world.images(lambda images: images.update(call("update"), str(digest("a")), change))

    finalizers("example.com/wait")
    delete(world, "a")  # begins to end
    with pytest.raises(UpdateConflict, match="is held by"):
        finalizers()


def test_an_image_has_no_owner_with_which_it_would_go(world: World) -> None:
    new = Image(docker_image_reference="r/a/b")
    new.metadata.name = str(digest("a"))
    new.metadata.owner_references = [OwnerReference(api_version="v1", kind="X", name="x", uid="u")]
    world.images(lambda images: images.create(call("create"), new))
    stored = world.stored("a")
    assert stored is not None
    assert stored.metadata.owner_references == []


def test_lists_show_what_streams_show_and_what_nothing_holds(world: World) -> None:
    world.stream()
    for letter in "abcdef":
        world.image(letter)
    for letter in "cd":
        world.manifest(letter)
    world.manifest("b", "c")
    world.manifest("e", of="b")
    world.tag("v1", "f", *"ab" * (SHOWN // 2))
    # c is a child of what is shown; d was pushed by digest, e signs b, f is past what is shown
    assert world.listed() == "abc"
    world.unpushed("d")
    assert world.listed() == "abcd"
    world.untag("v1")
    world.unpushed("b")
    assert world.listed() == "abdf"


def test_a_list_of_one_name_shows_it_whatever_holds_it(world: World) -> None:
    world.image("a")
    world.manifest("a")
    assert world.listed() == ""
    named = Selection(fields=(("metadata.name", digest("a"), True),))
    assert world.listed(named) == "a"
    assert world.listed(Selection(labels=parse_labels("!x"))) == ""


def test_what_deleted_streams_show_does_not_count(world: World) -> None:
    world.stream()
    world.image("a")
    world.manifest("a")
    world.tag("v1", "a")
    world.end_stream()
    assert world.listed() == "a"
    delete(world, "a")


def test_pages_lead_through_all_images(world: World) -> None:
    for letter in "abcd":
        world.image(letter)
    world.manifest("b")

    async def pages(images: object) -> list[int]:
        sizes, token = [], ""
        while True:
            asked = ListOptions(selection=EVERYTHING, limit=2, token=token)
            page = await images.list(call("list"), asked)  # type: ignore[attr-defined]
            sizes.append(len(page.bodies))
            token = page.token
            if not token:
                return sizes

    assert world.images(pages) == [1, 2]


def test_an_image_is_made_with_its_pull_spec_or_not_at_all(world: World) -> None:
    new = Image()
    new.metadata.name = str(digest("a"))
    with pytest.raises(Invalid, match="dockerImageReference: Required value"):
        world.images(lambda images: images.create(call("create"), new))


def test_an_update_keeps_what_was_derived_from_the_manifest(world: World) -> None:
    metadata = {"kind": "DockerImage", "Id": "x", "Size": 7}
    layers = [ImageLayer(name="sha256:1", size=7, media_type="m")]
    world.image("a", docker_image_metadata=metadata, docker_image_layers=layers)

    def change(current: object) -> Image:
        image = msgspec.convert(current, Image)
        image.docker_image_metadata = {"kind": "DockerImage", "Id": "y"}
        image.docker_image_layers = []
        image.docker_image_manifest = "{}"
        image.metadata.annotations = {"a": "b"}
        return image

    world.images(lambda images: images.update(call("update"), str(digest("a")), change))
    stored = world.stored("a")
    assert stored is not None
    assert stored.docker_image_metadata == metadata
    assert [each.name for each in stored.docker_image_layers] == ["sha256:1"]
    assert stored.docker_image_manifest == ""
    assert stored.metadata.annotations["a"] == "b"


def test_a_deleted_image_comes_back_as_it_was(world: World) -> None:
    world.image("a", docker_image_config="{}")
    before = world.stored("a")
    delete(world, "a")
    back = undelete(world, "a")
    assert before is not None
    assert back == world.stored("a")
    assert back.metadata.uid == before.metadata.uid
    assert back.metadata.resource_version != before.metadata.resource_version
    back.metadata.resource_version = before.metadata.resource_version
    assert back == before


def test_children_and_referrers_come_back_with_it(world: World) -> None:
    world.image("a", "c")
    for letter in "cs":
        world.image(letter)
    world.manifest("a", "c")
    world.manifest("s", of="a")
    for letter in "as":
        world.unpushed(letter)
    for letter in "acs":
        delete(world, letter)
    undelete(world, "a")
    assert [bool(world.stored(letter)) for letter in "acs"] == [True, True, True]


def test_the_images_of_a_stream_come_back_some_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_undelete, "AT_ONCE", 2)
    world.stream()
    for letter in "abcd":
        world.image(letter)
    world.manifest("c")
    world.tag("v1", "a", "b")
    world.end_stream()
    for letter in "abcd":
        delete(world, letter)
    aside = RepositoryName(f"{WEB}~uid-web")
    rounds = [world.write(lambda tx: image_undelete.bring_back_some(tx, aside)) for _ in range(3)]
    assert rounds == [True, True, False]
    assert [bool(world.stored(letter)) for letter in "abcd"] == [True, True, True, False]


def test_only_what_was_deleted_comes_back_and_once(world: World) -> None:
    world.image("a")
    with pytest.raises(AlreadyExists):
        undelete(world, "a")
    delete(world, "a")
    undelete(world, "a", dry_run=True)
    assert world.stored("a") is None
    undelete(world, "a")
    with pytest.raises(AlreadyExists):
        undelete(world, "a")
    with pytest.raises(NotFound):
        undelete(world, "b")


def test_what_went_before_the_window_stays_gone(world: World) -> None:
    world.image("a")
    delete(world, "a")
    with pytest.raises(NotFound):
        undelete(world, "a", window=-3600.0)


def test_what_waited_for_its_end_does_not_hold_it_again(world: World) -> None:
    world.image("a")

    def finalizers(*names: str) -> None:
        def change(current: object) -> Image:
            image = msgspec.convert(current, Image)
            image.metadata.finalizers = list(names)
            return image

        world.images(lambda images: images.update(call("update"), str(digest("a")), change))

    finalizers("example.com/wait")
    delete(world, "a")
    finalizers()
    back = undelete(world, "a")
    assert (back.metadata.deletion_timestamp, back.metadata.finalizers) == ("", [])


def test_an_undelete_is_of_the_image_in_the_url(world: World) -> None:
    new = ImageUndelete()
    new.metadata.name = "other"
    with pytest.raises(BadRequest):
        world.run(
            lambda db: ImageUndeletes(Documents(db), db, 1.0, time.time).create(
                call("create", digest("a")), new
            )
        )


def test_streams_elsewhere_hold_as_well(world: World) -> None:
    prod = RepositoryName("prod/web")
    world.image("a")
    world.manifest("a", name=WEB)
    world.manifest("a", name=prod)
    world.unpushed("a", name=WEB)
    with pytest.raises(UpdateConflict, match="prod/web@"):
        delete(world, "a")
