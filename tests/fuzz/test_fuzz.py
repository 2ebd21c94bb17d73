"""The fuzzer against the running service: the corpus of what once went wrong, and some hundred fresh cases."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from scripts.fuzz.cases import Cases
from scripts.fuzz.judging import complaint_about, complaint_about_log
from scripts.fuzz.running import Fuzzed, fuzzed_service
from scripts.fuzz.sending import Sender, exchange

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.http"))
SENT = {path: path.read_bytes() for path in CORPUS}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fuzzed]:
    async with fuzzed_service(tmp_path_factory.mktemp("fuzzed"), os.environ) as running:
        yield running


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
async def test_each_of_the_corpus_gets_its_answer(service: Fuzzed, path: Path) -> None:
    assert complaint_about(await exchange(service.port, SENT[path]), 0.0) == ""


async def test_sound_photos_in_every_format_are_read(service: Fuzzed) -> None:
    """Else damaging them would try nothing: they show no face, and that is found out; the HEIC ones show one."""
    for photo in Cases(1).photos:
        answer = await exchange(service.port, Cases.upload(photo))
        assert (b'"code": 0,' if photo[4:].startswith(b"ftyphei") else b"No face") in answer


async def test_fresh_cases_get_their_answers(service: Fuzzed) -> None:
    sender = Sender(service, Cases(seed=2026))
    await sender.send(("photo", each) for each in range(300))
    await sender.send(("request", each) for each in range(300))
    assert sender.findings == []


async def test_nothing_that_was_sent_reaches_the_log(service: Fuzzed) -> None:
    assert complaint_about_log(service.log) == ""
