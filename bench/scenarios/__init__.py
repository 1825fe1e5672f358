"""What is measured: one module a question. None of them knows what system it talks to."""

from typing import Final

from bench.scenarios import (
    fairness,
    fan_out,
    history,
    ingest,
    memory,
    nodes,
    one_message,
    paced,
    rooms,
)

SCENARIOS: Final = {
    it.name: it
    for it in (
        fan_out.SCENARIO,
        rooms.SCENARIO,
        paced.SCENARIO,
        ingest.SCENARIO,
        one_message.SCENARIO,
        memory.SCENARIO,
        fairness.SCENARIO,
        history.SCENARIO,
        nodes.SCENARIO,
    )
}
