"""How long the list of analyses takes over HTTP when there are many of them.

    python -m benchmarks.api_list [--rows 100000] [--calls 300] [--busy-anyway]

Starts a PostgreSQL of its own and the API as a process, with keys on, fills in analyses in bulk,
warms up, and prints Markdown: pages of 50 over one kept connection, beside the same rows by bare
SQL through psycopg and an answer of the API that reads nothing, all in the same run. It refuses
where the machine is busy, unless --busy-anyway; what it then prints says so.
"""

import argparse
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from fontanelle.records import keys, migrate
from fontanelle.records.database import Records
from fontanelle.records.keys import Holder, Role
from service.api.lists import cursor_of
from service.embedded.postgres import Postgres, discard

IDLE_LOAD: Final = 0.5
"""Above it somebody else computes too."""
AIM_MS: Final = 50
PAGE: Final = 50
WARM_UP: Final = 20
PATIENCE_S: Final = 60.0
PATH: Final = "/api/v1/analyses"
SERVER: Final = (
    "import os; from fontanelle.settings import load; from service.api.main import run; "
    "run(load(os.environ))"
)
REGIONS: Final = 10
FILL: Final = (
    """
    INSERT INTO study (study_instance_uid, patient_id, issuer, patient_digest, accession_number,
                       study_date)
    SELECT '1.2.826.0.1.3680043.8.498.1.' || n, 'P' || n %% 30000, 'HOSPITAL', md5(n::text),
           'A' || n, '20260101'
    FROM generate_series(1, %(rows)s) AS n
    """,
    """
    INSERT INTO series (study_id, series_instance_uid, state, modality, series_number, description,
                        source, due_at)
    SELECT id, study_instance_uid || '.1', 'selected', 'CT', '2', 'Head 0.6', 'SCANNER', now()
    FROM study ORDER BY id
    """,
    """
    INSERT INTO analysis (series_id, series_revision, package_name, package_sha256, reference_id,
                          reference_version, requested_by, state, fitness, attempts, queued_at,
                          started_at, ended_at, code, sentence, report)
    SELECT id, 1, 'resunet-stem16', repeat('a', 64), 'xi2025', 'sha256:' || repeat('b', 64),
           'dispatcher',
           CASE WHEN id %% 100 = 0 THEN 'failed' WHEN id %% 25 = 0 THEN 'rejected'
                ELSE 'succeeded' END,
           CASE WHEN id %% 25 = 0 THEN NULL WHEN id %% 3 = 0 THEN 'full' ELSE 'limited' END,
           1, now(), now(), now(), 'comparison.site_uncalibrated',
           'No normal heads of this site were measured yet.', %(report)s::json
    FROM series ORDER BY id
    """,
)
"""Studies, series and analyses with a report each, in the way of a house that is years old."""
BARE: Final = """
    SELECT a.id, a.state, a.fitness, a.verdict, a.attempts, a.series_revision, a.package_name,
           a.reference_id, a.requested_by, a.queued_at, a.started_at, a.ended_at, a.code,
           a.sentence, s.series_instance_uid, t.study_instance_uid, t.patient_id, t.issuer,
           t.accession_number, t.study_date
    FROM analysis a JOIN series s ON s.id = a.series_id JOIN study t ON t.id = s.study_id
    WHERE {condition} ORDER BY a.id DESC LIMIT 51
"""


@dataclass(frozen=True, slots=True)
class Question:
    """A page of the list, and the condition of the same rows."""

    name: str
    path: str
    condition: str


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--busy-anyway", action="store_true")
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    if load_before > IDLE_LOAD and not arguments.busy_anyway:
        raise SystemExit(
            f"The machine is busy (load {load_before:.1f}, at most {IDLE_LOAD}): no times are "
            "printed. --busy-anyway prints them with a warning."
        )
    with _folder() as folder, Postgres(folder) as server:
        secret = _filled(server.url, arguments.rows)
        with _serving(server.url, folder) as port:
            _print_machine(load_before, arguments.calls)
            _print_table(server.url, port, secret, arguments.rows, arguments.calls)


@contextmanager
def _folder() -> Iterator[Path]:
    # Not below /tmp: as root the server's own user must be able to pass.
    with tempfile.TemporaryDirectory(prefix="fontanelle-benchmark-", dir="/var/tmp") as name:  # noqa: S108
        folder = Path(name)
        if os.geteuid() == 0:
            folder.chmod(0o711)
        try:
            yield folder
        finally:
            discard(folder)


