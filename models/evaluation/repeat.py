"""Repeatability: one head scanned or re-sliced again and again, and how far its volumes scatter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from fontanelle.imaging.geometry import Geometry, Image
from fontanelle.imaging.resample import sampled
from models.evaluation.bench import Bench
from models.evaluation.cases import PLAIN, Case, positioned, scanned
from models.evaluation.metrics import variation_percent
from models.evaluation.report import Cell, Gate, Section, Table, not_measured, worst_at_most
from models.evaluation.scoring import read
from models.evaluation.shapes import drawn
from models.phantom.head import turned

LIMIT_PERCENT = 1.5
OUTSIDE_HU = -1024.0
NOISE_HU = 4.0

AGAIN = (
    PLAIN,
    Case("another noise", seed=3),
    Case("noise raised by half", seed=4, noise_hu=6.0),
    Case("1 mm slices", seed=5, step_mm=1.0),
    Case("0.625 mm slices", seed=6, step_mm=0.625),
    Case("2.5 mm slices", seed=7, step_mm=2.5),
    Case("shifted by 7, -5 and 4.3 mm", seed=8, shift_mm=(7.0, -5.0, 4.3)),
    Case("pitched by 8 degrees", seed=9, angles_deg=(8.0, -1.5, 2.5)),
    Case("leaned by 6 and turned by 9 degrees", seed=10, angles_deg=(2.0, 6.0, -9.0)),
    Case("finer pixels", seed=11, pixel_mm=0.7, field_mm=210.0),
)
"""One child, scanned once more."""

Volumes = dict[str, float]
"""Compartment of each region and the whole inside of the skull, mL."""
SKULL = "intracranial"


def repeatability(bench: Bench, real: Image | None) -> Section:
    """Measure heads that stay the same while the scan does not."""
    people = bench.heads[:1] if bench.quick else bench.heads
    again = AGAIN[:4] if bench.quick else AGAIN
    synthetic = {person: _synthetic(bench, person, again) for person in people}
    scattered = {person: _scatter(found) for person, found in synthetic.items()}
    pooled = _pooled(list(scattered.values()))
    of_real = _scatter(_real(bench, real)) if real is not None else {}
    return Section(
        name="repeat",
        title="Repeatability",
        says=f"Each head scanned {len(again)} times: other noise, slices, pixels, place and pose. "
        "The real series (4 and 7 mm slices, an adult's head) was resampled in the same ways; "
        "every resampling of thick slices also loses something, which is counted here. The "
        "package's measured error is the larger of the two figures of each region.",
        tables=(_table(bench, scattered, pooled, of_real),),
        gates=_gates(pooled, of_real),
        values={"measurement_error": measurement_error(pooled, of_real)},
    )


def measurement_error(pooled: Mapping[str, float], real: Mapping[str, float]) -> dict[str, float]:
    """Return what `package.toml` calls `[measurement_error]`: region to SD in per cent."""
    return {
        region: round(max(percent, real.get(region, 0.0)), 2)
        for region, percent in pooled.items()
        if region != SKULL and not np.isnan(percent)
    }


def _synthetic(bench: Bench, person: str, again: Sequence[Case]) -> list[Volumes]:
    found = []
    for case in again:
        bench.say(f"{person}: {case.name}")
        image, _ = scanned(positioned(drawn(person, bench.package), case), case)
        found += _volumes(bench, image)
    return found


def _real(bench: Bench, image: Image) -> list[Volumes]:
    found = []
    for name, changed in variants(image):
        bench.say(f"real series: {name}")
        found += _volumes(bench, changed)
    return found


def _volumes(bench: Bench, image: Image) -> list[Volumes]:
    """Return the volumes, or nothing where the image was refused."""
    found = read(bench, image).found
    if found is None:
        return []
    return [found.volumes.by_region_ml | {SKULL: found.volumes.intracranial_ml}]


def variants(image: Image) -> Iterator[tuple[str, Image]]:
    """Yield a real image as it came, and re-sliced, shifted, tilted and noised.

    Parameters
    ----------
    image
        On any grid; all variants but the first lie on upright or turned regular grids of it.
    """
    yield "as it came", image
    random = np.random.default_rng(1)
    noise = random.normal(0.0, NOISE_HU, image.hu.shape)
    yield "noise added", Image(np.rint(image.hu + noise).astype(np.int16), image.grid)
    plain = covering(image, (2.5, 1.0, 1.0))
    grids = {
        "re-sliced upright to 2.5 mm": plain,
        "re-sliced upright to 4 mm": covering(image, (4.0, 0.8, 0.8)),
        "re-sliced, shifted by a third of a voxel": _shifted(plain, (0.3, 0.4, 0.9)),
        "re-sliced, tilted by 8 degrees": covering(image, (2.5, 1.0, 1.0), (8.0, 0.0, 0.0)),
        "re-sliced, turned by 10 degrees": covering(image, (2.5, 1.0, 1.0), (0.0, 0.0, 10.0)),
    }
    for name, grid in grids.items():
        hu = np.rint(sampled(image, grid, OUTSIDE_HU)).astype(np.int16)
        yield name, Image(hu, grid)


def covering(
    image: Image,
    steps_mm: tuple[float, float, float],
    angles_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Geometry:
    """Return a regular grid around an image, upright in the patient's axes or turned against them.

    Parameters
    ----------
    image
        What has to fit in.
    steps_mm
        Along slice, row, column.
    angles_deg
        As `models.phantom.head.turned` takes them.
    """
    _, rows, columns = image.grid.shape
    corners = np.array([[0, r, c, 1] for r in (0, rows - 1) for c in (0, columns - 1)], float)
    ends = (image.grid.plane_affine(index) for index in (0, image.grid.shape[0] - 1))
    places = np.concatenate([corners @ affine.T for affine in ends])[:, :3]
    turn = turned(angles_deg)
    # Columns grow to the left, rows to the back, slices upwards: the reverse of (L, P, S).
    along = (places @ turn)[:, ::-1]
    low, high = along.min(axis=0), along.max(axis=0)
    shape = np.ceil((high - low) / np.array(steps_mm)).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = turn[:, ::-1] * np.array(steps_mm)
    affine[:3, 3] = turn[:, ::-1] @ low
    return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _shifted(grid: Geometry, by_mm: tuple[float, float, float]) -> Geometry:
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] += by_mm
    return replace(grid, affine_lps_mm=affine)


def _scatter(found: Sequence[Volumes]) -> dict[str, float]:
    """Return each region's coefficient of variation, per cent."""
    if len(found) < 2:
        return {}
    return {
        region: variation_percent(np.array([volumes[region] for volumes in found]))
        for region in found[0]
    }


