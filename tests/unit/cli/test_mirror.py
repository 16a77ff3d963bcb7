"""The command in this process, between layouts: what it prints, how it ends, what it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.images import artifact, index, small_image
from tests.unit.delivery.mirrors.world import Shelf
from tidegate.cli.program import program
from tidegate.cli.refusal import Refused

BOTH = index(small_image("amd", "amd64"), small_image("arm", "arm64"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's logins."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


@pytest.fixture
def here(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "here")


def mirror(*words: str, stdin: str = "", code: int = 0) -> str:
    result = CliRunner().invoke(program, ["mirror", *words], input=stdin)
    assert result.exit_code == code, result.output
    return result.stdout


def refused(*words: str, stdin: str = "") -> str:
    result = CliRunner().invoke(program, ["mirror", *words], input=stdin)
    assert isinstance(result.exception, Refused), result.output
    return str(result.exception)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "say a source and a target"),
        (["quay.io/a/b:1"], "say a source and a target"),
        (["ftp://x/y", "oci:d"], "write docker://HOST/REPOSITORY"),
        (["quay.io/A/b", "oci:d"], "repository name must be lowercase"),
        (["quay.io", "oci:d"], "names a registry, but no repository"),
        (["oci:", "oci:d"], "names no file"),
        (["oci:d@sha256:x", "oci:e"], "is no digest"),
        (["quay.io/a/", "oci:d"], "say which repository"),
        (["oci:/nowhere/at/all:1", "oci:d"], "is no OCI image layout"),
        (["oci-archive:/nowhere.tar:1", "oci:d"], "there is no such file"),
        (["quay.io/a/b:1", "quay.io/c/d@sha256:" + "a" * 64], "name the same one at the source"),
        (["--tags", "[", "quay.io/a/b", "oci:d"], "pattern of tags"),
        (["--versions", "x y", "quay.io/a/b", "oci:d"], "range of versions"),
        (["--platform", "arm", "quay.io/a/b:1", "oci:d"], "write linux/amd64"),
        (["-a", "quay.io/a/b:1", "oci:d"], "names one image, but many tags"),
        (["-a", "quay.io/a/b", "oci:d:1"], "names one image, but many tags"),
        (["--file", "/nowhere", "x", "y"], "not both"),
        (["--file", "/nowhere"], "/nowhere"),
        (["--delta-from", "/nowhere", "quay.io/a/b:1", "oci:d"], "/nowhere"),
        (["--ca", "/nowhere", "quay.io/a/b:1", "oci:d"], "/nowhere"),
        (["--authfile", "/nowhere", "quay.io/a/b:1", "oci:d"], "/nowhere"),
    ],
)
def test_what_cannot_begin_says_why(words: list[str], why: str) -> None:
    assert why in refused(*words)


def test_a_line_for_each_image_and_one_for_all(here: Shelf, tmp_path: Path) -> None:
    here.put(BOTH, "1")
    here.put(small_image("amd"), "2")
    said = mirror("-a", f"oci:{here.path}", f"oci:{tmp_path}/there")
    *lines, last = said.splitlines()
    (line,) = (each for each in lines if f"{here.path}:1 " in each)
    assert line.startswith(f"copied oci:{here.path}:1 -> oci:{tmp_path}/there:1 {BOTH.digest} (")
    assert last.startswith("2 images: 2 copied (")
    again = mirror("-a", f"oci:{here.path}", f"oci:{tmp_path}/there")
    assert "2 images: 2 unchanged (" in again
    assert "sent" not in again


def test_a_dry_run_makes_nothing(here: Shelf, tmp_path: Path) -> None:
    here.put(BOTH, "1")
    for target in (f"oci:{tmp_path}/there", f"oci-archive:{tmp_path}/there.tar"):
        said = mirror("--dry-run", f"oci:{here.path}:1", target)
        assert said.startswith("would copy oci:")
        assert "1 image: 1 to copy (" in said
        assert "to send" in said
    assert [each.name for each in tmp_path.iterdir()] == ["here"]


def test_an_image_that_fails_ends_with_one_and_the_others_are_copied(
    here: Shelf, tmp_path: Path
) -> None:
    here.put(BOTH, "1")
    target = f"oci:{tmp_path}/there"
    listed = f"oci:{here.path}:none {target}\n# none\noci:{here.path}:1={target}\n"
    said = mirror("--file", "-", stdin=listed, code=1)
    assert "2 images: 1 failed, 1 copied" in said
    assert Shelf(tmp_path / "there").has(BOTH)


def test_an_archive_is_there_only_if_all_of_it_is(here: Shelf, tmp_path: Path) -> None:
    here.put(BOTH, "1")
    archive = tmp_path / "a.tar"
    target = f"oci-archive:{archive}"
    mirror(f"oci:{here.path}:1", target, f"oci:{here.path}:none", target, code=1)
    assert not archive.exists()
    assert not Path(f"{archive}.receipt.json").exists()
    here.put(small_image("late"), "none")
    said = mirror(f"oci:{here.path}:1", target, f"oci:{here.path}:none", target)
    assert archive.exists()
    assert "there" in said
    assert refused(f"oci:{here.path}:1", target).endswith("or write another archive")


def test_a_receipt_says_what_came_how(here: Shelf, tmp_path: Path) -> None:
    here.put(BOTH, "1")
    here.refer(BOTH, artifact("application/x", b"about", BOTH))
    there, receipt = f"oci:{tmp_path}/there", tmp_path / "receipt.json"
    said = mirror("--receipt", str(receipt), f"oci:{here.path}:1", there)
    assert said.endswith(f"receipt: {receipt}\n")
    document = json.loads(receipt.read_text())
    assert document["kind"] == "MirrorReceipt"
    assert document["program"].startswith("tidegate ")
    (copied,) = document["images"]
    assert copied["result"] == "copied"
    assert copied["digest"] == BOTH.digest
    assert len(copied["manifests"]) == 4
    sizes = sum(each["size"] for each in (*copied["manifests"], *copied["blobs"]))
    assert document["bytes"] == {"copied": sizes, "mounted": 0, "present": 0, "assumed": 0}
    printed = json.loads(mirror("--json", f"oci:{here.path}:1", there))
    assert printed["bytes"]["present"] == sizes
    assert [each["result"] for each in printed["images"]] == ["unchanged"]


@pytest.mark.parametrize("base", ["receipt", "layout", "archive"])
def test_a_delta_builds_on_a_receipt_a_layout_or_an_archive(
    here: Shelf, tmp_path: Path, base: str
) -> None:
    old, new = small_image("old"), small_image("new")
    here.put(old, "1")
    first = f"oci-archive:{tmp_path}/first.tar"
    mirror("-a", f"oci:{here.path}", first)
    mirror("-a", f"oci:{here.path}", f"oci:{tmp_path}/first")
    here.put(new, "2")
    known = {
        "receipt": "first.tar.receipt.json",
        "layout": "first",
        "archive": "first.tar",
    }[base]
    second = f"oci-archive:{tmp_path}/second.tar"
    said = mirror("-a", "--delta-from", str(tmp_path / known), f"oci:{here.path}", second)
    assert "left out as the receipt has it" in said
    there = f"oci:{tmp_path}/there"
    # what the second leaves out is missed without the first
    mirror("-a", second, there, code=1)
    mirror("-a", first, there)
    mirror("-a", "--verify", second, there)
    shelf = Shelf(tmp_path / "there")
    assert shelf.has(old)
    assert shelf.has(new)
    assert shelf.names() == {"1": old.digest, "2": new.digest}


def test_a_delta_is_for_files_alone(here: Shelf, tmp_path: Path) -> None:
    why = refused("--delta-from", str(here.path), f"oci:{here.path}:1", "r.example.com/a/b")
    assert "goes with layouts and archives" in why


def test_what_is_no_receipt_is_refused(here: Shelf, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    for text in ("{}", '{"digest":"x"}', '{"kind":"x","digest":"","images":[]}', "{"):
        wrong.write_text(text)
        assert "is no receipt" in refused(
            "--delta-from", str(wrong), f"oci:{here.path}:1", f"oci:{tmp_path}/there"
        )


def test_one_image_of_a_layout_needs_no_name_and_several_do(here: Shelf, tmp_path: Path) -> None:
    here.put(BOTH, "1")
    there = f"oci:{tmp_path}/there"
    mirror(f"oci:{here.path}", there)
    here.put(small_image("other"), "2")
    assert "has 2 images (1, 2): say which one" in refused(f"oci:{here.path}", there)
    mirror(f"oci:{here.path}@{BOTH.digest}", there + ":by-digest")
    assert Shelf(tmp_path / "there").names() == {"1": BOTH.digest, "by-digest": BOTH.digest}


def test_two_images_do_not_get_one_name(here: Shelf, tmp_path: Path) -> None:
    here.put(BOTH, "1")
    other = Shelf(tmp_path / "other")
    other.put(small_image("x"), "1")
    there = f"oci:{tmp_path}/there"
    why = refused(f"oci:{here.path}:1", there, f"oci:{other.path}:1", there)
    assert f"would both be {there}:1" in why


def test_names_in_a_layout_cannot_speak_to_the_terminal(here: Shelf, tmp_path: Path) -> None:
    here.put(BOTH, "1\x1b[2J")
    said = mirror("-a", f"oci:{here.path}", f"oci:{tmp_path}/there")
    assert "\x1b" not in said
