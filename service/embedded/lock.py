"""A lock on a folder that the kernel gives back when its last holder dies."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from fontanelle.errors import Code, Unavailable


class FolderLock:
    """At most one process has it; children that inherit `number` keep it with us."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.number = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except OSError as error:
            raise Unavailable(
                Code.DATA_FOLDER, f"The file {path} cannot be opened: {error.strerror}."
            ) from error

    def take(self) -> bool:
        """Take it if it is free; tell whether it is ours now."""
        try:
            fcntl.flock(self.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give it back."""
        if self.number >= 0:
            os.close(self.number)
            self.number = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
