"""What docs/access.md and docs/ci.md tell people to type works, command by command.

Of a section, every block marked `sh` is run, in order, by one shell that stops at the first
failure. A block marked `sh oc` belongs to a test of its own, passed over where there is no oc. The
pages' addresses stand for the server of this run, `tidegate-data` for its data directory.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import Home
from tests.images import small_image, write_layout
from tests.kube_client import RBAC, kube_client, role_binding
from tests.registry_client import RegistryClient, client_of
from tests.server import PASSWORD, Server, free_port, serving
from tests.tools import PROJECT, SEARCH_PATH, Outcome, require, run

ANNS_PASSWORD = "blue tea every day"

PATH = os.pathsep.join((str(Path(sys.executable).parent), SEARCH_PATH))
"""The python that runs tidegate, and tidegate, come first."""


def section(page: str, heading: str) -> str:
    """A page from a heading to the next one of its level or above."""
    text = (PROJECT / "docs" / page).read_text("utf-8")
    level = heading.partition(" ")[0]
    _, _, found = text.partition(f"\n{heading}\n")
    assert found, f"{page} has no section {heading}"
    return re.split(rf"^#{{2,{len(level)}}} ", found, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, mark: str) -> list[str]:
    """The fenced blocks of a text with just this mark."""
    found = re.findall(rf"^```{mark}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert found, f"no block is marked {mark}"
    return found


def type_in(server: Server, home: Home, script: list[str], directory: Path) -> Outcome:
    """Run what a page says, in a directory where `tidegate-data` is the server's."""
    lines = "\n".join(("set -euo pipefail", *script))
    for written, actual in (("5000", server.port), ("6443", server.tls_port)):
        lines = re.sub(rf"\b127\.0\.0\.1:{written}\b", f"127.0.0.1:{actual}", lines)
    outcome = run(
        *("bash", "-c", lines),
        environment={
            **home.environment,
            "PATH": PATH,
            "PASSWORD": PASSWORD,
            "ANNS_PASSWORD": ANNS_PASSWORD,
        },
        directory=directory,
    )
    assert outcome.code == 0, str(outcome)
    return outcome


def server_in(directory: Path, *arguments: str) -> Server:
    return Server(directory / "tidegate-data", tls=True, arguments=arguments)


def push(server: Server, name: str, password: str) -> int:
    """The status with which a user's push of shop/web begins."""
    with client_of(server, credentials=(name, password)) as client:
        return client.http.post("/v2/shop/web/blobs/uploads/").status_code


def test_the_first_project_is_made_with_kubectl(logged_out: Home, tmp_path: Path) -> None:
    for program in ("kubectl", "curl"):
        require(program)
    with serving(server_in(tmp_path)) as server:
        script = blocks(section("access.md", "### With kubectl"), "sh")
        outcome = type_in(server, logged_out, script, tmp_path)
        assert "\nyes\n" in outcome.stdout
        assert push(server, "ann", ANNS_PASSWORD) == 202


if shutil.which("oc", path=SEARCH_PATH):  # built from its repository where somebody wants it

    def test_the_first_project_is_made_with_oc(logged_out: Home, tmp_path: Path) -> None:
        with serving(server_in(tmp_path)) as server:
            script = blocks(section("access.md", "### With oc"), "sh oc")
            outcome = type_in(server, logged_out, script, tmp_path)
            assert "ann" in outcome.stdout.partition("Users:")[2]
            assert push(server, "ann", ANNS_PASSWORD) == 202


@pytest.fixture
def trial(tmp_path: Path) -> tuple[Path, str]:
    """A directory with the issuer of docs/ci.md and its settings; the issuer's port in them."""
    text = section("ci.md", "## Try it on one machine")
    text = text.replace("8600", str(free_port()))
    (program,), (settings,) = blocks(text, "python"), blocks(text, "toml")
    (tmp_path / "job_token.py").write_text(program)
    (tmp_path / "trial.toml").write_text(settings)
    return tmp_path, "\n".join(blocks(text, "sh"))


def test_a_job_pushes_with_the_token_of_its_ci_system(
    trial: tuple[Path, str], logged_out: Home
) -> None:
    for program in ("kubectl", "curl", "skopeo"):
        require(program)
    directory, job = trial
    write_layout(small_image("ci"), directory / "image")
    with serving(server_in(directory, "--config", str(directory / "trial.toml"))) as server:
        context, *_ = blocks(section("access.md", "### With kubectl"), "sh")
        outcome = type_in(server, logged_out, [context, job], directory)
        assert "the token's claim 'project_path' is not what is required" in outcome.stdout
        token = (directory / "token").read_text().strip()
        with RegistryClient(server.url, credentials=("ci", token)) as client:
            client.pull("shop/web", small_image("ci"), "1.0")
            assert client.http.delete("/v2/shop/web/manifests/1.0").status_code == 403


def test_a_kubelet_gets_a_pods_credential_without_a_stored_secret(
    trial: tuple[Path, str], logged_out: Home
) -> None:
    require("jq")
    directory, _ = trial
    text = section("access.md", "### Pods of a cluster, without a stored secret")
    (settings,), (provider,) = blocks(text, "toml"), blocks(text, "sh kubelet")
    issuer = re.search(r"http://127\.0\.0\.1:\d+", (directory / "trial.toml").read_text())
    assert issuer
    settings = settings.replace("https://oidc.prod.example.com", issuer[0])
    (directory / "pods.toml").write_text(settings)
    with serving(server_in(directory, "--config", str(directory / "pods.toml"))) as server:
        program = directory / "tidegate-credentials"
        program.write_text(provider.replace("registry.example.com", server.tls_address))
        program.chmod(0o755)
        script = f"""
            python -m http.server {issuer[0].rpartition(":")[2]} --bind 127.0.0.1 \\
                --directory issuer &>issuer.log & trap "kill $!" EXIT
            pod=$(python job_token.py aud=tidegate sub=system:serviceaccount:shop:default)
            until curl --silent --fail --output found {issuer[0]}/keys.json; do sleep 0.1; done
            export CURL_CA_BUNDLE={server.authority}
            echo '{{"image": "x", "serviceAccountToken": "'$pod'"}}' | ./tidegate-credentials
        """
        answer = json.loads(type_in(server, logged_out, [script], directory).stdout)
        login = answer["auth"][server.tls_address]
        with kube_client(server) as admin:
            admin.make("/api/v1/namespaces", {"metadata": {"name": "shop"}})
            pod = "ci:prod:system:serviceaccount:shop:default"
            bound = role_binding("web", "system:image-puller", pod)
            admin.make(f"{RBAC}/namespaces/shop/rolebindings", bound)
        with client_of(server) as admin_client:
            admin_client.push("shop/web", small_image("pod"), "1.0")
        credentials = (login["username"], login["password"])
        with client_of(server, credentials=credentials) as client:
            client.pull("shop/web", small_image("pod"), "1.0")
