"""Names that are on disk before anything is written under them, so that one flush is enough.

A new file costs two waits for the disk: one for its bytes, one for its name. Here a supply of
empty files is made and flushed beforehand. What is written into one is sealed (key, length and
checksum in its first 128 bytes) and flushed: from then on the instance is on disk for good, under
a name that is. It gets its proper name as well, at once, but the flush of that one may wait; what
a power cut takes of it is put back at the next start, by the seal.
"""

import logging
import os
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final, Self, TypeVar

from fontanelle.log import failure
from fontanelle.records.durable import FILE_MODE, Buffer, Temporary, sync_folder, temporary_name

ROOM_BYTES: Final = 128
"""As long as the preamble of a DICOM file, whose content is nobody else's."""
SUPPLY: Final = 64
SETTLE_IDLE_S: Final = 1.0
SETTLE_MOST_S: Final = 10.0

_LOW: Final = SUPPLY // 2
_TURN_S: Final = 0.5
_MAGIC: Final = b"fontanelle seal1"
_SEAL: Final = struct.Struct("<16s64sQI")
_FREE: Final = bytes(ROOM_BYTES)
_CHUNK: Final = 1 << 20
_log = logging.getLogger(__name__)
Item = TypeVar("Item")


class Landed(Temporary):
    """A temporary file that can be sealed, if it begins with room for that."""

    __slots__ = ("_checksum", "_has_room", "_is_named")

    def __init__(self, path: Path, descriptor: int, *, is_named: bool = False) -> None:
        super().__init__(path, descriptor)
        self._is_named = is_named
        self._has_room = False
        self._checksum = 0

    def write(self, *parts: Buffer) -> None:
        """Append."""
        first, *others = parts
        if not self.size_bytes:
            self._has_room = bytes(first[:ROOM_BYTES]) == _FREE
            first = first[ROOM_BYTES:]
        super().write(*parts)
        for part in (first, *others):
            self._checksum = zlib.crc32(part, self._checksum)

    def link_sealed(self, key: str, final: Path) -> bool | None:
        """Flush, and give the file its name unless it is taken; tell whether it was given.

        Where it was, the temporary name has to stay until the folder of the other one is flushed.
        None: the file cannot be sealed, nothing was done.
        """
        if not (self._is_named and self._has_room):
            return None
        seal = _SEAL.pack(_MAGIC, key.encode(), self.size_bytes, self._checksum)
        if os.pwrite(self._descriptor, seal, 0) < len(seal):
            raise OSError("the seal was written in part")
        self.flush()
        try:
            os.link(self.path, final)
        except FileExistsError:
            return False
        self._is_ours = False
        return True


def sealed_key(path: Path) -> str | None:
    """Return the key of a file whose seal is whole and true, else None."""
    with path.open("rb") as file:
        start = file.read(ROOM_BYTES)
        if len(start) < ROOM_BYTES:
            return None
        magic, key, size_bytes, checksum = _SEAL.unpack_from(start)
        if magic != _MAGIC or path.stat().st_size != size_bytes:
            return None
        found = 0
        while chunk := file.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return key.decode("ascii", "replace") if found == checksum else None


class Landing:
    """The supply of empty files, and the thread that makes them and flushes names later."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_failing = False
        self._supply: deque[Path] = deque()
        self._unsettled: deque[tuple[Path, Path]] = deque()
        self._landed_s = 0.0
        self._settled_s = 0.0
        self._stirred = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="landing", daemon=True)

    def __enter__(self) -> Self:
        self._settled_s = monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        self._stirred.set()
        self._thread.join()

    def take(self) -> Landed:
        """Open a file to write into: one of the supply, else a new one."""
        if len(self._supply) < _LOW:
            self._stirred.set()
        try:
            path = self._supply.popleft()
        except IndexError:
            return Landed.create(self._folder)
        return Landed(path, os.open(path, os.O_RDWR), is_named=True)

    def settle_later(self, temporary: Path, final: Path) -> None:
        """Flush a name some time, and take the temporary one away then."""
        self._landed_s = monotonic()
        self._unsettled.append((temporary, final.parent))

    def _run(self) -> None:
        while not self._is_closed:
            self._attempt(self._fill)
            self._stirred.wait(_TURN_S)
            self._stirred.clear()
            if self._is_settling_due():
                self._attempt(self._settle)
        self._attempt(self._settle)
        self._attempt(self._clear)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._is_failing = False
        except OSError as error:
            # In nobody's way: instances are kept with two flushes meanwhile, if at all.
            if not self._is_failing:
                failure(_log, "spool.landing", error)
            self._is_failing = True

    def _fill(self) -> None:
        if len(self._supply) >= _LOW:
            return
        made = [temporary_name(self._folder) for _ in range(SUPPLY - len(self._supply))]
        try:
            for path in made:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE))
            sync_folder(self._folder)
        except OSError:
            for path in made:
                path.unlink(missing_ok=True)
            raise
        self._supply.extend(made)

    def _is_settling_due(self) -> bool:
        now_s = monotonic()
        is_idle = now_s - self._landed_s > SETTLE_IDLE_S
        return bool(self._unsettled) and (is_idle or now_s - self._settled_s > SETTLE_MOST_S)

    def _settle(self) -> None:
        self._settled_s = monotonic()
        settled = list(_drained(self._unsettled))
        try:
            for folder in {folder for _, folder in settled}:
                sync_folder(folder)
        except OSError:
            self._unsettled.extend(settled)
            raise
        for temporary, _ in settled:
            temporary.unlink(missing_ok=True)

    def _clear(self) -> None:
        for path in _drained(self._supply):
            path.unlink(missing_ok=True)


def _drained(items: deque[Item]) -> Iterator[Item]:
    with suppress(IndexError):
        while True:
            yield items.popleft()
