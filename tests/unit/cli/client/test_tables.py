"""What a server sent, laid out for people."""

import pytest

from tidegate.cli.client.tables import (
    as_yaml,
    binary_size,
    cell,
    fields,
    plain,
    printable,
    server_table,
    show,
)

TABLE = {
    "kind": "Table",
    "columnDefinitions": [
        {"name": "Name", "type": "string", "priority": 0},
        {"name": "Image Name", "type": "string", "priority": 1},
    ],
    "rows": [{"cells": ["web:1", "sha256:1"]}, {"cells": [None, 3]}],
}


def test_columns_of_lower_priority_are_for_wide_tables() -> None:
    assert server_table(TABLE, wide=False) == (["NAME"], [["web:1"], ["<none>"]])
    assert server_table(TABLE, wide=True) == (
        ["NAME", "IMAGE NAME"],
        [["web:1", "sha256:1"], ["<none>", "3"]],
    )


@pytest.mark.parametrize(
    "table",
    [{}, {"rows": [7, {"cells": None}]}, {"columnDefinitions": None}, {"columnDefinitions": "x"}],
)
def test_a_table_of_another_shape_has_no_columns(table: dict[str, object]) -> None:
    columns, rows = server_table(table, wide=False)
    assert columns == []
    assert not any(rows)


def test_a_row_with_too_few_cells_is_filled() -> None:
    table = {**TABLE, "rows": [{"cells": ["web:1"]}]}
    assert server_table(table, wide=True)[1] == [["web:1", ""]]


def test_columns_stand_under_each_other_without_blanks_at_the_end() -> None:
    assert plain([["NAME", "TAGS"], ["a", "1,2,3"], ["long-name", ""]]) == [
        "NAME        TAGS",
        "a           1,2,3",
        "long-name",
    ]


def test_a_table_on_a_pipe_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    show(["A", "B"], [["[red]x[/red]", "y"]])
    assert capsys.readouterr().out == "A              B\n[red]x[/red]   y\n"


def test_what_a_terminal_would_obey_is_shown_as_an_escape() -> None:
    assert printable("a\x1b[31mb\r\x07\u202e") == "a\\x1b[31mb\\r\\x07\\u202e"
    assert printable("Grüße, 世界") == "Grüße, 世界"


def test_of_several_lines_a_cell_shows_the_first() -> None:
    assert cell("one\ntwo") == "one..."
    assert (cell(True), cell(""), cell(1)) == ("true", "", "1")


def test_fields_without_a_value_are_left_out() -> None:
    assert fields([("Name", "web"), ("Author", ""), ("Media Type", "x")]) == [
        "Name:       web",
        "Media Type: x",
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (10 * 2**20, "10MiB"), (2**60, "1024PiB")],
)
def test_bytes_are_written_with_a_binary_unit(count: int, text: str) -> None:
    assert binary_size(count) == text


def test_yaml_keeps_the_order_of_names() -> None:
    assert as_yaml({"b": 1, "a": "no"}) == "b: 1\na: 'no'"
