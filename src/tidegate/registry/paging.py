"""Pages of a sorted list: `n` and `last` (distribution-spec, "Listing Tags")."""

from typing import NamedTuple

from tidegate.registry.errors import PaginationInvalid
from tidegate.registry.request import Request


class Page(NamedTuple):
    """At most `limit` entries after `last`."""

    limit: int
    last: str


def requested_page(request: Request, default: int, maximum: int, *, clamp: bool) -> Page:
    """Read `n` and `last`; an `n` over the maximum is lowered to it where `clamp`, else refused."""
    text = request.parameter("n")
    last = (request.parameter("last") or "")[:512]
    if text is None or text == "":
        return Page(default, last)
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise PaginationInvalid(f"n={text[:40]!r} is no number of results")
    limit = int(text)
    if limit > maximum and not clamp:
        raise PaginationInvalid(f"n={limit} is more than {maximum}")
    return Page(min(limit, maximum), last)
