"""Reading bodies: texts are those of Kubernetes' and Go's decoders."""

from typing import Annotated, Any

import msgspec
import pytest

from tidegate.apimachinery.decoding.decoder import (
    IGNORE,
    STRICT,
    WARN,
    Decoder,
    parse,
    parse_json,
    parse_yaml,
)
from tidegate.apimachinery.decoding.fields import Scan, go_error
from tidegate.apimachinery.decoding.yaml_text import ALIAS_LIMIT
from tidegate.apimachinery.errors import BadRequest, RequestTooLarge, UnsupportedMediaType
from tidegate.apimachinery.meta import Object, Time, Wire, doc


class Ref(Wire):
    """A reference."""

    name: Annotated[str, doc("Name.")]
    count: Annotated[int, doc("Count.")]
    ratio: Annotated[float, doc("Ratio.")]
    flag: Annotated[bool, doc("Flag.")]
    names: Annotated[list[str], doc("Names.")]
    labels: Annotated[dict[str, str], doc("Labels.")]
    inner: Annotated[Wire, doc("Inner.")]


class Secret(Object):
    """A secret."""

    data: Annotated[dict[str, str], doc("Data.", format="byte")] = msgspec.field(
        default_factory=dict
    )
    bundle: Annotated[str, doc("One value.", format="byte")] = ""
    type: Annotated[str, doc("Type.")] = ""
    size: Annotated[int | None, doc("Size.")] = None
    when: Annotated[Time, doc("When.")] = ""
    refs: Annotated[list[Ref], doc("Refs.")] = msgspec.field(default_factory=list)
    by_name: Annotated[dict[str, Ref], doc("Refs by name.")] = msgspec.field(default_factory=dict)
    free: Annotated[dict[str, Any], doc("Anything.")] = msgspec.field(default_factory=dict)


SECRETS = Decoder("Secret", "v1", Secret)


def read(body: str) -> Secret:
    return SECRETS.struct(SECRETS.read(body.encode(), "application/json").values)


def refusal(body: str) -> str:
    with pytest.raises(BadRequest) as caught:
        read(body)
    return str(caught.value)


def test_kind_and_version_may_be_left_out_and_are_filled_in() -> None:
    found = read("{}")
    assert (found.kind, found.api_version) == ("Secret", "v1")


