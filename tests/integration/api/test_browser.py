"""The pages in a real browser: readable, drawn, and within a narrow window.

The pages hold no script, and their policy lets the browser run none.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image

from fontanelle.records.database import Records
from service.web.rendering import render_report_page
from tests.integration.api import house as houses
from tests.integration.api.house import House
from tests.servers import free_port

pytestmark = pytest.mark.peer("chromium")
PATIENCE_S = 120
QUIET = (
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-gpu", "--disable-dev-shm-usage"),
)


@pytest.fixture
def open_house(records: Records, tmp_path: Path) -> House:
    """Give a house without keys: a browser that is started by a command cannot log in."""
    return houses.make(records, tmp_path, require_key=False)


@pytest.fixture
def address(open_house: House) -> Iterator[str]:
    """Serve the house; give its address."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(open_house.app, port=port, log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def browse(folder: Path, *arguments: str) -> str:
    """Run the browser with a profile of its own; return what it prints."""
    program = shutil.which("chromium")
    assert program is not None
    done = subprocess.run(
        [program, *QUIET, f"--user-data-dir={folder / 'profile'}", *arguments],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    return done.stdout.decode()


def picture(folder: Path, url: str, width: int, height: int) -> np.ndarray:
    """Return what the browser draws: grey values, rows by columns."""
    path = folder / "page.png"
    browse(folder, f"--screenshot={path}", f"--window-size={width},{height}", url)
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def test_a_report_is_read_whole_by_a_browser(
    open_house: House, address: str, tmp_path: Path
) -> None:
    analysis = open_house.result()

    document = browse(tmp_path, "--dump-dom", f"{address}/analyses/{analysis}")

    for said in ("PRELIMINARY", "Left frontal lobe", "<svg", "overlay.png", "Provenance"):
        assert said in document
    assert "<script" not in document and "onclick" not in document


def test_a_report_is_drawn_with_its_style_and_its_picture(
    open_house: House, address: str, tmp_path: Path
) -> None:
    analysis = open_house.result()

    drawn = picture(tmp_path, f"{address}/analyses/{analysis}", 1200, 3600)

    assert drawn.shape == (3600, 1200)
    # Text and lines on most rows, and the dark picture of the three planes somewhere.
    inked = (drawn < 128).any(axis=1)
    assert inked.mean() > 0.4
    dark_rows = (drawn[:, 100:1100] < 60).mean(axis=1) > 0.4
    assert dark_rows.sum() > 200


def test_the_stand_alone_report_is_drawn_from_its_file_alone(
    open_house: House, tmp_path: Path
) -> None:
    report = houses.report_of(houses.limited())
    page = tmp_path / "report.html"
    page.write_text(render_report_page(report, houses.overlay()), encoding="utf-8")

    drawn = picture(tmp_path, page.as_uri(), 1200, 3600)

    dark_rows = (drawn[:, 100:1100] < 60).mean(axis=1) > 0.4
    assert dark_rows.sum() > 200
    # Styled: the bar above spans the whole width in a dark colour.
    assert (drawn[5] < 80).mean() > 0.6


def test_nothing_is_cut_off_in_a_narrow_window(
    open_house: House, address: str, tmp_path: Path
) -> None:
    analysis = open_house.result()

    narrow = picture(tmp_path, f"{address}/analyses/{analysis}", 500, 2000)

    # A margin of ground at either side, all the way down: nothing runs over the edge.
    for edge in (narrow[200:, :4], narrow[200:, -4:]):
        assert (edge > 200).all()
