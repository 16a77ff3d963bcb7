"""Storages of the access reviews of authorization.openshift.io: create answers.

A review of the whole cluster may be about one namespace; then the right to ask in that namespace
is needed, or about oneself the right to ask that. So the right to create such reviews alone tells
nothing about others.
"""

from typing import Any

import msgspec

from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.errors import required
from tidegate.apimachinery.http.access import refusal
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import Call
from tidegate.auth.rbac import openshift_review_kinds as kinds
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.rbac.index import Held, joined
from tidegate.auth.rbac.kinds import PolicyRule
from tidegate.auth.rbac.openshift_review_kinds import (
    Action,
    OpenShiftPolicyRule,
    ResourceAccessReviewResponse,
    RulesStatus,
    SubjectAccessReviewResponse,
    SubjectAction,
    action_faults,
    asked_by,
    local_faults,
)
from tidegate.auth.rbac.review_kinds import GROUP as KUBERNETES_GROUP
from tidegate.auth.rbac.reviews import answered, check, received
from tidegate.auth.rbac.rules import broken_down, compacted, described, parts_of

PARTS_LIMIT = 20_000
"""Single-verb parts that a listing of rules is made of; beyond, rules are listed as written."""


def served_openshift_reviews(authorizer: RbacAuthorizer) -> list[tuple[Resource[Any], Any]]:
    """The resources of authorization.openshift.io with their storages."""
    return [
        (kinds.SUBJECT_ACCESS_REVIEWS, SubjectReviews(authorizer)),
        (kinds.LOCAL_SUBJECT_ACCESS_REVIEWS, LocalSubjectReviews(authorizer)),
        (kinds.RESOURCE_ACCESS_REVIEWS, ResourceReviews(authorizer)),
        (kinds.LOCAL_RESOURCE_ACCESS_REVIEWS, LocalResourceReviews(authorizer)),
        (kinds.SELF_SUBJECT_RULES_REVIEWS, SelfRulesReviews(authorizer)),
        (kinds.SUBJECT_RULES_REVIEWS, RulesReviews(authorizer)),
    ]


class SubjectReviews:
    """A `Creater`: may she (or I), in a namespace or everywhere?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, SubjectAction)
        check(kinds.SUBJECT_ACCESS_REVIEWS, action_faults(review), review, call)
        if review.user or review.groups:
            await _require_local(
                self._authorizer, call.user, "localsubjectaccessreviews", review.namespace
            )
        else:
            asked = Attributes(
                "create", "selfsubjectaccessreviews", review.namespace, group=KUBERNETES_GROUP
            )
            await _require_any(self._authorizer, call.user, asked)
        return await _subject_answer(self._authorizer, call, review, review.namespace)


class LocalSubjectReviews:
    """A `Creater`: may she (or I), in this namespace?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, SubjectAction)
        faults = [*action_faults(review), *local_faults(review, call.namespace)]
        check(kinds.LOCAL_SUBJECT_ACCESS_REVIEWS, faults, review, call)
        return await _subject_answer(self._authorizer, call, review, call.namespace)


class ResourceReviews:
    """A `Creater`: who can, in a namespace or everywhere?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, Action)
        check(kinds.RESOURCE_ACCESS_REVIEWS, action_faults(review), review, call)
        await _require_local(
            self._authorizer, call.user, "localresourceaccessreviews", review.namespace
        )
        return await _resource_answer(self._authorizer, review, review.namespace)


class LocalResourceReviews:
    """A `Creater`: who can, in this namespace?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, Action)
        faults = [*action_faults(review), *local_faults(review, call.namespace)]
        check(kinds.LOCAL_RESOURCE_ACCESS_REVIEWS, faults, review, call)
        return await _resource_answer(self._authorizer, review, call.namespace)


class SelfRulesReviews:
    """A `Creater`: what may I do in this namespace?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, kinds.OpenShiftSelfSubjectRulesReview)
        check(kinds.SELF_SUBJECT_RULES_REVIEWS, (), review, call)
        review.status = _rules(await self._authorizer.rules(call.user, call.namespace))
        return answered(kinds.SELF_SUBJECT_RULES_REVIEWS, review)


class RulesReviews:
    """A `Creater`: what may she do in this namespace?"""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, call: Call, new: Object) -> bytes:
        review = received(new, kinds.OpenShiftSubjectRulesReview)
        spec = review.spec
        why = "at least one of user and groups must be specified"
        faults = () if spec.user or spec.groups else (required("user", why),)
        check(kinds.SUBJECT_RULES_REVIEWS, faults, review, call)
        user = User(spec.user, tuple(spec.groups))
        review.status = _rules(await self._authorizer.rules(user, call.namespace))
        return answered(kinds.SUBJECT_RULES_REVIEWS, review)


async def _require_local(
    authorizer: RbacAuthorizer, user: User, resource: str, namespace: str
) -> None:
    """Refuse who may not create the local review in the namespace (with "" in any)."""
    await _require_any(
        authorizer,
        user,
        Attributes("create", resource, namespace, group=kinds.GROUP),
        Attributes("create", resource, namespace, group=""),  # as OpenShift's old rules say
    )


async def _require_any(authorizer: RbacAuthorizer, user: User, *asked: Attributes) -> None:
    for each in asked:
        if await authorizer.authorize(user, each):
            return
    raise refusal(user, asked[0])


async def _subject_answer(
    authorizer: RbacAuthorizer, call: Call, review: SubjectAction, namespace: str
) -> bytes:
    named = review.user or review.groups
    user = User(review.user, tuple(review.groups)) if named else call.user
    verdict = await authorizer.explain(user, asked_by(review, namespace))
    return msgspec.json.encode(
        SubjectAccessReviewResponse(
            namespace=namespace, allowed=verdict.allowed, reason=verdict.reason
        )
    )


async def _resource_answer(authorizer: RbacAuthorizer, review: Action, namespace: str) -> bytes:
    found = await authorizer.who_can(asked_by(review, namespace))
    return msgspec.json.encode(
        ResourceAccessReviewResponse(
            namespace=namespace,
            users=list(found.users),
            groups=list(found.groups),
            evaluation_error="",
        )
    )


def _rules(held: Held) -> RulesStatus:
    """The rules by single groups and resources, in order."""
    parts: list[PolicyRule] = []
    for rule in held.rules:
        if len(parts) + parts_of(rule) > PARTS_LIMIT:
            parts.append(rule)
        else:
            parts.extend(broken_down(rule))
    return RulesStatus(
        rules=[
            OpenShiftPolicyRule(
                verbs=each.verbs,
                api_groups=each.api_groups,
                resources=each.resources,
                resource_names=each.resource_names,
                non_resource_urls=each.non_resource_urls,
            )
            for each in sorted(compacted(parts), key=described)
        ],
        evaluation_error=joined(held.errors),
    )
