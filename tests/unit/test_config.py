from pathlib import Path

import pytest

from tidegate.config import SettingInvalid, cluster_server, load, split_address


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.toml"
    file.write_text('workers = 1\ntoken_lifetime = 60\nlisten = "127.0.0.1:1"\n')
    configuration = load(
        {"listen": "127.0.0.1:3", "data": None},
        file,
        {"TIDEGATE_WORKERS": "2", "TIDEGATE_LISTEN": "127.0.0.1:2"},
    )
    settings = configuration.settings
    assert (settings.token_lifetime, settings.workers, settings.listen) == (60, 2, "127.0.0.1:3")
    assert configuration.origins == {
        "token_lifetime": f"file {file}",
        "workers": "environment",
        "listen": "flag",
    }


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.toml"
    file.write_text("anonymous_pull = true")
    assert load({}, None, {"TIDEGATE_CONFIG": str(file)}).settings.anonymous_pull


def test_secrets_are_hidden_and_everything_else_is_shown() -> None:
    configuration = load(
        {}, None, {"TIDEGATE_ADMIN_PASSWORD": "hunter2", "TIDEGATE_DATABASE": "postgresql://u:p@h"}
    )
    table = {row.name: row for row in configuration.table()}
    assert table["admin_password"].value == table["database"].value == "(hidden)"
    assert table["admin_password"].origin == "environment"
    assert table["listen"].value == "127.0.0.1:5000"
    assert table["listen"].origin == "default"


def test_variables_that_kubernetes_makes_for_a_service_are_let_be() -> None:
    assert load({}, None, {"TIDEGATE_SERVICE_HOST": "10.0.0.1", "TIDEGATE_PORT": "tcp://…"})


def test_a_list_is_written_with_commas_or_blanks_in_the_environment() -> None:
    settings = load({}, None, {"TIDEGATE_TRUSTED_PROXIES": "10.0.0.0/8, ::1/128"}).settings
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("WORKERS", "many", "workers"),
        ("WORKERS", "-1", "workers"),
        ("ANONYMOUS_PULL", "perhaps", "anonymous_pull"),
        ("LISTEN", "5000", "HOST:PORT"),
        ("LISTEN", "host:99999", "HOST:PORT"),
        ("LISTEN", "::1:5000", "HOST:PORT"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "trusted_proxies"),
        ("PUBLIC_URL", "registry.example.com", "public_url"),
        ("DATABASE", "mysql://h", "database"),
        ("TLS_CERT", "/cert.pem", "come together"),
        ("TOKEN_LIFETIME", "0", "token_lifetime"),
        ("LOG_FORMAT", "xml", "log_format"),
        ("ADMISSION_SECRET", "short", "admission_secret"),
        ("ADMISSION_SECRET", "a/b" * 20, "admission_secret"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(variable: str, value: str, hint: str) -> None:
    with pytest.raises(SettingInvalid, match=hint):
        load({}, None, {f"TIDEGATE_{variable}": value})


@pytest.mark.parametrize("text", ["unknown = 1", "workers = ", "workers = [1]", "\udcff"])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tidegate.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingInvalid, match=r"tidegate\.toml"):
        load({}, file, {})
    with pytest.raises(SettingInvalid, match="nowhere"):
        load({}, tmp_path / "nowhere", {})


def test_an_address_has_a_host_and_a_port() -> None:
    assert split_address("[::1]:5000") == ("::1", 5000)
    assert split_address("localhost:0") == ("localhost", 0)


def test_a_pod_finds_its_cluster_by_what_the_kubelet_says() -> None:
    assert cluster_server({}) == "https://kubernetes.default.svc:443"
    said = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}
    assert cluster_server(said) == "https://10.0.0.1:6443"
    assert cluster_server({"KUBERNETES_SERVICE_HOST": "fd00::1"}) == "https://[fd00::1]:443"
