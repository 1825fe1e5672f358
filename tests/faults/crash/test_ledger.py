"""The check is able to fail: each kind of fault, made on purpose, is found and is all it finds."""

from collections.abc import Callable

import pytest

from chat.v1 import events_pb2

from .ledger import LOBBY, Ledger, Line, Sent, check

Spoil = Callable[[Ledger], None]


def sound_books() -> Ledger:
    """Two users and an outsider: messages in the lobby, a room and private, all as promised."""
    everywhere, lobby = frozenset((LOBBY, "#dev")), frozenset((LOBBY,))
    ledger = Ledger(rooms={"ann": everywhere, "bob": everywhere, "zed": lobby})
    numbers = {LOBBY: 0, "#dev": 0, "@ann+@bob": 0}
    conversation = (("ann", LOBBY), ("bob", "#dev"), ("ann", "@bob"), ("bob", "@ann"))
    for place, (sender, to) in enumerate(conversation * 3):
        text = f"{sender} {place}"
        topic = to if to in numbers else "@ann+@bob"
        numbers[topic] += 1
        line = Line(place + 1, numbers[topic], to, sender, text)
        ack = events_pb2.Ack(seq=line.seq, number=line.number, nonce=place)
        ledger.sent[text] = Sent(sender, place, to, text, ack)
        ledger.kept.append(line)
    for user in ledger.rooms:
        ledger.seen[user] = ledger.due(user)
    return ledger


def test_sound_books_pass() -> None:
    verdict = check(sound_books())
    assert verdict.sound
    assert verdict.figures().startswith("acknowledged 12, lost 0, doubled 0, reordered 0, holes 0")


def seen_by_one_not_the_other(ledger: Ledger) -> None:
    del ledger.seen["bob"][3]


def acknowledged_and_kept_nowhere(ledger: Ledger) -> None:
    ledger.sent["ann 99"] = Sent("ann", 99, LOBBY, "ann 99", events_pb2.Ack(duplicate=True))


def told_of_a_gap(ledger: Ledger) -> None:
    ledger.gaps.append("bob was told of a gap")


def seen_twice(ledger: Ledger) -> None:
    ledger.seen["bob"].insert(4, ledger.seen["bob"][3])


def kept_twice(ledger: Ledger) -> None:
    last = ledger.kept[-1]
    again = last._replace(seq=last.seq + 1, number=last.number + 1)
    ledger.kept.append(again)
    for user in ("ann", "bob"):
        ledger.seen[user].append(again)


def seen_in_another_order(ledger: Ledger) -> None:
    seen = ledger.seen["ann"]
    seen[2], seen[3] = seen[3], seen[2]


def kept_in_another_order_than_sent(ledger: Ledger) -> None:
    for text, place in (("ann 0", 2), ("ann 2", 0)):
        ledger.sent[text].place = place


def a_number_left_out(ledger: Ledger) -> None:
    """The last message of the lobby is number 4, and everybody agrees on that."""
    old = next(line for line in reversed(ledger.kept) if line.to == LOBBY)
    new = old._replace(number=old.number + 1)
    ack = ledger.sent[old.text].ack
    assert ack
    ack.number = new.number
    for lines in (ledger.kept, *ledger.seen.values()):
        lines[lines.index(old)] = new


def a_private_message_seen_by_a_third(ledger: Ledger) -> None:
    ledger.seen["zed"].insert(1, next(line for line in ledger.kept if line.to == "@bob"))


def refused_and_yet_kept(ledger: Ledger) -> None:
    ledger.sent["bob 1"].ack = None
    ledger.sent["bob 1"].refused = "UNAVAILABLE"


def acknowledged_with_another_seq(ledger: Ledger) -> None:
    ack = ledger.sent["bob 1"].ack
    assert ack
    ack.seq += 1


def kept_though_nobody_sent_it(ledger: Ledger) -> None:
    del ledger.sent[ledger.kept[-1].text]


def seen_with_another_text(ledger: Ledger) -> None:
    ledger.sent["zed 1"] = Sent("zed", 1, LOBBY, "zed 1")
    ledger.seen["zed"].append(Line(99, 99, LOBBY, "zed", "zed 1"))


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("lost", seen_by_one_not_the_other),
        ("lost", acknowledged_and_kept_nowhere),
        ("lost", told_of_a_gap),
        ("doubled", seen_twice),
        ("doubled", kept_twice),
        ("reordered", seen_in_another_order),
        ("reordered", kept_in_another_order_than_sent),
        ("holes", a_number_left_out),
        ("leaked", a_private_message_seen_by_a_third),
        ("altered", refused_and_yet_kept),
        ("altered", acknowledged_with_another_seq),
        ("altered", kept_though_nobody_sent_it),
        ("altered", seen_with_another_text),
    ],
    ids=lambda it: it if isinstance(it, str) else it.__name__,
)
def test_each_fault_is_found_and_named(kind: str, spoil: Spoil) -> None:
    ledger = sound_books()
    spoil(ledger)
    verdict = check(ledger)
    assert [name for name, found in verdict.faults.items() if found] == [kind], verdict.details()
    assert not verdict.sound


def test_what_was_not_acknowledged_may_have_happened_or_not() -> None:
    ledger = sound_books()
    ledger.sent["ann 0"].ack = None
    ledger.sent["ann 98"] = Sent("ann", 98, LOBBY, "ann 98")
    assert check(ledger).sound
