"""From what somebody asked for to a list of images with their names at both ends. Values only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.references import (
    REGISTRY,
    Ref,
    flattened,
    parse_ref,
    repository_of,
    tag_of,
)
from tidegate.delivery.mirrors.selection import Selection
from tidegate.oci.name import NAME_LIMIT
from tidegate.remote.location import Location, is_digest


@dataclass(frozen=True, slots=True)
class Pair:
    """A source and where it is to go.

    With a `selection` many tags are meant, else one image. With `whole_names` a layout calls each
    image by its whole reference, since it gets images of several repositories.
    """

    source: Ref
    target: Ref
    selection: Selection | None = None
    whole_names: bool = False

    @property
    def asks_for_tags(self) -> bool:
        """Whether the tags of the source have to be known to say what is meant."""
        return self.selection is not None or not self.source.reference


class Planned(NamedTuple):
    """One image: `reference` at the source, `name` at the target, empty for a digest alone.

    Both places are without tag or digest. `origin` is what the image is called at the source.
    """

    source: Ref
    reference: str
    target: Ref
    name: str
    origin: str

    def named_target(self) -> Ref:
        """The target with the name that the image gets there, or with its digest."""
        if self.name:
            return replace(self.target, name=self.name)
        return replace(self.target, digest=self.reference)


def pairs(words: Sequence[str], selection: Selection | None) -> list[Pair]:
    """SOURCE TARGET, again and again, or SOURCE=TARGET; `NotCopied` says what is wrong."""
    parts: list[str] = []
    for word in words:
        source, equals, target = word.partition("=")
        parts += [source, target] if equals and source and target else [word]
    if not parts or len(parts) % 2:
        raise NotCopied("say a source and a target, and another target for each other source")
    found = [
        _pair(source, target, selection)
        for source, target in zip(parts[::2], parts[1::2], strict=True)
    ]
    return [replace(each, whole_names=_is_shared(each, found)) for each in found]


def lines(text: str) -> list[str]:
    """The words of a list of sources and targets; `#` begins a comment."""
    words: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.partition("#")[0].replace("=", " ").split()
        if len(parts) not in (0, 2):
            raise NotCopied(f"line {number} of the list: a source and a target, nothing else")
        words += parts
    return words


def plan(pair: Pair, tags: Sequence[str] = ()) -> list[Planned]:
    """The images of a pair; `tags` are those of the source, if it `asks_for_tags`."""
    if pair.selection is not None:
        return plan_tags(pair, pair.selection.choose(tags))
    if pair.source.reference:
        return [_planned(pair, pair.source.reference)]
    chosen = Selection().choose(tags)
    if len(chosen) != 1:
        some = f"{len(chosen)} images ({', '.join(chosen[:5])})" if chosen else "no image"
        raise NotCopied(f"{pair.source} has {some}: say which one, or --all-tags")
    return [_planned(pair, chosen[0])]


def plan_tags(pair: Pair, tags: Iterable[str]) -> list[Planned]:
    """These tags of the source."""
    return [_planned(pair, each) for each in tags]


def check(planned: Sequence[Planned]) -> None:
    """`NotCopied` where two images would get one name."""
    taken: dict[tuple[Ref, str], Planned] = {}
    for each in planned:
        other = taken.setdefault((each.target, each.name), each)
        if each.name and (other.source, other.reference) != (each.source, each.reference):
            named = each.named_target()
            raise NotCopied(f"{other.origin} and {each.origin} would both be {named}")


def _pair(source: str, target: str, selection: Selection | None) -> Pair:
    pair = Pair(parse_ref(source), parse_ref(target), selection)
    if pair.source.is_prefix:
        raise NotCopied(f"{source!r}: say which repository")
    if selection is not None:
        for text, ref in ((source, pair.source), (target, pair.target)):
            if ref.reference:
                raise NotCopied(f"{text!r} names one image, but many tags are asked for")
        return pair
    if not pair.source.reference and pair.source.transport == REGISTRY:
        pair = replace(pair, source=replace(pair.source, name="latest"))
    if pair.target.digest not in ("", pair.source.digest):
        raise NotCopied(f"{target!r} has a digest: name the same one at the source")
    return pair


def _is_shared(pair: Pair, found: Sequence[Pair]) -> bool:
    """Whether a layout gets images of more than one repository under names of our choice."""
    if pair.target.transport == REGISTRY or pair.target.name:
        return False
    return any(
        other.target.place == pair.target.place
        and not other.target.name
        and other.source.place != pair.source.place
        for other in found
    )


def _planned(pair: Pair, reference: str) -> Planned:
    source = pair.source.place
    if source.transport == REGISTRY:
        origin = source.location.at(reference)
    elif repository_of(reference):
        origin = reference
    else:
        origin = str(replace(source, name=reference))
    target = pair.target.place
    if target.is_prefix:
        target = replace(target, location=_under(target.location, pair, reference))
    name = pair.target.name or _name(pair, reference, origin)
    return Planned(source, reference, target, name, origin)


def _name(pair: Pair, reference: str, origin: str) -> str:
    """What the target calls an image for which nobody said a name."""
    if is_digest(reference):
        return "" if pair.target.digest else pair.source.name
    if pair.target.transport != REGISTRY:
        if pair.whole_names and pair.source.transport == REGISTRY:
            return origin
        return reference
    tag = tag_of(reference)
    if not tag:
        raise NotCopied(f"{origin} has no tag that a registry could have: say one at the target")
    return tag


def _under(prefix: Location, pair: Pair, reference: str) -> Location:
    """The repository below a prefix for a source's repository."""
    if pair.source.transport == REGISTRY:
        repository = pair.source.location.repository
    else:
        repository = repository_of(reference)
    if not repository:
        raise NotCopied(
            f"{pair.source} does not say of which repository {reference!r} is:"
            " name the target in full"
        )
    found = Location(prefix.host, prefix.repository + flattened(repository))
    if len(found.repository) > NAME_LIMIT:
        raise NotCopied(f"{found} is longer than any repository's name")
    return found