def test_another_kind_or_version_is_refused() -> None:
    assert refusal('{"apiVersion":"v2"}') == (
        "the API version in the data (v2) does not match the expected API version (v1)"
    )
    assert refusal('{"kind":"Pod"}').startswith(
        'Pod in version "v1" cannot be handled as a Secret: '
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"type":1}', "number into Go struct field Secret.type of type string"),
        ('{"type":[]}', "array into Go struct field Secret.type of type string"),
        ('{"size":"1"}', "string into Go struct field Secret.size of type int64"),
        ('{"size":1.5}', "number into Go struct field Secret.size of type int64"),
        ('{"size":99999999999999999999}', "number into Go struct field Secret.size of type int64"),
        ('{"data":[]}', "array into Go struct field Secret.data of type map[string][]uint8"),
        ('{"data":{"a":1}}', "number into Go struct field Secret.data of type []uint8"),
        ('{"bundle":1}', "number into Go struct field Secret.bundle of type []uint8"),
        ('{"metadata":true}', "bool into Go struct field Secret.metadata of type v1.ObjectMeta"),
        (
            '{"metadata":{"labels":{"a":1}}}',
            "number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        ('{"refs":[{"name":{}}]}', "object into Go struct field Ref.refs.name of type string"),
        ('{"refs":{}}', "object into Go struct field Secret.refs of type []v1.Ref"),
        ('{"refs":[{"flag":1}]}', "number into Go struct field Ref.refs.flag of type bool"),
        ('{"refs":[{"ratio":""}]}', "string into Go struct field Ref.refs.ratio of type float64"),
        (
            '{"byName":{"a":{"count":"x"}}}',
            "string into Go struct field Ref.byName.count of type int64",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_named_as_go_names_it(body: str, why: str) -> None:
    assert refusal(body) == (
        f'Secret in version "v1" cannot be handled as a Secret: json: cannot unmarshal {why}'
    )


def test_what_msgspec_says_of_other_things_is_passed_on() -> None:
    assert go_error("Invalid enum value", SECRETS.schema) == "json: Invalid enum value"
    assert go_error("Expected `object`, got `array`", SECRETS.schema) == (
        "json: cannot unmarshal array into Go value of type v1.Secret"
    )
    assert "interface {}" in go_error("Expected `x`, got `y` - at `$.free.a`", SECRETS.schema)


def test_null_is_the_zero_value_as_in_go() -> None:
    found = read(
        '{"type":null,"size":null,"refs":[null],"data":{"a":null},"byName":{"b":null},'
        '"metadata":{"creationTimestamp":null}}'
    )
    empty = Ref(name="", count=0, ratio=0, flag=False, names=[], labels={}, inner=Wire())
    assert (found.type, found.size, found.data) == ("", None, {"a": ""})
    assert found.refs == [empty]
    assert found.by_name == {"b": empty}


def test_unknown_and_repeated_fields_are_found_by_their_paths() -> None:
    body = (
        b'{"x":1,"metadata":{"labels":{"a":"1","a":"2"}},"refs":[{"name":"n","y":1}],'
        b'"byName":{"k":{"z":2}},"free":{"any":{"thing":1}}}'
    )
    clean = SECRETS.read(body, "")
    assert clean.faults == [
        'unknown field "x"',
        'duplicate field "metadata.labels.a"',
        'unknown field "refs[0].y"',
        'unknown field "byName.k.z"',
    ]
    found = SECRETS.struct(clean.values)
    assert found.metadata.labels == {"a": "2"}
    assert found.free == {"any": {"thing": 1}}


def test_only_so_many_faults_are_told() -> None:
    body = "{" + ",".join(f'"x{each}":1' for each in range(300)) + "}"
    assert len(SECRETS.read(body.encode(), "").faults) == 100


def test_faults_are_refused_warned_of_or_ignored() -> None:
    warnings: list[str] = []
    SECRETS.judge(["a"], IGNORE, warnings)
    SECRETS.judge([], STRICT, warnings)
    assert warnings == []
    SECRETS.judge(["a"], WARN, warnings)
    assert warnings == ["a"]
    with pytest.raises(BadRequest) as caught:
        SECRETS.judge(['unknown field "foo"', 'duplicate field "bar"'], STRICT, warnings)
    assert str(caught.value) == (
        'Secret in version "v1" cannot be handled as a Secret: strict decoding error: '
        'unknown field "foo", duplicate field "bar"'
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [  # offsets of Go's encoding/base64
        ("abc", 0),
        ("a", 0),
        ("abcde", 4),
        ("a!cd", 1),
        ("YQ=", 3),
        ("YQ=x", 2),
        ("Y===", 1),
        ("YQ==x", 4),
        ("YWE=x", 4),
        ("é", 0),
    ],
)
def test_base64_that_go_refuses_is_refused_at_the_same_byte(text: str, place: int) -> None:
    why = f"illegal base64 data at input byte {place}"
    assert refusal(f'{{"data":{{"a":"{text}"}}}}').endswith(why)
    assert refusal(f'{{"bundle":"{text}"}}').endswith(why)


def test_line_ends_in_base64_are_taken_and_not_kept() -> None:
    assert read('{"data":{"a":"YW\\nFh\\r\\n"}}').data == {"a": "YWFh"}
    assert read('{"data":{"a":"YQ=\\n=","b":""}}').data == {"a": "YQ==", "b": ""}


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "2026-01-01"])
def test_a_time_has_to_be_one(text: str) -> None:
    assert "parsing time" in refusal(f'{{"when":"{text}"}}')


def test_times_with_fractions_and_offsets_are_times() -> None:
    assert read('{"when":"2026-01-01T00:00:00.123456+01:00"}').when


@pytest.mark.parametrize(
    "body", ["{", '{"a":}', '{"a":NaN}', '{"a":1e999}', "nope", '{"a":1} x', "[" * 200_000, " "]
)
def test_what_is_no_json_is_a_bad_request(body: str) -> None:
    with pytest.raises(BadRequest):
        parse_json(body.encode())


def test_a_body_that_is_no_object_is_unrecognized() -> None:
    assert refusal("[]").startswith(
        "the object provided is unrecognized (must be of type Secret): couldn't get version/kind"
    )
    assert refusal("").endswith("json parse error: unexpected end of JSON input (<empty>)")


def test_too_deep_is_refused() -> None:
    deep = '{"a":' * 101 + "1" + "}" * 101
    with pytest.raises(BadRequest, match="exceeded max depth"):
        parse_json(deep.encode())
    for text in ("- " * 101 + "x", "[" * 101 + "]" * 101):
        with pytest.raises(BadRequest, match="exceeded max depth"):
            parse_yaml(text.encode())


