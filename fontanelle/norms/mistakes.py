"""What is wrong with a file that was given to us: every place at once; nothing is taken of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from fontanelle.errors import Code, Refused


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong.

    Attributes
    ----------
    where
        Path in the document, such as `regions.left_frontal.mean`; empty for the whole.
    what
        A sentence or the beginning of one.
    row
        Line of the table that it came from, the header being 1; None where there is no table.
    """

    where: str
    what: str
    row: int | None = None

    def __str__(self) -> str:
        """Return it as a person reads it."""
        at = f"row {self.row}: " if self.row is not None else ""
        place = f"{self.where}: " if self.where and self.where not in self.what else ""
        return f"{at}{place}{self.what}"


class Malformed(Refused):
    """A file is refused, with the list of all that is wrong with it."""

    def __init__(self, code: Code, opening: str, mistakes: Iterable[Mistake]) -> None:
        self.opening = opening
        self.mistakes = tuple(mistakes)
        super().__init__(code, " ".join((opening, *(str(each) for each in self.mistakes))))
