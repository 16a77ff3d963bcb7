import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tidegate.auth.passwords import PasswordHashes
from tidegate.cli.program import program
from tidegate.cli.refusal import Refused
from tidegate.metastore import users
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database


class Tidegate:
    """The command line, on a database of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.url = f"sqlite:///{data / 'metadata.db'}"
        migrate(self.url)

    def run(self, *arguments: str, typed: str = "") -> str:
        command = [*arguments, "--data", str(self.data)]
        result = CliRunner().invoke(program, command, input=typed, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def refuse(self, *arguments: str, typed: str = "") -> str:
        with pytest.raises(Refused) as refusal:
            self.run(*arguments, typed=typed)
        return str(refusal.value)

    def listed(self, what: str) -> Any:
        return json.loads(self.run(what, "list", "--json"))

    def accepts(self, name: str, password: str) -> bool:
        async def check() -> bool:
            database, hashes = await open_database(self.url), PasswordHashes()
            try:
                row = await users.find(database, name)
                return row is not None and await hashes.matches(row.password_hash, password)
            finally:
                hashes.close()
                await database.close()

        return asyncio.run(check())


@pytest.fixture
def tidegate(tmp_path: Path) -> Tidegate:
    return Tidegate(tmp_path)


def test_a_user_is_added_with_a_password_given_in_any_of_three_ways(tidegate: Tidegate) -> None:
    tidegate.run("user", "add", "ann", "--password", "correct horse")
    tidegate.run("user", "add", "eve", "--password-stdin", typed="battery staple\n")
    tidegate.run("user", "add", "joe", typed="paper clip\npaper clip\n")
    assert tidegate.accepts("ann", "correct horse")
    assert tidegate.accepts("eve", "battery staple")
    assert tidegate.accepts("joe", "paper clip")
    assert [each["name"] for each in tidegate.listed("user")] == ["ann", "eve", "joe"]


def test_what_cannot_be_done_is_refused_in_a_sentence(tidegate: Tidegate) -> None:
    tidegate.run("user", "add", "ann", "--password", "correct horse")
    assert "already" in tidegate.refuse("user", "add", "ann", "--password", "battery staple")
    assert tidegate.accepts("ann", "correct horse")
    for command in (["disable"], ["enable"], ["delete"], ["passwd", "--password", "long enough"]):
        assert "no user 'eve'" in tidegate.refuse("user", command[0], "eve", *command[1:])
    assert "8 characters" in tidegate.refuse("user", "add", "eve", "--password", "short")
    token = "sha256~" + "A" * 43
    assert "token" in tidegate.refuse("user", "add", "eve", "--password", token)
    assert "letters" in tidegate.refuse("user", "add", "system:x", "--password", "long enough")
    assert "not both" in tidegate.refuse(
        "user", "add", "eve", "--password", "long enough", "--password-stdin"
    )


def test_a_password_is_changed(tidegate: Tidegate) -> None:
    tidegate.run("user", "add", "ann", "--password", "correct horse")
    tidegate.run("user", "passwd", "ann", "--password-stdin", typed="battery staple\n")
    assert tidegate.accepts("ann", "battery staple")
    assert not tidegate.accepts("ann", "correct horse")


def test_a_user_is_disabled_enabled_and_deleted(tidegate: Tidegate) -> None:
    tidegate.run("user", "add", "ann", "--password", "correct horse")
    tidegate.run("user", "disable", "ann")
    [ann] = tidegate.listed("user")
    assert ann["disabled"]
    tidegate.run("user", "enable", "ann")
    [ann] = tidegate.listed("user")
    assert not ann["disabled"]
    assert ann["uid"]
    tidegate.run("user", "delete", "ann")
    assert tidegate.listed("user") == []


def test_the_list_for_people_shows_names_and_groups(tidegate: Tidegate) -> None:
    tidegate.run("user", "add", "ann", "--password", "correct horse")
    tidegate.run("user", "disable", "ann")
    tidegate.run("group", "add-users", "ops", "ann")
    [heading, row] = tidegate.run("user", "list").splitlines()
    assert heading.split() == ["name", "disabled", "changed", "groups"]
    assert row.split()[0:2] == ["ann", "yes"]
    assert row.split()[-1] == "ops"


def test_groups_are_filled_emptied_and_listed(tidegate: Tidegate) -> None:
    tidegate.run("group", "add-users", "ops", "ann", "corp:eve")
    tidegate.run("group", "add-users", "ops", "ann")
    assert tidegate.listed("group") == {"ops": ["ann", "corp:eve"]}
    tidegate.run("group", "remove-users", "ops", "ann")
    assert tidegate.run("group", "list").split() == ["name", "users", "ops", "corp:eve"]


@pytest.mark.parametrize(
    ("name", "member"), [("system:masters", "ann"), ("ops", "system:admin"), ("~", "ann")]
)
def test_no_group_of_kubernetes_own_is_made_nor_its_users_named(
    tidegate: Tidegate, name: str, member: str
) -> None:
    assert "may not" in tidegate.refuse("group", "add-users", name, member)
    assert tidegate.listed("group") == {}


def test_a_group_that_is_not_there_is_refused(tidegate: Tidegate) -> None:
    assert "no group" in tidegate.refuse("group", "remove-users", "ops", "ann")


def test_a_database_that_was_never_started_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="migrated"):
        CliRunner().invoke(
            program, ["user", "list", "--data", str(tmp_path)], catch_exceptions=False
        )
