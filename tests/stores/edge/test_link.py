"""What is left of the embedded gallery when its process, or the service, is killed or silent."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from service.errors import StoreUnavailable
from service.stores.edge.store import EdgeStore
from service.stores.store import Added
from service.values import DEFAULT_GALLERY
from tests.support.availability import fails, recovers
from tests.support.processes import ROOT
from tests.support.stored_faces import CONTRACT, embedding, face, fill, numbers


def process_of(store: EdgeStore) -> int:
    """The number of the process that owns the gallery; nobody but these tests has a use for it."""
    process = store._link._process
    assert process is not None
    return process._process.pid


class TestKilledProcess:
    """What is left when the gallery's process, or the service, is killed."""

    async def test_answered_writes_survive(self, edge: EdgeStore) -> None:
        """SIGKILL right after the answers loses no registration and brings no removed face back."""
        await fill(edge, [face(number) for number in range(1, 21)])
        await edge.remove(3, gallery=DEFAULT_GALLERY)
        os.kill(process_of(edge), signal.SIGKILL)
        await recovers(edge.count)
        assert await numbers(edge.scan(gallery=DEFAULT_GALLERY)) == [1, 2, *range(4, 21)]

    @pytest.mark.slow
    async def test_requests_in_flight_fail_at_once_and_the_store_recovers(self, edge: EdgeStore) -> None:
        """Nobody hangs: each request is answered or told that repeating is safe, and repeating is."""
        number = process_of(edge)
        os.kill(number, signal.SIGSTOP)
        adding = [asyncio.create_task(edge.add(face(n), embedding(n))) for n in range(1, 51)]
        await asyncio.sleep(0.1)
        begin = time.monotonic()
        os.kill(number, signal.SIGKILL)
        outcomes = await asyncio.gather(*adding, return_exceptions=True)
        assert time.monotonic() - begin < 2
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        assert "SIGKILL" in str(outcomes[0])
        assert "repeating the request is safe" in str(outcomes[0])
        await recovers(edge.count)
        assert await edge.count() == 0
        await fill(edge, [face(n) for n in range(1, 51)])

    @pytest.mark.slow
    async def test_a_silent_process_is_not_waited_for_for_ever(self, folder: Path) -> None:
        """Each request has a time limit, the store works on once the process does, and late answers harm nobody."""
        store = EdgeStore(folder, request_limit_s=0.5)
        await store.open()
        await recovers(lambda: store.bind(CONTRACT))
        number = process_of(store)
        os.kill(number, signal.SIGSTOP)
        with pytest.raises(StoreUnavailable, match=r"within 0\.5 s"):
            await store.add(face(1), embedding(1))
        waiting = asyncio.create_task(store.count())
        await asyncio.sleep(0.05)
        waiting.cancel()
        os.kill(number, signal.SIGCONT)
        await recovers(store.count)
        assert process_of(store) == number
        assert await store.add(face(1), embedding(1)) in (Added.NEW, Added.KNOWN)
        assert await store.count() == 1
        await store.close()

    @pytest.mark.slow
    async def test_a_process_that_hangs_is_replaced(self, folder: Path) -> None:
        """Requests to it fail soon, those that follow at once, none is answered twice, and what was kept stays."""
        store = EdgeStore(folder, request_limit_s=0.5, hang_limit_s=1.5)
        await store.open()
        await recovers(lambda: store.bind(CONTRACT))
        await recovers(lambda: store.add(face(1), embedding(1)))
        number = process_of(store)
        os.kill(number, signal.SIGSTOP)
        assert await fails(store.count(), r"within 0\.5 s") < 1
        assert await fails(store.count(), "is replaced soon") < 0.2
        await recovers(store.count)
        assert process_of(store) != number
        assert await store.count() == 1
        await store.close()

    @pytest.mark.slow
    async def test_long_work_is_no_hanging(self, edge: EdgeStore) -> None:
        """A process that works at what takes long is left to it, though others give up meanwhile."""
        link = edge._link
        link._limit, link._hang_limit_s = 0.2, 0.4
        number = process_of(edge)
        os.kill(number, signal.SIGSTOP)
        optimizing = asyncio.create_task(edge.optimize())
        await asyncio.sleep(0)
        for _ in range(4):
            assert await fails(edge.count()) < 1
        os.kill(number, signal.SIGCONT)
        await optimizing
        await recovers(edge.count)
        assert process_of(edge) == number

    async def test_a_folder_that_is_gone_is_not_made_anew_in_its_place(self, edge: EdgeStore, folder: Path) -> None:
        """The gallery's process dies while its folder is away: put back, it holds what it held."""
        await fill(edge, [face(1)])
        away = await asyncio.to_thread(folder.rename, folder.with_name("away"))
        os.kill(process_of(edge), signal.SIGKILL)
        await asyncio.sleep(0.1)
        await fails(edge.count(), "deleted or moved")
        await asyncio.to_thread(away.rename, folder)  # which fails where a new one is in its place
        await recovers(edge.count)
        assert await numbers(edge.scan(gallery=DEFAULT_GALLERY)) == [1]

    @pytest.mark.slow
    async def test_a_process_that_dies_at_once_is_not_started_over_and_over(self, edge: EdgeStore) -> None:
        """Its successor starts at once; those that die soon after their start are followed after growing pauses."""
        seen: set[int] = set()
        begin = time.monotonic()
        while time.monotonic() - begin < 4:
            with suppress(StoreUnavailable):
                await edge.count()
                seen.add(process_of(edge))
                os.kill(process_of(edge), signal.SIGKILL)
            await asyncio.sleep(0.01)
        assert 2 <= len(seen) <= 6
        assert await recovers(edge.count, within_s=20) < 15

    @pytest.mark.slow
    async def test_failing_starts_back_off_and_never_hang(
        self, edge: EdgeStore, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """While the gallery can't be opened each request says why; when it can again, the next ones work."""
        contract = folder / "contract.json"
        text = contract.read_text()
        contract.write_text("{")
        os.kill(process_of(edge), signal.SIGKILL)
        begin = time.monotonic()
        while time.monotonic() - begin < 1.5:
            with pytest.raises(StoreUnavailable):
                await edge.count()
            await asyncio.sleep(0.01)
        with pytest.raises(StoreUnavailable, match=r"contract\.json"):
            await edge.count()
        assert 1 <= sum("can't be started" in each.message for each in caplog.records) <= 4
        contract.write_text(text)
        await recovers(edge.count)

    @pytest.mark.slow
    async def test_another_gallery_in_the_same_folder_is_not_taken_for_the_old_one(
        self, edge: EdgeStore, folder: Path
    ) -> None:
        """A process that starts again and finds another model's contract answers nothing."""
        contract = folder / "contract.json"
        contract.write_text(json.dumps({**json.loads(contract.read_text()), "model": "casia-webface"}))
        os.kill(process_of(edge), signal.SIGKILL)
        await asyncio.sleep(0.1)
        with pytest.raises(StoreUnavailable, match="restart the service"):
            await edge.count()

    @pytest.mark.process
    @pytest.mark.slow
    async def test_a_killed_service_leaves_no_orphan(self, folder: Path) -> None:
        """After SIGKILL of the whole service another one opens the gallery within seconds, with everything there."""
        script = """
import asyncio, os, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from service.stores.edge.store import EdgeStore
from service.values import DEFAULT_GALLERY
from tests.support.stored_faces import CONTRACT, embedding, face, fill
async def main():
    store = EdgeStore(Path(sys.argv[1]))
    await store.open()
    await store.bind(CONTRACT)
    await fill(store, [face(number) for number in range(1, 101)])
    await store.remove(1, gallery=DEFAULT_GALLERY)
    pending = [asyncio.ensure_future(store.add(face(n), embedding(n))) for n in range(101, 151)]
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
        service = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(folder), str(ROOT))
        assert await service.wait() == -signal.SIGKILL
        begin = time.monotonic()
        store = EdgeStore(folder)
        assert await store.open() == CONTRACT
        assert time.monotonic() - begin < 8
        found = await numbers(store.scan(gallery=DEFAULT_GALLERY))
        assert found[:99] == list(range(2, 101))
        await store.close()

    async def test_ctrl_c_is_for_the_service_to_handle(self, edge: EdgeStore) -> None:
        """SIGINT and SIGTERM reach the whole group, and the gallery must outlive the requests in hand."""
        number = process_of(edge)
        for each in (signal.SIGINT, signal.SIGTERM):
            os.kill(number, each)
        await fill(edge, [face(1)])
        assert process_of(edge) == number


@pytest.mark.slow
async def test_logs_hold_no_faces(
    edge: EdgeStore, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pictures, embeddings and remarks stay out of the logs, failures included."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreUnavailable):
        await edge.add(face(1, picture="secret" * 99), embedding(1)[:100])
    os.kill(process_of(edge), signal.SIGKILL)
    await recovers(edge.count)
    await edge.close()
    logged = caplog.text + capfd.readouterr().err
    assert "secret" not in logged
    assert "person 1" not in logged
