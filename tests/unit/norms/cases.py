"""Children, references and worked examples that the tests of the norms share.

The worked examples are not computed by the code under test. Expectations and z follow the
formula of docs/references.md, computed a second time by an ordinary least squares fit (statsmodels)
of an artificial cohort with exactly the published n, means, SDs and shares; centiles were
checked by 4 million draws. The site's offset is 0 in them. They hold to 1e-4.
"""

import copy
import hashlib
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from fontanelle.norms.comparison import (
    Child,
    Comparison,
    Conditions,
    ProtocolMatch,
    RegionComparison,
    Sex,
    SiteOffset,
    SiteStatus,
)
from fontanelle.norms.reference import load

XI_TEXT = (files("fontanelle.norms") / "references" / "xi2025.json").read_text(encoding="utf-8")
XI = load(XI_TEXT)

BOY = Child(723, Sex.MALE)
GIRL = Child(560, Sex.FEMALE)

UNCALIBRATED = Conditions("xi2025-matched", ProtocolMatch.MATCHED, SiteStatus.NONE)
APPROXIMATE = Conditions("xi2025-matched", ProtocolMatch.APPROXIMATE, SiteStatus.NONE)
CALIBRATED = Conditions(
    "xi2025-matched",
    ProtocolMatch.MATCHED,
    SiteStatus.PROVISIONAL,
    offsets=tuple(SiteOffset(name, 0.0, 0.0) for name in XI.region_names),
)
"""A site whose offset is known to be exactly 0: what the worked examples assume."""

# Region: mL, expected, 95 % prediction, z, its interval, centile, pooled z and centile
BOY_OF_723_DAYS = """
left_frontal    204.5  212.2262 179.5067 244.9457 -0.4641 -0.6098 -0.3184 32.1292 -0.0005 49.9797
right_frontal   199.0  208.2101 176.3151 240.1051 -0.5675 -0.7140 -0.4211 28.5172 -0.0856 46.5876
left_parietal    70.0   82.4167  69.6304  95.2030 -1.9085 -2.0534 -1.7636  2.8163 -1.2314 10.9092
right_parietal   83.1   84.5957  71.3384  97.8531 -0.2217 -0.3653 -0.0781 41.2266  0.1997 57.9161
left_occipital   55.0   54.8131  45.7575  63.8686  0.0406 -0.0966  0.1777 51.6176  0.4090 65.8732
right_occipital  54.2   55.7886  47.0610  64.5162 -0.3577 -0.5016 -0.2138 36.0281  0.0845 53.3652
left_temporal    90.3   97.6298  82.0078 113.2518 -0.9220 -1.0630 -0.7810 17.8268 -0.4078 34.1722
right_temporal   88.8   95.3881  80.0945 110.6818 -0.8465 -0.9872 -0.7058 19.8644 -0.3440 36.5426
cerebellum      121.4  132.7982 113.3008 152.2956 -1.1492 -1.3013 -0.9971 12.5228 -0.5544 28.9642
brainstem        14.9   16.0537  13.5402  18.5672 -0.9020 -1.0455 -0.7585 18.3516 -0.3800 35.1973
"""
GIRL_OF_560_DAYS = """
left_frontal    170.0  185.7165 152.8382 218.5948 -0.9440 -1.1865 -0.7016 17.2573 -1.7598  3.9219
right_frontal   166.2  182.2022 150.1504 214.2539 -0.9861 -1.2301 -0.7421 16.2046 -1.7984  3.6054
left_parietal    66.1   72.1214  59.2738  84.9690 -0.9255 -1.1666 -0.6845 17.7348 -1.7412  4.0826
right_parietal   68.0   74.0287  60.7091  87.3484 -0.8937 -1.1324 -0.6549 18.5748 -1.7092  4.3704
left_occipital   44.0   47.9659  38.8720  57.0597 -0.8605 -1.0874 -0.6335 19.4767 -1.6548  4.8984
right_occipital  45.1   48.8194  40.0507  57.5882 -0.8375 -1.0767 -0.5984 20.1150 -1.6622  4.8238
left_temporal    78.5   85.4343  69.7419 101.1267 -0.8722 -1.1062 -0.6383 19.1539 -1.6807  4.6412
right_temporal   76.9   83.4730  68.1107  98.8353 -0.8445 -1.0780 -0.6110 19.9185 -1.6560  4.8860
cerebellum       98.0  116.2103  96.6086 135.8120 -1.8361 -2.0902 -1.5819  3.3173 -2.5291  0.5718
brainstem        13.1   14.0483  11.5230  16.5737 -0.7415 -0.9803 -0.5026 22.9205 -1.5800  5.7053
"""

Row = tuple[str, list[float]]


def rows(table: str) -> list[Row]:
    """Read a table of worked examples: name and numbers."""
    cells = [line.split() for line in table.split("\n") if line]
    return [(name, [float(number) for number in numbers]) for name, *numbers in cells]


def volumes_of(table: str) -> dict[str, float]:
    return {name: numbers[0] for name, numbers in rows(table)}


BOYS_VOLUMES_ML = volumes_of(BOY_OF_723_DAYS)
MEANS_ML = {norm.name: norm.mean.value for norm in XI.regions}


def region(comparison: Comparison, name: str) -> RegionComparison:
    return next(entry for entry in comparison.regions if entry.region == name)


def numbers_of(entry: RegionComparison) -> list[float | None]:
    return [
        entry.expected_ml,
        entry.low_ml,
        entry.high_ml,
        entry.z,
        entry.z_low,
        entry.z_high,
        entry.centile,
        entry.pooled_z,
        entry.pooled_centile,
    ]


def document(change: Callable[[Any], object] = lambda _: None) -> Any:
    """Return the shipped reference as parsed JSON, changed."""
    members = copy.deepcopy(json.loads(XI_TEXT))
    change(members)
    return members


def sealed(members: Any) -> str:
    """Return the text of a reference whose digest fits its numbers."""
    body = {key: value for key, value in members.items() if key != "digest"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    members["digest"]["value"] = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(members)
