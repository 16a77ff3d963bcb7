"""`tidegate tag`: set and delete tags as `oc tag` does; their history, and the ways back in it."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import typer

from tidegate.cli.client.api import Api, StatusFailed, connect, namespaced, project_of
from tidegate.cli.client.get import Project
from tidegate.cli.client.references import (
    DOCKER,
    STREAM_IMAGE,
    STREAM_TAG,
    Source,
    StreamTag,
    check_tag,
    parse_source,
    parse_stream_tag,
    rollback_target,
)
from tidegate.cli.client.shapes import at, entries, number, text
from tidegate.cli.client.tables import as_json, as_yaml, printable, show
from tidegate.cli.lazy import FallbackGroup
from tidegate.cli.refusal import Failed, Refused
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid

_VERSION = "image.openshift.io/v1"
_ATTEMPTS = 5  # when somebody else changes the stream meanwhile
_PAGE = 500


class TagGroup(FallbackGroup):
    """`tidegate tag web:1 web:prod` needs no name of a command."""

    fallback: ClassVar[str] = "set"


tag = typer.Typer(
    cls=TagGroup, help="Tags of image streams: set, history, rollback.", no_args_is_help=True
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a tag is to follow its source."""

    alias: bool
    reference: bool
    scheduled: bool
    insecure: bool
    policy: str
    import_mode: str


@tag.command("set")
def set_tags(
    words: Annotated[
        list[str], typer.Argument(metavar="SOURCE DESTINATION...", help="or with -d the tags")
    ],
    source: Annotated[
        str | None, typer.Option(help="what SOURCE is: istag, isimage or docker [guessed]")
    ] = None,
    alias: Annotated[
        bool, typer.Option("--alias", help="follow the source tag, of the same stream")
    ] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="note the source and copy nothing")
    ] = False,
    scheduled: Annotated[
        bool, typer.Option("--scheduled", help="look for a new image again and again")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="import without TLS, or without checking it")
    ] = False,
    reference_policy: Annotated[
        Literal["source", "local"], typer.Option(help="where users of the tag pull from")
    ] = "source",
    import_mode: Annotated[
        Literal["Legacy", "PreserveOriginal"],
        typer.Option(help="one image of a list, or all of them"),
    ] = "Legacy",
    delete: Annotated[bool, typer.Option("--delete", "-d", help="delete the tags")] = False,
    namespace: Project = None,
) -> None:
    """Set tags to what a source is now; the word `set` may be left out."""
    with connect() as api:
        project = project_of(api, namespace, words)
        if delete:
            if source or alias or scheduled or insecure:
                raise Refused("--delete goes with no other choice")
            for word in words:
                _delete(api, parse_stream_tag(word, project))
            return
        if len(words) < 2:
            raise Refused("say a source and at least one destination, or -d and the tags")
        wishes = Wishes(alias, reference, scheduled, insecure, reference_policy, import_mode)
        targets = [parse_stream_tag(word, project) for word in words[1:]]
        written = parse_source(words[0], source)
        for target in targets:
            check_tag(target.tag)
        _check(wishes, written, targets, project)
        found = written if alias else _resolved(api, written, project)
        _check(wishes, found, targets, project)
        for target in targets:
            _set(api, target, spec_tag(target, found, wishes, project))
            place = (
                target.name if target.namespace == project else f"{target.namespace}/{target.name}"
            )
            verb = "set up to track" if alias else "set to import" if scheduled else "set to"
            ending = " periodically." if scheduled else "."
            typer.echo(f"Tag {place} {verb} {found.written()}{ending}")


@tag.command()
def history(
    name: Annotated[str, typer.Argument(metavar="[PROJECT/]STREAM:TAG")],
    limit: Annotated[int, typer.Option(min=1, help="changes to print, the newest")] = 50,
    all_events: Annotated[bool, typer.Option("--all", help="print every change")] = False,
    output: Annotated[
        Literal["json", "yaml", "wide"] | None, typer.Option("--output", "-o", help="the form")
    ] = None,
    namespace: Project = None,
) -> None:
    """Print every change of a tag, the newest first: when, what, how and who."""
    with connect() as api:
        target = parse_stream_tag(name, project_of(api, namespace, [name]))
        events, more = _events(api, target, None if all_events else limit)
    if output in ("json", "yaml"):
        whole = {
            "kind": "TagHistory",
            "apiVersion": _VERSION,
            "metadata": {"name": target.name, "namespace": target.namespace},
            "items": events,
        }
        typer.echo(as_json(whole) if output == "json" else as_yaml(whole))
    else:
        columns, rows = history_table(events, wide=output == "wide")
        show(columns, rows)
    if more:
        typer.echo("There are older changes: --limit, or --all.", err=True)


@tag.command()
def rollback(
    name: Annotated[str, typer.Argument(metavar="[PROJECT/]STREAM:TAG")],
    to: Annotated[
        str | None,
        typer.Option(help="number in the history, digest, or time [the one before]"),
    ] = None,
    namespace: Project = None,
) -> None:
    """Set a tag to what it was before; the history goes on."""
    body: dict[str, Any] = {"kind": "TagRollback", "apiVersion": _VERSION}
    if to is not None:
        body["to"] = rollback_target(to)
    with connect() as api:
        target = parse_stream_tag(name, project_of(api, namespace, [name]))
        answer = api.send("POST", _path(target, "rollback"), body)
    typer.echo(f"Tag {target.name} rolled back to {_image(answer)}.")


