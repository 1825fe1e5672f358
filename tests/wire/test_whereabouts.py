"""Which room lines go to, whatever happens meanwhile."""

from chat_service.core import commands, events
from chat_service.core.commands import Join, Leave, Send
from chat_service.core.events import Ack, Joined, Left
from chat_service.core.moderation import ModerationAction
from chat_service.wire.line import LineCodec
from tests.wire.talk import REFUSED, asked, does, durable, named, told


def test_lines_behind_a_join_go_to_that_room_at_once() -> None:
    codec = named()
    assert asked(codec, "/join #Dev", "hello", "/who") == [
        Join("#dev"),
        Send("#dev", "hello"),
        commands.Who("#dev"),
    ]
    assert does(codec, Joined("#dev", "ann"), ref=2) == "* you are in #dev now\n"
    assert told(codec, Ack(seq=1, number=1), ref=3) == ""
    assert asked(codec, "again") == [Send("#dev", "again")]


def test_a_refused_join_leaves_one_where_one_was() -> None:
    codec = named()
    asked(codec, "/join #dev")
    assert told(codec, REFUSED, ref=2) == "! no\n"
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_of_joins_under_way_those_that_are_refused_lead_nowhere() -> None:
    codec = named()
    asked(codec, "/join #a", "/join #b", "/join #c")
    told(codec, REFUSED, ref=3)
    assert asked(codec, "hello") == [Send("#c", "hello")]
    told(codec, REFUSED, ref=2)
    told(codec, REFUSED, ref=4)
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_leaving_the_current_room_leads_to_the_lobby_at_once() -> None:
    codec = named()
    bodies = asked(codec, "/join #dev", "/leave", "hello")
    assert bodies == [Join("#dev"), Leave("#dev"), Send("#lobby", "hello")]
    does(codec, Joined("#dev", "ann"), ref=2)
    left = does(codec, Left("#dev", "ann"), ref=3)
    assert left == "* you left #dev; you are in #lobby now\n"


def test_a_refused_leave_leaves_one_where_one_was() -> None:
    codec = named()
    asked(codec, "/join #dev")
    does(codec, Joined("#dev", "ann"), ref=2)
    asked(codec, "/leave")
    assert told(codec, REFUSED, ref=3) == "! no\n"
    assert asked(codec, "hello") == [Send("#dev", "hello")]


def test_leaving_another_room_leaves_one_where_one_is() -> None:
    codec = named()
    asked(codec, "/join #a", "/join #b", "/leave #a")
    does(codec, Joined("#a", "ann"), ref=2)
    does(codec, Joined("#b", "ann"), ref=3)
    assert does(codec, Left("#a", "ann"), ref=4) == "* you left #a\n"
    assert asked(codec, "hello") == [Send("#b", "hello")]


def test_nobody_falls_back_into_a_room_left_meanwhile() -> None:
    codec = named()
    asked(codec, "/join #a")
    does(codec, Joined("#a", "ann"), ref=2)
    asked(codec, "/join #b", "/leave #a")
    told(codec, REFUSED, ref=3)
    assert does(codec, Left("#a", "ann"), ref=4) == "* you left #a; you are in #lobby now\n"
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


KICKED = events.Moderated("#dev", ModerationAction.KICK, "ann", "bob")
IN_LOBBY = "* you are in #lobby now\n"


def in_dev() -> LineCodec:
    codec = named()
    asked(codec, "/join #dev")
    does(codec, Joined("#dev", "ann"), ref=2)
    return codec


def test_who_is_taken_out_of_the_current_room_is_told_behind_the_reason() -> None:
    codec = in_dev()
    codec.moved(Left("#dev", "ann"))
    told_to_all = codec.join([durable(KICKED), durable(Left("#dev", "ann"))]).decode()
    assert told_to_all == "* bob has kicked ann from #dev\n[#dev] * ann left\n" + IN_LOBBY
    assert asked(codec, "hello") == [Send("#lobby", "hello")]
    assert codec.join([durable(KICKED)]).decode() == "* bob has kicked ann from #dev\n"


def test_what_one_alone_is_told_is_shared_with_nobody() -> None:
    codec, other = in_dev(), in_dev()
    codec.moved(Left("#dev", "ann"))
    other.moved(Left("#dev", "ann"))
    keys = {it.sharing(private=private) for it in (codec, other) for private in (False, True)}
    assert keys == {codec, other}
    codec.join([durable(KICKED)])
    assert codec.sharing(private=False) == ("line", "#lobby")


def test_a_notice_does_not_wait_for_an_event_that_others_see() -> None:
    codec = in_dev()
    codec.moved(Left("#dev", "ann"))
    assert told(codec, events.Presence("bob", online=False)) == "* bob left\n" + IN_LOBBY


def test_who_is_taken_out_of_another_room_stays_in_the_current_one() -> None:
    codec = in_dev()
    asked(codec, "/join #ops")
    does(codec, Joined("#ops", "ann"), ref=3)
    codec.moved(Left("#dev", "ann"))
    assert codec.sharing(private=False) == ("line", "#ops")
    assert asked(codec, "hello") == [Send("#ops", "hello")]


def test_who_is_taken_out_while_going_elsewhere_does_not_fall_back_there() -> None:
    codec = in_dev()
    asked(codec, "/join #ops")
    codec.moved(Left("#dev", "ann"))
    assert asked(codec, "hello") == [Send("#ops", "hello")]
    told(codec, REFUSED, ref=3)
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_other_questions_under_way_do_not_hide_that_one_was_taken_out() -> None:
    codec = in_dev()
    asked(codec, "/rooms")
    codec.moved(Left("#dev", "ann"))
    assert asked(codec, "hello") == [Send("#lobby", "hello")]


def test_moves_are_told_one_by_one_that_were_made_in_one_batch() -> None:
    codec = named()
    asked(codec, "/join #dev", "/leave", "/join #dev")
    for body in (Joined("#dev", "ann"), Left("#dev", "ann"), Joined("#dev", "ann")):
        codec.moved(body)
    assert [told(codec, Ack(), ref) for ref in (2, 3, 4)] == [
        "* you are in #dev now\n",
        "* you left #dev; you are in #lobby now\n",
        "* you are in #dev now\n",
    ]


def test_who_is_taken_out_on_the_way_in_or_out_is_in_the_lobby_as_well() -> None:
    codec = named()
    asked(codec, "/join #dev")
    codec.moved(Joined("#dev", "ann"))
    codec.moved(Left("#dev", "ann"))
    assert told(codec, Ack(), ref=2) == "* you are in #dev now\n" + IN_LOBBY
    codec = in_dev()
    asked(codec, "/leave")
    codec.moved(Left("#dev", "ann"))  # by a kick that came first
    assert told(codec, REFUSED, ref=3) == "! no\n" + IN_LOBBY
    assert asked(codec, "hello") == [Send("#lobby", "hello")]
