r"""Patterns that users write about names: regular expressions and globs, matched in bounded time.

A project's rules run inside every push, and whoever administers a project writes them. With a
backtracking matcher one rule, `(a+)+b`, stops the server, and the many that are slow only by a
polynomial, `a*a*a*b`, pass every check on form that one can think of. Hence this matcher of our own
(see `automaton`): a text costs at most `TEXT_LIMIT` times `PLACES` steps, some milliseconds,
whatever it and the pattern are. What only backtracking can do (look-around, back references) is
refused.

    pattern = branch { "|" branch }
    branch  = { atom [ "*" | "+" | "?" | "{n}" | "{n,}" | "{n,m}" ] }, with "?" for lazy
    atom    = character | "." | "[class]" | "\d" "\w" "\s" and negations | "\" punctuation
            | "(" pattern ")" | "(?:" pattern ")" | "(?P<name>" pattern ")"

A pattern is about the whole text; `^` and `$` may stand at the ends of it and change nothing.
Letters and digits are ASCII's. Within this grammar it decides as Python's and Go's do.
"""

from tidegate.kinds.automaton import (
    LAST,
    Node,
    Pattern,
    PatternInvalid,
    Ranges,
    Symbol,
    compiled,
    either,
    literal,
    repeated,
    row,
)

PATTERN_LIMIT = 512
"""Characters of a pattern; the expression that semver.org proposes has 240."""

_DEPTH = 16

_DIGITS: Ranges = ((48, 57),)
_WORDS: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACES: Ranges = ((9, 13), (32, 32))


def pattern_of(text: str) -> Pattern:
    """Read a regular expression; `PatternInvalid` says what is wrong."""
    if len(text) > PATTERN_LIMIT:
        raise PatternInvalid(f"may not be more than {PATTERN_LIMIT} characters")
    return compiled(text, _Reader(text).pattern())


def glob_of(text: str) -> Pattern:
    """Read a glob: `*` is any characters, `?` is one, `[a-z]` and `[!a-z]` are one of a class."""
    if len(text) > PATTERN_LIMIT:
        raise PatternInvalid(f"may not be more than {PATTERN_LIMIT} characters")
    parts: list[Node] = []
    reader = _Reader(text)
    while reader.left:
        if reader.taken("*"):
            parts.append(repeated(_ANY, 0, None))
        elif reader.taken("?"):
            parts.append(_ANY)
        elif reader.taken("["):
            parts.append(reader.character_class("!^"))
        else:
            reader.taken("\\")
            parts.append(literal(reader.next()))
    return compiled(text, row(parts))


class _Reader:
    """Reads a pattern from left to right, one method per line of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._text)

    @property
    def _ahead(self) -> str:
        """The next character, empty at the end."""
        return self._text[self._at : self._at + 1]

    def taken(self, text: str) -> bool:
        """Whether this comes next; it is passed then."""
        found = self._text.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def next(self) -> str:
        if not self.left:
            raise PatternInvalid("ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def pattern(self) -> Node:
        node = self._branches()
        if self.left:
            raise PatternInvalid(f"the ) at {self._at} closes nothing")
        return node

    def _branches(self) -> Node:
        branches = [self._branch()]
        while self.taken("|"):
            branches.append(self._branch())
        return branches[0] if len(branches) == 1 else either(branches)

    def _branch(self) -> Node:
        parts: list[Node] = []
        if not self._depth:
            self.taken("^")
        while self._ahead not in ("", "|", ")"):
            if self.taken("$"):
                if self._depth or self._ahead not in ("", "|"):
                    raise PatternInvalid("$ may only be at the end of it")
                break
            parts.append(self._times(self._atom()))
        return row(parts)

    def _atom(self) -> Node:
        character = self.next()
        if character == "(":
            return self._group()
        if character == "[":
            return self.character_class("^")
        if character == ".":
            return _DOT
        if character == "\\":
            return Symbol(self._escaped())
        if character == "^":
            raise PatternInvalid("^ may only be at the begin of it")
        if character in "*+?{":
            raise PatternInvalid(f"the {character} at {self._at} repeats nothing")
        return literal(character)

    def _group(self) -> Node:
        if self._depth == _DEPTH:
            raise PatternInvalid(f"groups may be {_DEPTH} deep")
        if not self.taken("?:") and self.taken("?"):
            self.taken("P")
            if not self.taken("<") or self._ahead in ("=", "!"):
                raise PatternInvalid("look-around and flags, (?…), are not supported")
            while self.next() != ">":  # a name, which nothing asks for
                pass
        self._depth += 1
        node = self._branches()
        self._depth -= 1
        if not self.taken(")"):
            raise PatternInvalid("a ( is never closed")
        return node

    def _times(self, node: Node) -> Node:
        if self.taken("*"):
            many = repeated(node, 0, None)
        elif self.taken("+"):
            many = repeated(node, 1, None)
        elif self.taken("?"):
            many = repeated(node, 0, 1)
        elif self.taken("{"):
            many = repeated(node, *self._bounds())
        else:
            return node
        self.taken("?")  # lazy: of a whole text it asks the same
        if self._ahead and self._ahead in "*+?{":
            raise PatternInvalid(f"the {self._ahead} at {self._at + 1} repeats nothing")
        return many

    def _bounds(self) -> tuple[int, int | None]:
        text = ""
        while (character := self.next()) != "}":
            text += character
        least, comma, most = text.partition(",")
        if not _is_number(least) or not (_is_number(most) or not most):
            raise PatternInvalid(
                f"{{{text}}} is no {{n}}, {{n,}} or {{n,m}}; for a brace write \\{{"
            )
        if not comma:
            return int(least), int(least)
        return int(least), int(most) if most else None

    def character_class(self, negations: str) -> Node:
        negated = self._ahead != "" and self._ahead in negations
        self._at += negated
        ranges = [*self._class_item()]  # a ] that comes first stands for itself
        while not self.taken("]"):
            ranges += self._class_item()
        return Symbol(_negated(tuple(ranges)) if negated else tuple(ranges))

    def _class_item(self) -> Ranges:
        low = self._class_character()
        if self._ahead != "-" or self._text[self._at + 1 :][:1] == "]":
            return low
        self._at += 1
        high = self._class_character()
        if not (_is_single(low) and _is_single(high)) or low[0][0] > high[0][0]:
            raise PatternInvalid("a class has a range that is none")
        return ((low[0][0], high[0][0]),)

    def _class_character(self) -> Ranges:
        character = self.next()
        if character == "\\":
            return self._escaped()
        if character == "[" and self._ahead in (":", ".", "="):
            raise PatternInvalid("[:class:] is not supported; write [0-9], [a-z]")
        return ((ord(character), ord(character)),)

    def _escaped(self) -> Ranges:
        character = self.next()
        if character in _CLASSES:
            return _CLASSES[character]
        if character.isalnum():
            raise PatternInvalid(f"\\{character} is not supported")
        return ((ord(character), ord(character)),)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _is_single(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def _negated(ranges: Ranges) -> Ranges:
    found, begin = [], 0
    for low, high in sorted(ranges):
        if begin < low:
            found.append((begin, low - 1))
        begin = max(begin, high + 1)
    return (*found, (begin, LAST)) if begin <= LAST else tuple(found)


_CLASSES: dict[str, Ranges] = {
    "d": _DIGITS,
    "D": _negated(_DIGITS),
    "w": _WORDS,
    "W": _negated(_WORDS),
    "s": _SPACES,
    "S": _negated(_SPACES),
}
_ANY = Symbol(((0, LAST),))
_DOT = Symbol(_negated(((10, 10),)))