def test_text_that_is_no_unicode_is_replaced_as_in_go() -> None:
    assert parse_json(b'{"a":"\xff","b":"\\ud800","c":["\\ud83d\\ude00",1],"d":1,"d":2}') == {
        "a": "�",
        "b": "�",
        "c": ["😀", 1],
        "d": 2,
    }
    faults = Decoder("Secret", "v1", Secret).read(b'{"type":"\\u0041","type":"b"}', "").faults
    assert faults == ['duplicate field "type"']


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", 2.0**63),
        ("100000000000000000000000", 1e23),
        ("1.5", 1.5),
    ],
)
def test_numbers_beyond_64_bits_are_floats(text: str, value: float) -> None:
    assert parse_json(text.encode()) == value
    assert type(parse_json(text.encode())) is type(value)
    assert parse_yaml(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ('{"a": "x"}', {"a": "x"}),
        ("{a: x}", {"a": "x"}),
        ("", None),
        ("x", "x"),
        ("a: ~\nb:\nc: null", {"a": None, "b": None, "c": None}),
        ("a: yes\nb: Off\nc: true", {"a": True, "b": False, "c": True}),
        ("a: 'yes'\nb: \"1\"\nc: ! 1", {"a": "yes", "b": "1", "c": "1"}),
        ("d: !!str 1\ne: !!int 1", {"d": "1", "e": 1}),
        ("a: 2020-01-02\nb: 1:30", {"a": "2020-01-02", "b": "1:30"}),
        ("c: 1.2.3\nd:\n-\n", {"c": "1.2.3", "d": [None]}),
        ("a: 0x1F\nb: 010\nc: 0b11", {"a": 31, "b": 8, "c": 3}),
        ("d: -5\ne: 1_000\nf: +3", {"d": -5, "e": 1000, "f": 3}),
        ("a: 1.5\nb: 1e3\nc: .5", {"a": 1.5, "b": 1000.0, "c": 0.5}),
        ("d: 1e999\ne: .", {"d": "1e999", "e": "."}),
        ("1: a\ntrue: b\n1.5: c\n~: d", {"1": "a", "true": "b", "1.5": "c", "null": "d"}),
        ("a: &x {k: 1}\nb: *x", {"a": {"k": 1}, "b": {"k": 1}}),
        ("a: &x {k: 1}\nb:\n  <<: *x\n  l: 3", {"a": {"k": 1}, "b": {"k": 1, "l": 3}}),
        ("b:\n  <<: [{k: 1}, {k: 2, m: 3}]", {"b": {"k": 1, "m": 3}}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: " + "9" * 401, {"a": "9" * 401}),
        ("a: 0b_\nb: 0o_\nc: -0x__", {"a": "0b_", "b": "0o_", "c": "-0x__"}),
        ("0x" + "f" * 5000 + "x", "0x" + "f" * 5000 + "x"),
        ("a: 0xffffffffffffffff", {"a": float(2**64 - 1)}),
        ("a: -0x8000000000000000", {"a": -(2**63)}),
        ("0x" + "f" * 400, "0x" + "f" * 400),
    ],
)
def test_yaml_means_what_it_means_to_kubernetes(text: str, value: Any) -> None:
    assert parse_yaml(text.encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n---\nb: 2",
        "a: *x",
        "a: &x [*x]",
        "a: [",
        "a: !!python/object:os.system {}\nb: !x 1",
        "a: !x 1",
        "a: .inf",
        "a: .nan",
        "[1]: a",
        "<<: 1",
        "a: \x00",
    ],
)
def test_yaml_that_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_yaml(text.encode())


def test_what_looks_like_a_long_number_is_read_in_one_go() -> None:
    text = "1" * 1_000_000 + "x"  # trying two ways at each digit would take hours
    assert parse_yaml(f"a: {text}".encode()) == {"a": text}


def test_aliases_may_not_stand_for_more_than_they_should() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"a{each}: &a{each} [" + ", ".join([f"*a{each - 1}"] * 10) + "]" for each in range(1, 9)
    ]
    with pytest.raises(BadRequest, match="excessive aliasing"):
        parse_yaml("\n".join(lines).encode())
    assert ALIAS_LIMIT < 10**8


def test_a_key_twice_in_yaml_is_a_duplicate() -> None:
    clean = SECRETS.read(b"type: a\ntype: b\n", "application/yaml")
    assert clean.faults == ['duplicate field "type"']
    assert clean.values["type"] == "b"


def test_other_types_of_content_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        parse(b"{}", "application/cbor")


def test_a_field_without_a_known_form_is_copied() -> None:
    free = {"a": [1]}
    copied = Scan().value(free, SECRETS.schema.fields["free"], "free")
    assert copied == free
    assert copied["a"] is not free["a"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"1"] * 70_000) + b"]",
        b"{" + b",".join(b'"%d":{}' % number for number in range(70_000)) + b"}",
        b"[" + b",".join([b'["a","b"]'] * 30_000) + b"]",
    ],
)
def test_a_body_of_very_many_values_is_refused_before_anything_is_made_of_it(body: bytes) -> None:
    for read in (parse_json, parse_yaml):
        with pytest.raises(RequestTooLarge, match="limit is 65536 values"):
            read(body)


def test_a_large_body_of_few_values_is_read() -> None:
    assert len(parse_json(b'{"a":"' + b"x" * 3_000_000 + b'"}')["a"]) == 3_000_000
