"""C-STORE SCU: instances to one peer, each with an outcome; associations come and go below."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from fontanelle.errors import Code, Reason, Refused
from service.delivery.association import Association
from service.delivery.messages import CONTEXT_LIMIT, Context
from service.delivery.outcomes import NotSent, Outcome, Sent
from service.delivery.sendable import Sendable
from service.delivery.wire import Ended, Peer

_Outcomes = SimpleQueue[tuple[Sendable, Outcome] | None]

IN_VAIN_LIMIT: Final = 2
"""After so many associations in a row that ended without an answer no other is worth trying."""


class StoreScu:
    """Sends to one peer, over one association for as long as that holds.

    Parameters
    ----------
    contexts
        What will be sent, as far as known; offered together, 128 at a time. Another one than
        these costs a new association.
    """

    def __init__(self, peer: Peer, contexts: Iterable[Context] = ()) -> None:
        self._peer = peer
        self._contexts = list(dict.fromkeys(contexts))
        self._offered: frozenset[Context] = frozenset()
        self._association: Association | None = None
        self._in_vain = 0
        self._is_cut = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_hopeless(self) -> bool:
        """Whether no association came about, or two in a row ended without an answer."""
        return self._in_vain >= IN_VAIN_LIMIT

    def store(self, instance: Sendable, until_s: float = float("inf")) -> Outcome:
        """Send one instance.

        Parameters
        ----------
        until_s
            When to give up, on the clock of `time.monotonic`, whatever the peer still says.
        """
        try:
            association = self._ready_for(instance.context, until_s)
        except Ended as ended:
            return NotSent(self._lost(ended, IN_VAIN_LIMIT))
        if not association.takes(instance.context):
            self._in_vain = 0
            return NotSent(Reason(Code.CONTEXT_NOT_ACCEPTED, Code.CONTEXT_NOT_ACCEPTED.meaning))
        try:
            status = association.store(instance, until_s)
        except Ended as ended:
            return NotSent(self._lost(ended, 1))
        except Refused as refused:
            # The message may have begun: what follows it would be taken for its rest.
            self.close()
            return NotSent(refused.reason)
        self._in_vain = 0
        return Sent(status)

    def reach(self, context: Context) -> Reason | None:
        """Make sure of an association that offers this context; return why there is none."""
        try:
            self._ready_for(context, float("inf"))
        except Ended as ended:
            return self._lost(ended, IN_VAIN_LIMIT)
        return None

    def close(self) -> None:
        """Release the association, where there is one."""
        association, self._association = self._association, None
        if association is not None:
            association.release()

    def cut(self) -> None:
        """End at once what another thread waits for; nothing more is sent."""
        self._is_cut = True
        association = self._association
        if association is not None:
            association.cut()

    def _lost(self, ended: Ended, weight: int) -> Reason:
        self._association = None
        self._in_vain += weight
        return ended.reason

    def _ready_for(self, context: Context, until_s: float) -> Association:
        if self._association is None or context not in self._offered:
            self.close()
            if self._is_cut:
                raise Ended(Code.DESTINATION_SILENT, "Sending was stopped.")
            offered = self._around(context)
            self._association = Association.request(self._peer, offered, until_s)
            self._offered = frozenset(offered)
        return self._association

    def _around(self, context: Context) -> list[Context]:
        """Return the block of known contexts that holds this one."""
        if context not in self._contexts:
            self._contexts.append(context)
        start = self._contexts.index(context) // CONTEXT_LIMIT * CONTEXT_LIMIT
        return self._contexts[start : start + CONTEXT_LIMIT]


def store_all(
    peer: Peer, instances: Iterable[Sendable], associations: int = 1
) -> Iterator[tuple[Sendable, Outcome]]:
    """Send many instances over several associations at once; give each outcome as it comes.

    Where the peer is lost, the rest is given back with the reason: every instance has an outcome.
    """
    waiting = deque(_in_blocks(instances))
    if not waiting:
        return
    contexts = dict.fromkeys(each.context for each in waiting)
    scus = [StoreScu(peer, contexts) for _ in range(min(associations, len(waiting)))]
    # One first: of several that come at once a full receiver may refuse them all.
    lost = scus[0].reach(waiting[0].context)
    if lost is None:
        lost = yield from _share(scus, waiting)
    if lost is not None:
        for instance in waiting:
            yield instance, NotSent(lost)


def _share(
    scus: Sequence[StoreScu], waiting: deque[Sendable]
) -> Generator[tuple[Sendable, Outcome], None, Reason | None]:
    """Have all take from what waits until there is no more; return why one lost the peer."""
    outcomes: _Outcomes = SimpleQueue()
    with ThreadPoolExecutor(len(scus)) as pool:
        senders = [pool.submit(_send_from, scu, waiting, outcomes) for scu in scus]
        try:
            for _ in senders:
                while (found := outcomes.get()) is not None:
                    yield found
        except BaseException:
            waiting.clear()
            for scu in scus:
                scu.cut()
            raise
    return next(filter(None, [sender.result() for sender in senders]), None)


def _in_blocks(instances: Iterable[Sendable]) -> list[Sendable]:
    """Keep the order, but where an association cannot offer all contexts: sort by their blocks."""
    found = list(instances)
    places = {
        context: place for place, context in enumerate(dict.fromkeys(e.context for e in found))
    }
    return sorted(found, key=lambda each: places[each.context] // CONTEXT_LIMIT)


def _send_from(scu: StoreScu, waiting: deque[Sendable], outcomes: _Outcomes) -> Reason | None:
    """Send what waits until there is no more, or the peer is lost: then return the reason."""
    try:
        with scu:
            while (instance := _first_of(waiting)) is not None:
                # Reached before anything is taken: what this one cannot send another one may.
                if (lost := scu.reach(instance.context)) is not None:
                    return lost
                if (instance := _taken_from(waiting)) is not None:
                    outcome = scu.store(instance)
                    outcomes.put((instance, outcome))
                    if isinstance(outcome, NotSent) and scu.is_hopeless:
                        return outcome.reason
        return None
    finally:
        outcomes.put(None)


def _first_of(waiting: deque[Sendable]) -> Sendable | None:
    try:
        return waiting[0]
    except IndexError:  # Another association took the last one.
        return None


def _taken_from(waiting: deque[Sendable]) -> Sendable | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None
