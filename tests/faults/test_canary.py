"""A patient like no other, who goes through everything, is searched for where patients must not be.

The word stands in every text of the data sets, in what callers say and in the AE title of a
stranger; it is found in the results and on the pages, and nowhere else.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest
from pydicom import Dataset, dcmread

from tests.faults.promises import TAKEN, on_spool, require_one_result
from tests.faults.senders import ACCEPTED, REJECTED, read, send
from tests.integration.delivery.receivers import AE_TITLE, HOST, receiver
from tests.integration.listener.peer import Peer
from tests.real import philips_series
from tests.servers import free_port
from tests.system.configuration import SCANNER, Address, destination
from tests.system.heads import Sent, phantom, restamped
from tests.system.service import Answer, Up, at_work, running
from tests.waiting import until

WORD = "QZXCNRY"
"""In everything that is said of the patient; nothing else has it."""
BORN = "20240217"
TEXTS = {
    "PatientName": f"{WORD}^NAME",
    "PatientID": f"{WORD}-ID",
    "IssuerOfPatientID": f"{WORD}-ISSUER",
    "OtherPatientIDs": f"{WORD}-OTHER",
    "PatientComments": f"{WORD} comments",
    "PatientAddress": f"{WORD} street",
    "AccessionNumber": f"{WORD}-ACC",
    "StudyID": f"{WORD}-STUDY",
    "StudyDescription": f"{WORD} study",
    "SeriesDescription": f"{WORD} series",
    "ProtocolName": f"{WORD} protocol",
    "InstitutionName": f"{WORD} hospital",
    "ReferringPhysicianName": f"{WORD}^REFERRER",
    "StationName": f"{WORD}-STATION",
}
STRANGER = "XQ-STRANGER"
"""An AE title that nobody knows: shown to persons, and like a patient in no log."""
CONFLICT = 0xC110


@dataclass
class Story:
    """What happened, as far as it left traces that are searched."""

    up: Up
    said: dict[str, str] = field(default_factory=dict)
    """Output of commands, and addresses that answers named."""
    shown: list[str] = field(default_factory=list)
    """What was answered to those who may see the patient."""
    problems: list[str] = field(default_factory=list)
    """What was answered to wrong requests."""
    uids: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Make a request, and keep what was answered."""
        answer = self.up.request(method, path, body, **headers)
        kept = self.problems if answer.status >= 400 else self.shown
        kept.append(answer.body.decode(errors="replace"))
        place = f"location of {method} {path}"
        self.said[place] = answer.headers.get("location", "") if answer.status < 400 else ""
        return answer

    def run(self, *arguments: str | Path) -> None:
        """Run a command, and keep what it said."""
        said = self.up.run(*arguments)
        self.said[f"fontanelle {arguments[0]} {len(self.said)}"] = said.stdout + said.stderr

    def send(self, sent: Sent) -> None:
        """Send a series."""
        self.uids += [sent.study_instance_uid, sent.series_instance_uid, sent.sop_instance_uids[0]]
        assert send(self.up.address, sent.files).given == {0x0000}


def as_canary(instance: Dataset) -> None:
    """Say the word wherever a text can be said."""
    for name, text in TEXTS.items():
        setattr(instance, name, text)
    instance.PatientBirthDate, instance.StudyDate, instance.PatientAge = BORN, "20260217", ""


