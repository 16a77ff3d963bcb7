"""Quantities, `1.5Gi`, `250m`, `2e3`: exact numbers with a suffix, never a float.

    quantity = [sign] digits [. digits] suffix
    suffix   = Ki Mi Gi Ti Pi Ei | n u m "" k M G T P E | e EXPONENT

The grammar, the rounding up at 1e-9 and the canonical form (no fraction, the largest suffix) are
those of Kubernetes' resource.Quantity. On the wire a quantity is a string; a number is read too,
since `pods: 10` in YAML is one.
"""

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Annotated

from msgspec import Meta

WireQuantity = Annotated[str | int | float, Meta(description="A quantity.")]

DECIMAL, BINARY, EXPONENT = "DecimalSI", "BinarySI", "DecimalExponent"

NANO = 10**9
"""Quantities are counted in billionths: nothing smaller is kept."""

_FORM = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_SPLIT = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_DECIMAL_SUFFIXES = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18
}  # fmt: skip
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_BINARY_NAMES = ("", *_BINARY_SUFFIXES)
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)", re.ASCII)

_TEXT_LIMIT = 64
_EXPONENT_LIMIT = 40
"""Beyond these a text only costs time: 1e40 bytes are no limit that anybody means."""


class QuantityInvalid(ValueError):
    """A text that is no quantity; the message is the original's."""


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An exact number of billionths, and the form in which it was written."""

    nano: int
    form: str = DECIMAL

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nano == other.nano

    def __lt__(self, other: "Quantity") -> bool:
        return self.nano < other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    @property
    def value(self) -> int:
        """The number, rounded up (away from zero) to a whole one."""
        return _divided(self.nano, NANO)

    @property
    def is_whole(self) -> bool:
        return self.nano % NANO == 0

    def __str__(self) -> str:
        """The canonical text."""
        if self.nano == 0:
            return "0"
        if self.form == BINARY and abs(self.nano) >= 1024 * NANO and self.is_whole:
            return _binary(self.nano // NANO)
        return _decimal(self.nano, self.form)


def parse_quantity(text: str | float) -> Quantity:
    """Read a quantity; `QuantityInvalid` says what is wrong."""
    written = text if isinstance(text, str) else repr(text)
    split = _SPLIT.fullmatch(written)
    if not written or split is None:
        raise QuantityInvalid(f"quantities must match the regular expression '{_FORM}'")
    sign, whole, fraction, suffix = split[1], split[2], split[3] or "", split[4]
    if not whole + fraction or len(written) > _TEXT_LIMIT:
        raise QuantityInvalid("unable to parse numeric part of quantity")
    number = int(whole + fraction)
    if suffix in _BINARY_SUFFIXES:
        nano = _divided((number << _BINARY_SUFFIXES[suffix]) * NANO, 10 ** len(fraction))
        form = BINARY if nano >= NANO else DECIMAL
    else:
        exponent, form = _exponent(suffix)
        nano = _scaled(number, exponent - len(fraction) + 9)
    return Quantity(-nano if sign == "-" else nano, form)


def canonical(text: str | float) -> str:
    """The text that a server writes for a quantity; anything else is left as it is."""
    try:
        return str(parse_quantity(text))
    except QuantityInvalid:
        return str(text)


def _exponent(suffix: str) -> tuple[int, str]:
    if suffix in _DECIMAL_SUFFIXES:
        return _DECIMAL_SUFFIXES[suffix], DECIMAL
    power = _EXPONENT.fullmatch(suffix)
    if power is None or abs(int(power[1])) > _EXPONENT_LIMIT:
        raise QuantityInvalid("unable to parse quantity's suffix")
    return int(power[1]), EXPONENT


def _scaled(number: int, power: int) -> int:
    """`number` times ten to the `power`, rounded up."""
    return number * 10**power if power >= 0 else _divided(number, 10**-power)


def _divided(number: int, divisor: int) -> int:
    """Rounded away from zero: whoever asks for a little gets something."""
    return number // divisor if number < 0 else -(-number // divisor)


def _binary(number: int) -> str:
    power = 0
    while number % 1024 == 0 and power < len(_BINARY_NAMES) - 1:
        number //= 1024
        power += 1
    return f"{number}{_BINARY_NAMES[power]}"


def _decimal(nano: int, form: str) -> str:
    exponent = -9
    while nano % 1000 == 0 and (form == EXPONENT or exponent < 18):
        nano //= 1000
        exponent += 3
    if form == EXPONENT:
        return f"{nano}e{exponent}" if exponent else f"{nano}"
    return f"{nano}{_DECIMAL_NAMES[exponent]}"
