"""The tags of a repository of another registry: all pages of them, within limits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tidegate.oci.errors import TagInvalid
from tidegate.oci.name import Tag
from tidegate.remote.errors import ContentInvalid, Unavailable
from tidegate.remote.pages import next_page
from tidegate.remote.repository import Repository

TAG_LIMIT = 100_000
"""Tags of one repository; an import of all would make as many."""
PAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of one page: some registries send all at once."""
PAGE_SIZE = 1000
PATIENCE = 10
"""How many times longer than for something small all pages together may take."""

_ACCEPT = (("Accept", "application/json"),)


async def listed(repository: Repository) -> list[str]:
    """Every tag once, in the registry's order; what is no tag is left out."""
    about = f"{repository.location}: tags"
    tags: dict[str, None] = {}
    seen: set[str] = set()
    path: str | None = f"tags/list?n={PAGE_SIZE}"
    try:
        async with asyncio.timeout(repository.patience * PATIENCE):
            while path is not None:
                page = _page(repository, path, about, seen)
                found, path = await repository.patiently(page, about)
                tags.update(dict.fromkeys(found))
                if len(tags) > TAG_LIMIT:
                    raise ContentInvalid(f"{about}: more than {TAG_LIMIT}")
    except TimeoutError as error:
        raise Unavailable(f"{about}: all pages take too long") from error
    return list(tags)


def _page(
    repository: Repository, path: str, about: str, seen: set[str]
) -> Callable[[], Awaitable[tuple[list[str], str | None]]]:
    """One page, and the address of the next."""

    async def work() -> tuple[list[str], str | None]:
        async with repository.ask("GET", path, about, headers=_ACCEPT, counted=True) as answer:
            if answer.status != 200:
                raise await repository.refusal(answer, about)
            tags = _read(await answer.content(PAGE_LIMIT), about)
            return tags, next_page(answer, repository.peer.origin, seen)

    return work


def _read(body: bytes, about: str) -> list[str]:
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ContentInvalid(f"{about}: no JSON") from error
    tags = document.get("tags") or []
    if not isinstance(tags, list):
        raise ContentInvalid(f"{about}: no list")
    return [tag for tag in tags if isinstance(tag, str) and _is_tag(tag)]


def _is_tag(text: str) -> bool:
    try:
        Tag.parse(text)
    except TagInvalid:
        return False
    return True
