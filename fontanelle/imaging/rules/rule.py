"""What an admission rule is, what it finds, and how a table of rules is walked."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from pydicom.dataset import Dataset

from fontanelle.errors import Code, Reason, Refused
from fontanelle.imaging.series import Series


class Verdict(StrEnum):
    """What admission says; `limited` means volumes without a comparison."""

    ACCEPTED = "accepted"
    LIMITED = "limited"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule says of its subject, where it says anything."""

    verdict: Verdict
    sentence: str


def accepted(remark: str) -> Outcome:
    """Return an outcome that limits nothing and is kept as a remark."""
    return Outcome(Verdict.ACCEPTED, remark)


def limited(sentence: str) -> Outcome:
    """Return an outcome that allows volumes and forbids a comparison."""
    return Outcome(Verdict.LIMITED, sentence)


def rejected(sentence: str) -> Outcome:
    """Return an outcome that forbids measuring."""
    return Outcome(Verdict.REJECTED, sentence)


ACCEPTED, LIMITED, REJECTED = Verdict.ACCEPTED, Verdict.LIMITED, Verdict.REJECTED

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Rule(Generic[S]):
    """One admission rule.

    Attributes
    ----------
    name
        Unique over all tables.
    code
        Of every reason it gives.
    reads
        Attributes or voxels it looks at; of all slices.
    decides
        One line for the documentation, with the limits in force.
    verdicts
        What it may say.
    judge
        Returns None where there is nothing to say.
    needs
        Names of rules without which this one has nothing to stand on: where one of them rejected,
        or was not judged itself, this one is not judged.
    """

    name: str
    code: Code
    reads: str
    decides: str
    verdicts: tuple[Verdict, ...]
    judge: Callable[[S], Outcome | None]
    needs: tuple[str, ...] = ()


def rule(
    code: Code,
    *,
    reads: str,
    decides: str,
    verdicts: tuple[Verdict, ...],
    needs: tuple[str, ...] = (),
) -> Callable[[Callable[[S], Outcome | None]], Rule[S]]:
    """Make the decorated function the judge of a rule that bears its name."""

    def named(judge: Callable[[S], Outcome | None]) -> Rule[S]:
        name = judge.__name__.removeprefix("_")
        return Rule(name, code, reads, decides, verdicts, judge, needs)

    return named


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule said of a series."""

    rule: str
    verdict: Verdict
    reason: Reason


@dataclass(frozen=True, slots=True)
class Admission:
    """May this be measured? All that the rules said, in the order of their table.

    Attributes
    ----------
    findings
        Remarks (accepted), limitations and rejections.
    unjudged
        Names of rules that rejected, or that could not be judged because of it.
    """

    findings: tuple[Finding, ...] = ()
    unjudged: frozenset[str] = frozenset()

    @property
    def decision(self) -> Verdict:
        """The worst verdict."""
        verdicts = {finding.verdict for finding in self.findings}
        return next(
            (v for v in (Verdict.REJECTED, Verdict.LIMITED) if v in verdicts), Verdict.ACCEPTED
        )

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it is rejected or limited, worst first; remarks are not among them."""
        return self._of(Verdict.REJECTED) + self._of(Verdict.LIMITED)

    @property
    def remarks(self) -> tuple[Reason, ...]:
        """What is worth knowing and limits nothing."""
        return self._of(Verdict.ACCEPTED)

    @property
    def obstacles(self) -> tuple[Reason, ...]:
        """Reasons that forbid a comparison: every limitation does.

        A reference covers scans like those it was made from; whatever a rule calls limited is not
        one of them.
        """
        return self.reasons

    def __or__(self, other: "Admission") -> "Admission":
        """Return what two stages found together."""
        return Admission(self.findings + other.findings, self.unjudged | other.unjudged)

    def refuse_if_rejected(self) -> None:
        """Raise the first rejection.

        Raises
        ------
        Refused
            With code and sentence of the first rule that rejected.
        """
        for reason in self._of(Verdict.REJECTED):
            raise Refused(reason.code, reason.sentence)

    def _of(self, verdict: Verdict) -> tuple[Reason, ...]:
        return tuple(finding.reason for finding in self.findings if finding.verdict is verdict)


def walk(rules: Iterable[Rule[S]], subject: S, unjudged: frozenset[str] = frozenset()) -> Admission:
    """Judge a subject by every rule that has something to stand on.

    Parameters
    ----------
    rules
        In order: a rule comes after those that it needs.
    subject
        What the rules read.
    unjudged
        Names of earlier rules that rejected or were not judged.
    """
    findings: list[Finding] = []
    for rule in rules:
        if unjudged.intersection(rule.needs):
            unjudged |= {rule.name}
        elif (outcome := rule.judge(subject)) is not None:
            reason = Reason(rule.code, outcome.sentence)
            findings.append(Finding(rule.name, outcome.verdict, reason))
            if outcome.verdict is Verdict.REJECTED:
                unjudged |= {rule.name}
    return Admission(tuple(findings), unjudged)


def headers(series: Series) -> Iterator[Dataset]:
    """Give the header of each instance."""
    return (instance.header for instance in series.instances)


def of_instances(count: int, series: Series) -> str:
    """Return `3 of 28 instances`."""
    return f"{count} of {len(series.instances)} instances"