def _pooled(scattered: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the root mean square over people: the SD of one more measurement."""
    measured = [each for each in scattered if each]
    if not measured:
        return {}
    return {
        region: float(np.sqrt(np.mean([each[region] ** 2 for each in measured])))
        for region in measured[0]
    }


def _table(
    bench: Bench,
    scattered: Mapping[str, Mapping[str, float]],
    pooled: Mapping[str, float],
    real: Mapping[str, float],
) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            region,
            *(each.get(region) for each in scattered.values()),
            pooled.get(region),
            real.get(region),
        )
        for region in (*bench.regions, SKULL)
    ]
    heads = ("region", *scattered, "all synthetic", "real series")
    return Table("Coefficient of variation of the compartment, %", heads, tuple(rows))


def _gates(pooled: Mapping[str, float], real: Mapping[str, float]) -> tuple[Gate, ...]:
    asked = f"at most {LIMIT_PERCENT:g} %"
    names = ("synthetic heads, worst region", "real series, worst region")
    gates = []
    for name, values in zip(names, (pooled, real), strict=True):
        regions = {region: value for region, value in values.items() if region != SKULL}
        gates.append(
            worst_at_most(name, LIMIT_PERCENT, regions)
            if regions
            else not_measured(name, asked, "no series was given, or it was refused")
        )
    return tuple(gates)
