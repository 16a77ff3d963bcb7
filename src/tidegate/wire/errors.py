"""What can go wrong between a client and the application.

Knows no registry. `ClientGone`, `BodyTooLarge` and `BodyStalled` reach the application;
`RequestRefused` stays in the room, which answers it by itself.
"""


class ClientGone(OSError):
    """The client closed or lost the connection, or broke the framing of its body.

    Everything that arrived before has been given to the sink. An `OSError`, as ASGI asks of a
    `send` on a closed connection.
    """


class AnswerBroken(ClientGone):
    """The application cannot give the rest of an answer: the connection ends before it, so that
    the client knows."""


class BodyTooLarge(Exception):
    """The request's body is longer than the limit the application set."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is longer than {limit} bytes")
        self.limit = limit


class BodyStalled(Exception):
    """The client sent nothing of the body for longer than the limit."""


class FileEnded(Exception):
    """The file that was being sent ended before the promised count."""


class RequestRefused(Exception):
    """The request breaks HTTP or a limit: answered with `status` and a short text, then closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
