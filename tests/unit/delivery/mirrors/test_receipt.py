"""Receipts: what they say, and that nobody changed them."""

import json

import pytest

from tidegate.delivery.mirrors.copying import Copied, Piece
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.receipt import (
    Outcome,
    Run,
    digest_of,
    known_by,
    receipt,
    totals,
)
from tidegate.oci.digest import Digest

LAYER, CONFIG, MANIFEST = (Digest.of(each) for each in (b"layer", b"config", b"manifest"))
RUN = Run("tidegate 1", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "sha256:earlier")


def copied(how: str = "copied", *, moved: bool = True) -> Copied:
    return Copied(
        MANIFEST,
        moved,
        (Piece(MANIFEST, "m/m", 10, how),),
        (Piece(CONFIG, "c/c", 20, how), Piece(LAYER, "l/l", 300, "mounted")),
        ("a word",),
    )


def test_it_says_what_came_from_where_and_how() -> None:
    outcomes = [
        Outcome("quay.io/a:1", "docker://r/a:1", copied()),
        Outcome("quay.io/a:2", "docker://r/a:2", error="it was not there"),
    ]
    document = receipt(RUN, outcomes)
    assert document["kind"] == "MirrorReceipt"
    assert document["buildsOn"] == "sha256:earlier"
    assert document["bytes"] == {"copied": 30, "mounted": 300, "present": 0, "assumed": 0}
    first, second = document["images"]
    assert first["result"] == "copied"
    assert first["digest"] == MANIFEST
    assert first["warnings"] == ["a word"]
    assert first["blobs"][1] == {
        "digest": LAYER, "mediaType": "l/l", "size": 300, "how": "mounted",
    }  # fmt: skip
    assert second == {
        "source": "quay.io/a:2",
        "target": "docker://r/a:2",
        "result": "failed",
        "error": "it was not there",
    }
    assert document["digest"] == digest_of(document)


def test_an_image_of_which_nothing_moved_is_unchanged() -> None:
    there = Copied(MANIFEST, False, (Piece(MANIFEST, "m/m", 1, "present"),), ())
    assert Outcome("a", "b", there).result == "unchanged"
    assert Outcome("a", "b", copied(moved=False)).result == "copied"


def test_what_two_images_of_a_target_share_counts_once() -> None:
    outcomes = [Outcome("a", f"docker://r/a@{each}", copied()) for each in (CONFIG, LAYER)]
    assert totals(outcomes)["copied"] == 30


def test_the_next_archive_knows_all_that_it_lists() -> None:
    content = json.dumps(receipt(RUN, [Outcome("a", "b", copied("assumed"))])).encode()
    known = known_by(content, "receipt.json")
    assert known.digests == {LAYER, CONFIG, MANIFEST}
    assert known.receipt == json.loads(content)["digest"]


@pytest.mark.parametrize(
    ("before", "after"),
    [('"size": 300', '"size": 301'), (str(LAYER), str(Digest.of(b"other"))), ("r/a", "r/b")],
)
def test_one_that_was_changed_is_refused(before: str, after: str) -> None:
    text = json.dumps(receipt(RUN, [Outcome("quay.io/a", "r/a", copied())]))
    assert before in text
    with pytest.raises(NotCopied, match="its digest is not its own"):
        known_by(text.replace(before, after).encode(), "receipt.json")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"{" * 100_000, b'{"kind":1}'])
def test_what_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(NotCopied, match="is no receipt"):
        known_by(content, "receipt.json")


def test_one_with_a_digest_that_is_none_is_refused() -> None:
    document = receipt(RUN, [Outcome("a", "b", copied())])
    document["images"][0]["blobs"][0]["digest"] = "../../etc/passwd"
    document["digest"] = digest_of(document)
    with pytest.raises(NotCopied, match="is no digest"):
        known_by(json.dumps(document).encode(), "receipt.json")
