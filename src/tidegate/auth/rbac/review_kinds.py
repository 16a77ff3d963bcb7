"""The access reviews of group authorization.k8s.io: their wire forms, and what makes one valid."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import field

from tidegate.apimachinery.authorizer import Attributes
from tidegate.apimachinery.errors import FieldError, invalid
from tidegate.apimachinery.meta import Object, ObjectMeta, Wire, doc
from tidegate.apimachinery.resource import Resource
from tidegate.auth.rbac.kinds import LabelSelectorRequirement

GROUP, VERSION = "authorization.k8s.io", "v1"


class SelectorAttributes(Wire):
    """A limit of the question to objects by their fields or labels; RBAC knows no such limits."""

    raw_selector: Annotated[str, doc("The selector as a query parameter has it.")] = ""
    requirements: Annotated[
        list[LabelSelectorRequirement], doc("The selector's terms.", list_type="atomic")
    ] = field(default_factory=list)


class ResourceAttributes(Wire):
    """A question about a resource."""

    namespace: Annotated[
        str, doc("Namespace of the action; empty for what has none, or for all of them.")
    ] = ""
    verb: Annotated[str, doc("get, list, watch, create, update, delete, …; '*' is all.")] = ""
    group: Annotated[str, doc("API group of the resource; '*' is all.")] = ""
    version: Annotated[str, doc("API version of the resource; it makes no difference.")] = ""
    resource: Annotated[str, doc("The resource, in the plural; '*' is all.")] = ""
    subresource: Annotated[str, doc("A subresource of it; empty for none.")] = ""
    name: Annotated[str, doc("Name of the object; empty for all.")] = ""
    field_selector: Annotated[
        SelectorAttributes | None, doc("A limit by fields; it makes no difference.")
    ] = None
    label_selector: Annotated[
        SelectorAttributes | None, doc("A limit by labels; it makes no difference.")
    ] = None


class NonResourceAttributes(Wire):
    """A question about a path that is no resource."""

    path: Annotated[str, doc("The path of a URL.")] = ""
    verb: Annotated[str, doc("The HTTP method, in small letters.")] = ""


class SelfSubjectAccessReviewSpec(Wire):
    """What is asked about oneself: exactly one of the two."""

    resource_attributes: Annotated[ResourceAttributes | None, doc("About a resource.")] = None
    non_resource_attributes: Annotated[
        NonResourceAttributes | None, doc("About a path that is no resource.")
    ] = None


class SubjectAccessReviewSpec(SelfSubjectAccessReviewSpec):
    """What is asked about somebody: exactly one of the attributes, and of whom."""

    user: Annotated[str, doc("Name of the user; without groups she is taken to have none.")] = ""
    groups: Annotated[list[str], doc("Groups of the user.", list_type="atomic")] = field(
        default_factory=list
    )
    extra: Annotated[
        dict[str, list[str]], doc("What else is known of the user; it makes no difference.")
    ] = field(default_factory=dict)
    uid: Annotated[str, doc("UID of the user; it makes no difference.")] = ""


class SubjectAccessReviewStatus(Wire, kw_only=True):
    """The answer."""

    allowed: Annotated[bool, doc("Whether the action would be allowed.")]
    denied: Annotated[bool, doc("Never true: RBAC only allows, or has no opinion.")] = False
    reason: Annotated[str, doc("What the answer rests on.")] = ""
    evaluation_error: Annotated[
        str, doc("An error met on the way; the answer holds nevertheless.")
    ] = ""


class SelfSubjectAccessReview(Object):
    """SelfSubjectAccessReview asks whether the current user can do something. An empty namespace
    means in all of them.
    """

    spec: Annotated[SelfSubjectAccessReviewSpec, doc("What is asked.")] = field(
        default_factory=SelfSubjectAccessReviewSpec
    )
    status: Annotated[SubjectAccessReviewStatus | None, doc("The answer, set by the server.")] = (
        None
    )


class SubjectAccessReview(Object):
    """SubjectAccessReview asks whether a user or group can do something."""

    spec: Annotated[SubjectAccessReviewSpec, doc("What is asked.")] = field(
        default_factory=SubjectAccessReviewSpec
    )
    status: Annotated[SubjectAccessReviewStatus | None, doc("The answer, set by the server.")] = (
        None
    )


class LocalSubjectAccessReview(Object):
    """LocalSubjectAccessReview asks whether a user or group can do something in one namespace, so
    that the right to ask can be granted for that namespace.
    """

    spec: Annotated[
        SubjectAccessReviewSpec, doc("What is asked; its namespace is that of the review.")
    ] = field(default_factory=SubjectAccessReviewSpec)
    status: Annotated[SubjectAccessReviewStatus | None, doc("The answer, set by the server.")] = (
        None
    )


class ResourceRule(Wire, kw_only=True):
    """Actions on resources that are allowed."""

    verbs: Annotated[list[str], doc("Verbs; '*' is all.", list_type="atomic")]
    api_groups: Annotated[
        list[str], doc("API groups of the resources; '*' is all.", list_type="atomic")
    ] = field(default_factory=list)
    resources: Annotated[
        list[str],
        doc("Resources; '*' is all, '*/x' the subresource x of all.", list_type="atomic"),
    ] = field(default_factory=list)
    resource_names: Annotated[
        list[str], doc("Names it is limited to; none is all.", list_type="atomic")
    ] = field(default_factory=list)


class NonResourceRule(Wire, kw_only=True):
    """Actions on paths that are allowed."""

    verbs: Annotated[list[str], doc("HTTP methods in small letters; '*' is all.")]
    non_resource_urls: Annotated[
        list[str], doc("Paths; '*' ends one as a whole last step.", list_type="atomic")
    ] = field(name="nonResourceURLs", default_factory=list)


class SubjectRulesReviewStatus(Wire, kw_only=True):
    """All that is allowed, in no order."""

    resource_rules: Annotated[
        list[ResourceRule], doc("What is allowed on resources.", list_type="atomic")
    ]
    non_resource_rules: Annotated[
        list[NonResourceRule], doc("What is allowed on other paths.", list_type="atomic")
    ]
    incomplete: Annotated[bool, doc("Whether there may be more than these.")]
    evaluation_error: Annotated[str, doc("An error met on the way; the rules hold.")] = ""


class SelfSubjectRulesReviewSpec(Wire):
    """Of which namespace the rules are asked."""

    namespace: Annotated[str, doc("The namespace; required.")] = ""


class SelfSubjectRulesReview(Object):
    """SelfSubjectRulesReview lists what the current user can do in a namespace, for interfaces
    that show or hide actions; whoever decides something asks an access review.
    """

    spec: Annotated[SelfSubjectRulesReviewSpec, doc("What is asked.")] = field(
        default_factory=SelfSubjectRulesReviewSpec
    )
    status: Annotated[SubjectRulesReviewStatus | None, doc("The rules, set by the server.")] = None


SELF_SUBJECT_ACCESS_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="SelfSubjectAccessReview",
    plural="selfsubjectaccessreviews",
    singular="selfsubjectaccessreview",
    type=SelfSubjectAccessReview,
    namespaced=False,
    verbs=("create",),
)
SUBJECT_ACCESS_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="SubjectAccessReview",
    plural="subjectaccessreviews",
    singular="subjectaccessreview",
    type=SubjectAccessReview,
    namespaced=False,
    verbs=("create",),
)
LOCAL_SUBJECT_ACCESS_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="LocalSubjectAccessReview",
    plural="localsubjectaccessreviews",
    singular="localsubjectaccessreview",
    type=LocalSubjectAccessReview,
    namespaced=True,
    verbs=("create",),
)
SELF_SUBJECT_RULES_REVIEWS = Resource(
    group=GROUP,
    version=VERSION,
    kind="SelfSubjectRulesReview",
    plural="selfsubjectrulesreviews",
    singular="selfsubjectrulesreview",
    type=SelfSubjectRulesReview,
    namespaced=False,
    verbs=("create",),
)


def asked_by(spec: SelfSubjectAccessReviewSpec) -> Attributes:
    """The question in a valid spec."""
    if (path := spec.non_resource_attributes) is not None:
        # A path that is empty is still no resource: it is one that no rule names.
        return Attributes(path.verb, path=path.path or " ")
    on = spec.resource_attributes or ResourceAttributes()
    resource = f"{on.resource}/{on.subresource}" if on.subresource else on.resource
    return Attributes(on.verb, resource, on.namespace, on.name, on.group)


def spec_faults(spec: SelfSubjectAccessReviewSpec) -> Iterator[FieldError]:
    """What is wrong with a question, in Kubernetes' words."""
    if spec.resource_attributes is not None and spec.non_resource_attributes is not None:
        why = "cannot be specified in combination with resourceAttributes"
        yield _invalid_struct("spec.nonResourceAttributes", spec.non_resource_attributes, why)
    if spec.resource_attributes is None and spec.non_resource_attributes is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield invalid("spec.resourceAttributes", None, why)
    if isinstance(spec, SubjectAccessReviewSpec) and not spec.user and not spec.groups:
        why = "at least one of user or group must be specified"
        yield invalid("spec.user", spec.user, why)


