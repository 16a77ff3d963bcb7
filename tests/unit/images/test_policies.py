from typing import Any

import msgspec
import pytest

from tidegate.images.policies import (
    Asked,
    Policy,
    Verdict,
    annotation_fault,
    faults,
    immutable_rule,
    immutable_warnings,
    policy_of,
)
from tidegate.kinds.automaton import PatternInvalid

SIGNATURE = f"sha256-{'ab' * 32}.sig"


def policy(name: str = "releases", **spec: Any) -> Policy:
    return policy_of(msgspec.json.encode({"metadata": {"name": name}, "spec": spec}))


def refusals(spec: dict[str, Any], asked: Asked) -> tuple[str, ...]:
    verdict = faults([policy(**spec)], asked)
    assert verdict.warnings == ()
    return verdict.refusals


def allowed(tag: str, **tags: Any) -> bool:
    return not refusals({"naming": {"tags": tags}}, Asked("web", tag))


def test_without_a_policy_every_name_is_good() -> None:
    assert faults([], Asked("web", "x")) == Verdict()
    assert faults([policy()], Asked("web", "x", {}, {})) == Verdict()


@pytest.mark.parametrize(
    "tag", ["1.0.0", "v1.0.0", "1.2.3-rc.1", "0.0.4", "1.0.0-alpha-a.b-c", "1.0.0_build.5"]
)
def test_versions_are_semver_with_or_without_v(tag: str) -> None:
    assert allowed(tag, semver=True)


@pytest.mark.parametrize("tag", ["1.0", "01.0.0", "1.0.0-01", "V1.0.0", "1.0.0.0", "latest"])
def test_what_is_no_semver_is_no_version(tag: str) -> None:
    assert not allowed(tag, semver=True)


def test_a_tag_is_good_when_it_is_as_any_rule_says() -> None:
    rules = {"semver": True, "channels": ["latest", "stable"], "pattern": r"pr-\d+"}
    for tag in ("1.2.3", "stable", "pr-17"):
        assert allowed(tag, **rules)
    for tag in ("pr-", "stables", "pr-17x"):
        assert not allowed(tag, **rules)


def test_a_refused_tag_is_told_what_would_be_good() -> None:
    tags = {"semver": True, "channels": ["stable", "latest"], "pattern": r"pr-\d+"}
    assert refusals({"naming": {"tags": tags}}, Asked("web", "x")) == (
        (
            'TagPolicy "releases": tag x is not allowed; use a version (1.2.3, v1.2.3-rc.1), or '
            r"one of latest, stable, or a tag as pr-\d+ says"
        ),
    )


def test_the_name_of_a_stream_is_judged_with_and_without_a_tag() -> None:
    spec = {"naming": {"streams": {"pattern": "[a-z]+"}, "tags": {"semver": True}}}
    assert refusals(spec, Asked("web-2")) == (
        ('TagPolicy "releases": stream web-2 is not named as [a-z]+ says; use a name that is'),
    )
    assert refusals(spec, Asked("web")) == ()


def test_an_image_carries_what_is_required() -> None:
    spec = {
        "required": {
            "labels": ["version", "source=https://.+"],
            "annotations": ["org.opencontainers.image.revision=[0-9a-f]{40}"],
        }
    }
    good = {"version": "", "source": "https://example.com/web"}
    revision = {"org.opencontainers.image.revision": "0a" * 20}
    assert refusals(spec, Asked("web", "1", good, revision)) == ()
    assert refusals(spec, Asked("web", "1", {"source": "ssh://x"}, {})) == (
        'TagPolicy "releases": the image has no label version; build it with --label version=…',
        (
            "TagPolicy \"releases\": the image's label source is 'ssh://x', not as https://.+ says;"
            " build it with --label source=…"
        ),
        (
            'TagPolicy "releases": the image has no annotation org.opencontainers.image.revision; '
            "add it with --annotation org.opencontainers.image.revision=…"
        ),
    )


def test_what_an_image_carries_is_judged_when_it_is_known_and_gets_a_tag() -> None:
    spec = {"required": {"labels": ["version"], "annotations": ["version"]}}
    assert refusals(spec, Asked("web", "1")) == ()
    assert refusals(spec, Asked("web", "", {}, {})) == ()


