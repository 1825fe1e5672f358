from chat_service.nonces import Nonces


def first(*received: int, refused: bool = False, answered: bool = True) -> int:
    nonces = Nonces()
    nonces.refused = refused
    for nonce in received:
        nonces.receive(nonce, answered=answered)
    return nonces.first


def test_a_run_goes_on_while_nonces_rise_by_one() -> None:
    assert first(7, 8, 9) == 7


def test_behind_a_gap_it_begins_anew_where_nothing_is_open() -> None:
    assert first(1, 2, 5, 6) == 5
    assert first(1, 2, 5, 3) == 3


def test_what_was_refused_before_a_gap_belongs_to_it() -> None:
    assert first(1, 2, 5, refused=True) == 1


def test_what_waits_for_its_reply_belongs_to_it() -> None:
    assert first(1, 2, 5, answered=False) == 1


def test_what_comes_again_in_another_order_belongs_to_it() -> None:
    assert first(7, 9, 8, 6, 10, refused=True) == 6
