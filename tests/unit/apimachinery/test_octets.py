import pytest

from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.octets import decoded, encoded


def test_bytes_go_there_and_back() -> None:
    assert decoded(encoded(b"\x00\xff"), "Secret") == b"\x00\xff"


def test_line_breaks_inside_are_skipped() -> None:
    assert decoded("aGVs\nbG8=\r\n", "Secret") == b"hello"


@pytest.mark.parametrize(("text", "position"), [("aGVs!G8=", 4), ("aGVsbG8", 7), ("ä", 0)])
def test_what_is_no_base64_is_named_by_its_position(text: str, position: int) -> None:
    with pytest.raises(BadRequest) as refused:
        decoded(text, "Secret")
    assert str(refused.value) == (
        'Secret in version "v1" cannot be handled as a Secret: '
        f"illegal base64 data at input byte {position}"
    )
    assert refused.value.__context__ is None
