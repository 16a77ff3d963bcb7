"""`tidegate mirror`: copy images with all that belongs to them, between registries and files.

Exit status: 0 everything is at the target, 1 something was not copied, 2 nothing could begin.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate import __version__
from tidegate.cli.client.session import session_file
from tidegate.cli.mirror_places import Places
from tidegate.cli.mirror_report import Report
from tidegate.cli.refusal import Refused
from tidegate.cli.registry_logins import LoginFiles, keyring, rules
from tidegate.delivery.layout.archive import open_archive
from tidegate.delivery.layout.directory import open_directory
from tidegate.delivery.layout.errors import LayoutError
from tidegate.delivery.mirrors import planning, receipt
from tidegate.delivery.mirrors.closure import Wanted
from tidegate.delivery.mirrors.copying import PARALLEL, Copier, Order
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.planning import Pair, Planned
from tidegate.delivery.mirrors.platforms import check_platform
from tidegate.delivery.mirrors.receipt import Known, Outcome
from tidegate.delivery.mirrors.references import ARCHIVE, REGISTRY
from tidegate.delivery.mirrors.running import run
from tidegate.delivery.mirrors.selection import Selection, left_over
from tidegate.delivery.mirrors.sessions import SessionFile
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.budgets import NoBudgets
from tidegate.remote.errors import RemoteError
from tidegate.remote.gateway import Gateway, Urgency

_MANY = 64  # blobs at once, at most


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done, read from the command line."""

    pairs: list[Pair]
    everything: bool
    wanted: Wanted
    known: Known | None
    verify: bool
    dry_run: bool
    parallel: int
    as_json: bool
    receipt: Path | None
    logins: LoginFiles
    insecure: Sequence[str]
    authorities: Sequence[str]


