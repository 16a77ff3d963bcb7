"""What is seen of a rollout: what its state follows from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.delivery.rollouts.traffic import Balance


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a gate showed: good, bad, or (None) nothing yet."""

    good: bool | None
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is seen: `image` is what the tag names, "" for nothing.

    `pending` are workloads of the steps so far that have not got it; `blocked` says that others
    than this rollout hold one of them back. `looks` are by gate. `refused` is why the tag cannot go
    back. `since` is from when on somebody looks: no deadline is over for that nobody did. `balance`
    is what is seen of the object that splits the traffic.
    """

    image: str
    pending: Sequence[str] = ()
    blocked: bool = False
    looks: Mapping[str, Look] = field(default_factory=dict)
    refused: str = ""
    since: float = 0.0
    balance: Balance = field(default_factory=Balance)
