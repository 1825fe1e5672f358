"""Every input that was ever of interest does no harm."""

from pathlib import Path
from types import ModuleType

import pytest

from tests.fuzz import calls, frames, http_calls, json_frames, lines
from tests.fuzz.rig import rigged

CORPUS = Path(__file__).parent / "corpus"


TARGETS = [calls, frames, http_calls, json_frames, lines]


@pytest.mark.parametrize("target", TARGETS, ids=lambda it: it.__name__)
async def test_the_corpus_does_no_harm(target: ModuleType, tmp_path: Path) -> None:
    name = target.__name__.rpartition(".")[2]
    inputs = sorted((CORPUS / name).iterdir())
    assert len(inputs) >= 24
    async with rigged(tmp_path / "data") as rig:
        for path in inputs:
            try:
                await target.feed(rig, path.read_bytes())
                await rig.check()
            except Exception as error:
                error.add_note(f"with the input {name}/{path.name}")
                raise
        await rig.check_closely()
