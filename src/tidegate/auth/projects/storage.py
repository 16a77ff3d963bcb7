"""What serves namespaces, projects and requests for projects.

Projects are read from namespaces, shown to who may get them, and written back to namespaces, where
a member may change no more than what people read. Invariant: a project's Namespace, bindings and
service accounts are made together or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from tidegate.apimachinery.authorizer import Attributes, Authorizer
from tidegate.apimachinery.documents.bodies import decoded, restamped
from tidegate.apimachinery.documents.metadata import validate_metadata
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.documents.units import run
from tidegate.apimachinery.errors import (
    ApiError,
    FieldError,
    Forbidden,
    Qualified,
    exists_already,
    forbid,
    invalid_object,
)
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import (
    Call,
    Change,
    Deleted,
    DeleteOptions,
    ListOptions,
    Page,
    Updated,
    Watch,
    WatchOptions,
)
from tidegate.apimachinery.store import DocumentTransaction, ObjectStore
from tidegate.auth.projects.conversion import namespace_of, project_body, project_values
from tidegate.auth.projects.kinds import (
    DESCRIPTION,
    DISPLAY_NAME,
    GROUP,
    NAMESPACES,
    PROJECT,
    PROJECT_REQUESTS,
    PROJECTS,
    SYSTEM_NAMESPACES,
    Namespace,
    Project,
    ProjectRequest,
    may_go,
    project_name_fault,
    terminate,
)
from tidegate.auth.projects.provision import Provisioned, furnish, provision
from tidegate.auth.projects.sight import ProjectWatch, Sight
from tidegate.auth.serviceaccounts.signing_storage import SigningStorage
from tidegate.auth.serviceaccounts.tokens import ServiceAccountTokens, Signer

_RESERVED = ("openshift", "kubernetes", "kube")

_MAY_REQUEST = Attributes("create", "projectrequests", group=GROUP)

_NO_REQUESTS = "You may not request a new project via this API."
"""What `oc new-project` shows to who may not."""


def reserved_fault(name: str) -> str | None:
    """Why nobody may request a project of this name; None when it can be requested."""
    for each in _RESERVED:
        if name == each:
            return f'cannot request a project with the name "{each}"'
    for each in _RESERVED:
        if name.startswith(f"{each}-"):
            return f'cannot request a project starting with "{each}-"'
    return None


def requestable(name: str) -> bool:
    """Whether somebody may request a project of this name."""
    return project_name_fault(name) is None and reserved_fault(name) is None


class NamespaceStorage(SigningStorage[Namespace]):
    """Namespaces as documents, each made with its default bindings and service accounts."""

    def __init__(
        self, store: ObjectStore, tokens: ServiceAccountTokens, clock: Callable[[], float]
    ) -> None:
        super().__init__(
            NAMESPACES, store, tokens, _furnish, clock, may_go=may_go, terminating=terminate
        )

    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted:
        """See `storage.Deleter`; some namespaces are always there."""
        if name in SYSTEM_NAMESPACES:
            raise forbid(NAMESPACES.qualified, name, "this namespace may not be deleted")
        return await super().delete(call, name, options)


def _furnish(tx: DocumentTransaction, namespace: Namespace, signer: Signer) -> None:
    furnish(tx, namespace.metadata.name, signer)


def namespace_subresource(
    resource: Resource[Namespace], store: ObjectStore
) -> DocumentStorage[Namespace]:
    """Namespaces written through `status` or `finalize`."""
    return DocumentStorage(resource, store, may_go=may_go, terminating=terminate)


class ProjectStorage:
    """Projects: a view of namespaces."""

    def __init__(self, namespaces: NamespaceStorage, sight: Sight) -> None:
        self._namespaces = namespaces
        self._sight = sight

    async def get(self, call: Call, name: str) -> bytes:
        return project_body(await self._namespaces.get(call, name))

    async def list(self, call: Call, options: ListOptions) -> Page:
        """The projects that the user sees: all of them on one page, if she does not see all."""
        reach = await self._sight.of(call.user)
        if reach.everywhere:
            page = await self._namespaces.list(call, options)
            return page._replace(bodies=[project_body(each) for each in page.bodies])
        page = await self._namespaces.list(call, replace(options, limit=0))
        seen = [
            msgspec.json.encode(project_values(values))
            for each in page.bodies
            if (values := decoded(each))["metadata"]["name"] in reach
        ]
        return Page(seen, page.revision)

    async def watch(self, call: Call, options: WatchOptions) -> Watch:
        namespaces = await self._namespaces.watch(call, options)
        watch = ProjectWatch(namespaces, self._namespaces, self._sight, call, options.selection)
        try:
            await watch.start(None if options.initial else options.revision or None)
        except BaseException:
            watch.close()
            raise
        return watch

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`."""
        project = _project(new)
        _validate(PROJECTS, project)
        return project_body(await self._namespaces.create(call, namespace_of(project)))

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        """See `storage.Updater`."""

        def changed(current: Mapping[str, Any] | None) -> Object:
            if current is None:
                return namespace_of(_project(change(None)))
            before = project_values(current)
            project = _project(change(before))
            old = msgspec.convert(before, Project)
            PROJECTS.strategy.prepare(project, old)
            _refuse(PROJECTS, project, PROJECTS.strategy.validate(project, old))
            return namespace_of(project)

        updated = await self._namespaces.update(call, name, changed, creates=creates)
        return updated._replace(body=project_body(updated.body))

    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted:
        deleted = await self._namespaces.delete(call, name, options)
        return deleted._replace(body=project_body(deleted.body))


