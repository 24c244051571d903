"""`fontanelle doctor`: names each missing thing with its remedy."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from service.cli import UNAVAILABLE

if TYPE_CHECKING:
    from fontanelle.norms.values import Reference
    from fontanelle.settings import Settings
    from service.supervisor.checks import Finding

SYNTAXES: Final = (
    "RLELossless",
    "JPEGLossless",
    "JPEGLosslessSV1",
    "JPEGLSLossless",
    "JPEG2000Lossless",
    "HTJ2KLossless",
)
"""Compressed transfer syntaxes that are taken, by pydicom's names."""


@click.command("doctor")
@click.option("--data", type=click.Path(path_type=Path), help="The data folder that `up` uses.")
@click.option("--deep", is_flag=True, help="Also run the package's golden case: takes seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a finding.")
@click.pass_context
def command(ctx: click.Context, data: Path | None, *, deep: bool, as_json: bool) -> None:
    """Say what is missing, each with its remedy. Exit code 4 where something is."""
    from service.supervisor.checks import Grade

    worst = 0
    for finding in examine(data, deep=deep):
        click.echo(_line(finding, as_json=as_json))
        worst = UNAVAILABLE if finding.grade is Grade.FAILED else worst
    ctx.exit(worst)


def examine(data: Path | None, *, deep: bool) -> "Iterator[Finding]":
    """Make every check."""
    from fontanelle.errors import Refused
    from fontanelle.settings import Settings, load
    from service.supervisor.checks import CHECKS, failed, ok

    try:
        settings = load(os.environ, data=data)
        yield ok("settings", "every setting is known and fits")
    except Refused as refused:
        yield failed("settings", refused.reason.sentence)
        settings = Settings()
    for check in (*CHECKS, _decoders, _engine, _package, _reference):
        yield from check(settings)
    if deep:
        yield from _golden(settings)


def _line(finding: "Finding", *, as_json: bool) -> str:
    if as_json:
        said = {"check": finding.check, "grade": finding.grade, "sentence": finding.sentence}
        return json.dumps(said)
    return f"{finding.grade:<8} {finding.check:<13} {finding.sentence}"


def _decoders(_: "Settings") -> "Iterator[Finding]":
    from pydicom import uid
    from pydicom.pixels.decoders.base import get_decoder

    from service.supervisor.checks import failed, ok

    absent = [name for name in SYNTAXES if not get_decoder(getattr(uid, name)).is_available]
    if absent:
        yield failed(
            "decoders", f"None for {', '.join(absent)}: install fontanelle's requirements again."
        )
    else:
        yield ok("decoders", "all compressed transfer syntaxes that are taken")


def _engine(_: "Settings") -> "Iterator[Finding]":
    from service.supervisor.checks import failed, ok, refusable
    from worker.inference import onnx_runtime, open_vino
    from worker.inference.opening import refuse_two_runtimes

    def one_runtime() -> str:
        refuse_two_runtimes()
        return "at most one build of ONNX Runtime"

    yield refusable("runtimes", one_runtime)
    found = {
        "TensorRT": onnx_runtime.has_tensorrt,
        "CUDA": onnx_runtime.has_cuda,
        "OpenVINO": open_vino.has_openvino,
        "ONNX Runtime": onnx_runtime.has_runtime,
    }
    names = [name for name, has in found.items() if has()]
    if names:
        yield ok("engine", f"{names[0]} (of {', '.join(names)})")
    else:
        yield failed("engine", "None: pip install 'fontanelle[cpu]' or 'fontanelle[gpu]'.")


def _package(settings: "Settings") -> "Iterator[Finding]":
    from models.package import find, load
    from service.supervisor.checks import refusable

    def look() -> str:
        package = load(find(settings.worker.package))
        return f"{package.name} {package.version}: every file matches its digest"

    yield refusable("package", look)


def _reference(settings: "Settings") -> "Iterator[Finding]":
    from service.supervisor.checks import refusable
    from worker.head_size import head_chart_of

    yield refusable("reference", lambda: _named(settings, settings.worker.reference).title)
    if chart := settings.comparison.head_chart:
        yield refusable("head chart", lambda: head_chart_of(_named(settings, chart)).chart.name)


def _named(settings: "Settings", wanted: str) -> "Reference":
    """Return a reference as a worker will find it; the database is asked for imported ones only."""
    from fontanelle.norms.reference import load, shipped, shipped_ids
    from fontanelle.records.database import Records
    from fontanelle.records.references import among, chosen, with_shipped
    from fontanelle.settings import secret
    from service.supervisor.addresses import addressed, with_database

    if wanted in shipped_ids():
        return shipped(wanted)
    has_database = addressed(settings).database_url or (settings.data / "postgresql").is_dir()
    if not has_database:
        return load(among(with_shipped(()), wanted).document)
    with with_database(settings) as found:
        url = secret(found.database_url, "database_url")
        with Records.open(url, connections=1) as records, records.begin() as session:
            return load(chosen(session, wanted).document)


def _golden(settings: "Settings") -> "Iterator[Finding]":
    from models.package import find, load
    from service.supervisor.checks import refusable
    from worker.inference.opening import open_engine

    def look() -> str:
        described = open_engine(load(find(settings.worker.package))).description
        return f"{described.provider} on {described.device} reproduces it"

    yield refusable("golden case", look)
