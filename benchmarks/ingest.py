"""How fast instances are received with the full promise, beside Orthanc and stock pynetdicom.

    python -m benchmarks.ingest [--instances 224] [--kilobytes 525] [--rounds 3]
                                [--associations 1 4] [--folder FOLDER]

The reference sender keeps encoded PDUs in memory and sends them through plain sockets, a process
for each association, each its own series. Receivers take turns within each round, each started
afresh on an empty folder; ratios are medians of the ratios within a round. Orthanc promises less
(no flush of folders or index before its answer) and does more (it indexes before it answers).
"""

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sender import CALLED, CALLING, Series, bytes_of_pixels, data_set
from fontanelle.records.files import Spool
from fontanelle.settings import ListenerSettings, Settings, Source

START_S = 60.0
OURS, STOCK, ORTHANC = "Fontanelle", "pynetdicom 3.0.4, file + rename + folder flushed", "Orthanc"


@dataclass(frozen=True, slots=True)
class Run:
    """What one receiver did in one round.

    Attributes
    ----------
    waits_s
        For each instance, from its first byte sent to its answer read.
    cpu_s
        Of the receiver, while it received.
    """

    wall_s: float
    waits_s: tuple[float, ...]
    cpu_s: float
    peak_mb: float
    bytes_each: int

    @property
    def rate(self) -> float:
        """Instances per second."""
        return len(self.waits_s) / self.wall_s


@dataclass(frozen=True, slots=True)
class Receiver:
    """A program that receives: how to call it with a folder and a port, and what it promises."""

    name: str
    command: Callable[[Path, int], list[str]]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=224)
    parser.add_argument("--kilobytes", type=int, default=525)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--receive", choices=("ours", "stock"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive:
        # Before there are threads: they inherit it, and only `sigwait` gets the signal.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        {"ours": _receive, "stock": _receive_with_stock_pynetdicom}[arguments.receive](
            arguments.folder, arguments.port
        )
        return
    found = receivers()
    _print_machine(arguments.folder, arguments.instances)
    for associations in arguments.associations:
        runs: dict[str, list[Run]] = defaultdict(list)
        for _ in range(arguments.rounds):
            for receiver in found:
                run = _run(receiver, arguments.folder, associations, arguments)
                runs[receiver.name].append(run)
        _print_table(associations, runs)


