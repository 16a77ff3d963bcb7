"""Bodies in Kubernetes' protobuf; what is expected is what client-go writes as JSON."""

import base64
import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.apimachinery.decoding.kubernetes_protobuf import values
from tidegate.apimachinery.errors import BadRequest, UnsupportedMediaType
from tidegate.apimachinery.protobuf import delimited, text

RECORDED = (Path(__file__).parent / "recorded" / "kubernetes_protobuf.txt").read_text("utf-8")
LINES = [line for line in RECORDED.splitlines() if not line.startswith("#")]
PAIRS = [
    (base64.b64decode(body), msgspec.json.decode(wanted))
    for body, wanted in zip(LINES[::2], LINES[1::2], strict=True)
]
TIME = 8  # number of ObjectMeta.creationTimestamp


def body(kind: str, message: bytes, version: str = "v1") -> bytes:
    type_meta = text(1, version) + text(2, kind)
    return b"k8s\0" + delimited(1, type_meta) + delimited(2, message)


def desired(value: dict[str, Any]) -> dict[str, Any]:
    """Without an empty status, of which Go's JSON writes fields that were not set."""
    status = value.get("status", {})
    return value if any(status.values()) else {k: v for k, v in value.items() if k != "status"}


@pytest.mark.parametrize(("written", "wanted"), PAIRS, ids=[each["kind"] for _, each in PAIRS])
def test_a_body_reads_as_the_json_of_the_same_client(
    written: bytes, wanted: dict[str, Any]
) -> None:
    assert desired(values(written)) == desired(wanted)


def test_a_body_cut_short_anywhere_is_refused_or_smaller_never_a_crash() -> None:
    whole, wanted = PAIRS[0]
    end = len(whole) - len(b"\x1a\0\x22\0")  # two empty strings that say nothing
    for length in range(end):
        with contextlib.suppress(BadRequest, UnsupportedMediaType):
            assert values(whole[:length]) != wanted


def test_fields_of_newer_clients_are_dropped() -> None:
    assert values(body("Secret", text(3, "Opaque") + text(99, "?"))) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
    }


def test_a_kind_that_clients_send_as_json_is_refused_by_its_name() -> None:
    with pytest.raises(UnsupportedMediaType, match="Pod in version v1 is not read"):
        values(body("Pod", b""))


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"{}", "does not begin"),
        (b"", "does not begin"),
        (b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "no end"),
        (b"k8s\0\x0b", "wire type 3"),
        (b"k8s\0\x08\x01", "number is where bytes"),
        (body("Secret", b"\x1a\x05ab"), "longer than its message"),
        (body("Secret", b"\x18\x01"), "number is where bytes"),
        (body("Secret", text(5, "x")), "bytes are where a number"),
        (body("Secret", delimited(3, b"\xff")), "no UTF-8"),
        (
            body("Secret", delimited(1, delimited(TIME, b"\x08" + b"\xff" * 8 + b"\x7f"))),
            "out of range",
        ),
        (
            body("Secret", delimited(1, delimited(17, delimited(7, text(1, "no"))))),
            "raw JSON is no JSON",
        ),
        (
            body("Secret", delimited(1, delimited(17, delimited(7, delimited(1, b'{"\xca"}'))))),
            "raw JSON is no JSON",
        ),
    ],
)
def test_what_is_no_message_is_a_bad_request(written: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        values(written)


def test_fixed_width_fields_are_passed_over() -> None:
    fixed = b"\xf9\x06" + b"\0" * 8 + b"\xfd\x06" + b"\0" * 4  # field 111, of 64 and of 32 bits
    assert values(body("Secret", fixed + text(3, "Opaque")))["type"] == "Opaque"


def test_a_negative_number_is_read() -> None:
    minus_one = b"\x38" + b"\xff" * 9 + b"\x01"
    assert values(body("Secret", delimited(1, minus_one)))["metadata"] == {"generation": -1}


@pytest.mark.parametrize("depth", [200, 600, 100_000])
def test_raw_json_is_not_nested_deeper_than_other_bodies(depth: int) -> None:
    raw = b'{"f:a":' * depth + b"{}" + b"}" * depth
    managed = delimited(7, delimited(1, raw))
    with pytest.raises(BadRequest):
        values(body("Secret", delimited(1, delimited(17, managed))))
