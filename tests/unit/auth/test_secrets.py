"""Texts as Kubernetes' ValidateSecret and ValidateSecretUpdate write them."""

import base64

import msgspec
import pytest

from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.auth.secrets import SECRETS, SERVICE_ACCOUNT_NAME, SIZE_LIMIT, Secret, value_of

STRATEGY = SECRETS.strategy


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(kind: str = "", **data: str) -> Secret:
    return Secret(type=kind, data={key: b64(text) for key, text in data.items()})


def faults(new: Secret, old: Secret | None = None) -> list[str]:
    STRATEGY.prepare(new, old)
    return [str(each) for each in STRATEGY.validate(new, old)]


def test_a_secret_without_a_type_is_opaque() -> None:
    new = secret(a="1")
    assert faults(new) == []
    assert new.type == "Opaque"


def test_plain_text_is_put_into_data_over_what_was_there() -> None:
    new = Secret(data={"a": b64("old"), "b": b64("kept")}, string_data={"a": "new", "c": "ä"})
    STRATEGY.prepare(new, None)
    assert new.data == {"a": b64("new"), "b": b64("kept"), "c": b64("ä")}
    assert new.string_data == {}
    assert b"stringData" not in msgspec.json.encode(new)


def test_a_type_never_changes() -> None:
    assert faults(secret("kubernetes.io/ssh-auth"), secret("Opaque"))[0] == (
        'type: Invalid value: "kubernetes.io/ssh-auth": field is immutable'
    )


def test_an_update_without_a_type_keeps_it() -> None:
    new = secret(username="u")
    assert faults(new, secret("kubernetes.io/basic-auth", username="x")) == []
    assert new.type == "kubernetes.io/basic-auth"


def test_what_is_immutable_stays_so() -> None:
    old = secret("Opaque", a="1")
    old.immutable = True
    same = secret("Opaque", a="1")
    same.immutable = True
    assert faults(same, old) == []
    assert faults(secret("Opaque", a="2"), old) == [
        "immutable: Forbidden: field is immutable when `immutable` is set",
        "data: Forbidden: field is immutable when `immutable` is set",
    ]


def test_a_key_is_a_file_name() -> None:
    new = Secret(data={"a b": ""})
    assert faults(new)[0].startswith(
        'data[a b]: Invalid value: "a b": a valid config key must consist of'
    )


def test_a_mebibyte_of_values_is_the_limit() -> None:
    assert faults(Secret(string_data={"a": "x" * SIZE_LIMIT})) == []
    assert faults(Secret(string_data={"a": "x" * SIZE_LIMIT, "b": "x"})) == [
        "data: Too long: may not be more than 1048576 bytes"
    ]


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("kubernetes.io/dockerconfigjson", ["data[.dockerconfigjson]"]),
        ("kubernetes.io/dockercfg", ["data[.dockercfg]"]),
        ("kubernetes.io/basic-auth", ["data[username]", "data[password]"]),
        ("kubernetes.io/ssh-auth", ["data[ssh-privatekey]"]),
        ("kubernetes.io/tls", ["data[tls.crt]", "data[tls.key]"]),
        (
            "kubernetes.io/service-account-token",
            ["metadata.annotations[kubernetes.io/service-account.name]"],
        ),
    ],
)
def test_a_type_says_what_there_must_be(kind: str, missing: list[str]) -> None:
    assert faults(secret(kind)) == [f"{each}: Required value" for each in missing]


def test_types_are_taken_with_what_belongs_to_them() -> None:
    assert faults(secret("kubernetes.io/basic-auth", password="")) == []
    assert faults(secret("kubernetes.io/ssh-auth", **{"ssh-privatekey": "k"})) == []
    assert faults(secret("kubernetes.io/tls", **{"tls.crt": "c", "tls.key": "k"})) == []
    assert faults(secret("example.com/own")) == []
    token = Secret(
        type="kubernetes.io/service-account-token",
        metadata=ObjectMeta(annotations={SERVICE_ACCOUNT_NAME: "builder"}),
    )
    assert faults(token) == []


@pytest.mark.parametrize(
    "content", ['{"auths":{"r.example":{"auth":"dTpw"}}}', '{"credHelpers":{}}', '{"auths":null}']
)
def test_a_docker_config_is_an_object_with_hosts(content: str) -> None:
    assert faults(secret("kubernetes.io/dockerconfigjson", **{".dockerconfigjson": content})) == []


@pytest.mark.parametrize(
    "content", ["", "hunter2", "[]", '{"auths":"hunter2"}', '{"auths":{"r":1}}']
)
def test_a_docker_config_that_is_none_is_refused_without_showing_it(content: str) -> None:
    (fault,) = faults(secret("kubernetes.io/dockerconfigjson", **{".dockerconfigjson": content}))
    assert fault.startswith(
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be a JSON '
    )


def test_a_dockercfg_has_hosts_at_its_top() -> None:
    good = {".dockercfg": '{"r.example":{"auth":"dTpw"}}'}
    assert faults(secret("kubernetes.io/dockercfg", **good)) == []
    (fault,) = faults(secret("kubernetes.io/dockercfg", **{".dockercfg": '{"r":"hunter2"}'}))
    assert "hunter2" not in fault


def test_a_value_is_in_no_repr_and_in_no_error() -> None:
    new = Secret(
        metadata=ObjectMeta(name="db", namespace="shop"),
        data={"password": b64("hunter2")},
        string_data={"other": "hunter2"},
    )
    assert repr(new) == "Secret(shop/db, type='')"
    with pytest.raises(BadRequest) as refused:
        STRATEGY.prepare(Secret(data={"password": "hunter2!"}), None)
    assert "hunter2" not in str(refused.value)


def test_a_value_is_read_by_its_key() -> None:
    assert value_of(secret(a="1"), "a") == b"1"
    assert value_of(secret(a="1"), "b") is None


def test_the_table_shows_the_type_and_how_many_values() -> None:
    made = secret("Opaque", a="1", b="2")
    assert [each.cell(made, 0.0) for each in SECRETS.columns] == ["Opaque", 2]
    assert SECRETS.fields["type"](made) == "Opaque"
