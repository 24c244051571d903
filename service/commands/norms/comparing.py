"""`fontanelle norms compare`: volumes of a child, or of a whole table of children, in; z out."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fontanelle.errors import Code, Refused

if TYPE_CHECKING:
    from fontanelle.norms.comparison import Child, Conditions
    from fontanelle.norms.values import Reference

DEFAULT_REFERENCE = "xi2025"
STATUSES = ("none", "provisional", "qualified")
TIERS = ("local", "calibrated", "published", "derived", "pooled")
MATCHES = ("same", "matched", "approximate")


@click.command("compare")
@click.option("--age-days", type=click.IntRange(0, 50_000), help="Days from birth to the scan.")
@click.option("--sex", type=click.Choice(["M", "F"]))
@click.option(
    "--gestational-age-weeks",
    type=click.IntRange(20, 45),
    help="Completed weeks at birth; below 37 the age is corrected.",
)
@click.option("--volumes", help='A JSON object of mL: {"left_frontal": 204.5, ...}.')
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path),
    help="A table instead: child, age_days, sex, a column a region, gestational_age_weeks.",
)
@click.option(
    "--reference", default=DEFAULT_REFERENCE, show_default=True, help="By name, or a file."
)
@click.option("--protocol", help="Label protocol of the volumes; the reference's unless said.")
@click.option(
    "--protocol-match",
    type=click.Choice(MATCHES),
    default="approximate",
    show_default=True,
    help="How it relates to the reference's; approximate ones are never flagged.",
)
@click.option(
    "--site-status",
    type=click.Choice(STATUSES),
    help="Of a site with a reference of its own; a calibration says it itself.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="A file of `norms calibrate`, for volumes of its package.",
)
@click.option("--tier", type=click.Choice(TIERS), help="That decides; the best unless said.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as POST /compare answers.")
def compare_command(
    *,
    age_days: int | None,
    sex: str | None,
    gestational_age_weeks: int | None,
    volumes: str | None,
    table: Path | None,
    as_json: bool,
    **about: Any,  # noqa: ANN401 (the options that say what to compare with)
) -> None:
    """Compare the volumes of a child with a reference, or of every child in a table.

    Nothing is stored. A table gives a table: one row a child and line, as CSV.
    """
    from fontanelle.norms.comparison import Child, Sex
    from service.commands.norms.files import reference_named

    if (volumes is None) == (table is None):
        raise click.UsageError("either --volumes or --csv")
    if table is not None and any(
        each is not None for each in (age_days, sex, gestational_age_weeks)
    ):
        raise click.UsageError("a table says age, sex and gestational age itself")
    reference = reference_named(about.pop("reference"))
    conditions = _conditions(reference, **about)
    if table is not None:
        _compare_table(_read(table), reference, conditions, as_json=as_json)
        return
    child = Child(
        age_days, None if sex is None else Sex(sex), gestational_age_weeks=gestational_age_weeks
    )
    found = _compared(_volumes(volumes or ""), child, reference, conditions)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        click.echo("\n".join(_lines(found)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            Code.INPUT_UNREADABLE, f"{path.name} cannot be read as UTF-8 text."
        ) from error


def _conditions(
    reference: "Reference",
    *,
    protocol: str | None,
    protocol_match: str,
    site_status: str | None,
    calibration: Path | None,
    tier: str | None,
    **_: object,
) -> "Conditions":
    from fontanelle.norms.comparison import Conditions, ProtocolMatch, SiteStatus, Tier
    from fontanelle.norms.prematurity import CorrectionRule
    from fontanelle.norms.tiers import available_tiers
    from fontanelle.settings import load

    settings = load(os.environ).comparison
    chosen = tier or settings.tier
    conditions = Conditions(
        protocol=protocol or reference.label_protocol,
        protocol_match=ProtocolMatch(protocol_match),
        site_status=SiteStatus.NONE,
        package_sha256=reference.package_digest,
        correction=CorrectionRule.of(settings),
        tier=None if chosen is None else Tier(chosen),
    )
    if calibration is not None:
        conditions = _calibrated(conditions, reference, _read(calibration), site_status)
    elif site_status not in {None, SiteStatus.NONE}:
        if Tier.LOCAL not in reference.tiers:
            raise click.UsageError("--site-status needs --calibration, or a site's own reference")
        conditions = replace(conditions, site_status=SiteStatus(site_status))
    available = available_tiers(reference, conditions)
    if conditions.tier not in {None, *available}:
        raise click.UsageError(f"there is no tier {conditions.tier}, but {', '.join(available)}")
    return conditions


def _calibrated(
    conditions: "Conditions", reference: "Reference", text: str, site_status: str | None
) -> "Conditions":
    from fontanelle.norms.calibration import parse, status_of

    found = parse(text)
    if found.reference_version != reference.version:
        raise Refused(
            Code.CALIBRATION_INVALID,
            f"The calibration belongs to another reference than {reference.id} as it is here.",
        )
    if found.protocol != conditions.protocol:
        raise Refused(
            Code.CALIBRATION_INVALID, f"The calibration is of the protocol {found.protocol}."
        )
    status = status_of(found.n, reference)
    if site_status not in {None, status}:
        raise click.UsageError(f"a calibration of {found.n} heads makes the site {status}")
    return replace(
        conditions,
        site_status=status,
        offsets=() if status == "none" else found.offsets,
        package_sha256=found.package_sha256,
    )


def _volumes(text: str) -> dict[str, float]:
    try:
        found = json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise click.UsageError("--volumes is no JSON object of finite numbers") from error
    if not isinstance(found, dict) or not all(_is_number(each) for each in found.values()):
        raise click.UsageError("--volumes is no JSON object of finite numbers")
    return {name: float(volume) for name, volume in found.items()}


def _no_number(text: str) -> float:
    raise ValueError(text)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compared(
    volumes_ml: Mapping[str, float],
    child: "Child",
    reference: "Reference",
    conditions: "Conditions",
) -> dict[str, Any]:
    from fontanelle.norms.compare import compare
    from fontanelle.norms.mistakes import Malformed, Mistake
    from fontanelle.norms.units import volume_mistakes
    from fontanelle.reports.comparison_object import comparison_object

    if mistakes := [Mistake("", f"{each}.") for each in volume_mistakes(volumes_ml, reference)]:
        raise Malformed(Code.VOLUMES_INVALID, "The volumes cannot be compared:", mistakes)
    found = compare(volumes_ml, child, reference, conditions)
    return comparison_object(found, volumes_ml, child, conditions)


def _lines(found: Mapping[str, Any]) -> list[str]:
    """Return a comparison as a table for people."""
    from service.terminal import Table

    used = found["reference"]
    header = ("region", "mL", "expected", "95 % of children", "z", "95 % interval", "centile", "")
    lines = [*found["measurements"], *([found["total"]] if found["total"] else [])]
    rows = tuple(
        (
            each["region"].replace("_", " "),
            f"{each['volume_ml']:.1f}",
            _number(each["expected_ml"], 1),
            _range(each["low_ml"], each["high_ml"], 1),
            _number(each["z"], 2),
            _range(each["z_low"], each["z_high"], 2),
            _number(each["centile"], 1),
            each["flag"].replace("_", " "),
        )
        for each in lines
    )
    pairs = tuple(
        (
            each["pair"],
            _number(each["index"], 2),
            _number(each["population_mean"], 2),
            _number(each["z"], 2),
            each["flag"].replace("_", " "),
        )
        for each in found["asymmetry"]
    )
    return [
        found["notice"],
        f"reference {used['id']}, {used['version']}",
        f"tier {used['tier']}, site status {used['site_status']}",
        "",
        *Table(header, rows, remarks=False).lines(),
        "",
        *Table(("asymmetry, %", "index", "typical", "z", ""), pairs, remarks=False).lines(),
        "",
        *(f"{each['code']}: {each['sentence']}" for each in found["reasons"]),
    ]


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _range(low: float | None, high: float | None, decimals: int) -> str:
    if low is None or high is None:
        return "-"
    return f"{low:.{decimals}f} to {high:.{decimals}f}"


def _compare_table(
    text: str, reference: "Reference", conditions: "Conditions", *, as_json: bool
) -> None:
    from fontanelle.norms.cohort_table import read_cohort
    from fontanelle.norms.cohorts import compare_cohort
    from fontanelle.reports.cohort_csv import cohort_csv

    table = read_cohort(text, reference)
    if as_json:
        each_ml = [
            dict(zip(reference.region_names, row, strict=True)) for row in table.volumes_ml.tolist()
        ]
        found = [
            {"child": name} | _compared(volumes_ml, child, reference, conditions)
            for name, child, volumes_ml in zip(table.names, table.children, each_ml, strict=True)
        ]
        click.echo(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
        return
    compared = compare_cohort(table.volumes_ml, table.children, reference, conditions)
    click.echo(cohort_csv(table.names, table.children, compared), nl=False)
