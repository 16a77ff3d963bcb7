"""Where uploads stand, for whoever goes on with them."""

import json
import stat
from pathlib import Path

from tidegate.delivery.mirrors.sessions import KEPT_FOR, Notes, SessionFile
from tidegate.oci.digest import Digest
from tidegate.remote.location import Location

WEB = Location("quay.io", "org/web")
ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
ADDRESS = "https://quay.io/v2/org/web/blobs/uploads/1?_state=x"


def test_a_file_keeps_addresses_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "uploads.json"
    SessionFile(str(path)).of(WEB, ONE).keep(ADDRESS)
    again = SessionFile(str(path))
    assert again.of(WEB, ONE).recall() == ADDRESS
    assert again.of(WEB, TWO).recall() == ""
    assert again.of(Location("quay.io", "org/db"), ONE).recall() == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again.of(WEB, ONE).keep("")
    assert SessionFile(str(path)).of(WEB, ONE).recall() == ""


def test_what_registries_have_forgotten_is_forgotten(tmp_path: Path) -> None:
    path, now = str(tmp_path / "uploads.json"), [1000.0]
    kept = SessionFile(path, lambda: now[0])
    kept.of(WEB, ONE).keep(ADDRESS)
    now[0] += KEPT_FOR + 1
    assert kept.of(WEB, ONE).recall() == ""
    kept.of(WEB, TWO).keep(ADDRESS)
    assert len(json.loads(Path(path).read_bytes())) == 1


def test_a_file_that_cannot_be_read_or_written_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "uploads.json"
    for text in ("{", "[]", '{"x": 1}', '{"x": {"address": 1, "at": 1}}'):
        path.write_text(text)
        assert SessionFile(str(path)).of(WEB, ONE).recall() == ""
    (tmp_path / "file").write_text("")
    SessionFile(str(tmp_path / "file" / "uploads.json")).of(WEB, ONE).keep(ADDRESS)


def test_notes_are_text_for_whoever_keeps_them() -> None:
    notes = Notes()
    assert notes.written() == ""
    notes.of(WEB, ONE).keep(ADDRESS)
    assert [notes.changed] == [True]
    text = notes.written()
    assert [notes.changed] == [False]
    assert Notes(text).of(WEB, ONE).recall() == ADDRESS
    assert Notes("damaged").of(WEB, ONE).recall() == ""
    assert Notes("[1]").of(WEB, ONE).recall() == ""
    notes.of(WEB, ONE).keep("")
    assert notes.written() == ""
