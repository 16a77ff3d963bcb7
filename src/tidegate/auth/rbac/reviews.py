"""Storages of the access reviews of authorization.k8s.io: nothing is stored, create answers.

Who may ask is decided before; here it is only answered, from the index that decides everything
else.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.errors import BadRequest, FieldError, invalid_object
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import Call
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.rbac.index import Held, joined
from tidegate.auth.rbac.review_kinds import (
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    LocalSubjectAccessReview,
    NonResourceRule,
    ResourceRule,
    SelfSubjectAccessReview,
    SelfSubjectRulesReview,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
    SubjectRulesReviewStatus,
    asked_by,
    local_faults,
    metadata_faults,
    spec_faults,
)

K = TypeVar("K", bound=Object)


def served_reviews(authorizer: RbacAuthorizer) -> list[tuple[Resource[Any], Any]]:
    """The resources of authorization.k8s.io with their storages."""
    return [
        (SELF_SUBJECT_ACCESS_REVIEWS, SelfSubjectAccessReviews(authorizer)),
        (SUBJECT_ACCESS_REVIEWS, SubjectAccessReviews(authorizer)),
        (LOCAL_SUBJECT_ACCESS_REVIEWS, LocalSubjectAccessReviews(authorizer)),
        (SELF_SUBJECT_RULES_REVIEWS, SelfSubjectRulesReviews(authorizer)),
    ]


class SelfSubjectAccessReviews:
    """A `Creater`: may I?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, SelfSubjectAccessReview)
        check(SELF_SUBJECT_ACCESS_REVIEWS, spec_faults(review.spec), review, call)
        review.status = await _status(self._authorizer, call.user, asked_by(review.spec))
        return answered(SELF_SUBJECT_ACCESS_REVIEWS, review)


class SubjectAccessReviews:
    """A `Creater`: may she?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, SubjectAccessReview)
        check(SUBJECT_ACCESS_REVIEWS, spec_faults(review.spec), review, call)
        user = _subject(review.spec)
        review.status = await _status(self._authorizer, user, asked_by(review.spec))
        return answered(SUBJECT_ACCESS_REVIEWS, review)


class LocalSubjectAccessReviews:
    """A `Creater`: may she, in this namespace?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, LocalSubjectAccessReview)
        faults = [*spec_faults(review.spec), *local_faults(review, call.namespace)]
        check(LOCAL_SUBJECT_ACCESS_REVIEWS, faults, review, call)
        review.metadata.namespace = call.namespace
        user = _subject(review.spec)
        review.status = await _status(self._authorizer, user, asked_by(review.spec))
        return answered(LOCAL_SUBJECT_ACCESS_REVIEWS, review)


class SelfSubjectRulesReviews:
    """A `Creater`: what may I do in a namespace?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, SelfSubjectRulesReview)
        if not review.spec.namespace:
            raise BadRequest("no namespace on request")
        held = await self._authorizer.rules(call.user, review.spec.namespace)
        review.status = _rules_status(held)
        return answered(SELF_SUBJECT_RULES_REVIEWS, review)


def received(new: Object, kind: type[K]) -> K:
    """The review that was sent; the endpoint decodes nothing else."""
    if not isinstance(new, kind):
        raise BadRequest(f"not a {kind.__name__}")
    return new


def check(
    resource: Resource[Any], faults: Iterable[FieldError], review: Object, call: Call
) -> None:
    """Refuse a review with faults."""
    found = [*faults, *metadata_faults(review.metadata, call.namespace)]
    if found:
        raise invalid_object(resource.qualified_kind, "", found)


def answered(resource: Resource[Any], review: Object) -> bytes:
    """The review as it is sent back."""
    review.api_version, review.kind = resource.api_version, resource.kind
    return msgspec.json.encode(review)


def _subject(spec: SubjectAccessReviewSpec) -> User:
    extra = tuple((key, tuple(values)) for key, values in spec.extra.items())
    return User(spec.user, tuple(spec.groups), spec.uid, extra)


async def _status(
    authorizer: RbacAuthorizer, user: User, asked: Attributes
) -> SubjectAccessReviewStatus:
    verdict = await authorizer.explain(user, asked)
    return SubjectAccessReviewStatus(allowed=verdict.allowed, reason=verdict.reason)


def _rules_status(held: Held) -> SubjectRulesReviewStatus:
    return SubjectRulesReviewStatus(
        resource_rules=[
            ResourceRule(
                verbs=each.verbs,
                api_groups=each.api_groups,
                resources=each.resources,
                resource_names=each.resource_names,
            )
            for each in held.rules
            if each.resources
        ],
        non_resource_rules=[
            NonResourceRule(verbs=each.verbs, non_resource_urls=each.non_resource_urls)
            for each in held.rules
            if each.non_resource_urls
        ],
        incomplete=False,
        evaluation_error=joined(held.errors),
    )
