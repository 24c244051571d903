"""Every series of tests/data through the whole service: by dcmtk and by `fontanelle send`.

What becomes of each is said in tests/data/README.md and tests/integration/imaging; here it has to
come out of the API and stand on the page, whoever sent it and over however many associations.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real import PHANTOM, ge_head_tilt, philips_series
from tests.servers import _folder, free_port
from tests.system.configuration import SCANNER, Address, destination
from tests.system.heads import Sent, as_sent, restamped
from tests.system.service import Json, Up, running

WAYS = {
    "storescu-1": ("storescu", 1),
    "storescu-3": ("storescu", 3),
    "send-1": ("fontanelle send", 1),
    "send-3": ("fontanelle send", 3),
}
"""The first sends the files as they are; each of the others the same under other UIDs."""
DECIDED = {
    "localizer": ["admission.localizer"],
    "brain_5mm": ["selection.better_series"],
    "brain_1mm": [],
    "bone_1mm_part": ["admission.coverage", "admission.kernel"],
    # By its class: what pixels it has is not even looked at.
    "exam_summary": ["selection.never_measured"],
}
LIMITED = [
    "admission.outside_intended_use",
    "admission.uneven",
    "admission.slice_thickness",
    "comparison.age_unknown",
    "comparison.sex_unknown",
    "comparison.package_unqualified",
    "package.known_limits",
]
HEAD = "ge_head_tilt"

pytestmark = pytest.mark.peer("storescu")


@dataclass(frozen=True)
class Arrived:
    """What came one way: by the series' names in tests/data."""

    up: Up
    sent: dict[str, Sent]

    def series(self, name: str) -> Json:
        return self.up.settled(self.sent[name].series_instance_uid)

    def analysis(self, name: str) -> Json:
        """Return the one analysis of a series."""
        (found,) = self.series(name)["analyses"]
        return self.up.analysis(found["id"])


@pytest.fixture(scope="module")
def up(installed: Path) -> Iterator[Up]:
    nowhere = destination("NOWHERE", Address("NOWHERE", "127.0.0.1", free_port()))
    for folder in _folder():
        with running(installed, folder, {"destinations": [nowhere]}, no_auth=True) as found:
            yield found


@pytest.fixture(scope="module")
def all_arrived(up: Up, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrived]:
    """Send everything every way, one after the other; what is measured meanwhile is waited for."""
    found = {}
    for way, (program, associations) in WAYS.items():
        sent = all_series(tmp_path_factory.mktemp(way), None if not found else way)
        send(up, program, associations, sent)
        found[way] = Arrived(up, sent)
    return found


@pytest.fixture(params=WAYS)
def arrived(all_arrived: dict[str, Arrived], request: pytest.FixtureRequest) -> Arrived:
    return all_arrived[request.param]


def all_series(folder: Path, label: str | None) -> dict[str, Sent]:
    """Return every series, under UIDs that the label makes its own."""
    sources = {HEAD: ge_head_tilt()} | {name: philips_series(name) for name in PHANTOM}
    found = {}
    for name, source in sources.items():
        files = sorted(path for path in source.rglob("*") if path.is_file())
        found[name] = restamped(files, folder / name, label) if label else as_sent(files)
    return found


def send(up: Up, program: str, associations: int, sent: dict[str, Sent]) -> None:
    """Send series one after another, a study in one go."""
    for names in ((HEAD,), PHANTOM):
        files = [path for name in names for path in sent[name].files]
        if program == "storescu":
            storescu(up.address, files, associations)
        else:
            fontanelle_send(up, files, associations)


