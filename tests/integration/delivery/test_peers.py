"""The C-STORE SCU against receivers that others wrote: dcmtk's storescp and Orthanc."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fontanelle.errors import Code
from service.delivery.outcomes import NotSent, Sent
from service.delivery.sendable import Sendable, read_sendable
from service.delivery.store_scu import store_all
from service.delivery.wire import Peer
from tests.integration.delivery.files import dataset_bytes, part10
from tests.orthanc import Modality, orthanc
from tests.real import ge_head_tilt, philips_series
from tests.servers import free_port

HOST = "127.0.0.1"
LIMIT_S = 60.0


def sendables(folder: Path) -> list[Sendable]:
    found = [read_sendable(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [each for each in found if each is not None]


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Peer]:
    """Run dcmtk's receiver; `+B` keeps the data sets as they come."""
    port = free_port()
    program = shutil.which("storescp")
    assert program is not None
    with subprocess.Popen(
        [program, "-od", str(folder), "+B", "--fork", *options, str(port)],
        env=os.environ | {"TCP_NODELAY": "1"},
    ) as child:
        try:
            _wait_for(port)
            yield Peer("STORESCP", HOST, port, "SENDER", LIMIT_S)
        finally:
            child.terminate()


def _wait_for(port: int) -> None:
    limit_s = time.monotonic() + LIMIT_S
    while True:
        try:
            socket.create_connection((HOST, port), timeout=LIMIT_S).close()
        except ConnectionRefusedError:
            assert time.monotonic() < limit_s
            time.sleep(0.02)
        else:
            return


@pytest.mark.peer("storescp")
@pytest.mark.parametrize("associations", [1, 3])
def test_storescp_has_the_bytes_of_every_file(tmp_path: Path, associations: int) -> None:
    instances = sendables(ge_head_tilt())
    with storescp(tmp_path, "-pdu", "131072") as peer:
        became = [outcome for _, outcome in store_all(peer, instances, associations)]

    assert became == [Sent(0x0000)] * len(instances)
    assert sorted(dataset_bytes(path) for path in tmp_path.iterdir()) == sorted(
        dataset_bytes(each.path) for each in instances
    )


@pytest.mark.peer("storescp")
def test_storescp_that_refuses_every_association_is_a_refusal(tmp_path: Path) -> None:
    instance = sendables(part10(tmp_path / "a.dcm").parent)
    with storescp(tmp_path, "--refuse") as peer:
        ((_, became),) = store_all(peer, instance)
    assert isinstance(became, NotSent)
    assert became.reason.code is Code.DESTINATION_REFUSED


@pytest.mark.peer("storescp")
@pytest.mark.parametrize("option", ["--abort-during", "--abort-after"])
def test_storescp_that_aborts_stops_nothing_for_good(tmp_path: Path, option: str) -> None:
    # Its `--abort-during` aborts while it receives, `--abort-after` instead of an answer.
    instances = sendables(philips_series("localizer"))
    with storescp(tmp_path, option) as peer:
        became = [outcome for _, outcome in store_all(peer, instances)]
    codes = {each.reason.code for each in became if isinstance(each, NotSent)}
    assert len(became) == len(instances)
    assert codes == {Code.DESTINATION_SILENT}


@pytest.mark.peer("Orthanc")
def test_orthanc_has_the_bytes_of_every_file_once_however_often_it_is_sent() -> None:
    instances = sendables(ge_head_tilt()) + sendables(philips_series("exam_summary"))
    sent = {each.sop_instance_uid: dataset_bytes(each.path) for each in instances}

    with orthanc() as server:
        peer = Peer(server.ae_title, server.host, server.port, "SENDER", LIMIT_S)
        for _ in range(2):
            became = [outcome for _, outcome in store_all(peer, instances, associations=3)]
            assert all(isinstance(each, Sent) and each.is_stored for each in became)
        assert server.sop_instance_uids() == sorted(sent)
        for uid, content in sent.items():
            assert server.file_of(uid).endswith(content)


@pytest.mark.peer("Orthanc")
def test_orthanc_refuses_whom_it_does_not_know_and_the_wrong_name(tmp_path: Path) -> None:
    instance = sendables(part10(tmp_path / "a.dcm").parent)
    known = {"known": Modality("KNOWN")}
    with orthanc(known, more={"DicomAlwaysAllowStore": False}) as server:
        for called, calling in ((server.ae_title, "STRANGER"), ("NOBODY", "KNOWN")):
            peer = Peer(called, server.host, server.port, calling, LIMIT_S)
            ((_, became),) = store_all(peer, instance)
            assert isinstance(became, NotSent)
            assert became.reason.code in {
                Code.DESTINATION_REFUSED,
                Code.CONTEXT_NOT_ACCEPTED,
                Code.DESTINATION_SILENT,
            }
        peer = Peer(server.ae_title, server.host, server.port, "KNOWN", LIMIT_S)
        ((_, became),) = store_all(peer, instance)
        assert became == Sent(0x0000)
