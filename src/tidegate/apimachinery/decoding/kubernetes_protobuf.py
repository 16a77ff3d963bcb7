"""Reads bodies in Kubernetes' protobuf, which clients generated from its types insist on.

kubectl since 1.32 and every current Go program send built-in kinds so (`kubectl create namespace`,
`auth can-i`, `oc whoami`), and give up when told 415. They take answers in JSON, so nothing here
writes. A body is read into the JSON values that the same client would have sent as JSON: whatever
holds of those (unknown fields, defaults, validation) holds of these.

    body    = "k8s\\0" Unknown
    Unknown = 1 TypeMeta{1 apiVersion, 2 kind}   2 bytes of the message that kind names

`MESSAGES` is that kind of facts which never change: the fields of each message in the order of
their numbers, from the `generated.proto` of each group. Of the kinds that are not listed clients
send JSON, or find another server.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tidegate.apimachinery import octets
from tidegate.apimachinery.errors import BadRequest, UnsupportedMediaType
from tidegate.apimachinery.patch.json_values import bounded
from tidegate.apimachinery.protobuf import Malformed, fields, signed

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"

MAGIC = b"k8s\0"

MESSAGES = """
ObjectMeta name generateName namespace selfLink uid resourceVersion generation:int
  creationTimestamp:time deletionTimestamp:time deletionGracePeriodSeconds:int? labels:{string}
  annotations:{string} ownerReferences:[OwnerReference] finalizers:[string] - -
  managedFields:[ManagedFieldsEntry]
OwnerReference kind - name uid apiVersion controller:bool? blockOwnerDeletion:bool?
ManagedFieldsEntry manager operation apiVersion time:time - fieldsType fieldsV1:json subresource
DeleteOptions gracePeriodSeconds:int? preconditions:Preconditions orphanDependents:bool?
  propagationPolicy:string? dryRun:[string]
Preconditions uid:string? resourceVersion:string?
LabelSelector matchLabels:{string} matchExpressions:[LabelSelectorRequirement]
LabelSelectorRequirement key operator values:[string]
FieldSelectorRequirement key operator values:[string]

Namespace metadata:ObjectMeta spec:NamespaceSpec status:NamespaceStatus
NamespaceSpec finalizers:[string]
NamespaceStatus phase conditions:[NamespaceCondition]
NamespaceCondition type status - lastTransitionTime:time reason message
Secret metadata:ObjectMeta data:{bytes} type stringData:{string} immutable:bool?
ConfigMap metadata:ObjectMeta data:{string} binaryData:{bytes} immutable:bool?
ServiceAccount metadata:ObjectMeta secrets:[ObjectReference]
  imagePullSecrets:[LocalObjectReference] automountServiceAccountToken:bool?
ObjectReference kind namespace name uid apiVersion resourceVersion fieldPath
LocalObjectReference name
ResourceQuota metadata:ObjectMeta spec:ResourceQuotaSpec status:ResourceQuotaStatus
ResourceQuotaSpec hard:{quantity} scopes:[string] scopeSelector:ScopeSelector
ResourceQuotaStatus hard:{quantity} used:{quantity}
ScopeSelector matchExpressions:[ScopedResourceSelectorRequirement]
ScopedResourceSelectorRequirement scopeName operator values:[string]
LimitRange metadata:ObjectMeta spec:LimitRangeSpec
LimitRangeSpec limits:[LimitRangeItem]
LimitRangeItem type max:{quantity} min:{quantity} default:{quantity} defaultRequest:{quantity}
  maxLimitRequestRatio:{quantity}
Event metadata:ObjectMeta involvedObject:ObjectReference reason message source:EventSource
  firstTimestamp:time lastTimestamp:time count:int type eventTime:microtime series:EventSeries
  action related:ObjectReference reportingComponent reportingInstance
EventSource component host
EventSeries count:int lastObservedTime:microtime

