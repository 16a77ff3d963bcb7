"""Sources and targets as people write them. Values only.

    [docker://]HOST/REPOSITORY[:TAG][@DIGEST]     a repository of a registry
    docker://HOST/PROJECT/                        as a target: one repository for each source
    oci:DIRECTORY[:NAME]  oci:DIRECTORY@DIGEST    a layout in a directory
    oci-archive:FILE[:NAME]                       a layout in a tar archive

A path ends at its first colon, as other programs read it, so that a name may have some.
"""

from dataclasses import dataclass, replace

from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.oci.digest import Digest
from tidegate.oci.errors import OciError
from tidegate.oci.name import Tag
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid
from tidegate.remote.location import Location

REGISTRY, DIRECTORY, ARCHIVE = "docker", "oci", "oci-archive"


@dataclass(frozen=True, slots=True)
class Ref:
    """One side of a copy.

    `name` is the tag, or what a layout calls the image; `digest` is one that was written. A target
    whose `location` has a repository that ends with a slash is a place for many.
    """

    transport: str
    location: Location = Location("", "")  # noqa: RUF009  immutable
    path: str = ""
    name: str = ""
    digest: str = ""

    @property
    def place(self) -> "Ref":
        """The repository or layout alone."""
        return replace(self, name="", digest="")

    @property
    def is_prefix(self) -> bool:
        """Whether it is the beginning of repositories' names."""
        return self.location.repository.endswith("/")

    @property
    def reference(self) -> str:
        """What to ask the place for; empty where neither tag nor digest was written."""
        return self.digest or self.name

    def __str__(self) -> str:
        """As people write it."""
        where = f"//{self.location}" if self.transport == REGISTRY else self.path
        named = f":{self.name}" if self.name else ""
        return f"{self.transport}:{where}{named}{f'@{self.digest}' if self.digest else ''}"


def parse_ref(text: str) -> Ref:
    """Read a source or a target; `NotCopied` says what is wrong with it."""
    transport, colon, rest = text.partition(":")
    if colon and transport in (DIRECTORY, ARCHIVE):
        return _layout(text, transport, rest)
    if "://" in text and transport != REGISTRY:
        raise NotCopied(f"{text!r}: write docker://HOST/REPOSITORY, oci:DIR or oci-archive:FILE")
    written = text.removeprefix("docker://")
    is_prefix = written.endswith("/")
    try:
        spec = PullSpec.parse(written.removesuffix("/"))
    except PullSpecInvalid as error:
        raise NotCopied(f"{text!r}: {error}") from error
    if is_prefix:
        return _prefix(text, written.removesuffix("/"))
    if not spec.name:
        raise NotCopied(f"{text!r} names a registry, but no repository in it")
    if spec.id:
        _digest(text, spec.id)
    return Ref(REGISTRY, Location.of(spec), name=spec.tag, digest=spec.id)


def _prefix(text: str, written: str) -> Ref:
    host, slash, path = written.partition("/")
    if not slash or ":" in path or "@" in path:
        raise NotCopied(f"{text!r}: write docker://HOST/PROJECT/ for a place for many repositories")
    return Ref(REGISTRY, Location(host.lower(), f"{path}/"))


def _layout(text: str, transport: str, rest: str) -> Ref:
    path, colon, name = rest.partition(":")
    digest = ""
    if not colon or "@" in path:
        path, at, digest = rest.partition("@")
        name = ""
        if at:
            _digest(text, digest)
    if not path:
        raise NotCopied(f"{text!r} names no file")
    return Ref(transport, path=path, name=name, digest=digest)


def _digest(text: str, digest: str) -> None:
    try:
        Digest.parse(digest)
    except OciError as error:
        raise NotCopied(f"{text!r}: {error}") from error


def is_tag(name: str) -> bool:
    """Whether a registry could have this as a tag."""
    try:
        Tag.parse(name)
    except OciError:
        return False
    return True


def tag_of(name: str) -> str:
    """The tag in what a layout calls an image: the name itself, or that of a whole reference."""
    if is_tag(name):
        return name
    try:
        return PullSpec.parse(name).tag
    except PullSpecInvalid:
        return ""


def repository_of(name: str) -> str:
    """The repository in a whole reference, without its registry; empty for a mere tag."""
    try:
        spec = PullSpec.parse(name)
    except PullSpecInvalid:
        return ""
    if not spec.namespace and not spec.registry and not spec.tag:
        return ""
    return spec.repository_name()


def flattened(repository: str) -> str:
    """A repository's name as that of one stream: `library/nginx` is `library.nginx`."""
    return repository.replace("/", ".")
