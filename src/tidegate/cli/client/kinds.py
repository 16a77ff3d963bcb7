"""Which kind a word means on a server: `is`, `imagestreams`, `ImageStream`, `deployments.apps`.

What kinds there are is the server's to say (its discovery documents); nothing is built in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tidegate.cli.client.api import Api, segment
from tidegate.cli.client.shapes import at, entries, name_of, text, words
from tidegate.cli.client.tables import printable
from tidegate.cli.refusal import Failed

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of objects that a server has."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """The singular with its group, as `-o name` writes it before a slash."""
        return f"{self.singular}.{self.group}" if self.group else self.singular

    def path(self, namespace: str | None, name: str = "") -> str:
        """Where the objects are: of one namespace, or of all; and one of them."""
        words = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace is not None and self.namespaced:
            words += ["namespaces", segment(namespace)]
        words += [self.plural, *([segment(name)] if name else [])]
        return "/".join(words)

    def called(self, word: str) -> bool:
        """Whether the word, without regard to case, is one for this kind."""
        name, _, group = word.lower().partition(".")
        if group and group not in (self.group, f"{self.version}.{self.group}"):
            return False
        return name in (self.plural, self.singular, self.kind.lower(), *self.short_names)


def discover(api: Api) -> list[Kind]:
    """The kinds of the server, those of the core first."""
    return [kind for path in ("/api", "/apis") for kind in _kinds(api.get(path, _AGGREGATED))]


def find(kinds: Iterable[Kind], word: str) -> list[Kind]:
    """The kind that the word means, or those of the category that it names."""
    known = list(kinds)
    for kind in known:
        if kind.called(word):
            return [kind]
    found = [kind for kind in known if word.lower() in kind.categories and "list" in kind.verbs]
    if not found:
        raise Failed(f"the server has no kind {printable(word)!r}")
    return found


def _kinds(discovered: dict[str, Any]) -> Iterator[Kind]:
    for group in entries(discovered, "items"):
        for version in entries(group, "versions")[:1]:  # the preferred one is first
            for resource in entries(version, "resources"):
                plural, kind = text(resource, "resource"), text(resource, "responseKind", "kind")
                yield Kind(
                    name_of(group),
                    text(version, "version"),
                    plural,
                    text(resource, "singularResource") or kind.lower(),
                    kind,
                    at(resource, "scope") == "Namespaced",
                    tuple(words(resource, "shortNames")),
                    tuple(words(resource, "categories")),
                    tuple(words(resource, "verbs")),
                )
