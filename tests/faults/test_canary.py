"""A patient like no other, who goes through everything, is searched for where patients must not be.

The word stands in every text of the data sets, in what callers say and in the AE title of a
stranger; it is found in the results and on the pages, and nowhere else.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import psutil
import pytest
from pydicom import Dataset, dcmread
from pynetdicom.dsutils import encode
from redis import Redis

from tests.faults.promises import require_one_result
from tests.faults.senders import send
from tests.integration.delivery.receivers import AE_TITLE, HOST, receiver
from tests.integration.listener.peer import Peer
from tests.real import philips_series
from tests.servers import free_port
from tests.system.heads import Sent, phantom, restamped
from tests.system.service import SCANNER, Address, Answer, Up, at_work, destination, running
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
STRANGER = f"{WORD}-AE"
CONFLICT = 0xC110
FEW = 4


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
        self.said[f"location of {method} {path.split('?')[0]}"] = answer.headers.get("location", "")
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
def story(installed: Path, reachable_folder: Path, tmp_path_factory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("canary")
    with receiver(status=0x0000) as taking, receiver(status=0xC000) as failing:
        peers = {
            "DEAD": Address("DEAD", HOST, free_port()),
            "WRONG": Address(AE_TITLE, HOST, taking.port),
            "FAILING": Address(AE_TITLE, HOST, failing.port),
        }
        settings = {
            "destinations": [destination(name, peer) for name, peer in peers.items()],
            "courier": {"timeout_s": 2.0},
        }
        with running(installed, reachable_folder, settings) as up:
            made = up.run("key", "create", "Dr. Reader", "--person", "--role", "admin")
            up.key = made.stdout.strip()
            found = Story(up)
            measured(found, folder)
            refused(found, folder)
            asked(found)
            for command in ("status", "doctor", "settings"):
                found.run(command)
            found.run("status", "--json")
            yield found
