"""A platform engineer publishes a chart with helm, and another one installs from it."""

from pathlib import Path

import pytest

from tests.clients.conftest import Home, Registry
from tests.registry_client import RegistryClient
from tests.tools import Program, require


def helm_in(home: Home) -> Program:
    environment = {
        **home.environment,
        "HELM_REGISTRY_CONFIG": home.environment["REGISTRY_AUTH_FILE"],
        "HELM_CACHE_HOME": str(home.directory / "cache"),
        "HELM_DATA_HOME": str(home.directory / "share"),
    }
    return Program(require("helm"), environment)


@pytest.fixture
def helm(home: Home) -> Program:
    return helm_in(home)


@pytest.fixture
def chart(helm: Program, tmp_path: Path) -> Path:
    """A packaged chart, `app-1.2.3.tgz`."""
    templates = tmp_path / "app" / "templates"
    templates.mkdir(parents=True)
    (tmp_path / "app" / "Chart.yaml").write_text(
        "apiVersion: v2\nname: app\nversion: 1.2.3\ndescription: ebb and flow\n"
    )
    (templates / "settings.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-settings\n"
    )
    helm("package", tmp_path / "app", "--destination", tmp_path)
    return tmp_path / "app-1.2.3.tgz"


def test_a_chart_is_pushed_after_login_and_pulled_to_the_byte(
    registry: Registry, logged_out: Home, chart: Path, repository: str, tmp_path: Path
) -> None:
    helm = helm_in(logged_out)
    project = f"oci://{registry.address}/{repository.partition('/')[0]}"
    helm("registry", "logout", registry.address)
    assert helm.attempt("push", "--plain-http", chart, project).code != 0
    helm("registry", "login", "--plain-http", "--username", registry.username, "--password-stdin",
         registry.address, stdin=registry.password)  # fmt: skip
    helm("push", "--plain-http", chart, project)
    (tmp_path / "back").mkdir()
    helm("pull", "--plain-http", f"{project}/app", "--version", "1.2.3",
         "--destination", tmp_path / "back")  # fmt: skip
    assert (tmp_path / "back" / chart.name).read_bytes() == chart.read_bytes()


def test_the_newest_version_is_found_by_the_tags_and_rendered(
    registry: Registry, helm: Program, api: RegistryClient, chart: Path, repository: str
) -> None:
    project = f"oci://{registry.address}/{repository.partition('/')[0]}"
    helm("push", "--plain-http", chart, project)
    helm("package", chart.parent / "app", "--version", "1.3.0", "--destination", chart.parent)
    helm("push", "--plain-http", chart.parent / "app-1.3.0.tgz", project)
    assert api.tags(repository) == ["1.2.3", "1.3.0"]
    assert "version: 1.3.0" in helm("show", "chart", "--plain-http", f"{project}/app")
    rendered = helm("template", "spring", "--plain-http", f"{project}/app", "--version", "1.2.3")
    assert "name: spring-settings" in rendered


def test_the_same_over_tls_with_the_authority_that_the_server_made(
    registry: Registry, helm: Program, chart: Path, repository: str, tmp_path: Path
) -> None:
    authority = registry.authority_for(tmp_path / "certificates") / "ca.crt"
    project = f"oci://{registry.encrypted_address}/{repository.partition('/')[0]}"
    helm("push", "--ca-file", authority, chart, project)
    (tmp_path / "back").mkdir()
    helm("pull", "--ca-file", authority, f"{project}/app", "--destination", tmp_path / "back")
    assert (tmp_path / "back" / chart.name).read_bytes() == chart.read_bytes()
