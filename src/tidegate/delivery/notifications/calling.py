"""Posts a message to its receiver, signed, and says what the answer means."""

from dataclasses import dataclass
from typing import Protocol

from tidegate.delivery.notifications import signing
from tidegate.delivery.notifications.credentials import AUTHORIZATION_KEY, SECRET_KEY
from tidegate.delivery.notifications.messages import CLOUD_EVENT_TYPE, DOCKER_TYPE
from tidegate.delivery.notifications.retrying import Verdict, judge
from tidegate.kinds.event_subscription import DOCKER, EventSubscriptionSpec
from tidegate.remote.errors import RemoteError
from tidegate.remote.web import WebAnswer

ANSWER_LIMIT = 64 * 1024
PATIENCE = 10.0
"""Seconds of a call from its begin to the last byte of the answer."""


class Calls(Protocol):
    """What makes the calls: `remote.web.Web`."""

    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes,
        *,
        limit: int,
        patience: float,
    ) -> WebAnswer: ...


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where the events of a subscription go; `secrets` are the values of its Secret."""

    calls: Calls
    spec: EventSubscriptionSpec
    secrets: dict[str, bytes]

    async def send(self, message: str, body: bytes, now: float) -> Verdict:
        """Post a message of this id once; what came of it."""
        spec, secrets = self.spec, self.secrets
        headers = {"Content-Type": DOCKER_TYPE if spec.format == DOCKER else CLOUD_EVENT_TYPE}
        if SECRET_KEY in secrets:
            headers |= signing.headers(secrets[SECRET_KEY], message, now, body)
        if AUTHORIZATION_KEY in secrets:
            headers["Authorization"] = secrets[AUTHORIZATION_KEY].decode("latin-1")
        try:
            answer = await self.calls.request(
                "POST", spec.url, headers, body, limit=ANSWER_LIMIT, patience=PATIENCE
            )
        except RemoteError as error:
            return Verdict(error=str(error))
        return judge(answer.status, answer.headers.get("retry-after", ""), now)
