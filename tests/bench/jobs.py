"""What a client process is told to do, and what it tells afterwards. Values only."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What each client does over and over until the time is up."""

    GET = "get"
    HEAD = "head"
    PUSH = "push"  # a blob: POST, then PUT with Content-Length
    PUSH_CHUNKED = "push chunked"  # a blob: POST, PATCH in chunked encoding, PUT
    IMAGE = "image"  # two small blobs, each asked for before it is pushed, and a manifest
    TAG = "tag"  # a new manifest under a new tag


@dataclass(frozen=True)
class Job:
    """Load on one server."""

    kind: Kind
    port: int
    clients: int
    seconds: float  # no request begins later; GET stops there, even within a response
    tls: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()  # for GET and HEAD, one after the other
    repository: str = ""  # for what pushes
    small: bool = False  # GET: the answers are so small that wrk is the cheaper client
    size: int = 0  # of a pushed blob
    content: str = ""  # the file that pushed blobs are taken from
    framed: str = ""  # the same, in the framing of chunked encoding
    manifest: str = ""  # for TAG: JSON to which an annotation is added


@dataclass(frozen=True)
class Outcome:
    """What came of it. Latencies are in seconds, of whole requests or pushes only."""

    requests: int
    received: int  # bytes of bodies
    sent: int
    seconds: float
    median: float
    p99: float
    client_seconds: float  # processor time of the client
    cipher: str = ""
