"""The benchmark of the receive path runs, and what it sends is what its receivers keep."""

import pytest

from benchmarks import ingest, sender


def test_small_series_are_sent_to_each_receiver_and_a_table_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    options = ["--instances", "3", "--kilobytes", "20", "--rounds", "1", "--associations", "1", "2"]
    monkeypatch.setattr("sys.argv", ["ingest", *options, "--folder", str(tmp_path)])

    ingest.main()

    printed = capsys.readouterr().out
    for associations in ("1 association\n", "2 associations\n"):
        assert associations in printed
    for receiver in (ingest.OURS, ingest.STOCK):
        assert printed.count(f"| {receiver} |") == 2


@pytest.mark.peer("Orthanc")
def test_orthanc_is_one_of_the_receivers() -> None:
    assert [receiver.name for receiver in ingest.receivers()][0] == ingest.ORTHANC


def test_a_receiver_that_refuses_ends_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(sender, "CT", "1.2.840.10008.5.1.4.1.1.4")
    options = ["--instances", "1", "--kilobytes", "20", "--rounds", "1", "--associations", "1"]
    monkeypatch.setattr("sys.argv", ["ingest", *options, "--folder", str(tmp_path)])
    ours = next(each for each in ingest.receivers() if each.name == ingest.OURS)
    monkeypatch.setattr(ingest, "receivers", lambda: [ours])

    with pytest.raises(SystemExit, match="did not take every instance"):
        ingest.main()
