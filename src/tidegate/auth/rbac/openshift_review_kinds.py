"""The access reviews of group authorization.openshift.io: their wire forms, and what is valid.

Other than Kubernetes' they carry the question at the top level, and some are answered by an object
of another kind. Names on the wire, slips of the pen included, are those of OpenShift's
`authorization/v1`.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import field

from tidegate.apimachinery.authorizer import Attributes
from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.resource import Resource
from tidegate.auth.rbac.kinds import PolicyRule

GROUP, VERSION = "authorization.openshift.io", "v1"
API_VERSION = f"{GROUP}/{VERSION}"


class Action(Object):
    """An action that is asked about."""

    namespace: Annotated[
        str, doc("Namespace of the action; empty for what has none, or for all of them.")
    ] = ""
    verb: Annotated[str, doc("get, list, watch, create, update, delete, …")] = ""
    resource_api_group: Annotated[str, doc("API group of the resource.")] = field(
        name="resourceAPIGroup", default=""
    )
    resource_api_version: Annotated[
        str, doc("API version of the resource; it makes no difference.")
    ] = field(name="resourceAPIVersion", default="")
    resource: Annotated[str, doc("The resource, or RESOURCE/SUBRESOURCE.")] = ""
    resource_name: Annotated[str, doc("Name of the object; empty for all.")] = ""
    path: Annotated[str, doc("The path of a URL that is no resource.")] = ""
    is_non_resource_url: Annotated[bool, doc("Whether path is asked about.")] = field(
        name="isNonResourceURL", default=False
    )
    content: Annotated[
        dict[str, Any] | None, doc("Content of the action; it makes no difference.")
    ] = None


class SubjectAction(Action):
    """An action, and who would take it."""

    user: Annotated[str, doc("Name of the user; with neither user nor groups, it is who asks.")] = (
        ""
    )
    groups: Annotated[list[str], doc("Groups of the user.")] = field(default_factory=list)
    scopes: Annotated[list[str] | None, doc("Scopes of a token; they make no difference.")] = None


class OpenShiftSubjectAccessReview(SubjectAction):
    """SubjectAccessReview asks whether a user or group can do something."""


class OpenShiftLocalSubjectAccessReview(SubjectAction):
    """LocalSubjectAccessReview asks whether a user or group can do something in a namespace."""


class OpenShiftResourceAccessReview(Action):
    """ResourceAccessReview asks which users and groups can do something."""


class OpenShiftLocalResourceAccessReview(Action):
    """LocalResourceAccessReview asks which users and groups can do something in a namespace."""


class SubjectAccessReviewResponse(Wire, kw_only=True):
    """SubjectAccessReviewResponse says whether a user or group can do something."""

    kind: str = field(default_factory=lambda: "SubjectAccessReviewResponse")
    api_version: str = field(default_factory=lambda: API_VERSION)
    namespace: str = ""
    allowed: bool
    reason: str = ""
    evaluation_error: str = ""


class ResourceAccessReviewResponse(Wire, kw_only=True):
    """ResourceAccessReviewResponse says who can do something."""

    kind: str = field(default_factory=lambda: "ResourceAccessReviewResponse")
    api_version: str = field(default_factory=lambda: API_VERSION)
    namespace: str = ""
    users: list[str]
    groups: list[str]
    evaluation_error: str = field(name="evalutionError")  # so it is written


class OpenShiftPolicyRule(PolicyRule):
    """What may be done: verbs on resources, or verbs on paths that are no resources."""

    attribute_restrictions: Annotated[
        dict[str, Any] | None, doc("Always null: there is no other restriction.")
    ] = None


class RulesStatus(Wire, kw_only=True):
    """What is allowed, by single groups and resources."""

    rules: Annotated[list[OpenShiftPolicyRule], doc("The rules.")]
    evaluation_error: Annotated[str, doc("An error met on the way; the rules hold.")] = ""


class SelfRulesSpec(Wire):
    """With which scopes of a token."""

    scopes: Annotated[list[str] | None, doc("Scopes of a token; they make no difference.")] = None


class SubjectRulesSpec(SelfRulesSpec):
    """About whom."""

    user: Annotated[str, doc("Name of the user.")] = ""
    groups: Annotated[list[str], doc("Groups of the user.")] = field(default_factory=list)


class OpenShiftSelfSubjectRulesReview(Object):
    """SelfSubjectRulesReview lists what the current user can do in a namespace."""

    spec: Annotated[SelfRulesSpec, doc("How to ask.")] = field(default_factory=SelfRulesSpec)
    status: Annotated[RulesStatus | None, doc("The rules, set by the server.")] = None


class OpenShiftSubjectRulesReview(Object):
    """SubjectRulesReview lists what a user or group can do in a namespace."""

    spec: Annotated[SubjectRulesSpec, doc("What is asked.")] = field(
        default_factory=SubjectRulesSpec
    )
    status: Annotated[RulesStatus | None, doc("The rules, set by the server.")] = None


SUBJECT_ACCESS_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="SubjectAccessReview",
    plural="subjectaccessreviews",
    singular="subjectaccessreview",
    type=OpenShiftSubjectAccessReview,
    namespaced=False,
    verbs=("create",),
)
LOCAL_SUBJECT_ACCESS_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="LocalSubjectAccessReview",
    plural="localsubjectaccessreviews",
    singular="localsubjectaccessreview",
    type=OpenShiftLocalSubjectAccessReview,
    namespaced=True,
    verbs=("create",),
)
RESOURCE_ACCESS_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="ResourceAccessReview",
    plural="resourceaccessreviews",
    singular="resourceaccessreview",
    type=OpenShiftResourceAccessReview,
    namespaced=False,
    verbs=("create",),
)
LOCAL_RESOURCE_ACCESS_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="LocalResourceAccessReview",
    plural="localresourceaccessreviews",
    singular="localresourceaccessreview",
    type=OpenShiftLocalResourceAccessReview,
    namespaced=True,
    verbs=("create",),
)
SELF_SUBJECT_RULES_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="SelfSubjectRulesReview",
    plural="selfsubjectrulesreviews",
    singular="selfsubjectrulesreview",
    type=OpenShiftSelfSubjectRulesReview,
    namespaced=True,
    verbs=("create",),
)
SUBJECT_RULES_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="SubjectRulesReview",
    plural="subjectrulesreviews",
    singular="subjectrulesreview",
    type=OpenShiftSubjectRulesReview,
    namespaced=True,
    verbs=("create",),
)


def asked_by(action: Action, namespace: str) -> Attributes:
    """The question about an action, in a namespace or with "" everywhere."""
    if action.is_non_resource_url:
        return Attributes(action.verb, path=action.path)
    return Attributes(
        action.verb, action.resource, namespace, action.resource_name, action.resource_api_group
    )


def action_faults(action: Action) -> Iterator[FieldError]:
    """What is wrong with an action, in OpenShift's words."""
    if not action.verb:
        yield required("verb")
    if not action.is_non_resource_url:
        if not action.resource:
            yield required("resource")
        return
    if not action.path:
        yield required("path")
    unwanted = {
        "resource": action.resource,
        "group": action.resource_api_group,
        "version": action.resource_api_version,
        "resourceName": action.resource_name,
        "namespace": action.namespace,
    }
    for name, value in unwanted.items():
        if value:
            yield invalid(name, value, f"{name} may not be specified with non resource URLs")


def local_faults(action: Action, namespace: str) -> Iterator[FieldError]:
    """An action in another namespace than the review is sent to."""
    if action.namespace not in ("", namespace):
        yield invalid("namespace", action.namespace, f"namespace must be: {namespace}")
