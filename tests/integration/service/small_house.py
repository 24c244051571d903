"""A supervisor over two tiny programs instead of the roles; run as a process of its own too."""

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from pydantic import SecretStr

from fontanelle.settings import ApiSettings, ListenerSettings, Settings, SupervisorSettings
from service.supervisor import main
from service.supervisor.composition import Parts
from service.supervisor.keeper import Limits, Sign
from service.supervisor.probes import Probe
from service.supervisor.supervisor import Supervisor

LIVING = """
import os, sys, time, pathlib
folder = pathlib.Path(os.environ["FONTANELLE_DATA"])
while True:
    unfinished = folder.joinpath(f"{sys.argv[1]}.new")
    unfinished.write_text(str(os.getpid()))
    unfinished.replace(folder.joinpath(f"{sys.argv[1]}.beat"))
    time.sleep(0.02)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + LIVING
PATIENT = Limits(stalled_s=5.0, start_s=60.0, back_off_first_s=0.05, back_off_most_s=0.2)


def settings(data: Path, stop_s: float = 20.0) -> Settings:
    """Return settings with servers that nobody asks for, and free ports."""
    return Settings(
        data=data,
        database_url=SecretStr("postgresql://nobody"),
        broker_url=SecretStr("redis://nobody"),
        listener=ListenerSettings(port=0),
        api=ApiSettings(port=0),
        supervisor=SupervisorSettings(stop_s=stop_s, fsync=False),
    )


def program(code: str, role: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, role)


def parts(code: str = LIVING, roles: tuple[str, ...] = ("listener", "worker")) -> Parts:
    """Return a house of programs whose sign of life is a file."""
    return Parts(
        commands=lambda: {role: program(code, role) for role in roles},
        migrate=lambda _: None,
        probes=_probes(roles),
        limits=PATIENT,
    )


def _probes(roles: tuple[str, ...]):
    def make(given: Settings, _: ExitStack) -> Mapping[str, Probe]:
        return {role: _freshness(given.data / f"{role}.beat") for role in roles}

    return make


def _freshness(path: Path) -> Probe:
    """Tell whether the file names this process and was written since the last look."""
    last = [0.0]

    def look(pid: int) -> Sign:
        try:
            said, at = path.read_text(), path.stat().st_mtime_ns
        except FileNotFoundError:
            return Sign.SILENT
        is_fresh = said == str(pid) and at != last[0]
        last[0] = at
        return Sign.ALIVE if is_fresh else Sign.SILENT

    return look


def house(data: Path, code: str = LIVING, stop_s: float = 20.0) -> Supervisor:
    return Supervisor(settings(data, stop_s), parts=parts(code))


if __name__ == "__main__":
    data, kind = Path(sys.argv[1]), sys.argv[2]
    wanted = settings(data, 0.5)
    if kind == "servers":
        wanted = wanted.model_copy(update={"database_url": None, "broker_url": None})
    code = STUBBORN if kind == "stubborn" else LIVING
    made = Supervisor(wanted, parts=parts(code))
    main.serve(
        made,
        say=lambda line: print(line, flush=True),  # noqa: T201
        tell=lambda _: print("ready", os.getpid(), made.pids, flush=True),  # noqa: T201
    )
