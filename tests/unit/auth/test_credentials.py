import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth.credentials import Basic, Bearer, parse_authorization
from tidegate.auth.errors import InvalidCredentials


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        # RFC 7617 sections 2 and 2.1
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Basic("Aladdin", "open sesame")),
        ("Basic dGVzdDoxMjPCow==", Basic("test", "123£")),
        (basic(b"ann:with:colons"), Basic("ann", "with:colons")),
        ("bAsIc  QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Basic("Aladdin", "open sesame")),
        ("Bearer abc.def.ghi", Bearer("abc.def.ghi")),
        ("bearer abc", Bearer("abc")),
    ],
)
def test_basic_and_bearer_are_read(header: str, credentials: Basic | Bearer) -> None:
    assert parse_authorization(header) == credentials


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Bearer",
        "Bearer ",
        "Basic !!!!",
        "Basic QWxh ZGRpbjpv",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        basic(b"nocolon"),
        basic(b":password"),
        basic(b"ann:"),
        basic(b"ann:\xff\xfe"),
        basic(b"ann:pass\x00word"),
        basic(b"an\nn:password"),
        basic(b"a" * 1025 + b":password"),
        basic(b"ann:" + b"x" * 1025),
        basic(b"ann:" + b"x" * 20_000),
        basic(b"ann:eyJ.x." + b"x" * 8192),
        basic(b":eyJ.x"),
        "Digest username=ann",
        "Negotiate abc",
        "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "\xe9\x00",
    ],
)
def test_anything_else_is_invalid(header: str) -> None:
    with pytest.raises(InvalidCredentials):
        parse_authorization(header)


def test_secrets_are_not_shown() -> None:
    assert "sesame" not in repr(parse_authorization("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="))
    assert "sesame" not in repr(parse_authorization("Bearer sesame"))


@given(st.text() | st.text().map(lambda text: "Basic " + text) | st.text().map("Bearer ".__add__))
def test_no_header_crashes_the_parser(header: str) -> None:
    try:
        credentials = parse_authorization(header)
    except InvalidCredentials:
        return
    assert isinstance(credentials, Bearer) or (credentials.name and credentials.password)


printable = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=50
)


@given(printable.filter(lambda name: ":" not in name), printable)
def test_every_name_without_a_colon_and_every_password_arrives(name: str, password: str) -> None:
    header = basic(f"{name}:{password}".encode())
    assert parse_authorization(header) == Basic(name, password)


@pytest.mark.parametrize("name", ["ann", "serviceaccount", ""])
@pytest.mark.parametrize("token", ["sha256~" + "x" * 43, "eyJhbGciOiJSUzI1NiJ9.e30." + "x" * 8000])
def test_a_token_in_a_passwords_place_may_be_long_and_its_name_missing(
    name: str, token: str
) -> None:
    assert parse_authorization(basic(f"{name}:{token}".encode())) == Basic(name, token)
