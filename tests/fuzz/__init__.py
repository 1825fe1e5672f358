"""Fuzzers: what strangers may send, whatever it is, and what has to hold all the same.

`make test` replays the corpus; `make test-long` lets atheris look for more, a minute a target. To
look for longer, and to add to the corpus what reaches lines of code that nothing in it does:

    python -m tests.fuzz.run TARGET -max_total_time=600 found tests/fuzz/corpus/TARGET
    python -m tests.fuzz.run TARGET -merge=1 -use_counters=0 tests/fuzz/corpus/TARGET found
"""