def storescu(address: Address, files: list[Path], associations: int) -> None:
    """Send with dcmtk, over several associations at once; each instance has to be taken."""
    program = shutil.which("storescu")
    assert program is not None
    # JPEG-LS beside the uncompressed ones, and only for what is sent.
    options = ["-R", "-xt", "-aet", SCANNER, "-aec", address.ae_title]
    children = [
        subprocess.Popen(
            [program, "-v", *options, address.host, str(address.port), *files[first::associations]],
            env=os.environ | {"TCP_NODELAY": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for first in range(associations)
    ]
    said = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0] * associations, said
    assert "".join(said).count("Received Store Response (Success)") == len(files)


def fontanelle_send(up: Up, files: list[Path], associations: int) -> None:
    """Send with our own command: a folder of links to the files."""
    folder = files[0].parent.parent / f"to-send-{files[0].parent.name}"
    folder.mkdir(exist_ok=True)
    for number, path in enumerate(files):
        (folder / f"{number:04d}").hardlink_to(path)
    said = up.run("send", folder, "--associations", str(associations))
    assert said.returncode == 0, said.stderr
    assert f"{len(files)} stored by {up.address}" in said.stdout


@pytest.mark.parametrize("name", [HEAD, *PHANTOM])
def test_every_instance_of_a_series_is_there_once(arrived: Arrived, name: str) -> None:
    found = arrived.series(name)

    assert found["instances"] == len(arrived.sent[name].files)
    assert (found["revision"], found["conflicts"]) == (1, [])
    assert found["study_instance_uid"] == arrived.sent[name].study_instance_uid


def test_the_tilted_head_is_measured_with_limits_and_waits_for_a_person(arrived: Arrived) -> None:
    series, analysis = arrived.series(HEAD), arrived.analysis(HEAD)

    assert (series["state"], series["reasons"]) == ("selected", [])
    assert (analysis["state"], analysis["fitness"]) == ("succeeded", "limited")
    assert [each["code"] for each in analysis["reasons"]] == LIMITED
    assert len(analysis["measurements"]) == 10
    assert all(each["z"] is None for each in analysis["measurements"])
    kinds = {each["object"]: each for each in analysis["deliveries"]}
    assert set(kinds) == {"segmentation", "structured_report"}
    assert all(each["state"] == "held" for each in kinds.values())
    assert {each["reason"]["code"] for each in kinds.values()} == {LIMITED[0]}


def test_every_file_of_the_tilted_head_can_be_fetched(arrived: Arrived) -> None:
    analysis = arrived.analysis(HEAD)

    kinds = {each["kind"] for each in analysis["objects"]}
    assert kinds == {"segmentation", "structured_report", "labels", "overlay", "report"}
    for each in analysis["objects"]:
        answer = arrived.up.get(each["href"])
        assert (answer.status, len(answer.body)) == (200, each["size_bytes"])
        assert answer.headers["cache-control"] == "no-store"


def test_of_the_phantoms_study_the_thin_soft_series_is_chosen_and_has_no_brain(
    arrived: Arrived,
) -> None:
    found = {name: arrived.series(name) for name in PHANTOM}

    reasons = {name: [each["code"] for each in one["reasons"]] for name, one in found.items()}
    assert reasons == DECIDED
    assert [name for name in PHANTOM if found[name]["state"] == "selected"] == ["brain_1mm"]
    assert [name for name in PHANTOM if found[name]["analyses"]] == ["brain_1mm"]
    analysis = arrived.analysis("brain_1mm")
    assert (analysis["state"], analysis["fitness"]) == ("rejected", None)
    assert [each["code"] for each in analysis["reasons"]] == ["admission.no_brain"]
    assert (analysis["measurements"], analysis["deliveries"]) == ([], [])


def test_the_pages_say_what_became_of_each_series(arrived: Arrived) -> None:
    head, chosen = arrived.analysis(HEAD), arrived.analysis("brain_1mm")
    came_in = arrived.up.get("/series").text
    head_page = arrived.up.get(f"/analyses/{head['id']}").text
    chosen_page = arrived.up.get(f"/analyses/{chosen['id']}").text

    for codes in DECIDED.values():
        assert all(code in came_in for code in codes)
    assert all(each["sentence"] in head_page for each in head["reasons"])
    # What decides whether it may be used at all stands before any number.
    assert head_page.index(LIMITED[0]) < head_page.index("Left frontal")
    assert "admission.no_brain" in chosen_page
    for name in PHANTOM:
        assert all(each["sentence"] in chosen_page for each in arrived.series(name)["reasons"])


def test_a_head_gives_the_same_volumes_whichever_way_it_came(
    all_arrived: dict[str, Arrived],
) -> None:
    first, *others = (
        {each["region"]: each["volume_ml"] for each in arrived.analysis(HEAD)["measurements"]}
        for arrived in all_arrived.values()
    )

    assert len(first) == 10
    assert others == [first] * 3


def test_what_is_sent_once_more_changes_nothing(all_arrived: dict[str, Arrived]) -> None:
    arrived = all_arrived["storescu-1"]
    before = {name: arrived.series(name) for name in arrived.sent}

    for program, associations in (("storescu", 1), ("storescu", 3)):
        send(arrived.up, program, associations, arrived.sent)

    assert {name: arrived.series(name) for name in arrived.sent} == before


def test_a_service_without_keys_warns_in_words(up: Up) -> None:
    assert "Warning: The API and the pages ask for no key" in up.logs()["up"]
