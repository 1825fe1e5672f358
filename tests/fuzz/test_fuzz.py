"""A minute of fuzzing a target, from the corpus on."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CORPUS = Path(__file__).parent / "corpus"
ROOT = Path(__file__).parent.parent.parent
SECONDS = 60


@pytest.mark.long
@pytest.mark.skipif(find_spec("atheris") is None, reason="there is no atheris for this machine")
@pytest.mark.parametrize("target", ["calls", "frames", "http_calls", "json_frames", "lines"])
def test_a_minute_of_fuzzing_does_no_harm(target: str, tmp_path: Path) -> None:
    found = tmp_path / "found"
    found.mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.run", target),
            *(f"-max_total_time={SECONDS}", "-max_len=8192", "-timeout=60", "-rss_limit_mb=1024"),
            *(f"-artifact_prefix={tmp_path}/", str(found), str(CORPUS / target)),
        ],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-8_000:]
    print(target, done.stderr.strip().splitlines()[-1])
