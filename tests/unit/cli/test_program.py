"""The program itself: which commands it has, and what it loads for them."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tidegate.cli.lazy import load
from tidegate.cli.program import Program, program


@pytest.mark.parametrize("name", sorted(Program.later))
def test_each_command_is_where_the_table_says(name: str) -> None:
    command = load(name, Program.later[name])
    assert command.name == name
    # the first sentence of the table's line; a command's own help may go on
    assert (command.help or "").startswith(Program.later[name].help.rstrip("."))


def test_the_help_shows_every_command() -> None:
    shown = CliRunner().invoke(program, ["--help"])
    assert shown.exit_code == 0
    assert [name for name in Program.later if name not in shown.output] == []


def test_an_unknown_command_suggests_one() -> None:
    shown = CliRunner().invoke(program, ["projetcs"])
    assert shown.exit_code == 2
    assert "'projects'" in shown.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_for_the_program(shell: str) -> None:
    shown = CliRunner().invoke(program, ["completion", shell])
    assert shown.exit_code == 0
    assert "_TIDEGATE_COMPLETE" in shown.output


def test_a_command_loads_what_it_needs_and_no_more() -> None:
    listing = (
        "import sys; from tidegate.cli.program import program\n"
        "program(['{}', '--help'], standalone_mode=False)\n"
        "print(*(name for name in ('httpx', 'uvicorn', 'tidegate.app') if name in sys.modules))"
    )
    loaded = {
        name: subprocess.run(
            (sys.executable, "-c", listing.format(name)), capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]
        for name in ("version", "get")
    }
    assert loaded == {"version": "", "get": "httpx"}


@pytest.mark.parametrize(
    "words", [["tag", "set", "--help"], ["tag", "history", "--help"], ["tag", "--help"]]
)
def test_the_commands_of_tags_have_names(words: list[str]) -> None:
    shown = CliRunner().invoke(program, words)
    assert shown.exit_code == 0
    assert ("SOURCE" in shown.output) == (words[1] == "set")


@pytest.mark.parametrize("words", [["web:1"], ["-d"], ["--alias"]])
def test_other_words_after_tag_are_for_setting_tags(words: list[str]) -> None:
    shown = CliRunner().invoke(program, ["tag", *words, "--help"])
    assert shown.exit_code == 0
    assert "SOURCE" in shown.output
