"""Prints the largest module, function, class and parameter list of the program.

Nothing fails on a size; a reader asks what the second idea in there is.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parent.parent / "src"
SHOWN = 3


class Size(NamedTuple):
    """How large something is, and where it stands."""

    amount: int
    where: str


def main() -> None:
    """Print the three largest of each sort."""
    modules: list[Size] = []
    functions: list[Size] = []
    methods: list[Size] = []
    parameters: list[Size] = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        name = str(path.relative_to(SOURCE))
        modules.append(Size(text.count("\n"), name))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                where = f"{name}:{node.lineno} {node.name}"
                functions.append(Size((node.end_lineno or node.lineno) - node.lineno + 1, where))
                parameters.append(Size(_parameters(node), where))
            elif isinstance(node, ast.ClassDef):
                public = sum(1 for _ in _public_methods(node))
                methods.append(Size(public, f"{name}:{node.lineno} {node.name}"))
    for title, sizes in (
        ("lines in a module", modules),
        ("lines in a function", functions),
        ("public methods of a class", methods),
        ("parameters of a function", parameters),
    ):
        largest = sorted(sizes, reverse=True)[:SHOWN]
        print(f"{title}: " + ", ".join(f"{size.amount} {size.where}" for size in largest))


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(1 for argument in arguments if argument.arg not in ("self", "cls"))


def _public_methods(node: ast.ClassDef) -> Iterator[ast.stmt]:
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and not each.name.startswith(
            "_"
        ):
            yield each


if __name__ == "__main__":
    main()
