"""A role that is told to stop many times at once stops."""

import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.waiting import until

ROLE = """
from service.signals import until_stopped
stopped = until_stopped()
print("ready", flush=True)
stopped.wait()
print("stopped", flush=True)
"""


@pytest.mark.parametrize("attempt", range(8))
def test_a_role_that_is_told_to_stop_again_and_again_stops(attempt: int) -> None:
    with subprocess.Popen([sys.executable, "-c", ROLE], stdout=subprocess.PIPE, text=True) as role:
        assert role.stdout is not None
        assert role.stdout.readline() == "ready\n"

        def told_once_more() -> bool:
            for number in (signal.SIGTERM, signal.SIGINT) * 100:
                with suppress(ProcessLookupError):
                    role.send_signal(number)
            return role.poll() is not None

        try:
            until(told_once_more, 20.0)
        finally:
            role.kill()
        assert role.stdout.read() == "stopped\n", attempt
