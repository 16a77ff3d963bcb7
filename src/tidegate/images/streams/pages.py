"""Pages of streams as they are shown: cut where they would be more than a process should hold.

A stream is stored as a small header and shown with up to 8 MiB, so that a page of so many documents
says nothing of its size. What is cut off is behind the page's token, at the same revision.
"""

from dataclasses import dataclass

from tidegate.apimachinery.documents import continuation
from tidegate.apimachinery.documents.continuation import Continuation
from tidegate.apimachinery.storage import ListOptions, Page
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.images.streams.rendering import Heading, heading
from tidegate.images.streams.renderings import Renderings


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes of a page with a limit and of one without, whose reader may not look for a token; and
    how many streams are shown before the bytes are looked at."""

    paged: int = 64 * 1024 * 1024
    whole: int = 512 * 1024 * 1024
    together: int = 50


DEFAULT = Bounds()


async def shown(
    renderings: Renderings, page: Page, options: ListOptions, bounds: Bounds = DEFAULT
) -> Page:
    """A page of headers, as it is shown."""
    room = bounds.paged if options.limit else bounds.whole
    bodies: list[bytes] = []
    headers = [heading(each) for each in page.bodies]
    while len(bodies) < len(headers):
        if room <= 0:
            return _cut(page, bodies, headers, options)
        part = headers[len(bodies) : len(bodies) + bounds.together]
        for rendered in await renderings.many(part):
            bodies.append(rendered.body)
            room -= len(rendered.body)
    return page._replace(bodies=bodies)


def _cut(page: Page, bodies: list[bytes], headers: list[Heading], options: ListOptions) -> Page:
    last = headers[len(bodies) - 1].name
    key = Key(IMAGE_STREAMS.key, last.project, last.stream)
    remaining = None
    if options.selection.is_everything:
        remaining = (page.remaining or 0) + len(headers) - len(bodies)
    token = continuation.written(Continuation(key, page.revision))
    return Page(bodies, page.revision, token, remaining)
