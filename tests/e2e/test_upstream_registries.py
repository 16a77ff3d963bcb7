"""Real registries are pulled from and pushed to, each in its own way of letting somebody in."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import CutSent, Tokens, asks
from tests.images import Content, Pushable, artifact, index, small_image
from tests.unit.remote.gateways import QUICK, with_gateway
from tests.upstream import Upstream, docker_registry, second_tidegate
from tidegate.oci.digest import Digest
from tidegate.remote.credentials import NO_KEYS, Keyring
from tidegate.remote.deadlines import Deadlines
from tidegate.remote.errors import AccessDenied, CertificateRefused, ContentMissing, RemoteError
from tidegate.remote.gateway import Gateway, Registries
from tidegate.remote.location import Location
from tidegate.remote.rules import RegistryRules

ANN = ("ann", "correct horse")
WHOLE = index(small_image("one"), small_image("two", "arm64"))
SIGNATURE = artifact("application/vnd.example.signature", b"signed", subject=WHOLE)
LARGE = Content(os.urandom(3_000_000))
PATIENT = Deadlines(pause=QUICK.pause)


@contextmanager
def registry(kind: str, directory: Path) -> Iterator[Upstream]:
    """A registry, by how it lets people in."""
    with ExitStack() as stack:
        if kind == "tidegate":
            yield stack.enter_context(second_tidegate(directory))[0]
        elif kind == "tokens":
            upstream = stack.enter_context(docker_registry(directory))
            proxy = stack.enter_context(FaultProxy(upstream.url))
            proxy.always(Tokens(credentials=ANN))
            yield Upstream(proxy.url, ANN)
        else:
            credentials = None if kind == "open" else ANN
            tls = kind == "tls"
            yield stack.enter_context(docker_registry(directory, credentials=credentials, tls=tls))


def rules_of(upstream: Upstream) -> RegistryRules:
    if upstream.authority is None:
        return RegistryRules(insecure=(upstream.address,))
    return RegistryRules(authorities={upstream.address: upstream.authority.pem})


def keyring_of(upstream: Upstream) -> Keyring:
    if upstream.credentials is None:
        return NO_KEYS
    return Keyring.of([upstream.dockerconfigjson.encode()])


async def push(registries: Registries, location: Location, image: Pushable, tag: str = "") -> None:
    for child in image.children:
        await push(registries, location, child)
    for blob in image.blobs:
        await push_blob(registries, location, blob)
    manifest = image.manifest
    await registries.push_manifest(
        location, tag or image.digest, manifest.media_type, manifest.data
    )


async def push_blob(registries: Registries, location: Location, blob: Content) -> None:
    async def content(offset: int) -> AsyncIterator[bytes]:
        for place in range(offset, len(blob.data), 100_000):
            yield blob.data[place : place + 100_000]

    await registries.push_blob(location, Digest(blob.digest), len(blob.data), content)


async def pulled(registries: Registries, location: Location, blob: Content) -> bytes:
    async with registries.blob(location, Digest(blob.digest)) as found:
        assert found.size == len(blob.data)
        return b"".join([each async for each in found.chunks])


@pytest.mark.parametrize("kind", ["open", "basic", "tls", "tokens", "tidegate"])
def test_what_was_pushed_is_pulled_whole(kind: str, tmp_path: Path) -> None:
    with registry(kind, tmp_path) as upstream:
        app = Location(upstream.address, "library/app")
        other = Location(upstream.address, "library/other")

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(keyring_of(upstream))
            await push(registries, app, WHOLE, "v1")
            await push(registries, app, SIGNATURE)
            await push_blob(registries, app, LARGE)
            found = await registries.head(app, "v1")
            assert (found.digest, found.size) == (WHOLE.digest, len(WHOLE.manifest.data))
            for image in (WHOLE, *WHOLE.children):
                manifest = await registries.manifest(app, image.digest)
                assert manifest.content == image.manifest.data
                for blob in image.blobs:
                    assert await pulled(registries, app, blob) == blob.data
            assert await pulled(registries, app, LARGE) == LARGE.data
            assert await registries.tags(app) == ["v1"]
            referrers = await registries.referrers(app, Digest(WHOLE.digest))
            assert [each.digest for each in referrers] in ([SIGNATURE.digest], [])
            await check_mounts(registries, app, other)
            with pytest.raises(ContentMissing):
                await registries.head(app, "missing")
            with pytest.raises(ContentMissing):
                await registries.blob_size(app, Digest.of(b"missing"))

        with_gateway(scenario, rules=rules_of(upstream), deadlines=PATIENT)


async def check_mounts(registries: Registries, app: Location, other: Location) -> None:
    large, missing = Digest(LARGE.digest), Digest.of(b"missing")
    assert not await registries.has_blob(other, large)
    assert await registries.mount_blob(other, large, app.repository)
    assert await registries.has_blob(other, large)
    assert not await registries.mount_blob(other, missing, app.repository)


@pytest.mark.parametrize("kind", ["basic", "tokens", "tidegate"])
def test_who_may_not_is_told_so(kind: str, tmp_path: Path) -> None:
    with registry(kind, tmp_path) as upstream:
        app = Location(upstream.address, "library/app")
        assert upstream.credentials is not None
        wrong = Upstream(upstream.url, (upstream.credentials[0], "wrong"))

        async def scenario(gateway: Gateway) -> None:
            for keys in (NO_KEYS, keyring_of(wrong)):
                registries = gateway.registries(keys)
                with pytest.raises(AccessDenied) as caught:
                    await registries.head(app, "v1")
                assert caught.value.anonymous == (keys is NO_KEYS)
                with pytest.raises(AccessDenied):
                    await push_blob(registries, app, LARGE)

        with_gateway(scenario, rules=rules_of(upstream), deadlines=PATIENT)


def test_a_certificate_that_nobody_configured_is_not_believed(tmp_path: Path) -> None:
    with registry("tls", tmp_path) as upstream:
        app = Location(upstream.address, "library/app")

        async def scenario(gateway: Gateway) -> None:
            keys = keyring_of(upstream)
            with pytest.raises(CertificateRefused):
                await gateway.registries(keys).head(app, "v1")
            with pytest.raises(ContentMissing):
                await gateway.registries(keys, insecure=True).head(app, "v1")

        with_gateway(scenario, deadlines=PATIENT)


@pytest.mark.parametrize("kind", ["docker", "tidegate"])
def test_an_upload_goes_on_after_a_cut(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        upstream = (
            stack.enter_context(docker_registry(tmp_path))
            if kind == "docker"
            else stack.enter_context(second_tidegate(tmp_path))[0]
        )
        proxy = stack.enter_context(FaultProxy(upstream.url))
        proxy.when(asks("upload", "PATCH"), CutSent(after=1_500_000), times=1)
        app = Location(proxy.address, "library/app")
        reached = Upstream(proxy.url, upstream.credentials)

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(keyring_of(reached))
            await push_blob(registries, app, LARGE)
            assert await pulled(registries, app, LARGE) == LARGE.data

        with_gateway(scenario, rules=rules_of(reached), deadlines=PATIENT)
        patches = proxy.seen("upload", "PATCH")
        if kind == "tidegate":  # docker-registry loses the session when it is cut
            assert [ask.headers.get("content-range") for ask in patches][1:] == [
                f"1500000-{len(LARGE.data) - 1}"
            ]


def test_tokens_that_expire_midway_are_replaced_in_pull_and_push(tmp_path: Path) -> None:
    with docker_registry(tmp_path) as upstream, FaultProxy(upstream.url) as proxy:
        tokens = Tokens(uses=2, credentials=ANN)
        proxy.always(tokens)
        app = Location(proxy.address, "library/app")
        reached = Upstream(proxy.url, ANN)

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(keyring_of(reached))
            await push(registries, app, WHOLE, "v1")
            await push_blob(registries, app, LARGE)
            for blob in (*WHOLE.children[0].blobs, LARGE):
                assert await pulled(registries, app, blob) == blob.data

        with_gateway(scenario, rules=rules_of(reached), deadlines=PATIENT)
        assert proxy.count("token") > 5
        assert set(tokens.scopes) == {
            "repository:library/app:pull",
            "repository:library/app:pull,push",
        }


def test_a_blob_that_is_not_what_was_said_is_refused_by_the_registry(tmp_path: Path) -> None:
    with docker_registry(tmp_path) as upstream:
        app = Location(upstream.address, "library/app")

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries()

            async def content(offset: int) -> AsyncIterator[bytes]:
                yield LARGE.data[offset:]

            wrong = Digest.of(b"other")
            with pytest.raises(RemoteError, match="digest_invalid"):
                await registries.push_blob(app, wrong, len(LARGE.data), content)
            assert not await registries.has_blob(app, wrong)

        with_gateway(scenario, rules=rules_of(upstream), deadlines=PATIENT)
