import base64
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.remote.cluster.access import AccessInvalid, ClusterAccess, Token, in_cluster
from tidegate.remote.cluster.client import tls_context
from tidegate.remote.cluster.kubeconfig import LIMIT, read_kubeconfig

SECRET = "a-token-that-nobody-may-see"


def config(user: dict[str, Any] | None = None, **cluster: Any) -> dict[str, Any]:
    return {
        "current-context": "here",
        "contexts": [
            {"name": "there", "context": {"cluster": "far"}},
            {"name": "here", "context": {"cluster": "near", "user": "me"}},
        ],
        "clusters": [
            {"name": "far", "cluster": {"server": "https://far"}},
            {"name": "near", "cluster": {"server": "https://near:6443/", **cluster}},
        ],
        "users": [{"name": "me", "user": {"token": SECRET} if user is None else user}],
    }


def written(directory: Path, document: Any) -> Path:
    path = directory / "config"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def read(directory: Path, document: Any) -> ClusterAccess:
    return read_kubeconfig(written(directory, document))


def test_the_current_context_counts(tmp_path: Path) -> None:
    access = read(tmp_path, config())
    assert (access.server, access.token.now()) == ("https://near:6443", SECRET)
    assert SECRET not in repr(access)
    assert read(tmp_path, config() | {"current-context": "there"}).server == "https://far"


def test_files_are_beside_the_kubeconfig_and_what_is_in_it_counts_more(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("file")
    named: dict[str, Any] = {"certificate-authority": "ca.crt"}
    assert read(tmp_path, config(**named)).authority == "file"
    inside = base64.b64encode(b"inside").decode()
    named["certificate-authority-data"] = inside
    assert read(tmp_path, config(**named)).authority == "inside"
    (tmp_path / "token").write_text("from a file\n")
    user = {"tokenFile": "token", "token": "in the kubeconfig"}
    assert read(tmp_path, config(user)).token.now() == "from a file"


def test_basic_credentials_and_names_of_servers_are_read(tmp_path: Path) -> None:
    user = {"username": "ann", "password": SECRET}
    named: dict[str, Any] = {"tls-server-name": "kubernetes"}
    access = read(tmp_path, config(user, **named))
    assert (access.user, access.password, access.server_name) == ("ann", SECRET, "kubernetes")
    assert SECRET not in repr(access)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("{", "no YAML"),
        ("[]", "names no context"),
        ("&a [*a]", "names no context"),
        (config() | {"current-context": "none"}, "no context 'none'"),
        (config() | {"current-context": 3}, "is no text"),
        (config() | {"contexts": {}}, "no context"),
        (config() | {"clusters": None}, "no cluster 'near'"),
        (config() | {"users": [7]}, "no user 'me'"),
        (config(server="near:6443"), "no server"),
        (config(server="https://ann:pw@near"), "no server"),
        (config(server="http://near"), "not https"),
        (config({"exec": {"command": "aws"}}), "exec, which is not run"),
        (config({"auth-provider": {"name": "gcp"}}), "auth-provider, which is not run"),
        (config({"tokenFile": "none"}), "tokenFile none has no token"),
        (config({"client-certificate": "none"}), "client-certificate: No such file"),
        (config({"client-key-data": "%%%"}), "client-key is not in PEM"),
        (config(None, **{"certificate-authority-data": "/////w=="}), "is not in PEM"),
        (" " * (LIMIT + 1), "larger than any"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_says_why_and_no_secret(
    tmp_path: Path, document: Any, why: str
) -> None:
    with pytest.raises(AccessInvalid) as caught:
        read(tmp_path, document)
    assert why in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_missing_kubeconfig_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(AccessInvalid, match="No such file"):
        read_kubeconfig(tmp_path / "none")


def test_plain_http_is_for_this_machine(tmp_path: Path) -> None:
    assert read(tmp_path, config(server="http://127.0.0.1:8001")).server == "http://127.0.0.1:8001"


def test_a_token_in_a_file_is_read_again_after_some_seconds(tmp_path: Path) -> None:
    file, now = tmp_path / "token", [100.0]
    file.write_text("one\n")
    token = Token(file=file, clock=lambda: now[0])
    assert token.now() == "one"
    file.write_text("two")
    assert token.now() == "one"
    now[0] += 10
    assert token.now() == "two"
    file.write_bytes(b"\xff\xfe")
    now[0] += 10
    assert token.now() == "two"  # until it can be read again
    file.write_text("three")
    token.refused()
    assert token.now() == "three"


def test_a_pod_has_its_token_and_authority_in_files(tmp_path: Path) -> None:
    with pytest.raises(AccessInvalid, match="for pods"):
        in_cluster("https://10.0.0.1:443", tmp_path)
    (tmp_path / "ca.crt").write_text("authority")
    with pytest.raises(AccessInvalid, match="has no token"):
        in_cluster("https://10.0.0.1:443", tmp_path)
    (tmp_path / "token").write_text(SECRET)
    access = in_cluster("https://10.0.0.1:443", tmp_path)
    assert (access.server, access.authority, access.token.now()) == (
        "https://10.0.0.1:443",
        "authority",
        SECRET,
    )


def test_certificates_that_are_none_are_told_of_without_their_content(tmp_path: Path) -> None:
    for access in (
        ClusterAccess("https://near", authority="no certificate"),
        ClusterAccess("https://near", certificate="none", key=SECRET),
    ):
        with pytest.raises(AccessInvalid, match="cannot be used") as caught:
            tls_context(access)
        assert SECRET not in str(caught.value)
    assert not [each for each in os.listdir(tmp_path) if each.endswith(".pem")]