@pytest.fixture(scope="module")
def story(
    installed: Path, reachable_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("sent")
    with (
        receiver(contexts=TAKEN) as taking,
        receiver(0xC000, contexts=TAKEN) as failing,
    ):
        peers = {
            "DEAD": Address("DEAD", HOST, free_port()),
            "GOOD": Address(AE_TITLE, HOST, taking.port),
            "FAILING": Address(AE_TITLE, HOST, failing.port),
        }
        settings = {
            "destinations": [destination(name, peer) for name, peer in peers.items()],
            "courier": {"timeout_s": 2.0},
        }
        with running(installed, reachable_folder, settings) as up:
            up.key = up.run("key", "create", "Dr. Reader", "--person", "--role", "admin").stdout
            up.key = up.key.strip()
            found = Story(up)
            measure(found, folder)
            disturb(found, folder)
            ask(found)
            make_the_database_complain(up)
            for command in ("status", "doctor", "settings"):
                found.run(command)
            yield found


def measure(story: Story, folder: Path) -> None:
    """Have the patient measured, with kills, and once found to have no brain."""
    up, head = story.up, phantom(folder / "head", "canary", as_canary)
    story.send(head)
    at_work(up, head.series_instance_uid)
    # A process that dies at work on a row is what a server says most of.
    backends = [each for each in up.processes() if "fontanelle [local]" in " ".join(each.cmdline())]
    for each in backends:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    up.kill_child("worker")
    analysis = require_one_result(up, head)
    until(lambda: "FAILING" in {each["destination"] for each in up.items("deliveries?state=due")})
    assert analysis["patient"]["id"] == TEXTS["PatientID"]
    files = sorted(philips_series("brain_1mm").iterdir())
    plastic = restamped(files, folder / "plastic", "canary", as_canary)
    story.run("send", plastic.folder)
    (rejected,) = up.settled(plastic.series_instance_uid)["analyses"]
    assert rejected["reason"]["code"] == "admission.no_brain"


def disturb(story: Story, folder: Path) -> None:
    """Send what is refused, contradicts what is here, cannot be read or is lost."""
    up, head = story.up, phantom(folder / "again", "canary", as_canary)
    other, corrected = dcmread(head.files[0]), dcmread(head.files[1])
    other.SeriesDescription = f"{WORD} another"
    corrected.PatientName = f"{WORD}^CORRECTED"
    other.save_as(folder / "other.dcm")
    corrected.save_as(folder / "corrected.dcm")
    conflicts = [folder / "other.dcm", folder / "corrected.dcm"]
    assert send(up.address, conflicts).given == {CONFLICT}

    uid, data_set = read(head.files[0])
    with Peer(up.address.port) as peer:
        assert peer.associate(calling=SCANNER)[0] == ACCEPTED
        assert peer.store(data_set[: len(data_set) // 2], uid) == 0xC000
        assert peer.store(data_set, f"../{WORD}") == 0xA900
        assert peer.store(WORD.encode() * 9, uid) == 0xC000
        assert peer.store(data_set.replace(uid.encode(), WORD.ljust(len(uid)).encode()), uid)
    for calling, called in ((STRANGER, "FONTANELLE"), (SCANNER, STRANGER)):
        with Peer(up.address.port) as peer:
            assert peer.associate(calling=calling, called=called)[0] == REJECTED

    for label, text in {"date": BORN, "spacing": r"1.14\1.14", "number": "-1024"}.items():
        garbled = phantom(folder / label, f"canary, {label}", as_canary)
        for path in garbled.files:
            content, instead = path.read_bytes(), WORD[: len(text)].ljust(len(text))
            assert text.encode() in content
            path.write_bytes(content.replace(text.encode(), instead.encode()))
        story.send(garbled)
        up.settled(garbled.series_instance_uid)
    lost = phantom(folder / "lost", "canary, lost", as_canary)
    story.send(lost)
    on_spool(up, lost.sop_instance_uids[0]).unlink()
    up.settled(lost.series_instance_uid)
    story.run("send", folder / "other.dcm", "--from", STRANGER)
    story.run("send", folder, "--to", f"{STRANGER}@{HOST}:{up.address.port}")


def make_the_database_complain(up: Up) -> None:
    """Have PostgreSQL meet an error whose words quote a row of the patient's."""
    address = up.servers["database_url"].replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        with pytest.raises(psycopg.errors.UniqueViolation) as found:
            connection.execute("INSERT INTO study SELECT * FROM study")
        assert "(study_instance_uid)" in str(found.value) or "(id)" in str(found.value)
        connection.rollback()
        with pytest.raises(psycopg.errors.InvalidTextRepresentation) as cast:
            connection.execute("SELECT patient_id::int FROM study")
        assert WORD in str(cast.value)


def ask(story: Story) -> None:
    """Make calls as a reader and a RIS make them, and wrong ones."""
    identifier = {"patient_id": TEXTS["PatientID"], "issuer": TEXTS["IssuerOfPatientID"]}
    accession = {"accession_number": TEXTS["AccessionNumber"]}
    number = story.up.items("analyses?state=succeeded")[0]["id"]
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    for path in ("/api/v1/series", "/api/v1/analyses", "/series", "/analyses", "/deliveries"):
        assert story.ask("GET", path).status == 200
    story.ask("GET", f"/api/v1/analyses/{number}")
    story.ask("GET", f"/analyses/{number}")
    assert story.ask("POST", "/api/v1/analyses/search", identifier).json()["items"]
    assert story.ask("POST", "/analyses/search", b"by=patient_id&value=" + WORD.encode(), **form)
    story.ask("POST", "/api/v1/analyses", accession, Idempotency_Key=f"{WORD}-1")
    comment = {"verdict": "accepted", "comment": f"{WORD} was seen"}
    assert story.ask("POST", f"/api/v1/analyses/{number}/review", comment).status == 200

    well = len(story.problems)
    story.ask("POST", "/api/v1/analyses", identifier, Idempotency_Key=f"{WORD}-1")
    story.ask("POST", "/api/v1/analyses/search", accession | {WORD: WORD})
    story.ask("POST", "/api/v1/analyses/search", b"{" + WORD.encode())
    story.ask("POST", "/api/v1/analyses", {"accession_number": f"{WORD}-UNKNOWN"})
    story.ask("POST", "/api/v1/compare", {WORD: {WORD: WORD}})
    story.ask("POST", f"/api/v1/analyses/{number}/review", {"verdict": WORD})
    story.ask("POST", "/login", b"key=" + WORD.encode(), **form)
    story.ask("GET", "/api/v1/series", Authorization=f"Bearer {WORD}")
    for path in (f"/{WORD}", f"/api/v1/analyses/{WORD}", f"/api/v1/series/{WORD}"):
        story.ask("GET", path)
    story.ask("GET", f"/api/v1/analyses?state={WORD}")
    assert len(story.problems) >= well + 11


def test_the_patient_is_shown_to_who_may_see(story: Story) -> None:
    assert sum(WORD in text for text in story.shown) >= 7


def test_the_patient_is_in_no_log(story: Story) -> None:
    logs = story.up.logs()

    assert {"api.log", "listener.log", "worker.log", "postgresql.log", "up"} <= logs.keys()
    assert "terminated by signal 9" in logs["postgresql.log"]
    assert places_of(logs, WORD, BORN, STRANGER, *story.uids) == []


def test_the_patient_is_in_nothing_that_a_command_says(story: Story) -> None:
    assert len(story.said) >= 20
    assert places_of(story.said, WORD, BORN, *story.uids) == []


def test_the_patient_is_in_no_metric(story: Story) -> None:
    metrics = story.up.get("/metrics")

    assert "fontanelle_analyses" in metrics.text
    assert places_of({"metrics": metrics.text}, WORD, BORN, *story.uids) == []


def test_the_patient_is_in_no_message(story: Story) -> None:
    folder = story.up.data / "valkey"
    found = {
        str(path): path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.is_file()
    }

    assert any("fontanelle.analyse" in text for text in found.values())
    assert places_of(found, WORD, BORN, *story.uids) == []


def test_the_patient_is_in_no_name_of_a_file_or_command_line(story: Story) -> None:
    names = {str(path): str(path) for path in story.up.data.rglob("*")}
    for process in story.up.processes():
        with suppress(psutil.NoSuchProcess):
            names[f"process {process.pid}"] = f"{process.cmdline()} {process.environ()}"

    assert len(names) > 300
    assert places_of(names, WORD, BORN, *story.uids) == []


def test_the_patient_is_in_no_answer_to_a_wrong_request(story: Story) -> None:
    found = {f"problem {number}": text for number, text in enumerate(story.problems)}

    assert places_of(found, WORD, BORN) == []


def places_of(texts: Mapping[str, str], *words: str) -> list[str]:
    """Return where a word stands, with what stands around it."""
    found = []
    for place, text in texts.items():
        lowered = text.lower()
        for word in words:
            if (at := lowered.find(word.lower())) >= 0:
                found.append(f"{place}: ...{text[max(0, at - 60) : at + 60]!r}...")
    return found
