import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.remote.challenges import LENGTH_LIMIT, Challenge, parse_challenges

HUB = (
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
    'scope="repository:library/nginx:pull,push"'
)


def one(text: str) -> Challenge:
    [challenge] = parse_challenges([text])
    return challenge


def test_what_docker_hub_says_is_read() -> None:
    assert one(HUB) == Challenge(
        "bearer",
        {
            "realm": "https://auth.docker.io/token",
            "service": "registry.docker.io",
            "scope": "repository:library/nginx:pull,push",
        },
    )


@pytest.mark.parametrize(
    ("text", "realm"),
    [
        ('bearer REALM="a"', "a"),
        ("Bearer realm=a", "a"),
        ('Bearer   realm = "a" ,, service=b', "a"),
        ('Bearer realm="a\\"b\\\\c"', 'a"b\\c'),
        ('Bearer realm="a,b Basic realm=c"', "a,b Basic realm=c"),
        ('Bearer realm="first",realm="second"', "first"),
        (' , Bearer realm="a"', "a"),
        ('Bearer service=x, realm="ü"', "ü"),
    ],
)
def test_odd_ways_of_writing_it_are_read(text: str, realm: str) -> None:
    assert one(text).parameters["realm"] == realm


def test_several_challenges_come_in_one_header_or_in_several() -> None:
    negotiate = "Negotiate YWJj/+==, NTLM"
    both = f'{negotiate}, Basic realm="x", charset="UTF-8", {HUB}'
    schemes = ["negotiate", "ntlm", "basic", "bearer"]
    assert [each.scheme for each in parse_challenges([both])] == schemes
    apart = parse_challenges(['Basic realm="x"', "", HUB])
    assert [each.scheme for each in apart] == ["basic", "bearer"]
    assert apart[1] == one(HUB)


@pytest.mark.parametrize("text", ["", ",,,", '"', "=", "\x00", 'realm="x"', "Bearer\x00"])
def test_what_is_no_challenge_offers_nothing_to_answer(text: str) -> None:
    for challenge in parse_challenges([text]):
        assert not challenge.parameters


@pytest.mark.parametrize(
    "text",
    [
        "a " * (LENGTH_LIMIT // 2),
        'a="' * (LENGTH_LIMIT // 3),
        'B x="' + "\\" * (LENGTH_LIMIT - 10),
        "B " + 'x="\\"' * (LENGTH_LIMIT // 6),
        "B " + "x =" * (LENGTH_LIMIT // 4),
    ],
)
def test_a_hostile_header_costs_no_more_than_its_length(text: str) -> None:
    assert len(text) <= LENGTH_LIMIT
    assert len(parse_challenges([text] * 3)) <= 16


def test_what_is_too_long_is_not_read() -> None:
    assert parse_challenges([f'Bearer realm="{"a" * LENGTH_LIMIT}"']) == []


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    parse_challenges([text, f"Bearer {text}", f'Bearer realm="{text}'])