def mirror(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE TARGET...",
            help="docker://HOST/REPOSITORY:TAG (docker:// may be left out) or @DIGEST, "
            "oci:DIRECTORY:NAME, oci-archive:FILE:NAME; docker://HOST/PROJECT/ as a target "
            "puts each repository below it",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="list of sources and targets; - is stdin")
    ] = None,
    all_tags: Annotated[
        bool, typer.Option("--all-tags", "-a", help="the whole repository or layout")
    ] = False,
    tags: Annotated[
        list[str] | None, typer.Option("--tags", help="tags that are like this: 'v1.*'; repeatable")
    ] = None,
    versions: Annotated[
        str, typer.Option("--versions", help="tags that are versions in this range: '>=1.4 <2'")
    ] = "",
    platforms: Annotated[
        list[str] | None, typer.Option("--platform", help="linux/amd64; repeatable (all)")
    ] = None,
    no_referrers: Annotated[
        bool, typer.Option("--no-referrers", help="leave signatures, SBOMs and the like behind")
    ] = False,
    delta_from: Annotated[
        Path | None,
        typer.Option(
            "--delta-from", help="leave out what this receipt, layout or archive has already"
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="read every byte at the target again")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="say what would be copied, and how much")
    ] = False,
    parallel: Annotated[
        int, typer.Option("--parallel", "-p", min=1, max=_MANY, help="blobs sent at once")
    ] = PARALLEL,
    receipt_file: Annotated[
        Path | None,
        typer.Option("--receipt", help="write the receipt here (ARCHIVE.receipt.json)"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the receipt")] = False,
    authfile: Annotated[
        Path | None,
        typer.Option(
            envvar="REGISTRY_AUTH_FILE",
            show_envvar=False,
            help="file with logins to registries (those of podman and docker)",
        ),
    ] = None,
    insecure: Annotated[
        list[str] | None,
        typer.Option(help="HOST[:PORT] without TLS, or whoever answers; repeatable"),
    ] = None,
    ca: Annotated[
        list[str] | None,
        typer.Option(help="certificates to believe, PEM: FILE, or HOST=FILE; repeatable"),
    ] = None,
    runtime_directory: Annotated[
        Path | None, typer.Option(envvar="XDG_RUNTIME_DIR", hidden=True)
    ] = None,
    config_directory: Annotated[
        Path | None, typer.Option(envvar="XDG_CONFIG_HOME", hidden=True)
    ] = None,
    docker_directory: Annotated[
        Path | None, typer.Option(envvar="DOCKER_CONFIG", hidden=True)
    ] = None,
) -> None:
    """Copy images with all that belongs to them, between registries and files."""
    try:
        wish = Wish(
            pairs=planning.pairs(
                _words(words or [], file),
                Selection.of(tags or [], versions) if all_tags or tags or versions else None,
            ),
            everything=all_tags and not tags and not versions,
            wanted=Wanted(_platforms(platforms or []), referrers=not no_referrers),
            known=_known(delta_from),
            verify=verify,
            dry_run=dry_run,
            parallel=parallel,
            as_json=as_json,
            receipt=receipt_file,
            logins=LoginFiles(authfile, runtime_directory, config_directory, docker_directory),
            insecure=insecure or (),
            authorities=ca or (),
        )
        if wish.known and any(each.target.transport == REGISTRY for each in wish.pairs):
            raise Refused("--delta-from goes with layouts and archives: registries are asked")
        outcomes = asyncio.run(_mirror(wish))
    except (NotCopied, LayoutError, RemoteError) as error:
        raise Refused(str(error)) from error
    raise typer.Exit(1 if any(each.error for each in outcomes) else 0)


def _words(words: list[str], file: Path | None) -> list[str]:
    if file is None:
        return words
    if words:
        raise Refused("sources and targets on the command line, or in a file, not both")
    try:
        return planning.lines(sys.stdin.read() if str(file) == "-" else file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file}: {error}") from error


def _platforms(platforms: list[str]) -> list[str]:
    for each in platforms:
        check_platform(each)
    return platforms


def _known(path: Path | None) -> Known | None:
    """What the reader of the target has by an earlier run."""
    if path is None:
        return None
    if path.is_dir():
        return Known("", frozenset(open_directory(str(path)).digests()))
    try:
        with path.open("rb") as file:
            is_receipt = file.read(1) == b"{"
            content = b"{" + file.read(receipt.RECEIPT_LIMIT) if is_receipt else b""
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    if is_receipt:
        return receipt.known_by(content, str(path))
    archive = open_archive(str(path))
    try:
        return Known("", frozenset(archive.digests()))
    finally:
        archive.close()


async def _mirror(wish: Wish) -> list[Outcome]:
    """Do it, and tell of it."""
    hosts = _hosts(wish.pairs)
    trust = rules(hosts, wish.insecure, wish.authorities)
    # a person on her own machine may call whatever she can reach anyway
    gateway = Gateway(lambda: trust, AddressPolicy(allow_private=True), NoBudgets())
    logins = keyring(wish.logins, hosts)
    places = Places(
        reading=gateway.registries(logins, urgency=Urgency.BACKGROUND),
        writing=gateway.registries(logins, urgency=Urgency.BACKGROUND, mirrors=False),
        sessions=SessionFile(str(session_file().with_name("uploads.json"))),
        assumed=wish.known.digests if wish.known else frozenset(),
        dry_run=wish.dry_run,
    )
    try:
        return await _Mirroring(wish, places).run()
    finally:
        places.close()
        await gateway.close()


class _Mirroring:
    """One run of the command."""

    def __init__(self, wish: Wish, places: Places) -> None:
        self._wish = wish
        self._places = places
        self._report = Report(dry_run=wish.dry_run, quiet=wish.as_json)
        self._copier = Copier(
            wish.wanted,
            self._report,
            assumed=places.assumed,
            verify=wish.verify,
            dry_run=wish.dry_run,
            parallel=wish.parallel,
        )

    async def run(self) -> list[Outcome]:
        started = time.time()
        planned: list[tuple[Planned, frozenset[str] | None]] = []
        listed: list[tuple[Pair, list[str]]] = []
        for pair in self._wish.pairs:
            tags: list[str] = []
            if pair.asks_for_tags:
                tags = await self._places.source(pair.source.place).tags()
                listed.append((pair, tags))
            known = frozenset(tags) if pair.selection is not None else None
            planned += [(each, known) for each in planning.plan(pair, tags)]
        planning.check([each for each, _ in planned])
        with self._report.running():
            outcomes = await self._copy(planned)
            if self._wish.everything:
                outcomes += await self._rest(listed, outcomes)
        if not self._wish.dry_run and not any(each.error for each in outcomes):
            await self._places.finish()
        self._tell(outcomes, started)
        return outcomes

    async def _copy(
        self, planned: Sequence[tuple[Planned, frozenset[str] | None]]
    ) -> list[Outcome]:
        orders = [
            (
                Order(
                    self._places.source(each.source),
                    each.reference,
                    self._places.target(each.target),
                    each.name,
                    each.origin,
                    tags,
                ),
                str(each.named_target()),
            )
            for each, tags in planned
        ]
        return await run(self._copier, orders, self._report.done)

    async def _rest(
        self, listed: Sequence[tuple[Pair, list[str]]], outcomes: Sequence[Outcome]
    ) -> list[Outcome]:
        """Of whole repositories also the signatures and lists whose image has no tag any more."""
        copied = {
            piece.digest
            for each in outcomes
            if each.copied is not None
            for piece in each.copied.manifests
        }
        planned = [
            (each, frozenset[str]())
            for pair, tags in listed
            if pair.selection is not None
            for each in planning.plan_tags(pair, left_over(tags, copied))
        ]
        return await self._copy(planned)

    def _tell(self, outcomes: list[Outcome], started: float) -> None:
        wish = self._wish
        run = receipt.Run(
            f"tidegate {__version__}",
            rfc3339_seconds(started),
            rfc3339_seconds(time.time()),
            wish.known.receipt if wish.known else "",
        )
        document = receipt.receipt(run, outcomes)
        written = ""
        failed = any(each.error for each in outcomes)
        archives = any(each.target.transport == ARCHIVE for each in wish.pairs)
        # of an archive that is not there nobody is to think that the site has it
        is_due = not wish.dry_run and not (failed and archives)
        if is_due and (path := self._receipt_file()) is not None:
            _write(path, document)
            written = str(path)
        if wish.as_json:
            typer.echo(json.dumps(document, indent=2))
        self._report.end(outcomes, written)

    def _receipt_file(self) -> Path | None:
        """Where the receipt goes: an archive has its own beside it."""
        if self._wish.receipt is not None:
            return self._wish.receipt
        archives = {
            each.target.path for each in self._wish.pairs if each.target.transport == ARCHIVE
        }
        if len(archives) != 1:
            return None
        return Path(f"{archives.pop()}.receipt.json")


def _hosts(pairs: Sequence[Pair]) -> tuple[str, ...]:
    found = (ref.location.host for each in pairs for ref in (each.source, each.target)
             if ref.transport == REGISTRY)  # fmt: skip
    return tuple(dict.fromkeys(found))


def _write(path: Path, document: dict[str, Any]) -> None:
    try:
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        beside.replace(path)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
