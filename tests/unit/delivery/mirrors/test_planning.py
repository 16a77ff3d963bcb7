"""From words to images with their names at both ends."""

import pytest

from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.planning import Planned, check, lines, pairs, plan, plan_tags
from tidegate.delivery.mirrors.references import Ref, parse_ref, tag_of
from tidegate.delivery.mirrors.selection import Selection, left_over
from tidegate.remote.location import Location

DIGEST = "sha256:" + "a" * 64
ALL = Selection()


def planned(source: str, target: str, *tags: str, selection: Selection | None = None) -> list[str]:
    (pair,) = pairs([source, target], selection)
    return [f"{each.origin} -> {each.named_target()}" for each in plan(pair, tags)]


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("quay.io/org/app:1", Ref("docker", Location("quay.io", "org/app"), name="1")),
        ("docker://quay.io/org/app", Ref("docker", Location("quay.io", "org/app"))),
        ("nginx", Ref("docker", Location("docker.io", "library/nginx"))),
        ("localhost:5000/a/b/c:x", Ref("docker", Location("localhost:5000", "a/b/c"), name="x")),
        (
            f"quay.io/org/app:1@{DIGEST}",
            Ref("docker", Location("quay.io", "org/app"), name="1", digest=DIGEST),
        ),
        ("docker://r.example.com/shop/", Ref("docker", Location("r.example.com", "shop/"))),
        ("oci:/srv/images", Ref("oci", path="/srv/images")),
        ("oci:images:1.0", Ref("oci", path="images", name="1.0")),
        ("oci:images:quay.io/a/b:1", Ref("oci", path="images", name="quay.io/a/b:1")),
        (f"oci:images@{DIGEST}", Ref("oci", path="images", digest=DIGEST)),
        ("oci-archive:/x/a.tar:1", Ref("oci-archive", path="/x/a.tar", name="1")),
    ],
)
def test_sources_and_targets_are_read_as_other_programs_read_them(text: str, ref: Ref) -> None:
    assert parse_ref(text) == ref


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://x/y", "write docker://"),
        ("https://quay.io/a", "write docker://"),
        ("oci:", "names no file"),
        ("oci-archive::1", "names no file"),
        ("oci:x@sha256:short", "is no digest"),
        ("quay.io/Org/app", "lowercase"),
        ("quay.io", "no repository in it"),
        (f"quay.io/a/b@md5:{'a' * 32}", "unsupported digest"),
        (f"quay.io/a/b@sha384:{'a' * 96}", "is no digest"),
        ("quay.io/", "write docker://HOST/PROJECT/"),
        ("quay.io/a/b:1/", "write docker://HOST/PROJECT/|invalid"),
    ],
)
def test_what_is_no_source_is_refused_with_advice(text: str, why: str) -> None:
    with pytest.raises(NotCopied, match=why):
        parse_ref(text)


def test_an_image_keeps_its_tag_unless_the_target_says_another() -> None:
    web = "quay.io/org/app:1"
    assert planned(web, "r.example.com/shop/app") == [f"{web} -> docker://r.example.com/shop/app:1"]
    assert planned(web, "r.example.com/shop/app:x") == [
        f"{web} -> docker://r.example.com/shop/app:x"
    ]
    assert planned("quay.io/org/app", "oci:d") == ["quay.io/org/app:latest -> oci:d:latest"]
    assert planned(web, "oci-archive:a.tar:name") == [f"{web} -> oci-archive:a.tar:name"]


def test_a_digest_keeps_the_tag_beside_it_or_has_none() -> None:
    source = f"quay.io/org/app@{DIGEST}"
    assert planned(source, "r.example.com/shop/app") == [
        f"{source} -> docker://r.example.com/shop/app@{DIGEST}"
    ]
    assert planned(source, "r.example.com/shop/app:2") == [
        f"{source} -> docker://r.example.com/shop/app:2"
    ]
    assert planned(f"quay.io/org/app:1@{DIGEST}", "r.example.com/shop/app") == [
        f"{source} -> docker://r.example.com/shop/app:1"
    ]
    assert planned(source, f"r.example.com/shop/app@{DIGEST}") == [
        f"{source} -> docker://r.example.com/shop/app@{DIGEST}"
    ]
    with pytest.raises(NotCopied, match="name the same one at the source"):
        pairs(["quay.io/org/app:1", f"r.example.com/shop/app@{DIGEST}"], None)


def test_many_tags_keep_their_names() -> None:
    chosen = Selection.of(["v1.*"], "^2")
    tags = ["v1.0", "v1.1", "latest", "2.3.4", "v2.9.0", "3.0.0", "2.4"]
    assert planned("quay.io/org/app", "r.example.com/shop/app", *tags, selection=chosen) == [
        f"quay.io/org/app:{tag} -> docker://r.example.com/shop/app:{tag}"
        for tag in ("v1.0", "v1.1", "2.3.4", "v2.9.0")
    ]