Role metadata:ObjectMeta rules:[PolicyRule]
ClusterRole metadata:ObjectMeta rules:[PolicyRule] aggregationRule:AggregationRule
RoleBinding metadata:ObjectMeta subjects:[Subject] roleRef:RoleRef
ClusterRoleBinding metadata:ObjectMeta subjects:[Subject] roleRef:RoleRef
PolicyRule verbs:[string] apiGroups:[string] resources:[string] resourceNames:[string]
  nonResourceURLs:[string]
Subject kind apiGroup name namespace
RoleRef apiGroup kind name
AggregationRule clusterRoleSelectors:[LabelSelector]

SelfSubjectAccessReview metadata:ObjectMeta spec:SelfSubjectAccessReviewSpec
  status:SubjectAccessReviewStatus
SelfSubjectAccessReviewSpec resourceAttributes:ResourceAttributes
  nonResourceAttributes:NonResourceAttributes
SelfSubjectRulesReview metadata:ObjectMeta spec:SelfSubjectRulesReviewSpec
  status:SubjectRulesReviewStatus
SelfSubjectRulesReviewSpec namespace
SubjectAccessReview metadata:ObjectMeta spec:SubjectAccessReviewSpec
  status:SubjectAccessReviewStatus
LocalSubjectAccessReview metadata:ObjectMeta spec:SubjectAccessReviewSpec
  status:SubjectAccessReviewStatus
SubjectAccessReviewSpec resourceAttributes:ResourceAttributes
  nonResourceAttributes:NonResourceAttributes user groups:[string] extra:{[string]} uid
SubjectAccessReviewStatus allowed:bool reason evaluationError denied:bool
SubjectRulesReviewStatus resourceRules:[ResourceRule] nonResourceRules:[NonResourceRule]
  incomplete:bool evaluationError
ResourceRule verbs:[string] apiGroups:[string] resources:[string] resourceNames:[string]
NonResourceRule verbs:[string] nonResourceURLs:[string]
ResourceAttributes namespace verb group version resource subresource name
  fieldSelector:FieldSelectorAttributes labelSelector:LabelSelectorAttributes
FieldSelectorAttributes rawSelector requirements:[FieldSelectorRequirement]
LabelSelectorAttributes rawSelector requirements:[LabelSelectorRequirement]
NonResourceAttributes path verb

SelfSubjectReview metadata:ObjectMeta status:SelfSubjectReviewStatus
SelfSubjectReviewStatus userInfo:UserInfo
TokenRequest metadata:ObjectMeta spec:TokenRequestSpec status:TokenRequestStatus
TokenRequestSpec audiences:[string] - boundObjectRef:BoundObjectReference expirationSeconds:int?
TokenRequestStatus token expirationTimestamp:time
BoundObjectReference kind apiVersion name uid
TokenReview metadata:ObjectMeta spec:TokenReviewSpec status:TokenReviewStatus
TokenReviewSpec token audiences:[string]
TokenReviewStatus authenticated:bool user:UserInfo error audiences:[string]
UserInfo username uid groups:[string] extra:{[string]}
"""
"""One message to a line, lines that are indented go on. `field` is a string, `field:type` another
type: `[T]` a list, `{T}` a map from strings, `T?` one whose zero value differs from its absence."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: str
    optional: bool


def _declared(text: str) -> Iterator[tuple[str, Mapping[int, _Field]]]:
    for line in text.replace("\n  ", " ").splitlines():
        if line:
            message, *written = line.split()
            named = (each.partition(":") for each in written)
            yield (
                message,
                {
                    number: _Field(name, type_.removesuffix("?") or "string", type_.endswith("?"))
                    for number, (name, _, type_) in enumerate(named, 1)
                    if name != "-"
                },
            )


_MESSAGES = dict(_declared(MESSAGES))


def values(body: bytes) -> Json:
    """The object in a body, as JSON values with its apiVersion and kind."""
    try:
        return _object(body)
    except Malformed as error:
        raise BadRequest(f"the object provided is unrecognized: protobuf: {error}") from error


