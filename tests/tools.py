"""The programs that the tests drive as black boxes: where they are, and the one way to run them.

A missing program skips the test that needs it and says so; with TIDEGATE_NO_SKIP=1, as in CI, it
fails the test instead, so that a run cannot be green because nothing was tried.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
INSTALLED = PROJECT / ".tools" / "bin"  # what .ci/install put there
SEARCH_PATH = os.pathsep.join((str(INSTALLED), os.environ["PATH"], "/usr/sbin", "/sbin"))
"""What is pinned comes first: a machine may have a kubectl, say, of some other version."""


def unavailable(reason: str) -> None:
    """Skip the test, or fail it where nothing may be skipped."""
    if os.environ.get("TIDEGATE_NO_SKIP") == "1":
        pytest.fail(f"{reason}, and TIDEGATE_NO_SKIP=1", pytrace=False)
    pytest.skip(reason)


def require(program: str) -> str:
    """The path of a program from .tools/bin or PATH."""
    path = shutil.which(program, path=SEARCH_PATH)
    if path is None:
        unavailable(f"{program} is not installed (see .ci/install)")
    assert path is not None
    return path


@dataclass(frozen=True)
class Outcome:
    """What a finished command said."""

    command: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"$ {' '.join(self.command)}\n[exit {self.code}]\n{self.stdout}{self.stderr}"


def run(
    *command: str | Path,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    directory: Path | None = None,
    seconds: float = 180,
) -> Outcome:
    """Run a command to its end, whatever its exit status; `environment` is added to ours."""
    words = tuple(str(word) for word in command)
    finished = subprocess.run(
        words,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PATH": SEARCH_PATH, "NO_PROXY": "127.0.0.1", **(environment or {})},
        cwd=directory,
        timeout=seconds,
        check=False,
    )
    return Outcome(words, finished.returncode, finished.stdout, finished.stderr)


def must(
    *command: str | Path,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    directory: Path | None = None,
    seconds: float = 180,
) -> str:
    """Standard output of a command that has to succeed."""
    outcome = run(
        *command, environment=environment, stdin=stdin, directory=directory, seconds=seconds
    )
    assert outcome.code == 0, str(outcome)
    return outcome.stdout


@dataclass(frozen=True)
class Program:
    """A command line client in a home of its own: call it, or `attempt` what may fail."""

    path: str
    environment: Mapping[str, str]
    options: tuple[str, ...] = ()  # said before every subcommand

    def __call__(self, *words: str | Path, stdin: str = "", directory: Path | None = None) -> str:
        return must(
            *(self.path, *self.options, *words),
            environment=self.environment,
            stdin=stdin,
            directory=directory,
        )

    def attempt(self, *words: str | Path, stdin: str = "") -> Outcome:
        return run(self.path, *self.options, *words, environment=self.environment, stdin=stdin)
