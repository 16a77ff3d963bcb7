from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth.errors import HostInvalid
from tidegate.auth.origin import client_address, public_origin

PROXY, OUTER, CLIENT, STRANGER = "10.0.0.1", "10.0.0.2", "198.51.100.7", "203.0.113.9"
TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def headers(values: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), text.encode()) for name, text in values.items()]


def origin(peer: str, public_url: str = "", /, *, tls: bool = False, **values: str) -> str:
    return public_origin(
        headers({"host": "inner:5000"} | values), peer, public_url, TRUSTED, tls=tls
    )


def told(peer: str, values: dict[str, str]) -> str:
    """As `origin`, of a connection without TLS."""
    return public_origin(headers({"host": "inner:5000"} | values), peer, "", TRUSTED, tls=False)


def client(peer: str, **values: str) -> str:
    return client_address(headers(values), peer, TRUSTED)


def test_the_public_url_decides_where_it_is_set() -> None:
    assert (
        origin(PROXY, "https://registry.example/", x_forwarded_host="other.example")
        == "https://registry.example"
    )


def test_without_a_proxy_the_host_header_and_the_connection_decide() -> None:
    assert origin(CLIENT) == "http://inner:5000"
    assert origin(CLIENT, tls=True) == "https://inner:5000"
    assert origin(CLIENT, host="[2001:db8::1]:5000") == "http://[2001:db8::1]:5000"


@pytest.mark.parametrize(
    "values",
    [
        {"x_forwarded_proto": "https", "x_forwarded_host": "evil.example"},
        {"forwarded": "for=192.0.2.1;proto=https;host=evil.example"},
    ],
)
def test_a_client_that_is_no_trusted_proxy_is_not_believed(values: dict[str, str]) -> None:
    assert told(STRANGER, values) == "http://inner:5000"
    assert told("", values) == "http://inner:5000"
    assert client(STRANGER, x_forwarded_for=CLIENT) == STRANGER


@pytest.mark.parametrize(
    "values",
    [
        {"x_forwarded_proto": "https", "x_forwarded_host": "registry.example"},
        {
            "x_forwarded_for": CLIENT,
            "x_forwarded_proto": "HTTPS",
            "x_forwarded_host": "registry.example",
        },
        {"forwarded": f"for={CLIENT};proto=https;host=registry.example"},
        {"forwarded": f'For="{CLIENT}:4711"; Proto=https; Host="registry.example"'},
        {  # both, as OpenShift's router writes them
            "x_forwarded_for": CLIENT,
            "x_forwarded_proto": "https",
            "x_forwarded_host": "registry.example",
            "forwarded": f"for={CLIENT};host=registry.example;proto=https",
        },
    ],
)
def test_a_trusted_proxy_says_how_the_client_reached_it(values: dict[str, str]) -> None:
    assert told(PROXY, values) == "https://registry.example"
    assert told("::ffff:10.0.0.1", values) == "https://registry.example"


def test_a_value_that_the_client_put_before_the_proxys_is_not_believed() -> None:
    forged = {
        "x_forwarded_for": f"192.0.2.66, {CLIENT}",
        "x_forwarded_proto": "http, https",
        "x_forwarded_host": "evil.example, registry.example",
    }
    assert told(PROXY, forged) == "https://registry.example"
    assert client(PROXY, **forged) == CLIENT
    forged = {"forwarded": f"for=192.0.2.66;host=evil.example, for={CLIENT};host=registry.example"}
    assert told(PROXY, forged) == "http://registry.example"
    assert client(PROXY, **forged) == CLIENT


def test_two_trusted_proxies_are_followed_to_the_outer_one() -> None:
    appended = {
        "x_forwarded_for": f"192.0.2.66, {CLIENT}, {OUTER}",
        "x_forwarded_proto": "https, http",
        "x_forwarded_host": "registry.example, middle.internal",
    }
    assert told(PROXY, appended) == "https://registry.example"
    assert client(PROXY, **appended) == CLIENT
    replaced = {"x_forwarded_for": f"{CLIENT}, {OUTER}", "x_forwarded_host": "registry.example"}
    assert told(PROXY, replaced) == "http://registry.example"


def test_a_request_that_a_trusted_proxy_sent_itself_comes_from_that_proxy() -> None:
    assert client(PROXY, x_forwarded_for=OUTER) == OUTER
    assert client(PROXY) == PROXY
    assert client("fd00::1", x_forwarded_for="2001:db8::7") == "2001:db8::7"


def test_the_family_of_headers_that_the_proxy_does_not_write_cannot_be_used_to_lie() -> None:
    lie = {"x_forwarded_for": CLIENT, "forwarded": "for=192.0.2.66;host=evil.example;proto=https"}
    assert client(PROXY, **lie) == PROXY
    assert told(PROXY, lie) == "http://inner:5000"