def local_faults(review: LocalSubjectAccessReview, namespace: str) -> Iterator[FieldError]:
    """What is wrong with a question about one namespace, beside the above."""
    spec = review.spec
    if spec.resource_attributes is not None and spec.resource_attributes.namespace != namespace:
        yield invalid(
            "spec.resourceAttributes.namespace",
            spec.resource_attributes.namespace,
            "must match metadata.namespace",
        )
    if spec.non_resource_attributes is not None:
        why = "disallowed on this kind of request"
        yield _invalid_struct("spec.nonResourceAttributes", spec.non_resource_attributes, why)


def metadata_faults(metadata: ObjectMeta, namespace: str) -> Iterator[FieldError]:
    """A review has no metadata of its own, but for the namespace that it was sent to."""
    left = msgspec.structs.replace(
        metadata,
        creation_timestamp="",
        managed_fields=[],
        namespace="" if metadata.namespace == namespace else metadata.namespace,
    )
    if left != ObjectMeta():
        yield _invalid_struct("metadata", metadata, "must be empty")


def _invalid_struct(field_name: str, value: Wire, detail: str) -> FieldError:
    shown = msgspec.json.encode(value).decode()
    return FieldError("FieldValueInvalid", field_name, f"Invalid value: {shown}: {detail}")
