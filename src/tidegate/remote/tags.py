"""The tags of a repository of another registry: all pages of them, within limits."""

from typing import Any

import msgspec

from tidegate.oci.errors import TagInvalid
from tidegate.oci.name import Tag
from tidegate.remote.errors import ContentInvalid
from tidegate.remote.pages import next_page
from tidegate.remote.repository import Repository

TAG_LIMIT = 100_000
"""Tags of one repository; an import of all would make as many."""
PAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of one page: some registries send all at once."""
PAGE_SIZE = 1000

_ACCEPT = (("Accept", "application/json"),)


async def listed(repository: Repository) -> list[str]:
    """Every tag once, in the registry's order; what is no tag is left out."""
    about = f"{repository.location}: tags"
    path: str | None = f"tags/list?n={PAGE_SIZE}"
    tags: dict[str, None] = {}
    seen: set[str] = set()
    while path is not None:
        async with repository.ask("GET", path, about, headers=_ACCEPT, counted=True) as answer:
            if answer.status != 200:
                raise await repository.refusal(answer, about)
            tags.update(dict.fromkeys(_read(await answer.content(PAGE_LIMIT), about)))
            path = next_page(answer, repository.peer.origin, seen)
        if len(tags) > TAG_LIMIT:
            raise ContentInvalid(f"{about}: more than {TAG_LIMIT}")
    return list(tags)


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
