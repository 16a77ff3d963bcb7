"""What may be a name, a key or a qualified name, and what is said about one that may not.

The rules and their wording are those of Kubernetes' validation package: clients print them. Each
function gives the faults of a text; an empty list means that it is good.
"""

import re
import secrets

SUBDOMAIN_LIMIT = 253
LABEL_LIMIT = 63

_LABEL_RULE = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_RULE = rf"{_LABEL_RULE}(\.{_LABEL_RULE})*"
_KEY_RULE = "[-._a-zA-Z0-9]+"
_QUALIFIED_RULE = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_GENERATED_LIMIT = 58  # of a prefix, so that the name is no longer than a label
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes generates names of: no vowels, hence no words."""

_LABEL = re.compile(_LABEL_RULE)
_SUBDOMAIN = re.compile(_SUBDOMAIN_RULE)
_KEY = re.compile(_KEY_RULE)
_QUALIFIED = re.compile(_QUALIFIED_RULE)


def label_faults(text: str) -> list[str]:
    """RFC 1123 label: the name of a namespace."""
    faults = _too_long(text, LABEL_LIMIT)
    if _LABEL.fullmatch(text) is None:
        if _SUBDOMAIN.fullmatch(text):
            faults.append("must not contain dots")
        else:
            faults.append(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "
                "'-', and must start and end with an alphanumeric character"
                + _examples(_LABEL_RULE, "my-name", "123-abc")
            )
    return faults


def subdomain_faults(text: str) -> list[str]:
    """RFC 1123 subdomain: the name of most objects."""
    faults = _too_long(text, SUBDOMAIN_LIMIT)
    if _SUBDOMAIN.fullmatch(text) is None:
        faults.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'-' or '.', and must start and end with an alphanumeric character"
            + _examples(_SUBDOMAIN_RULE, "example.com")
        )
    return faults


def config_key_faults(text: str) -> list[str]:
    """A key in the data of a ConfigMap or a Secret: it becomes a file name."""
    faults = _too_long(text, SUBDOMAIN_LIMIT)
    if _KEY.fullmatch(text) is None:
        faults.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            + _examples(_KEY_RULE, "key.name", "KEY_NAME", "key-name")
        )
    if text in (".", ".."):
        faults.append(f"must not be '{text}'")
    elif text.startswith(".."):
        faults.append("must not start with '..'")
    return faults


def qualified_name_faults(text: str) -> list[str]:
    """`NAME` or `DOMAIN/NAME`: label keys, finalizers, resource names of quotas."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        return [
            "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character"
            + _examples(_QUALIFIED_RULE, "MyName", "my.name", "123-abc")
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    faults = []
    if slash:
        problems = subdomain_faults(prefix) if prefix else ["must be non-empty"]
        faults = [f"prefix part {each}" for each in problems]
    if not name:
        faults.append("name part must be non-empty")
    faults += [f"name part {each}" for each in _too_long(name, LABEL_LIMIT)]
    if _QUALIFIED.fullmatch(name) is None:
        faults.append(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start "
            "and end with an alphanumeric character"
            + _examples(_QUALIFIED_RULE, "MyName", "my.name", "123-abc")
        )
    return faults


def label_value_faults(text: str) -> list[str]:
    """The value of a label."""
    faults = _too_long(text, LABEL_LIMIT)
    if text and _QUALIFIED.fullmatch(text) is None:
        faults.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "
            "or '.', and must start and end with an alphanumeric character"
            + _examples(f"({_QUALIFIED_RULE})?", "MyValue", "my_value", "12345")
        )
    return faults


def path_segment_faults(text: str) -> list[str]:
    """Whatever may stand in a path: the names of RBAC's objects, of users and groups."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{each}'" for each in "/%" if each in text]


def generated_name(prefix: str) -> str:
    """A name that begins with `prefix` (metadata.generateName), most likely a free one."""
    return prefix[:_GENERATED_LIMIT] + "".join(secrets.choice(_LETTERS) for _ in range(5))


def _too_long(text: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} characters"] if len(text) > limit else []


def _examples(rule: str, *examples: str) -> str:
    shown = " or ".join(f"'{each}', " for each in examples)
    return f" (e.g. {shown}regex used for validation is '{rule}')"
