"""`POST /admission/<secret>/workloads`: what an API server asks before it stores an object.

API servers seldom log in to webhooks, so the path carries a secret that only the cluster's
configuration has. Without it there is nothing here, not even a hint. A failure of ours is answered
as one, so that the `failurePolicy` of the cluster's configuration decides, not we.
"""

import asyncio
import hmac
from collections.abc import Collection

from tidegate.apimachinery.decoding.decoder import BODY_LIMIT
from tidegate.apimachinery.errors import RequestTooLarge
from tidegate.apimachinery.http.request import Receive, Request, Scope, Send
from tidegate.apimachinery.http.response import Answer, json_answer, write
from tidegate.images.admission.decision import NamespaceAnnotations, decide
from tidegate.images.admission.resolution import StreamLookup
from tidegate.images.admission.review import ReviewInvalid, answer_review, read_review
from tidegate.images.admission.workloads import WorkloadInvalid
from tidegate.metastore.errors import MetastoreError
from tidegate.wire.errors import BodyStalled, ClientGone

PREFIX = "/admission/"
"""What the front hands to `AdmissionWebhook`."""

REVIEW_LIMIT = 2 * BODY_LIMIT + 1024 * 1024
"""Bytes of a review: the object, what it was before, and what is said about them."""

DEADLINE = 8.0
"""Seconds for all of a request; the documented manifest lets the API server wait 10."""


class AdmissionWebhook:
    """Serves what is under `PREFIX`."""

    def __init__(
        self,
        streams: StreamLookup,
        annotations: NamespaceAnnotations,
        secret: str,
        internal_hosts: Collection[str],
    ) -> None:
        """`internal_hosts` are the HOST[:PORT] by which pods know the registry."""
        self._streams = streams
        self._annotations = annotations
        self._path = f"{PREFIX}{secret}/workloads".encode() if secret else b""
        self._hosts = frozenset(internal_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            async with asyncio.timeout(DEADLINE):
                answer = await self._answer(request)
        except (ReviewInvalid, WorkloadInvalid) as error:
            answer = _text(400, str(error))
        except RequestTooLarge as error:
            answer = _text(413, str(error))
        except BodyStalled:
            answer = _text(408, "the body did not come")
        except TimeoutError:
            answer = _text(504, "there was no verdict in time")
        except MetastoreError:
            answer = _text(503, "the metadata database does not answer")
        except ClientGone:
            return
        await write(answer, request.method, receive, send)

    async def _answer(self, request: Request) -> Answer:
        if not self._path or not hmac.compare_digest(request.path.encode(), self._path):
            return _text(404, "not found")
        if request.method != "POST":
            answer = _text(405, "method not allowed")
            answer.headers.append((b"allow", b"POST"))
            return answer
        review = read_review(await request.body(REVIEW_LIMIT))
        verdict = await decide(review.request, self._streams, self._annotations, self._hosts)
        return json_answer(200, answer_review(review, verdict))


def _text(status: int, text: str) -> Answer:
    return Answer(status, text.encode("utf-8", "replace"), "text/plain; charset=utf-8")