def _filled(url: str, rows: int) -> str:
    """Make the tables, fill them and return the secret of a key that may read."""
    migrate.upgrade(url)
    with psycopg.connect(_plain(url), autocommit=True) as connection:
        for statement in FILL:
            connection.execute(statement, {"rows": rows, "report": _report()})
        connection.execute("VACUUM ANALYZE")
    with Records.open(url, connections=1) as records, records.begin() as session:
        return keys.create(session, "benchmark", Holder.SYSTEM, Role.READ)


def _report() -> str:
    """Return a report of the usual size."""
    measured = {
        **dict.fromkeys(("volume_ml", "parenchyma_ml", "csf_ml", "expected_ml"), 123.456),
        **dict.fromkeys(("low_ml", "high_ml", "z", "z_low", "z_high", "centile"), 1.2345),
        "pooled": {"z": 0.1, "centile": 50.0},
        "flag": "uncalibrated",
        "reasons": ["comparison.site_uncalibrated", "comparison.protocol_approximate"],
    }
    regions = [{"region": f"region_{n}", **measured} for n in range(REGIONS)]
    return json.dumps({"patient": {"age_days": 730}, "measurements": regions, "unknown": []})


@contextmanager
def _serving(url: str, folder: Path) -> Iterator[int]:
    port = _free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FONTANELLE_")} | {
        "FONTANELLE_DATABASE_URL": url,
        "FONTANELLE_DATA": str(folder / "data"),
        "FONTANELLE_API_PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, "-P", "-c", SERVER], env=environment)  # noqa: S603
    try:
        _wait(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        with closing(socket.socket()) as peer:
            if peer.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("The API did not start.")


def _free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def questions(rows: int) -> list[Question]:
    """Return what is asked: the first page, deep ones, and filters."""
    middle, last = max(rows // 2, 1), min(PAGE + 1, rows)
    return [
        Question("first page", PATH, "true"),
        Question("page in the middle", f"{PATH}?cursor={cursor_of(middle)}", f"a.id < {middle}"),
        Question("last page", f"{PATH}?cursor={cursor_of(last)}", f"a.id < {last}"),
        Question("state failed (1 %)", f"{PATH}?state=failed", "a.state = 'failed'"),
        Question(
            "state succeeded, middle",
            f"{PATH}?state=succeeded&cursor={cursor_of(middle)}",
            f"a.state = 'succeeded' AND a.id < {middle}",
        ),
        Question("fitness full", f"{PATH}?fitness=full", "a.fitness = 'full'"),
    ]


def _print_machine(load_before: float, calls: int) -> None:
    cores = len(os.sched_getaffinity(0))
    print(f"Machine: {cores} cores, load {load_before:.1f}; {platform.platform()}")
    print(f"Python {platform.python_version()}, {calls} calls each after {WARM_UP} to warm up")
    if load_before > IDLE_LOAD:
        print("The machine is busy: times are upper bounds, only ratios hold.")


def _print_table(url: str, port: int, secret: str, rows: int, calls: int) -> None:
    headers = {"Authorization": f"Bearer {secret}"}
    print(f"\nAim: median below {AIM_MS} ms.\n")
    print(
        f"| GET {PATH} of {rows:,}, {PAGE} a page | median ms | p99 ms | bare SQL, median ms | "
        "p99 ms | ratio of medians |\n|---|---|---|---|---|---|"
    )
    with (
        closing(http.client.HTTPConnection("127.0.0.1", port)) as client,
        psycopg.connect(_plain(url), autocommit=True) as connection,
    ):
        for question in questions(rows):
            statement = BARE.format(condition=question.condition)
            found = len(connection.execute(statement.encode()).fetchall())
            ours = _times_ms(lambda q=question: _get(client, q.path, headers), calls)  # type: ignore[misc]
            bare = _times_ms(
                lambda s=statement: connection.execute(s.encode()).fetchall(),  # type: ignore[misc]
                calls,
            )
            if not found:
                raise SystemExit(f"{question.name} is empty: the benchmark measures nothing.")
            ratio = statistics.median(ours) / statistics.median(bare)
            print(f"| {question.name} | {_said(ours)} | {_said(bare)} | {ratio:.1f} |")
        nothing = _times_ms(lambda: _get(client, "/healthz", {}), calls)
        print(f"| /healthz: HTTP and framework alone | {_said(nothing)} | | | |")


def _get(client: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    body = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise SystemExit(f"{path} was answered with {answer.status}.")
    return body


def _times_ms(work: Callable[[], object], calls: int) -> list[float]:
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return sorted(times)


def _said(times_ms: list[float]) -> str:
    p99 = times_ms[min(len(times_ms) - 1, int(0.99 * len(times_ms)))]
    return f"{statistics.median(times_ms):.1f} | {p99:.1f}"


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)


if __name__ == "__main__":
    main()
