"""Turns: each owner in turn, and of one the oldest first."""

from chat_service.auth.turns import Turns


def taken(turns: Turns[str]) -> str:
    order = []
    while turns:
        order.append(turns.next())
    return " ".join(order)


def test_of_one_owner_the_oldest_comes_first() -> None:
    turns: Turns[str] = Turns()
    for item in ("a1", "a2", "a3"):
        turns.add("a", item)
    assert taken(turns) == "a1 a2 a3"


def test_owners_take_turns_however_much_each_of_them_asks_for() -> None:
    turns: Turns[str] = Turns()
    for item in ("a1", "a2", "a3", "a4", "b1", "c1", "c2"):
        turns.add(item[0], item)
    assert taken(turns) == "a1 b1 c1 a2 c2 a3 a4"


def test_who_comes_later_has_a_turn_before_anybody_has_another() -> None:
    turns: Turns[str] = Turns()
    for item in ("a1", "a2", "a3"):
        turns.add("a", item)
    assert turns.next() == "a1"
    turns.add("b", "b1")
    assert [turns.next(), turns.next()] == ["a2", "b1"]
    assert taken(turns) == "a3"
