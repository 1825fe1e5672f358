"""What a client asks without changing anything: who is there, what was said, and to whom."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from chat_service.core import limits
from chat_service.core.address import LOBBY, parse_address, parse_room
from chat_service.core.commands import Conversations, History, Ping, Who
from chat_service.core.events import ConversationsPage, HistoryPage, Member, Pong, Roster
from chat_service.core.moderation import Role
from chat_service.hub.hub import Hub
from chat_service.state.port import Archive

Inquiry = Who | History | Conversations | Ping
Answer = Roster | HistoryPage | ConversationsPage | Pong


class Inquiries:
    """Answers by what is committed, and by who is connected as far as was told."""

    def __init__(self, hub: Hub, archive: Archive) -> None:
        self._hub = hub
        self._archive = archive

    async def answer(self, identity: int, it: Inquiry) -> Answer:
        """Return what an identity may know of what it asks; raises the Refusal if that is none."""
        return await _ANSWER[type(it)](self, identity, it)

    async def _who(self, identity: int, who: Who) -> Roster:
        to = parse_room(who.to) if who.to else ""
        # It takes milliseconds where thousands are online, and one frame may ask for many.
        await asyncio.sleep(0)
        users = self._hub.attendance.present
        found: list[tuple[str, Role | None]]
        if to in ("", LOBBY):
            names = sorted(name for name in users if name > who.after)[: limits.MAX_ROSTER + 1]
            found = [(name, None) for name in names]
        else:
            found = [
                *await self._archive.members(
                    identity, to, after=who.after, limit=limits.MAX_ROSTER + 1
                )
            ]
        members = tuple(Member(name, name in users, role) for name, role in found)
        page = members[: limits.MAX_ROSTER]
        return Roster(to, page, len(members) > len(page))

    async def _history(self, identity: int, history: History) -> HistoryPage:
        return await self._archive.history(
            identity,
            parse_address(history.to),
            # What is committed and not told yet comes by itself, a moment later.
            before_seq=min(history.before_seq or self._hub.seq + 1, self._hub.seq + 1),
            limit=min(history.limit or limits.MAX_HISTORY, limits.MAX_HISTORY),
        )

    async def _conversations(self, identity: int, it: Conversations) -> ConversationsPage:
        # Not bounded by what was told so far, as history is: a conversation whose next message is
        # on its way would be missing altogether.
        return await self._archive.conversations(
            identity,
            before_seq=it.before_seq,
            limit=min(it.limit or limits.MAX_CONVERSATIONS, limits.MAX_CONVERSATIONS),
        )

    async def _ping(self, _identity: int, _ping: Ping) -> Pong:
        return Pong()


_ANSWER: Final[dict[type, Callable[[Inquiries, int, Any], Awaitable[Answer]]]] = {
    Who: Inquiries._who,  # noqa: SLF001
    History: Inquiries._history,  # noqa: SLF001
    Conversations: Inquiries._conversations,  # noqa: SLF001
    Ping: Inquiries._ping,  # noqa: SLF001
}
INQUIRIES: Final = frozenset(_ANSWER)