@tag.command()
def undelete(
    name: Annotated[str, typer.Argument(metavar="[PROJECT/]STREAM[:TAG]")],
    namespace: Project = None,
) -> None:
    """Bring back a deleted tag, or a deleted stream with its tags."""
    body = {"kind": "TagUndelete", "apiVersion": _VERSION}
    with connect() as api:
        target = parse_stream_tag(name, project_of(api, namespace, [name]), tag_required=False)
        if target.tag:
            answer = api.send("POST", _path(target, "undelete"), body)
            typer.echo(f"Tag {target.name} is back at {_image(answer)}.")
        else:
            path = namespaced(target.namespace, "imagestreams", target.stream, "undelete")
            api.send("POST", path, {})
            typer.echo(f"Image stream {target.stream} is back.")


def spec_tag(target: StreamTag, source: Source, wishes: Wishes, project: str) -> dict[str, Any]:
    """The ImageStreamTag that sets a tag, as `oc tag` sends it."""
    origin: dict[str, Any] = {"kind": source.kind, "name": source.named()}
    if source.kind != DOCKER:
        elsewhere = project if target.namespace != project else ""
        if space := source.spec.namespace or elsewhere:
            origin["namespace"] = space
    policy: dict[str, Any] = {"importMode": wishes.import_mode}
    policy |= {"scheduled": True} if wishes.scheduled else {}
    policy |= {"insecure": True} if wishes.insecure else {}
    return {
        "kind": "ImageStreamTag",
        "apiVersion": _VERSION,
        "metadata": {"name": target.name, "namespace": target.namespace},
        "tag": {
            "name": target.tag,
            "from": origin,
            "reference": wishes.reference,
            "importPolicy": policy,
            "referencePolicy": {"type": wishes.policy.capitalize()},
            "generation": 0 if source.kind == DOCKER else None,  # 0 asks for an import
        },
    }


def history_table(events: list[dict[str, Any]], *, wide: bool) -> tuple[list[str], list[list[str]]]:
    """The events as a table; the one that the tag points to has a star."""
    columns = ["", "NUMBER", "CREATED", "IMAGE", "HOW", "WHO", "FROM"]
    rows = []
    current = next((each for each in events if _names_something(each)), None)
    for event in events:
        how, image = text(event, "how"), text(event, "image")
        shown = image if wide else image[:19]  # sha256: and 12 characters
        rows.append(
            [
                "*" if event is current else "-" if at(event, "hidden") else "",
                str(number(event, "number")),
                printable(text(event, "created")),
                printable(shown or text(event, "dockerImageReference") or "<none>"),
                printable(how),
                printable(text(event, "who")),
                printable(text(event, "from")),
            ]
        )
    return columns, rows


def _names_something(event: dict[str, Any]) -> bool:
    """Whether a tag may point to what the event says; after an undelete that is an older event."""
    return text(event, "how") not in ("delete", "undelete") and not at(event, "hidden")


def _check(wishes: Wishes, source: Source, targets: list[StreamTag], project: str) -> None:
    if (wishes.scheduled or wishes.insecure) and wishes.alias:
        raise Refused("--alias, or choices of an import: not both")
    if (wishes.scheduled or wishes.insecure) and source.kind == STREAM_IMAGE:
        raise Refused("--scheduled and --insecure are for container images (--source=docker)")
    space = source.spec.namespace or project
    if wishes.alias and source.kind != DOCKER:
        for target in targets:
            if (target.namespace, target.stream) != (space, source.spec.name):
                raise Refused("cannot set alias across different Image Streams")


def _resolved(api: Api, source: Source, project: str) -> Source:
    """What a stream's tag points to now, for a copy that does not follow it."""
    if source.kind != STREAM_TAG:
        return source
    space = source.spec.namespace or project
    stream = api.get(namespaced(space, "imagestreams", source.spec.name))
    tagged = [
        entries(each, "items")
        for each in entries(stream, "status", "tags")
        if text(each, "tag") == source.spec.tag
    ]
    if not tagged or not tagged[0]:
        raise Failed(
            f'"{source.written()}" is not currently pointing to an image, '
            "cannot use it as the source of a tag"
        )
    newest = tagged[0][0]
    if image := text(newest, "image"):
        return Source(STREAM_IMAGE, replace(source.spec, tag="", id=image))
    try:
        return Source(DOCKER, PullSpec.parse(text(newest, "dockerImageReference")))
    except PullSpecInvalid as error:
        raise Failed(f"the tag {source.written()} has an invalid pull spec: {error}") from error


def _set(api: Api, target: StreamTag, body: dict[str, Any]) -> None:
    """Replace the tag whatever it was; make it where replacing makes none."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            api.send("PUT", _path(target), body)
        except StatusFailed as failure:
            if failure.code in (403, 404, 405):
                api.send("POST", namespaced(target.namespace, "imagestreamtags"), body)
            elif failure.code != 409 or attempt == _ATTEMPTS:
                raise
            else:
                continue
        return


def _delete(api: Api, target: StreamTag) -> None:
    api.send("DELETE", _path(target))
    typer.echo(f"Deleted tag {target.namespace}/{target.name}.")


def _events(api: Api, target: StreamTag, limit: int | None) -> tuple[list[dict[str, Any]], bool]:
    """The newest events, and whether there are more."""
    found: list[dict[str, Any]] = []
    following: str | None = None
    while limit is None or len(found) < limit:
        size = _PAGE if limit is None else min(_PAGE, limit - len(found))
        page = api.get(_path(target, "history"), limit=size, **{"continue": following})
        found += entries(page, "items")
        following = text(page, "metadata", "continue") or None
        if following is None:
            break
    return found, following is not None


def _path(target: StreamTag, *more: str) -> str:
    return namespaced(target.namespace, "imagestreamtags", target.name, *more)


def _image(stream_tag: dict[str, Any]) -> str:
    return printable(
        text(stream_tag, "image", "metadata", "name")
        or text(stream_tag, "image", "dockerImageReference")
        or "what it was"
    )
