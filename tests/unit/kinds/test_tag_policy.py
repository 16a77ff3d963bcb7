from tidegate.kinds.serving import RESOURCES
from tidegate.kinds.tag_policy import (
    POLICY_PLACES,
    TAG_POLICIES,
    Naming,
    RequiredKeys,
    StreamNaming,
    TagNaming,
    TagPolicy,
    TagPolicySpec,
)

STRATEGY = TAG_POLICIES.strategy


def prepared(spec: TagPolicySpec) -> TagPolicy:
    policy = TagPolicy(spec=spec)
    STRATEGY.prepare(policy, None)
    return policy


def faults(spec: TagPolicySpec) -> list[str]:
    return [str(each) for each in STRATEGY.validate(prepared(spec), None)]


def test_it_is_served_as_a_kind_of_our_group() -> None:
    assert TAG_POLICIES in RESOURCES
    assert (TAG_POLICIES.key, TAG_POLICIES.api_version) == (
        "tagpolicies.tidegate.io",
        "tidegate.io/v1",
    )


def test_it_enforces_unless_it_says_otherwise() -> None:
    assert prepared(TagPolicySpec()).spec.mode == "Enforce"
    assert prepared(TagPolicySpec(mode="Warn")).spec.mode == "Warn"
    assert faults(TagPolicySpec(mode="Off")) == [
        'spec.mode: Unsupported value: "Off": supported values: "Enforce", "Warn"'
    ]


def test_a_policy_with_every_rule_is_valid() -> None:
    assert (
        faults(
            TagPolicySpec(
                streams=["web", "api-*"],
                immutable=["v*", "[0-9]*"],
                naming=Naming(
                    streams=StreamNaming(pattern="[a-z]+(-[a-z]+)*"),
                    tags=TagNaming(pattern=r"pr-\d+", semver=True, channels=["latest"]),
                ),
                required=RequiredKeys(
                    labels=["version", r"org.opencontainers.image.source=https://.+"],
                    annotations=["org.opencontainers.image.revision=[0-9a-f]{40}"],
                ),
            )
        )
        == []
    )


def test_each_entry_that_cannot_be_read_is_named() -> None:
    assert faults(
        TagPolicySpec(
            streams=["web", "[a"],
            immutable=[""],
            naming=Naming(
                streams=StreamNaming(pattern="("),
                tags=TagNaming(pattern="(?=a)", channels=["-latest"]),
            ),
            required=RequiredKeys(labels=["=1"], annotations=["version=**"]),
        )
    ) == [
        'spec.streams[1]: Invalid value: "[a": ends too early',
        "spec.immutable[0]: Required value",
        (
            "spec.naming.tags.channels[0]: Invalid value: \"-latest\": '-latest' is no tag: "
            "letters, digits, '_', '.' and '-', not starting with '.' or '-', at most 128 "
            "characters"
        ),
        "spec.required.labels[0]: Invalid value: \"=1\": begins with '='; write KEY or KEY=REGEX",
        'spec.required.annotations[0]: Invalid value: "version=**": the * at 1 repeats nothing',
        'spec.naming.streams.pattern: Invalid value: "(": a ( is never closed',
        (
            'spec.naming.tags.pattern: Invalid value: "(?=a)": look-around and flags, (?…), are '
            "not supported"
        ),
    ]


def test_lists_are_short_since_each_push_pays_for_them() -> None:
    assert faults(TagPolicySpec(immutable=[f"v{each}" for each in range(32)])) == []
    assert faults(TagPolicySpec(immutable=[f"v{each}" for each in range(33)])) == [
        "spec.immutable: Invalid value: 33: may not have more than 32 entries"
    ]


def test_a_table_shows_what_it_is_for() -> None:
    def cells(spec: TagPolicySpec) -> list[object]:
        return [each.cell(prepared(spec), 0.0) for each in TAG_POLICIES.columns]

    assert cells(TagPolicySpec()) == ["Enforce", "<all>", "<none>"]
    assert cells(TagPolicySpec(mode="Warn", streams=["a", "b*"], immutable=["v*"])) == [
        "Warn",
        "a,b*",
        "v*",
    ]


def test_its_patterns_are_bounded_together_and_not_only_one_by_one() -> None:
    enough = TagPolicySpec(immutable=["a" * 256] * 4)
    assert faults(enough) == []
    over = TagPolicySpec(immutable=["a" * 256] * 4, streams=["b"], required=RequiredKeys(["x=y"]))
    (fault,) = faults(over)
    assert fault.startswith("spec.immutable[3]: ")
    assert f"altogether they may have {POLICY_PLACES} characters" in fault


def test_values_without_a_pattern_count_for_nothing() -> None:
    tags = TagNaming(channels=["a" * 128] * 32, semver=True)
    assert faults(TagPolicySpec(naming=Naming(tags=tags))) == []
