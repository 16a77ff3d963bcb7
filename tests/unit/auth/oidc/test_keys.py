import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.auth.oidc.provider import ISSUER, NOW, Provider, key
from tidegate.auth.errors import IssuerUnavailable, TokenInvalid
from tidegate.auth.oidc.keys import ASKED_EVERY, FRESH_FOR, STALE_FOR, IssuerKeys
from tidegate.auth.oidc.verification import ALGORITHMS, verified


def scenario(run: Callable[[Provider, IssuerKeys], Awaitable[None]]) -> None:
    async def main() -> None:
        provider = Provider()
        await run(provider, provider.issuer_keys())

    asyncio.run(main())


async def check(keys: IssuerKeys, token: str, now: float = NOW) -> None:
    await verified(token, keys, ALGORITHMS, now)


async def refreshed(keys: IssuerKeys) -> None:
    """Wait for what is read in the background."""
    if keys._refresh is not None:
        await asyncio.wait([keys._refresh])
        await asyncio.sleep(0)


def test_keys_are_discovered_once_for_many_tokens() -> None:
    async def run(provider: Provider, keys: IssuerKeys) -> None:
        assert provider.fetched == []
        await asyncio.gather(*(check(keys, provider.token()) for _ in range(5)))
        assert provider.fetched == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/keys"]

    scenario(run)


def test_a_new_key_of_the_issuer_is_read_at_once() -> None:
    async def run(provider: Provider, keys: IssuerKeys) -> None:
        old = provider.token()
        await check(keys, old)
        provider.keys.append(key("P-256", "k2"))
        now = NOW + ASKED_EVERY
        await check(keys, provider.token(), now)
        await check(keys, old, now)

    scenario(run)


def test_tokens_with_made_up_key_ids_make_us_ask_the_issuer_now_and_then_at_most() -> None:
    async def run(provider: Provider, keys: IssuerKeys) -> None:
        await check(keys, provider.token())
        asked = len(provider.fetched)
        for number in range(50):
            with pytest.raises(TokenInvalid):
                await check(keys, provider.token(header={"kid": f"x{number}"}), NOW + number / 10)
        assert len(provider.fetched) == asked
        with pytest.raises(TokenInvalid):
            await check(keys, provider.token(header={"kid": "x"}), NOW + ASKED_EVERY)
        assert len(provider.fetched) == 2 * asked

    scenario(run)


def test_a_key_that_the_issuer_withdrew_counts_for_an_hour_at_most() -> None:
    async def run(provider: Provider, keys: IssuerKeys) -> None:
        stolen = provider.token(exp=int(NOW) + 9999)
        await check(keys, stolen)
        provider.keys[:] = [key("P-256", "k2")]
        await check(keys, provider.token(header={"kid": "k1"}, signer=key("P-256", "k1")))
        later = NOW + FRESH_FOR
        await check(keys, stolen, later)  # this one has the keys read, in the background
        await refreshed(keys)
        with pytest.raises(TokenInvalid, match="not signed"):
            await check(keys, stolen, later)

    scenario(run)


def test_while_the_issuer_is_down_its_keys_count_for_a_day() -> None:
    async def run(provider: Provider, keys: IssuerKeys) -> None:
        token = provider.token(exp=int(NOW + 2 * STALE_FOR))
        await check(keys, token)
        provider.down = True
        await check(keys, token, NOW + STALE_FOR - 1)
        await refreshed(keys)
        with pytest.raises(IssuerUnavailable):
            await check(keys, token, NOW + STALE_FOR)
        provider.down = False
        await check(keys, token, NOW + STALE_FOR + ASKED_EVERY)

    scenario(run)


def test_an_issuer_that_was_never_reached_refuses_everybody() -> None:
    async def run(provider: Provider, keys: IssuerKeys) -> None:
        provider.down = True
        for _ in range(3):
            with pytest.raises(IssuerUnavailable):
                await check(keys, provider.token())
        assert len(provider.fetched) == 1
        provider.down = False
        await check(keys, provider.token(), NOW + ASKED_EVERY)

    scenario(run)


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example", "jwks_uri": f"{ISSUER}/keys"},
        {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/keys"},
        {"issuer": ISSUER},
        {"jwks_uri": f"{ISSUER}/keys"},
        ["issuer"],
    ],
)
def test_a_discovery_document_about_another_issuer_is_not_believed(discovery: object) -> None:
    async def run(provider: Provider, keys: IssuerKeys) -> None:
        provider.documents[f"{ISSUER}/.well-known/openid-configuration"] = discovery
        with pytest.raises(IssuerUnavailable):
            await check(keys, provider.token())

    scenario(run)


def test_keys_that_cannot_be_read_do_not_hide_those_that_can() -> None:
    async def run(provider: Provider, keys: IssuerKeys) -> None:
        good = provider.keys[0].as_dict(private=False)
        provider.documents[f"{ISSUER}/keys"] = {
            "keys": [{"kty": "RSA"}, {"kty": "EC", "crv": "P-9"}, {"kty": "new"}, {}, good]
        }
        await check(keys, provider.token())

    scenario(run)
