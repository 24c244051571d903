"""A child process: whose end is ours, and what it leaves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from service.embedded.child import ROTATE_AT_BYTES, Child, Program
from tests.servers import for_root
from tests.waiting import is_gone, until

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\n"
STUBBORN += "time.sleep(600)"
PARENT = """
import sys
from service.embedded.child import Account, Child, Program
account = Account("somebody", 65534, 65534) if "other" in sys.argv else None
child = Child(Program("child", ("sleep", "600"), {"PATH": "/bin:/usr/bin"}, account=account))
print(child.pid, flush=True)
child.wait(None)
"""


def program(code: str, log: Path | None = None) -> Program:
    return Program("child", (sys.executable, "-c", code), {}, log=log)


def test_a_child_that_is_asked_to_end_ends() -> None:
    child = Child(program("import time; time.sleep(600)"))

    assert child.stop(None)
    assert child.exit_code == -signal.SIGTERM


def test_a_child_that_ignores_being_asked_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    child = Child(program(STUBBORN, log))
    until(lambda: log.read_text() == "up\n")

    assert not child.stop(0.1)
    assert child.exit_code == -signal.SIGKILL


def test_a_killed_parent_takes_its_child_along() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())

        parent.kill()

        until(lambda: is_gone(pid))


@for_root
def test_a_killed_parent_takes_the_child_of_another_user_along() -> None:
    command = [sys.executable, "-c", PARENT, "other"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        until(lambda: Path(f"/proc/{pid}").stat().st_uid == 65534)

        parent.kill()

        until(lambda: is_gone(pid))


def test_a_child_writes_to_a_log_that_only_we_can_read(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    for _ in range(2):
        Child(program("print('hello')", log)).wait(None)

    assert log.read_text() == "hello\nhello\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_large_log_is_put_aside_at_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    with log.open("wb") as file:
        file.truncate(ROTATE_AT_BYTES + 1)

    Child(program("print('hello')", log)).wait(None)

    assert log.read_text() == "hello\n"
    assert (tmp_path / "child.log.1").stat().st_size == ROTATE_AT_BYTES + 1


def test_a_child_reads_what_it_is_given_and_inherits_only_what_it_shall(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    shared, kept = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    code = f"import os, sys; print(sys.stdin.read(), flush=True)\nos.fstat({shared})\n"
    command = (sys.executable, "-c", code + f"os.fstat({kept})")

    child = Child(Program("child", command, {}, log=log, inherited=(shared,), given=b"words"))
    child.wait(None)
    os.close(shared)
    os.close(kept)

    said = log.read_text()
    assert said.startswith("words\n")
    assert "line 3" in said
    assert "Bad file descriptor" in said
