"""Reads for all subscriptions of this process, one statement for many."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from backend.api.streams.subscription import End, Subscription
from backend.domain.ids import SessionId, UserId
from backend.errors import Rejected, TooManyRequests
from backend.ports.clock import Clock
from backend.runs.event_source import EventSource, Opening

# A page is a quarter of a megabyte at most: what one read brings must fit into memory.
_CURSORS_PER_READ = 50
_PAUSE_S = 0.005
_COME_BACK_S = 5.0
_SWEEP_S = 5.0
_DEAF_SWEEP_S = 0.2


class StreamHub:
    """Knows who reads which session; hints say which of them to read for."""

    def __init__(self, source: EventSource, clock: Clock, *, most: int, most_per_user: int) -> None:
        """Nobody reads yet.

        Args:
            source: Of the events.
            clock: Spaces the reads.
            most: Subscriptions at a time.
            most_per_user: Of them, one user's.
        """
        self._source = source
        self._clock = clock
        self._most = most
        self._most_per_user = most_per_user
        self._all: set[Subscription] = set()
        self._of_session: defaultdict[SessionId, set[Subscription]] = defaultdict(set)
        self._per_user: Counter[UserId] = Counter()
        self._asking: set[Subscription] = set()
        self._asked = asyncio.Event()
        self._is_deaf = False
        self._end: End | None = None

    def __len__(self) -> int:
        return len(self._all)

    def reserve(self, user_id: UserId) -> "Place":
        """Return a place for one more stream of this user, from before it is opened to its end.

        Raises:
            TooManyRequests: There is none now.
        """
        if self._per_user.total() >= self._most:
            raise TooManyRequests(
                "This service has no stream to spare.", retry_after_s=_COME_BACK_S
            )
        if self._per_user[user_id] >= self._most_per_user:
            message = f"You have {self._most_per_user} open streams: close one."
            raise TooManyRequests(message, retry_after_s=_COME_BACK_S)
        return Place(self._per_user, user_id)

    @contextmanager
    def subscribe(self, session_id: SessionId, opening: Opening) -> Iterator[Subscription]:
        """Yield a subscription that is kept up to date until the block ends."""
        made = Subscription(session_id, opening, self._ask)
        self._all.add(made)
        self._of_session[session_id].add(made)
        if self._end:
            made.close(self._end)
        try:
            yield made
        finally:
            self._forget(made)

    def hear(self, payload: str) -> None:
        """Sessions have new events, comma-separated; an empty payload: any of them may have."""
        if not payload:
            self._is_deaf = False
            self._ask_all()
        for session_id in payload.split(","):
            for subscription in self._of_session.get(SessionId(session_id), ()):
                self._ask(subscription)

    def go_deaf(self) -> None:
        """No hints come for now: everything is read again and again."""
        self._is_deaf = True

    def close(self, end: End) -> None:
        """Every stream ends, those that are opened later, too."""
        self._end = end
        for subscription in self._all:
            subscription.close(end)

    async def step(self) -> None:
        """Wait for a hint, then read for whom it concerns."""
        await self._asked.wait()
        self._asked.clear()
        asking, self._asking = self._asking, set()
        waiting = [one for one in asking if one.has_room()]
        try:
            for first in range(0, len(waiting), _CURSORS_PER_READ):
                await self._read(waiting[first : first + _CURSORS_PER_READ])
        except BaseException:
            for subscription in waiting:
                self._ask(subscription)
            raise
        # Many workers say that there is something new; one read answers them all.
        await self._clock.sleep(_PAUSE_S)

    async def sweep(self) -> None:
        """Wait, then read for everybody: a hint may have been lost."""
        await self._clock.sleep(_DEAF_SWEEP_S if self._is_deaf else _SWEEP_S)
        self._ask_all()

    async def _read(self, waiting: Sequence[Subscription]) -> None:
        try:
            pages = await self._source.read([(one.session_id, one.cursor) for one in waiting])
        except Rejected:
            # What the database refuses for one reader must not keep the others waiting.
            if len(waiting) == 1:
                waiting[0].close("failed")
                return
            middle = len(waiting) // 2
            await self._read(waiting[:middle])
            await self._read(waiting[middle:])
            return
        for subscription, page in zip(waiting, pages, strict=True):
            subscription.deliver(page)
            if page is not None and page.more:
                self._ask(subscription)

    def _ask(self, subscription: Subscription) -> None:
        if subscription in self._all:
            self._asking.add(subscription)
            self._asked.set()

    def _ask_all(self) -> None:
        for subscription in self._all:
            self._ask(subscription)

    def _forget(self, subscription: Subscription) -> None:
        self._all.discard(subscription)
        self._asking.discard(subscription)
        readers = self._of_session[subscription.session_id]
        readers.discard(subscription)
        if not readers:
            del self._of_session[subscription.session_id]


class Place:
    """One stream that a user may have open."""

    def __init__(self, taken: Counter[UserId], user_id: UserId) -> None:
        self._taken = taken
        self._user_id = user_id
        self._is_released = False
        taken[user_id] += 1

    def release(self) -> None:
        """Somebody else may have the place; a second time changes nothing."""
        if self._is_released:
            return
        self._is_released = True
        self._taken[self._user_id] -= 1
        if not self._taken[self._user_id]:
            del self._taken[self._user_id]
