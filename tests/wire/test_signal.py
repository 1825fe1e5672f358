"""Signals between nodes, encoded and decoded."""

from hypothesis import given
from hypothesis import strategies as st

from chat_service.core.signals import Departure, Heartbeat
from chat_service.wire.signal import decode_signal, encode_signal

HEARTBEAT = st.builds(
    Heartbeat,
    instance=st.text(),
    name=st.text(),
    version=st.text(),
    position=st.integers(0, 2**64 - 1),
    digest=st.binary(max_size=16),
    sessions=st.integers(0, 2**32 - 1),
)


@given(HEARTBEAT)
def test_a_heartbeat_comes_out_as_it_went_in(heartbeat: Heartbeat) -> None:
    assert decode_signal(encode_signal(heartbeat)) == heartbeat


@given(st.text())
def test_a_departure_comes_out_as_it_went_in(instance: str) -> None:
    assert decode_signal(encode_signal(Departure(instance))) == Departure(instance)


@given(st.binary(max_size=64))
def test_whatever_else_comes_is_a_signal_or_nothing(data: bytes) -> None:
    signal = decode_signal(data)
    assert signal is None or decode_signal(encode_signal(signal)) == signal