class ProjectRequests:
    """Requests for projects: create makes one, list says whether the user may."""

    def __init__(
        self,
        store: ObjectStore,
        authorizer: Authorizer,
        tokens: ServiceAccountTokens,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._authorizer = authorizer
        self._tokens = tokens
        self._clock = clock

    async def create(self, call: Call, new: Object) -> bytes:
        """The new Project, of which the requester is the administrator."""
        if not isinstance(new, ProjectRequest):
            raise TypeError("not a ProjectRequest")
        name = new.metadata.name
        # The project will have them, so they are held against its rules.
        new.metadata.annotations = {
            DESCRIPTION: new.description,
            DISPLAY_NAME: new.display_name,
        }
        _validate(PROJECT_REQUESTS, new)
        if why := reserved_fault(name):
            raise forbid(PROJECT, name, why)
        signer = await self._tokens.signer(self._clock())

        def unit(tx: DocumentTransaction) -> Provisioned:
            made = provision(
                tx,
                name,
                call.user,
                signer,
                display_name=new.display_name,
                description=new.description,
            )
            if not made.created:
                raise exists_already(PROJECT, name)
            return made

        made = await run(self._store, unit, dry_run=call.dry_run)
        body = project_body(msgspec.json.encode(made.namespace))
        return restamped(body, "") if call.dry_run else body

    async def list(self, call: Call, _options: ListOptions) -> Page:
        """Raises what `oc new-project` asks for: a Status either way."""
        if await self._authorizer.authorize(call.user, _MAY_REQUEST):
            raise MayRequest
        raise Forbidden(_NO_REQUESTS, resource=Qualified("projectrequest", GROUP))


class MayRequest(ApiError):
    """No failure: the Status that says that the user may request projects.

    A list of requests is answered with it in place of a list, which is why it is raised.
    """

    code, reason = 200, ""

    def __init__(self) -> None:
        super().__init__("")

    def status(self) -> dict[str, Any]:
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


def _project(new: Object) -> Project:
    if not isinstance(new, Project):
        raise TypeError("not a Project")
    return new


def _validate(resource: Resource[Any], new: Object) -> None:
    """Refuse a new object that breaks a rule; an old one's metadata its namespace judges."""
    faults = validate_metadata(resource, new.metadata, None)
    _refuse(resource, new, [*faults, *resource.strategy.validate(new, None)])


def _refuse(resource: Resource[Any], new: Object, faults: Sequence[FieldError]) -> None:
    if faults:
        raise invalid_object(resource.qualified_kind, new.metadata.name, faults)
