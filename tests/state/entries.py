"""Entries of every kind, over names, clients and rooms that are few enough to collide."""

from typing import Final

from hypothesis import strategies as st

from chat_service.core.commands import (
    Announce,
    BanSubject,
    ByPassword,
    ByToken,
    DeleteAccount,
    EndSessions,
    Enter,
    Entry,
    EntryBody,
    Exit,
    Grant,
    Join,
    Leave,
    Moderate,
    Proof,
    Register,
    Revoke,
    Send,
    SetPassword,
    Token,
    Trim,
    UnbanSubject,
    UpdateAccount,
    Vouched,
)
from chat_service.core.lookalike import skeleton
from chat_service.core.moderation import ModerationAction
from chat_service.core.rules.facts import sign_in_id
from tests.state.batches import by

NAMES: Final = ("ann", "bob", "b0b", "root")
NETWORK: Final = "192.0.2.0/24"
LASTS: Final = 1_000

names = st.sampled_from(NAMES)
clients = st.sampled_from(["one", "one", "one", "two"])
rooms = st.sampled_from(["#dev", "#dev", "#art", "#lobby"])
digests = st.sampled_from([b"t1", b"t2"])
seconds = st.sampled_from([None, 0.000_005])
passwords = st.builds(ByPassword, st.sampled_from([0, 0, 0, 1]))
proofs: st.SearchStrategy[Proof] = st.one_of(
    st.none(), passwords, passwords, passwords, st.builds(ByToken, digests), st.just(Vouched())
)
addresses = st.sampled_from(["", "192.0.2.7"])  # as `parse_origin` returns them
tokens = st.builds(Token, digests, st.sampled_from([20, LASTS]))
subjects = st.one_of(names, st.just(NETWORK))


def _registering(name: str, token: Token | None, proof: Proof, by_: str | None) -> Register:
    return Register("a hash", skeleton(name), token, proof, name == "root", by_)


def _entering(name: str, transient: bool, proof: Proof, token: bytes, address: str) -> Enter:
    return Enter(transient, None, proof, token, skeleton(name), address)


def _moderating(room: str, action: ModerationAction, user: str, seconds: float | None) -> Moderate:
    on_room = action in (ModerationAction.MAKE_PRIVATE, ModerationAction.MAKE_PUBLIC)
    return Moderate(room, action, "" if on_room else user, "", seconds)


def by_anyone(bodies: st.SearchStrategy[EntryBody]) -> st.SearchStrategy[Entry]:
    return st.builds(by, st.sampled_from([*NAMES, "ann", "bob"]), bodies, client=clients)


_moderation: st.SearchStrategy[EntryBody] = st.builds(
    _moderating, rooms, st.sampled_from(ModerationAction), names, seconds
)
TALKING: st.SearchStrategy[EntryBody] = st.one_of(
    st.builds(
        Send, st.one_of(rooms, names.map("@{}".format)), st.just("hi"), st.integers(0, 9),
        reply_to=st.just(0),
    ),
    st.builds(Join, rooms),
    st.builds(Leave, rooms),
    st.builds(Trim, st.sampled_from(["", "#lobby", "1,2"]), st.integers(0, 20)),
)  # fmt: skip
_of_accounts: st.SearchStrategy[EntryBody] = st.one_of(
    st.builds(Grant, tokens, proofs, addresses),
    st.builds(Revoke, digests.map(sign_in_id), proofs),
    st.builds(SetPassword, st.just("another"), proofs, st.one_of(st.just(b""), digests)),
)
_of_admins: st.SearchStrategy[EntryBody] = st.one_of(
    st.builds(UpdateAccount, names, proofs, st.none(), st.one_of(st.none(), st.booleans())),
    st.builds(DeleteAccount, names, proofs),
    st.builds(EndSessions, names, proofs, st.sampled_from(["", "ann/one"])),
    st.builds(BanSubject, subjects, proofs, st.just(""), seconds),
    st.builds(UnbanSubject, subjects, proofs),
    st.builds(Announce, st.just("hello"), proofs),
)
_entering_ones = st.builds(
    lambda name, client, *rest: by(name, _entering(name, *rest), client=client),
    names, clients, st.booleans(), proofs, digests, st.sampled_from(["", "192.0.2.7"]),
)  # fmt: skip
_registering_ones = st.builds(
    lambda name, client, *rest: by(name, _registering(name, *rest), client=client),
    names, clients, st.one_of(st.none(), tokens), proofs, st.sampled_from([None, "", "root"]),
)  # fmt: skip

ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    _entering_ones,
    _entering_ones,
    by_anyone(st.builds(Exit, st.booleans())),
    by_anyone(TALKING),
    by_anyone(TALKING),
    by_anyone(_moderation),
    by_anyone(_moderation),
    by_anyone(_moderation),
    _registering_ones,
    by_anyone(_of_accounts),
    st.builds(by, st.sampled_from(["", "root"]), _of_admins, client=clients),
)
OPENING: Final = [
    *(by(name, _registering(name, None, None, "")) for name in ("ann", "root")),
    by("ann", _entering("ann", False, ByPassword(0), b"", ""), client="one"),
    by("bob", _entering("bob", False, None, b"t1", "192.0.2.7"), client="one"),
    by("root", _entering("root", False, ByPassword(0), b"", ""), client="one"),
    *(by(name, Join("#dev"), client="one") for name in ("ann", "bob")),
]
"""An account, a guest who is in its room, and an admin, all of them here."""


def timed(entries: list[Entry]) -> list[Entry]:
    """Let one entry come a microsecond after another."""
    return [entry.replace(at=at) for at, entry in enumerate(entries, 1)]


logs: st.SearchStrategy[list[Entry]] = st.builds(
    lambda opening, rest: timed([*opening, *rest]),
    st.sampled_from([[], OPENING, OPENING, OPENING]),
    st.lists(ENTRIES, min_size=5, max_size=60),
)
"""Logs, most of which begin with what makes the rest interesting."""