def test_below_a_project_each_repository_is_one_stream() -> None:
    assert planned("docker.io/library/nginx:1", "r.example.com/mirror/") == [
        "docker.io/library/nginx:1 -> docker://r.example.com/mirror/library.nginx:1"
    ]
    names = ("quay.io/a/b/c:1", "docker.io/library/redis:7")
    assert planned("oci:d", "r.example.com/m/", *names, selection=ALL) == [
        "quay.io/a/b/c:1 -> docker://r.example.com/m/a.b.c:1",
        "docker.io/library/redis:7 -> docker://r.example.com/m/library.redis:7",
    ]
    with pytest.raises(NotCopied, match="does not say of which repository 'v1' is"):
        planned("oci:d", "r.example.com/m/", "v1", selection=ALL)
    with pytest.raises(NotCopied, match="longer than any"):
        planned(f"quay.io/{'a' * 200}/b:1", f"r.example.com/{'m' * 63}/")


def test_a_layout_of_several_repositories_calls_images_by_their_whole_names() -> None:
    both = pairs(["quay.io/a/web:1", "oci:d", "quay.io/a/db:1", "oci:d"], None)
    names = [each.name for pair in both for each in plan(pair)]
    assert names == ["quay.io/a/web:1", "quay.io/a/db:1"]
    one = pairs(["quay.io/a/web:1", "oci:d", "quay.io/a/web:2", "oci:d"], None)
    assert [each.name for pair in one for each in plan(pair)] == ["1", "2"]


def test_a_name_in_a_layout_that_is_no_tag_needs_one_at_a_registry() -> None:
    assert planned("oci:d:quay.io/a/b:1", "r.example.com/shop/b") == [
        "quay.io/a/b:1 -> docker://r.example.com/shop/b:1"
    ]
    assert planned("oci:d:quay.io/a/b:1", "oci:e") == ["quay.io/a/b:1 -> oci:e:quay.io/a/b:1"]
    with pytest.raises(NotCopied, match="no tag that a registry could have"):
        planned("oci:d:two words", "r.example.com/shop/b")
    assert tag_of("quay.io/a/b") == ""


def test_one_image_of_a_layout_needs_no_name() -> None:
    assert planned("oci:d", "oci:e", "1", DIGEST.replace(":", "-") + ".sig") == [
        "oci:d:1 -> oci:e:1"
    ]
    with pytest.raises(NotCopied, match="has no image"):
        planned("oci:d", "oci:e")
    with pytest.raises(NotCopied, match=r"has 2 images \(1, 2\)"):
        planned("oci:d", "oci:e", "1", "2")


def test_pairs_are_written_as_two_words_or_one() -> None:
    assert pairs(["a/b:1", "oci:d"], None) == pairs(["a/b:1=oci:d"], None)
    for words in ([], ["a/b:1"], ["a/b", "oci:d", "c/d"]):
        with pytest.raises(NotCopied, match="say a source and a target"):
            pairs(words, None)


def test_a_list_has_two_words_in_each_line() -> None:
    text = "# images\nquay.io/a/b:1 oci:d  # one\n\nquay.io/a/c:1=oci:d\n"
    assert lines(text) == ["quay.io/a/b:1", "oci:d", "quay.io/a/c:1", "oci:d"]
    with pytest.raises(NotCopied, match="line 2 of the list"):
        lines("a b\na b c\n")


def test_two_images_do_not_get_one_name() -> None:
    def of(source: str, reference: str) -> Planned:
        ref = parse_ref(source)
        return Planned(ref, reference, parse_ref("oci:d"), "1", f"{source}:{reference}")

    check([of("quay.io/a/b", "1"), of("quay.io/a/b", "1")])
    with pytest.raises(NotCopied, match="would both be oci:d:1"):
        check([of("quay.io/a/b", "1"), of("quay.io/a/b", "2")])


def test_what_belongs_to_images_is_chosen_only_if_its_image_is_gone() -> None:
    mine, orphan = DIGEST.replace(":", "-"), "sha256-" + "b" * 64
    tags = ["1", f"{mine}.sig", mine, f"{orphan}.att", orphan]
    assert ALL.choose(tags) == ["1"]
    assert left_over(tags, [DIGEST]) == [f"{orphan}.att", orphan]
    (pair,) = pairs(["quay.io/a/b", "r.example.com/shop/b"], ALL)
    assert [each.name for each in plan_tags(pair, [orphan])] == [orphan]


def test_patterns_and_ranges_that_make_no_sense_are_refused() -> None:
    with pytest.raises(NotCopied, match="pattern of tags"):
        Selection.of(["v["], "")
    with pytest.raises(NotCopied, match="range of versions"):
        Selection.of([], "what?")
