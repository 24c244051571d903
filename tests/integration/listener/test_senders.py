"""Senders that people have: dcmtk's and pynetdicom's; and several that say different things."""

import subprocess
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from fontanelle.errors import Code
from fontanelle.records.files import spool_key
from fontanelle.settings import Source
from tests.integration.listener.peer import CALLED, CALLING, Place, associated, listening
from tests.real import philips_series
from tests.unit.listener.builders import UID, encoded, instance

SOURCES = (Source(ae_title="STORESCU"), Source(ae_title=CALLING))


def brain_5mm() -> Path:
    return philips_series("brain_5mm")


@pytest.fixture(scope="module")
def uncompressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a few real slices as they left the scanner."""
    folder = tmp_path_factory.mktemp("slices")
    for path in sorted(brain_5mm().iterdir())[:5]:
        real = dcmread(path)
        real.decompress(generate_instance_uid=False)
        dcmwrite(folder / path.name, real)
    return folder


@pytest.mark.peer("storescu")
def test_a_real_series_from_storescu_is_kept_byte_for_byte(tmp_path: Path) -> None:
    with listening(tmp_path, SOURCES) as place:
        storescu(place, "--propose-jls-lossless", "+sd", str(brain_5mm()))
        assert_equal(place, brain_5mm())


@pytest.mark.peer("storescu")
def test_storescu_sends_uncompressed_slices_with_one_association_for_each_syntax(
    tmp_path: Path, uncompressed: Path
) -> None:
    with listening(tmp_path, SOURCES) as place:
        storescu(place, "+sd", str(uncompressed))
        assert_equal(place, uncompressed)
        storescu(place, "--propose-implicit", "+sd", str(uncompressed))
        # Another transfer syntax, the same instances.
        assert_equal(place, uncompressed)
        assert Counter(kept.conflict for kept in place.kept) == {None: 5}


def storescu(place: Place, *options: str) -> None:
    subprocess.run(
        ["storescu", "--aetitle", "STORESCU", "--call", CALLED, *options[:-1]]
        + ["127.0.0.1", str(place.port), options[-1]],
        check=True,
    )


def assert_equal(place: Place, folder: Path) -> None:
    sent = [dcmread(path) for path in sorted(folder.iterdir())]
    assert len(list(place.spool.keys())) == len(sent)
    for instance_sent in sent:
        here = dcmread(place.spool.path(spool_key(instance_sent.SOPInstanceUID)))
        assert here == instance_sent
        assert here.file_meta.SourceApplicationEntityTitle == "STORESCU"


@pytest.mark.peer("echoscu")
def test_echoscu_is_answered_and_hears_when_it_asks_for_somebody_else(tmp_path: Path) -> None:
    with listening(tmp_path, SOURCES) as place:
        for called, status in ((CALLED, 0), ("PACS", 1)):
            call = ["echoscu", "--aetitle", "STORESCU", "--call", called]
            done = subprocess.run([*call, "127.0.0.1", str(place.port)], check=False)
            assert done.returncode == status


def test_pynetdicom_echoes_stores_and_releases(tmp_path: Path, uncompressed: Path) -> None:
    entity = AE(CALLING)
    entity.add_requested_context(Verification)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    entity.add_requested_context(CTImageStorage, ImplicitVRLittleEndian)
    with listening(tmp_path, SOURCES) as place:
        association = entity.associate("127.0.0.1", place.port, ae_title=CALLED)
        assert association.is_established
        assert association.send_c_echo().Status == 0
        for path in sorted(uncompressed.iterdir()):
            assert association.send_c_store(path).Status == 0
        association.release()
        assert association.is_released
        assert len(place.kept) == 5


def test_pynetdicom_reads_a_failure_and_what_is_said_beside_it(tmp_path: Path) -> None:
    entity = AE(CALLING)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    broken = instance(PixelData=None)
    broken.file_meta = dcmread(next(brain_5mm().iterdir())).file_meta
    broken.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with listening(tmp_path, SOURCES) as place, warnings.catch_warnings():
        association = entity.associate("127.0.0.1", place.port, ae_title=CALLED)
        answer = association.send_c_store(broken)
        assert answer.Status == 0xC000
        assert answer.ErrorComment == Code.DATASET_UNREADABLE
        association.release()


def test_one_uid_twenty_times_on_four_associations_half_of_them_with_other_bytes(
    tmp_path: Path,
) -> None:
    one, other = encoded(instance()), encoded(instance(PixelData=bytes(128)))
    with listening(tmp_path) as place:

        def send(number: int) -> list[tuple[bytes, int | str]]:
            with associated(place) as peer:
                contents = [one if (number + k) % 2 else other for k in range(5)]
                return [(content, peer.store(content)) for content in contents]

        with ThreadPoolExecutor(4) as pool:
            answers = [answer for each in pool.map(send, range(4)) for answer in each]

        first = place.spool.path(spool_key(UID)).read_bytes()
        [conflict] = place.spool.conflicts()
        second = place.spool.path(conflict).read_bytes()

    assert len(answers) == 20
    winner, loser = (one, other) if first.endswith(one) else (other, one)
    assert first.endswith(winner)
    assert second.endswith(loser)
    assert {status for content, status in answers if content == winner} == {0}
    assert {status for content, status in answers if content == loser} == {0xC110}
    assert [kept.conflict for kept in place.kept].count(None) == 1