def _object(body: bytes) -> Json:
    if not body.startswith(MAGIC):
        raise Malformed("the body does not begin as Kubernetes' protobuf does")
    unknown = dict(fields(body[len(MAGIC) :]))
    type_meta = dict(fields(_bytes(unknown.get(1, b""))))
    version, kind = _text(type_meta.get(1, b"")), _text(type_meta.get(2, b""))
    if kind not in _MESSAGES:
        raise UnsupportedMediaType(
            f"{kind} in version {version} is not read from {CONTENT_TYPE}: send it as JSON or YAML,"
            " as `kubectl create -f FILE` and `kubectl apply -f FILE` do (`--dry-run=client -o"
            " yaml` makes the file)"
        )
    return {"apiVersion": version, "kind": kind, **_message(kind, _bytes(unknown.get(2, b"")))}


def _message(name: str, body: bytes) -> Json:
    read: Json = {}
    declared = _MESSAGES[name]
    for number, raw in fields(body):
        field = declared.get(number)
        if field is None:
            continue  # from a newer client: dropped, as Kubernetes does
        if field.type[0] == "[":
            read.setdefault(field.name, []).append(_value(field.type[1:-1], raw))
        elif field.type[0] == "{":
            key, value = _entry(field.type[1:-1], _bytes(raw))
            read.setdefault(field.name, {})[key] = value
        else:
            value = _value(field.type, raw)
            if field.optional or value or isinstance(value, dict):
                read[field.name] = value
    return read


def _entry(type_: str, body: bytes) -> tuple[str, Any]:
    """An entry of a map; a list in it is a message of one repeated field."""
    found = dict(fields(body))
    raw = _bytes(found.get(2, b""))
    if type_[0] == "[":
        return _text(found.get(1, b"")), [
            _value(type_[1:-1], each) for number, each in fields(raw) if number == 1
        ]
    return _text(found.get(1, b"")), _value(type_, raw)


def _value(type_: str, raw: int | bytes) -> Any:
    scalar = _SCALARS.get(type_)
    return scalar(raw) if scalar is not None else _message(type_, _bytes(raw))


def _bytes(raw: int | bytes) -> bytes:
    if isinstance(raw, int):
        raise Malformed("a number is where bytes belong")
    return raw


def _number(raw: int | bytes) -> int:
    if not isinstance(raw, int):
        raise Malformed("bytes are where a number belongs")
    return signed(raw)


def _text(raw: int | bytes) -> str:
    try:
        return _bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise Malformed("a string is no UTF-8") from error


def _time(raw: int | bytes) -> str:
    moment, _ = _moment(_bytes(raw))
    return moment and moment + "Z"


def _microtime(raw: int | bytes) -> str:
    moment, microseconds = _moment(_bytes(raw))
    return moment and f"{moment}.{microseconds:06}Z"


def _moment(body: bytes) -> tuple[str, int]:
    """Date and time in UTC to the second, and microseconds; "" for no time."""
    found = {number: _number(raw) for number, raw in fields(body)}
    if not found:
        return "", 0
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=found.get(1, 0))
    except OverflowError as error:
        raise Malformed("a time is out of range") from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S"), found.get(2, 0) // 1000


def _json(raw: int | bytes) -> Any:
    """Raw JSON, in a message of one field."""
    try:
        return bounded(msgspec.json.decode(_bytes(dict(fields(_bytes(raw))).get(1, b"{}"))))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("raw JSON is no JSON") from error


_SCALARS: Mapping[str, Callable[[int | bytes], Any]] = {
    "string": _text,
    "int": _number,
    "bool": lambda raw: _number(raw) != 0,
    "bytes": lambda raw: octets.encoded(_bytes(raw)),
    "quantity": lambda raw: _text(dict(fields(_bytes(raw))).get(1, b"")),
    "time": _time,
    "microtime": _microtime,
    "json": _json,
}
