import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_client.stdio import LineSplitter, Output, StreamError, lines

from .scripted import eventually


def split(*chunks: bytes, max_line: int = 100) -> list[str]:
    splitter = LineSplitter(max_line)
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.end()


def test_lines_end_in_lf_or_crlf_or_the_end() -> None:
    assert split(b"a\nb\r\n\nc") == ["a", "b", "", "c"]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n")), min_size=1), st.data())
def test_where_the_chunks_break_makes_no_difference(texts: list[str], data: st.DataObject) -> None:
    whole = "\n".join([*texts, ""]).encode(errors="replace")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert split(*chunks, max_line=10_000) == [
        text.encode(errors="replace").decode() for text in texts
    ]


def test_what_is_not_utf8_is_replaced() -> None:
    assert split(b"\xff\n") == ["\ufffd"]


def test_an_endless_line_is_cut() -> None:
    assert split(b"x" * 150, b"x" * 150, b"\nnext\n") == ["x" * 100, "next"]


async def test_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_text("a\nb")
    with path.open() as file:
        assert [line async for line in lines(file.fileno())] == ["a", "b"]


async def test_the_null_device_is_empty() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    assert [line async for line in lines(null)] == []
    os.close(null)


async def test_a_closed_input_is_empty() -> None:
    assert [line async for line in lines(-1)] == []


async def test_an_input_that_another_program_has_made_nonblocking_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    source = lines(reading)
    first = asyncio.ensure_future(anext(source))
    await asyncio.sleep(0.05)  # it finds nothing there
    os.write(writing, b"late\n")
    assert await first == "late"
    os.close(writing)
    assert [line async for line in source] == []
    os.close(reading)


async def test_an_input_that_fails_is_not_taken_for_its_end(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(StreamError, match="cannot read the input: Is a directory"):
        await anext(lines(directory))
    os.close(directory)


async def test_input_is_read_only_as_it_is_taken() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    source = lines(reading)
    os.write(writing, b"first\n")
    assert await anext(source) == "first"
    written = 0
    try:
        for _ in range(10_000):
            written += os.write(writing, b"x" * 1023 + b"\n")
            await asyncio.sleep(0)
    except BlockingIOError:
        pass
    assert written < 1_000_000
    os.close(writing)
    rest = [line async for line in source]
    assert len(rest) == written // 1024
    os.close(reading)


async def test_a_reader_that_does_not_read_holds_up_only_the_writer() -> None:
    reading, writing = os.pipe()
    output = Output(writing)
    text = "x" * 1_000_000 + "\n"
    task = asyncio.create_task(output.write(text))
    await asyncio.sleep(0.05)  # the loop goes on
    assert not task.done()
    os.set_blocking(reading, False)
    received = bytearray()

    def drained() -> bool:
        with contextlib.suppress(BlockingIOError):
            received.extend(os.read(reading, 65536))
        return task.done() and len(received) == len(text)

    await eventually(drained)
    assert received.decode() == text
    os.close(reading)
    os.close(writing)


async def test_a_reader_that_has_gone_is_told() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        await Output(writing).write("a\n")
    os.close(writing)


async def test_lines_written_at_once_do_not_mix() -> None:
    reading, writing = os.pipe()
    output = Output(writing)
    texts = [letter * 100_000 for letter in "abc"]

    async def receive() -> list[str]:
        return [line async for line in lines(reading)]

    receiving = asyncio.create_task(receive())
    await asyncio.gather(*(output.write(text + "\n") for text in texts))
    os.close(writing)
    assert await receiving == texts
    os.close(reading)
