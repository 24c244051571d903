"""Templates, and the report page as one file that needs nothing else."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fontanelle.reports import sentences
from fontanelle.reports.notice import NOTICE
from service.web import rounding
from service.web.report_view import view_of

REFRESH_S: Final = 5
"""How often a page looks again while something is under way."""


@cache
def stylesheet() -> str:
    """Return the one style sheet."""
    return files("service.web").joinpath("static", "style.css").read_text(encoding="utf-8")


def render(template: str, **context: object) -> str:
    """Return a page."""
    return _environment().get_template(template).render(**context)


def render_report_page(report: Mapping[str, Any], overlay: bytes | None = None) -> str:
    """Return the report page of an analysis object as one HTML file, style and picture inside.

    Parameters
    ----------
    report
        The analysis object: of the API, or what `report.json` holds.
    overlay
        The PNG file of the three planes; None where there is none.
    """
    return render(
        "report.html",
        page=view_of(report),
        overlay_src=None if overlay is None else _data_uri(overlay),
        # Ours, and closed by no `</style>` of its own.
        style=Markup(stylesheet()),  # noqa: S704
        caller=None,
        series=[],
        successor=None,
        actions=None,
        refresh_s=None,
    )


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "moment": rounding.moment,
        "when": when,
        "dicom_date": rounding.dicom_date,
        "age": rounding.age,
        "words": words,
    }
    made.globals |= {"notice": NOTICE, "sentences": sentences, "style": None, "refresh_s": None}
    return made


def when(at: datetime | str | None) -> Markup:
    """Return a moment that a narrow column breaks between day and time only."""
    day, _, time = rounding.moment(at).partition(" ")
    span = Markup('<span class="nowrap">{}</span>')
    return Markup(" ").join(span.format(part) for part in (day, time) if part)


def words(code: object) -> str:
    """Return a state or a name of ours as words."""
    return str(code).replace("_", " ")
