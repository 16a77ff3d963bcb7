"""What stands in the way of a write to a stream, as the API answers it (image-api 4.1, 4.2, 11).

Clients look for the texts: what a tag or a limit is about comes as an internal error inside of
`Invalid`, as in the original, and a quota as `Forbidden`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tidegate.apimachinery.errors import (
    FieldError,
    Invalid,
    forbid,
    forbidden,
    invalid,
    invalid_object,
    not_found,
)
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.images.streams.errors import (
    LimitExceeded,
    QuotaExceeded,
    RegistryNotAllowed,
    SourceAmbiguous,
    SourceForbidden,
    SourceMissing,
    StreamRefused,
)
from tidegate.metastore.closures import ClosureTooLarge

FORM = "must be of the form <tag>, <repo>:<tag>, <id>, or <repo>@<id>"


def refused(stream: str, faults: Sequence[FieldError]) -> Invalid:
    """The refusal of what tags are to come from."""
    listed = ", ".join(map(str, faults))
    if len(faults) > 1:
        listed = f"[{listed}]"
    return _internal(stream, f'imagestreams "{stream}" is invalid: {listed}')


def _internal(stream: str, text: str) -> Invalid:
    fault = FieldError("InternalError", "", f"Internal error: {text}")
    return invalid_object(IMAGE_STREAMS.qualified_kind, stream, [fault])


def not_readable(tag: str, source: str) -> FieldError:
    """The writer may not pull from the stream of another namespace that a tag is to come from."""
    return forbidden(f"spec.tags[{tag}].from", f'{source}: "" ""')


@contextmanager
def answered(stream: str) -> Iterator[None]:
    """Turn what a project's rules refuse of a stream into the answer."""
    try:
        yield
    except QuotaExceeded as error:
        raise forbid(IMAGE_STREAMS.qualified, stream, str(error)) from error
    except LimitExceeded as error:
        text = f'imagestreams "{stream}" is forbidden: Forbidden: {error}'
        raise _internal(stream, text) from error
    except StreamRefused as error:
        fault = forbidden("metadata.name", str(error))
        raise invalid_object(IMAGE_STREAMS.qualified_kind, stream, [fault]) from error


@contextmanager
def answered_of_tag(stream: str, tag: str, source: str = "") -> Iterator[None]:
    """The same of one tag, which is to come from `source`."""
    path = f"spec.tags[{tag}]"
    try:
        yield
    except (QuotaExceeded, LimitExceeded):
        raise  # of the whole stream
    except SourceForbidden as error:
        raise refused(stream, [not_readable(tag, error.stream)]) from error
    except SourceMissing as error:
        raise refused(stream, [_missing(path, source, error)]) from error
    except (SourceAmbiguous, ClosureTooLarge) as error:
        fault = invalid(f"{path}.from.name", source, f"error generating tag event: {error}")
        raise refused(stream, [fault]) from error
    except RegistryNotAllowed as error:
        event = f"status.tags[{tag}].items[0].dockerImageReference"
        fault = forbidden(event, str(error))
        raise invalid_object(IMAGE_STREAMS.qualified_kind, stream, [fault]) from error
    except StreamRefused as error:
        fault = forbidden(path, str(error))
        raise invalid_object(IMAGE_STREAMS.qualified_kind, stream, [fault]) from error


def _missing(path: str, source: str, error: SourceMissing) -> FieldError:
    if "stream" in str(error):
        return not_found(f"{path}.from.name", source)
    return invalid(f"{path}.from.name", source, f"error generating tag event: {error}")