def receivers() -> list[Receiver]:
    """Return what can be measured here, Orthanc first."""
    found = [Receiver(OURS, _command("ours")), Receiver(STOCK, _command("stock"))]
    if orthanc := shutil.which("Orthanc", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        found.insert(0, Receiver(ORTHANC, lambda folder, port: _orthanc(orthanc, folder, port)))
    else:
        print("Orthanc is not installed: no ratios (make peers).\n")
    return found


def _command(kind: str) -> Callable[[Path, int], list[str]]:
    start = [sys.executable, "-m", "benchmarks.ingest", "--receive", kind]
    return lambda folder, port: [*start, "--folder", str(folder), "--port", str(port)]


def _orthanc(program: str, folder: Path, port: int) -> list[str]:
    """Write Debian's defaults but for names, places and ports, and return the command."""
    settings = folder / "orthanc.json"
    content = {
        "Name": "Benchmark",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "DicomPort": port,
        "DicomAet": CALLED,
        "HttpPort": _free_port(),
        "Plugins": [],
    }
    settings.write_text(json.dumps(content), encoding="utf-8")
    return [program, str(settings)]


def _receive(folder: Path, port: int) -> None:
    from service.listener.dimse import serve

    settings = Settings(
        data=folder,
        sources=(Source(ae_title=CALLING),),
        listener=ListenerSettings(ae_title=CALLED, port=port, minimum_free_bytes=0),
    )
    with (
        Spool(settings.spool).writing() as spool,
        serve(settings, spool, lambda _: None, lambda _: None),
    ):
        signal.sigwait({signal.SIGTERM})


def _receive_with_stock_pynetdicom(folder: Path, port: int) -> None:
    """Keep the same promise by the library's own means; no header is read, no peer checked."""
    from pynetdicom import AE, _config, evt
    from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

    _config.LOG_HANDLER_LEVEL = "none"
    entity = AE(CALLED)
    entity.add_supported_context(CTImageStorage)
    entity.add_supported_context(Verification)

    def store(event: evt.Event) -> int:
        request = event.request
        assert request is not None  # noqa: S101
        _write_with_promise(folder, event.encoded_dataset(), str(request.MessageID))
        return 0

    entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    signal.sigwait({signal.SIGTERM})
    entity.shutdown()


def _write_with_promise(folder: Path, content: bytes, name: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fdatasync(file.fileno())
    Path(temporary).rename(f"{temporary}.{name}.dcm")
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _run(receiver: Receiver, parent: Path, associations: int, arguments: argparse.Namespace) -> Run:
    pixels = bytes_of_pixels(arguments.kilobytes)
    with _started(receiver, parent) as (process, port):
        cpu_s = _cpu_s(process.pid)
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(associations + 1)
        results: multiprocessing.SimpleQueue[list[float]] = context.SimpleQueue()
        senders = [
            context.Process(
                target=_send,
                args=(Series(number, arguments.instances, pixels), port, barrier, results),
            )
            for number in range(associations)
        ]
        for sender in senders:
            sender.start()
        barrier.wait(START_S)
        started_s = time.monotonic()
        waits_s = [wait_s for _ in senders for wait_s in results.get()]
        wall_s = time.monotonic() - started_s
        for sender in senders:
            sender.join()
        if len(waits_s) != associations * arguments.instances:
            raise SystemExit(f"{receiver.name} did not take every instance: nothing is printed.")
        return Run(
            wall_s,
            tuple(waits_s),
            _cpu_s(process.pid) - cpu_s,
            _peak_mb(process.pid),
            len(data_set(0, 0, pixels)),
        )


@contextmanager
def _started(receiver: Receiver, parent: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    port = _free_port()
    with tempfile.TemporaryDirectory(dir=parent, prefix="ingest-") as folder:
        os.sync()
        process = subprocess.Popen(  # noqa: S603
            receiver.command(Path(folder), port),
            # Without it dcmtk, and so Orthanc, answers in two pieces, the second 40 ms late.
            env={**os.environ, "TCP_NODELAY": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_port(process, port)
            yield process, port
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_port(process: "subprocess.Popen[bytes]", port: int) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{process.args!r} does not listen: nothing is printed.")


def _send(
    series: Series,
    port: int,
    barrier: "multiprocessing.synchronize.Barrier",
    results: "multiprocessing.SimpleQueue[list[float]]",
) -> None:
    waits_s: list[float] = []
    try:
        waits_s = series.send(port, lambda: barrier.wait(START_S))
    finally:
        results.put(waits_s)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    return sum(int(field) for field in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))


def _print_machine(folder: Path, instances: int) -> None:
    kind = subprocess.run(  # noqa: S603
        ["/usr/bin/stat", "--file-system", "--format=%T", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{cores} cores, load {load:.1f}, file system {kind}; loopback.")
    print(f"{instances} instances for each association.\n")


def _print_table(associations: int, runs: dict[str, list[Run]]) -> None:
    print(f"{associations} association{'s' if associations > 1 else ''}\n")
    print("| receiver | instances/s (all runs) | MB/s | x Orthanc | CPU ms/instance ", end="")
    print("| p50 ms | p99 ms | peak MB |\n|---|---|---|---|---|---|---|---|")
    beside = runs.get(ORTHANC)
    for name, each in runs.items():
        waits_ms = sorted(1e3 * wait_s for run in each for wait_s in run.waits_s)
        cells = (
            name,
            " / ".join(f"{run.rate:.0f}" for run in each),
            f"{statistics.median(run.rate * run.bytes_each for run in each) / 1e6:.0f}",
            _ratio(each, beside),
            f"{statistics.median(1e3 * run.cpu_s / len(run.waits_s) for run in each):.2f}",
            f"{statistics.median(waits_ms):.1f}",
            f"{waits_ms[int(0.99 * (len(waits_ms) - 1))]:.1f}",
            f"{max(run.peak_mb for run in each):.0f}",
        )
        print(f"| {' | '.join(cells)} |")
    print()


def _ratio(runs: Sequence[Run], beside: Sequence[Run] | None) -> str:
    if beside is None:
        return ""
    return (
        f"**{statistics.median(a.rate / b.rate for a, b in zip(runs, beside, strict=True)):.2f}**"
    )


if __name__ == "__main__":
    main()