def test_every_image_of_an_index_carries_the_labels() -> None:
    spec = {"required": {"labels": ["arch=[a-z0-9]+"]}}
    children: list[dict[str, str]] = [{"arch": "amd64"}, {"arch": "arm64"}]
    assert refusals(spec, Asked("web", "1", children=children)) == ()
    assert refusals(spec, Asked("web", "1", children=[*children, {}])) == (
        (
            'TagPolicy "releases": an image of the index has no label arch; '
            "build it with --label arch=…"
        ),
    )
    many = [{"arch": f"a{each}"} for each in range(17)]
    assert refusals(spec, Asked("web", "1", children=many)) == (
        'TagPolicy "releases": the images of the index have more than 16 values of the label arch',
    )


def test_a_long_value_is_shown_in_part() -> None:
    spec = {"required": {"labels": ["v=[0-9]+"]}}
    (refusal,) = refusals(spec, Asked("web", "1", {"v": "x" * 5000}))
    assert "'" + "x" * 63 + "…'" in refusal


def test_a_policy_that_warns_refuses_nothing() -> None:
    warns = policy("soon", mode="Warn", naming={"tags": {"semver": True}}, immutable=["*"])
    verdict = faults([warns], Asked("web", "x"))
    assert verdict.refusals == ()
    assert verdict.warnings == (
        'TagPolicy "soon": tag x is not allowed; use a version (1.2.3, v1.2.3-rc.1)',
    )
    assert immutable_rule([warns], {}, "web", "x") is None
    assert immutable_warnings([warns, policy(immutable=["*"])], "web", "x") == (
        'TagPolicy "soon": tag x is to be immutable; use another tag',
    )


def test_a_policy_is_for_the_streams_that_it_names() -> None:
    only = policy(streams=["web", "api-*"], immutable=["*"], naming={"tags": {"semver": True}})
    for stream, kept in (("web", True), ("api-1", True), ("webs", False)):
        assert (immutable_rule([only], {}, stream, "x") is not None) == kept
        assert bool(faults([only], Asked(stream, "x")).refusals) == kept


def test_a_tag_is_immutable_by_a_policy_or_by_its_stream() -> None:
    keeps = policy(immutable=["v*"])
    assert immutable_rule([keeps], {}, "web", "v1.2") == 'TagPolicy "releases"'
    assert immutable_rule([keeps], {}, "web", "latest") is None
    by_stream = "annotation tidegate.io/immutable-tags of the stream"
    for value, kept, free in (
        ("true", ["v1", "latest"], []),
        ("v*, 1.*", ["v1", "1.0"], ["latest"]),
        ("false", [], ["v1"]),
        ("", [], ["v1"]),
        ("[v", ["v1", "latest"], []),  # past validation: keeps rather than loses
    ):
        annotations = {"tidegate.io/immutable-tags": value}
        for tag in kept:
            assert immutable_rule([], annotations, "web", tag) == by_stream
        for tag in free:
            assert immutable_rule([], annotations, "web", tag) is None


def test_what_an_annotation_says_can_be_checked_before() -> None:
    for good in ("true", "false", "", "v*,1.*"):
        assert annotation_fault(good) is None
    assert annotation_fault("v*,[") == (
        'must be "true", or globs of tags separated by commas: ends too early'
    )
    assert annotation_fault(",".join(["v*"] * 33)) == (
        'must be "true", or globs of tags separated by commas: may not have more than 32 entries'
    )


@pytest.mark.parametrize("tag", [SIGNATURE, SIGNATURE.removesuffix(".sig")])
def test_no_rule_is_about_signatures_and_what_else_is_attached(tag: str) -> None:
    strict = policy(
        immutable=["*"], naming={"tags": {"semver": True}}, required={"labels": ["version"]}
    )
    warns = policy(mode="Warn", immutable=["*"])
    assert faults([strict], Asked("web", tag, {})) == Verdict()
    assert immutable_rule([strict], {"tidegate.io/immutable-tags": "true"}, "web", tag) is None
    assert immutable_warnings([warns], "web", tag) == ()


def test_a_stored_policy_that_cannot_be_read_is_not_taken_for_one_without_rules() -> None:
    with pytest.raises(PatternInvalid):
        policy(immutable=["[v"])


def test_the_globs_of_an_annotation_are_bounded_together() -> None:
    assert annotation_fault(",".join(["a" * 256] * 4)) is None
    fault = annotation_fault(",".join(["a" * 256] * 5))
    assert fault is not None
    assert "1024 characters altogether" in fault
