"""Where uploads to other registries stand, for the process that comes after a killed one.

Addresses of upload sessions by repository and digest. They let whoever knows them write to an
upload, so a file of them is readable for its owner alone. A registry forgets sessions after a
while, and so is it here.
"""

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tidegate.oci.digest import Digest
from tidegate.remote.location import Location
from tidegate.remote.pushing import Session

KEPT_FOR = 24 * 3600.0
"""Seconds; most registries forget an upload sooner."""

_LIMIT = 1 << 20
"""Bytes of a file."""


class Sessions(Protocol):
    """Keeps the addresses of uploads."""

    def of(self, location: Location, digest: Digest) -> Session:
        """That of one blob on its way to a repository."""


class Notes:
    """Addresses in memory; `written` is what somebody else keeps of them, as text."""

    def __init__(self, written: str = "") -> None:
        self._addresses = _addresses(written)
        self.changed = False

    def of(self, location: Location, digest: Digest) -> Session:
        return _Noted(self, _key(location, digest))

    def written(self) -> str:
        """The addresses as text, as of now."""
        self.changed = False
        return json.dumps(self._addresses) if self._addresses else ""

    def recall(self, key: str) -> str:
        return self._addresses.get(key, "")

    def keep(self, key: str, address: str) -> None:
        if address:
            self._addresses[key] = address
        else:
            self._addresses.pop(key, None)
        self.changed = True


class SessionFile:
    """Addresses in a file that commands of one user share; without the file nothing is kept."""

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def of(self, location: Location, digest: Digest) -> Session:
        return _Noted(self, _key(location, digest))

    def recall(self, key: str) -> str:
        entry = self._read().get(key)
        return entry["address"] if entry else ""

    def keep(self, key: str, address: str) -> None:
        with contextlib.suppress(OSError), self._alone():
            entries = self._read()
            if address:
                entries[key] = {"address": address, "at": self._clock()}
            elif key not in entries:
                return
            else:
                del entries[key]
            self._replace(entries)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            with open(self._path, "rb") as file:
                entries = json.loads(file.read(_LIMIT))
        except (OSError, ValueError):
            return {}
        oldest = self._clock() - KEPT_FOR
        if not isinstance(entries, dict):
            return {}
        return {key: each for key, each in entries.items() if _is_entry(each, oldest)}

    def _replace(self, entries: Mapping[str, Any]) -> None:
        handle, beside = tempfile.mkstemp(dir=os.path.dirname(self._path))  # mode 0600
        try:
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(entries, file)
            os.replace(beside, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        directory = os.path.dirname(self._path)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


@dataclass(frozen=True, slots=True)
class _Noted:
    notes: Notes | SessionFile
    key: str

    def recall(self) -> str:
        return self.notes.recall(self.key)

    def keep(self, address: str) -> None:
        self.notes.keep(self.key, address)


def _key(location: Location, digest: Digest) -> str:
    return f"{location}@{digest}"


def _addresses(written: str) -> dict[str, str]:
    try:
        found = json.loads(written or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: each for key, each in found.items() if isinstance(each, str)}


def _is_entry(entry: object, oldest: float) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("address"), str):
        return False
    at = entry.get("at")
    return isinstance(at, int | float) and at > oldest