@pytest.mark.parametrize("text", ["unknown", "_hidden", "", "1.2.3", "x" * 5000, '"', "fe80::1%x"])
def test_an_address_that_is_none_ends_what_is_known(text: str) -> None:
    assert client(PROXY, x_forwarded_for=f"192.0.2.66, {text}, {OUTER}") == OUTER
    assert client(PROXY, x_forwarded_for=text) == PROXY


@pytest.mark.parametrize(
    ("element", "address"),
    [
        ("198.51.100.7:1234", "198.51.100.7"),
        ("[2001:db8::7]:1234", "2001:db8::7"),
        ("2001:DB8::7", "2001:db8::7"),
    ],
)
def test_ports_and_brackets_are_no_part_of_the_address(element: str, address: str) -> None:
    assert client(PROXY, x_forwarded_for=element) == address
    assert client(PROXY, forwarded=f'for="{element}"') == address


HOSTILE_HOSTS = [
    'a",error="x',
    "a b",
    "a\r\nSet-Cookie: x=1",
    "user@evil.example",
    "user:secret@evil.example",
    "a/b",
    "a?b",
    "a#b",
    "a\\b",
    "é.example",
    "",
    ":5000",
    "a:port",
    "a:123456",
    "-a.example",
    "a..b",
    "[::1",
    "[::1]x",
    "a,b",
    "x" * 300,
]


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
def test_a_host_header_that_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(HostInvalid):
        origin(CLIENT, host=host)


@pytest.mark.parametrize("host", sorted(set(HOSTILE_HOSTS) - {"a\\b", "a,b"}))  # an escape, a list
def test_a_forwarded_host_that_is_no_host_is_passed_over(host: str) -> None:
    assert origin(PROXY, x_forwarded_host=host) == "http://inner:5000"
    assert origin(PROXY, forwarded=f'host="{host}"') == "http://inner:5000"


@pytest.mark.parametrize("scheme", ["javascript", "ftp", "", 'https"', "https, x"])
def test_a_forwarded_scheme_is_http_or_https(scheme: str) -> None:
    assert origin(PROXY, x_forwarded_proto=scheme) == "http://inner:5000"


def test_a_missing_or_doubled_host_header_is_refused() -> None:
    for given_headers in ([], [(b"host", b"a"), (b"host", b"b")]):
        with pytest.raises(HostInvalid):
            public_origin(given_headers, CLIENT, "", TRUSTED, tls=False)


@pytest.mark.parametrize(
    "text",
    [
        'for="unclosed',
        "for=198.51.100.7;for=192.0.2.66",
        "for==198.51.100.7",
        "for 198.51.100.7",
        ";;;",
        ",,,",
        "=",
        'for="a\\',
    ],
)
def test_a_forwarded_header_that_breaks_its_grammar_is_not_believed(text: str) -> None:
    assert client(PROXY, forwarded=text) == PROXY


def test_a_long_chain_is_followed_only_so_far() -> None:
    assert client(PROXY, x_forwarded_for=", ".join([CLIENT] + [OUTER] * 1000)) == OUTER
    assert client(PROXY, forwarded=", ".join(["for=" + CLIENT] + ["for=10.0.0.2"] * 1000)) == OUTER


nasty = st.text(st.sampled_from('for=;,"\\ []:.10_unknownhstpé\r\n\0')) | st.text()


@given(nasty, nasty, nasty, nasty, nasty)
def test_no_header_crashes_or_puts_more_than_a_host_into_the_origin(
    forwarded: str, x_for: str, x_host: str, x_proto: str, host: str
) -> None:
    given_headers = [
        (name, text.encode("utf-8", "surrogatepass"))
        for name, text in (
            (b"forwarded", forwarded),
            (b"x-forwarded-for", x_for),
            (b"x-forwarded-host", x_host),
            (b"x-forwarded-proto", x_proto),
            (b"host", host),
        )
    ]
    assert client_address(given_headers, STRANGER, TRUSTED) == STRANGER
    address = client_address(given_headers, PROXY, TRUSTED)
    assert not set(address) - set("0123456789abcdef.:")
    try:
        found = public_origin(given_headers, PROXY, "", TRUSTED, tls=True)
    except HostInvalid:
        return
    assert found.startswith(("http://", "https://"))
    assert not set(found) & set(' "\\@\r\n\0,;?#')
    assert found.count("/") == 2


addresses = st.ip_addresses(v=4).map(str)


@given(st.lists(addresses), addresses.filter(lambda text: not text.startswith("10.")))
def test_whatever_a_client_sends_before_it_a_proxy_that_appends_names_the_client(
    forged: list[str], real: str
) -> None:
    assert client(PROXY, x_forwarded_for=", ".join([*forged, real])) == real
