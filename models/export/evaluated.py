"""What an evaluation found of the networks that become a package; whether it qualifies them.

Nobody declares a package qualified: it is when every figure asked was measured of these very
networks, and reached.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from fontanelle.errors import Code, Refused

REQUIRED: Final = ("accuracy", "conditions", "planted", "repeat", "mirror", "real", "loop")
"""Sections without which nothing is qualified; the CT atlas has no truth and judges nothing."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found of one or two networks.

    Attributes
    ----------
    networks
        File to the SHA-256 of what was evaluated.
    measurement_error_percent
        Region to the SD of repeated measurements, percent; empty if not measured.
    metrics
        Section to what was asked there to what was reached, in words with numbers.
    qualified
        Whether all that is asked was measured and reached.
    """

    networks: Mapping[str, str]
    measurement_error_percent: Mapping[str, float]
    metrics: Mapping[str, Mapping[str, str]]
    qualified: bool

    def require_same(self, networks: Mapping[str, str]) -> None:
        """Refuse other networks than those that were evaluated.

        Raises
        ------
        Refused
            NETWORK_OTHER with the file that differs.
        """
        for file in sorted(networks.keys() | self.networks.keys()):
            if self.networks.get(file) != networks.get(file):
                raise Refused(
                    Code.NETWORK_OTHER,
                    f"The evaluation was made of another {file} than this export gives.",
                )


def read_evaluation(files: Sequence[Path]) -> Evaluation:
    """Read what `models evaluate --out` wrote as accuracy.json; sections may be spread over files.

    Raises
    ------
    Refused
        INPUT_UNREADABLE where a file is no such report or two hold the same section; NETWORK_OTHER
        where two are not of the same networks.
    """
    reports = [_read(file) for file in files]
    for report, file in zip(reports, files, strict=True):
        if report.networks != reports[0].networks:
            raise Refused(
                Code.NETWORK_OTHER, f"{file.name} and {files[0].name} are of different networks."
            )
    sections = _sections(reports)
    gates = [gate for section in sections.values() for gate in section.gates]
    judged = all(name in sections and sections[name].gates for name in REQUIRED)
    whole = judged and not any(report.quick for report in reports)
    return Evaluation(
        networks=reports[0].networks,
        measurement_error_percent=_measurement_error(sections.get("repeat")),
        metrics={
            name: {gate.what: gate.said for gate in section.gates}
            for name, section in sections.items()
            if section.gates
        },
        qualified=whole and all(gate.holds is True for gate in gates),
    )


def _sections(reports: Sequence["_Report"]) -> dict[str, "_Section"]:
    """Return all sections by name; with two of a name, the better one could be chosen."""
    found: dict[str, _Section] = {}
    for section in (section for report in reports for section in report.sections):
        if section.name in found:
            raise Refused(
                Code.INPUT_UNREADABLE, f"The section {section.name} is given twice; give one of it."
            )
        found[section.name] = section
    return found


def _measurement_error(repeat: "_Section | None") -> dict[str, float]:
    found = {} if repeat is None else repeat.values.get("measurement_error", {})
    return {region: percent for region, percent in found.items() if percent is not None}


class _Gate(BaseModel):
    what: str
    asked: str
    reached: str
    holds: bool | None

    @property
    def said(self) -> str:
        """The figure reached beside the one asked."""
        verdict = {True: "reached", False: "not reached", None: "not measured"}[self.holds]
        return f"{self.reached}; asked {self.asked}: {verdict}"


class _Section(BaseModel):
    name: str
    gates: list[_Gate]
    values: dict[str, dict[str, float | None]]


class _Report(BaseModel):
    schema_: Annotated[Literal["fontanelle.accuracy/2"], Field(alias="schema")]
    networks: Annotated[dict[str, str], Field(min_length=1)]
    quick: bool
    sections: list[_Section]


def _read(file: Path) -> _Report:
    try:
        return _Report.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise Refused(
            Code.INPUT_UNREADABLE,
            f"{file.name} is no report of `fontanelle models evaluate --out` (accuracy.json).",
        ) from error
