"""What docs/notifications.md tells people to type works, from top to bottom.

The page's receiver, at port 8700, is run as it stands there, on a free port.
"""

from pathlib import Path

from tests.clients.conftest import Home
from tests.clients.test_access_howto import blocks, section, server_in, type_in
from tests.clients.test_history_howto import LOGIN
from tests.images import small_image, write_layout
from tests.server import free_port, serving
from tests.tools import PROJECT, require

PAGE = "notifications.md"
SETTINGS = 'upstream_networks = ["127.0.0.0/8"]\n'

WATCH = """{} >events &
WATCHING=$!
skopeo copy --dest-tls-verify=false oci:./image docker://127.0.0.1:5000/shop/web:seen
until grep '"tag":"seen"' events; do sleep 0.2; done
kill $WATCHING
"""


def test_every_command_of_the_page_does_what_it_says(logged_out: Home, tmp_path: Path) -> None:
    for program in ("kubectl", "skopeo", "curl"):
        require(program)
    assert SETTINGS.strip() in (PROJECT / "docs" / PAGE).read_text("utf-8")
    (tmp_path / "settings.toml").write_text(SETTINGS)
    port = str(free_port())
    genuine, receiver = blocks(section(PAGE, "## Check a signature"), "python")
    assert len(genuine[genuine.index("def ") :].splitlines()) <= 10
    (tmp_path / "genuine.py").write_text(genuine)
    (tmp_path / "receiver.py").write_text(receiver.replace("8700", port))
    write_layout(small_image("told"), tmp_path / "image")
    context, *_ = blocks(section("access.md", "### With kubectl"), "sh")
    make, look = blocks(section(PAGE, "## Subscribe"), "sh")
    (listen,) = blocks(section(PAGE, "## Check a signature"), "sh")
    fail, replay = blocks(section(PAGE, "## Dead letters and replay"), "sh")
    (hold,) = blocks(section(PAGE, "## Hold it"), "sh")
    (everywhere,) = blocks(section(PAGE, "## All projects"), "sh")
    (watch,) = blocks(section(PAGE, "## Watch from a shell or a console"), "sh")
    script = [
        *(LOGIN, context, "kubectl create namespace shop", make, listen, look, fail, replay),
        *(hold, everywhere, WATCH.format(watch.rstrip())),
    ]
    script = [each.replace("127.0.0.1:8700", f"127.0.0.1:{port}") for each in script]
    with serving(server_in(tmp_path, "--config", str(tmp_path / "settings.toml"))) as server:
        outcome = type_in(server, logged_out, script, tmp_path)
    received = (tmp_path / "received").read_text().splitlines()
    pushed = [each for each in received if each.endswith("tag.pushed shop/web:1.1")]
    assert pushed == ["True io.tidegate.tag.pushed shop/web:1.1"] * 2
    assert not any(each.startswith("False") for each in received)
    assert "the receiver answered 400" in outcome.stdout
    assert "event: tag" in (tmp_path / "events").read_text()


def test_the_page_is_found_from_the_others() -> None:
    for page in ("README.md", "docs/devops.md", "docs/access.md", "docs/history.md"):
        assert "notifications.md" in (PROJECT / page).read_text("utf-8")
