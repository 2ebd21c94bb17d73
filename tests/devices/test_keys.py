"""The file of keys: what it may hold, how it is changed, and how a key is found in it."""

from __future__ import annotations

import asyncio
import signal
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession

from service.devices.keys import KEY, KeyRegistry, digest_of, new_key, read_keys
from service.devices.operations import OPERATIONS
from service.errors import InvalidKeys
from tests.conftest import MODELS
from tests.support.keys import CONSOLE, KEYS, LOST, NOBODYS, VISITORS, bearing, digest, keys_file
from tests.support.processes import launch, listening, service_command


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return keys_file(tmp_path / "keys.toml")


class TestFile:
    def test_what_it_says(self, path: Path) -> None:
        """A key has a digest and operations; it is enabled and opens all galleries unless the file says otherwise."""
        found = read_keys(path)
        assert list(found) == ["console", "reader", "visitors", "lost"]
        console, reader, visitors, lost = found.values()
        assert console.operations == set(OPERATIONS)
        assert (console.enabled, console.galleries, console.note) == (True, None, "the operators' own")
        assert console.created_at == datetime(2026, 11, 26, 10, tzinfo=UTC)
        assert reader.operations == {"list"}
        assert visitors.galleries == frozenset({"visitors"})
        assert not lost.enabled
        assert digest(CONSOLE) not in repr(found)

    @pytest.mark.parametrize("mode", [0o604, 0o602, 0o660])
    def test_others_must_not_change_it(self, path: Path, mode: int) -> None:
        """Whoever may write there would let himself in."""
        path.chmod(mode)
        with pytest.raises(InvalidKeys, match=f"chmod 600 {path}"):
            read_keys(path)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "names no key; add one with `python -m service keys add NAME`"),
            ("[desk", "at its end"),
            ("desk = 7\n", "a key is a table"),
            ('[desk]\noperations = ["list"]\n', "`sha256` is the digest"),
            (f'[desk]\nsha256 = "{CONSOLE}"\noperations = ["list"]\n', "it is not the key itself"),
            (f'[desk]\nsha256 = "{digest(CONSOLE).upper()}"\noperations = ["list"]\n', "lower-case hex"),
            (f'[desk]\nsha256 = ["{digest(CONSOLE)}"]\noperations = ["list"]\n', "`sha256` is the digest"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\n', "`operations` is a list of some"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = "list"\n', "`operations` is a list of some"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = ["read"]\n', "change, galleries, export, import"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = [["list"]]\n', "`operations` is a list of some"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = []\ngalleries = "x"\n', "`galleries` is a list"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = []\ngalleries = ["*"]\n', "`galleries` is a list"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = []\ngalleries = [1]\n', "`galleries` is a list"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = []\ncreated_at = 2026-11-26\n', "time with its zone"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = []\ncreated_at = "now"\n', "time with its zone"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = []\nenabled = 1\n', "true or false"),
            (f'[desk]\nsha256 = "{digest(CONSOLE)}"\noperations = []\nexpires = 1\n', "not `expires`"),
            (f'["desk 7"]\nsha256 = "{digest(CONSOLE)}"\noperations = []\n', "a name is"),
            (f"{KEYS}\n[again]\nsha256 = '{digest(CONSOLE)}'\noperations = []\n", "the same `sha256` twice"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, text: str, said: str) -> None:
        """One sentence on the file and what to do, which never quotes a key."""
        path = keys_file(tmp_path / "keys.toml", text)
        with pytest.raises(InvalidKeys) as refusal:
            read_keys(path)
        sentence = str(refusal.value)
        assert sentence.startswith(str(path))
        assert said in sentence
        assert sentence.endswith(".")
        assert CONSOLE not in sentence


class TestFinding:
    def test_a_key_is_found_by_its_text(self, path: Path) -> None:
        """Also one that is disabled; another text finds nobody, however near."""
        keys = KeyRegistry(path)
        for name, key in (("console", CONSOLE), ("visitors", VISITORS), ("lost", LOST)):
            found = keys.find(key)
            assert found is not None
            assert found.name == name
        for other in (NOBODYS, CONSOLE[:-1], CONSOLE + "c", CONSOLE.upper(), digest(CONSOLE), "", "é"):
            assert keys.find(other) is None

    def test_every_digest_is_compared(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whichever is the right one, so that the time tells nothing."""
        asked: list[str] = []

        def counted(digest: str, _: str) -> bool:
            asked.append(digest)
            return len(asked) == 1

        keys = KeyRegistry(path)
        monkeypatch.setattr("service.devices.keys.hmac.compare_digest", counted)
        found = keys.find(CONSOLE)
        assert found is not None
        assert found.name == "console"
        assert len(asked) == 4

    def test_new_keys(self) -> None:
        """Each another, of the form that is presented."""
        made = {new_key() for _ in range(100)}
        assert len(made) == 100
        assert all(KEY.fullmatch(each) for each in made)

    def test_a_broken_edit_changes_nothing(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The keys that were read before stay."""
        keys = KeyRegistry(path)
        path.write_text("[")
        keys.reload()
        assert keys.find(CONSOLE) is not None
        assert "Until then the keys read before stay (4)." in caplog.text
        keys_file(path, KEYS.replace("[console]", "[desk]"))
        keys.reload()
        found = keys.find(CONSOLE)
        assert found is not None
        assert found.name == "desk"


@pytest.mark.process
@pytest.mark.slow
async def test_a_running_service(tmp_path: Path) -> None:
    """Takes up what a command writes, and SIGHUP at once; a broken edit shuts nobody out, and the log has no key."""
    path = tmp_path / "keys.toml"
    key = (await run("add", path, "desk", "--operations", "list")).stdout.strip()
    environ = {"FACE_DATA": str(tmp_path / "data"), "FACE_MODEL_DIR": str(MODELS), "FACE_MODEL": "casia-webface"}
    running = await listening(await launch({**environ, "FACE_KEYS": str(path)}))
    try:
        async with ClientSession(running.url, headers=bearing(key)) as client:
            assert await status(client) == 200
            assert (await run("disable", path, "desk")).returncode == 0
            running.signal(signal.SIGHUP)
            await soon(401, client)
            assert (await run("enable", path, "desk")).returncode == 0
            await soon(200, client)  # without a signal
            path.write_text("[desk")
            running.signal(signal.SIGHUP)
            await asyncio.sleep(0.2)
            assert await status(client) == 200
    finally:
        running.signal(signal.SIGTERM)
        assert await running.ended() == 0
    assert "Until then the keys read before stay (1)." in running.log
    assert " 401 unknown_key 127.0.0.1 key:desk " in running.log
    assert key not in running.log


@pytest.mark.process
@pytest.mark.slow
async def test_a_service_does_not_start_with_a_broken_file(tmp_path: Path) -> None:
    """It would let nobody in, or everybody: it leaves with the sentence instead."""
    path = keys_file(tmp_path / "keys.toml", "")
    running = await launch({"FACE_DATA": str(tmp_path / "data"), "FACE_KEYS": str(path)})
    assert await running.ended() == 1
    last = running.log.splitlines()[-1]
    assert last == f"The service can't start: {path} names no key; add one with `python -m service keys add NAME`."


async def run(action: str, path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(service_command, "keys", path, action, *words)


async def status(client: ClientSession) -> int:
    async with client.get("/v1/faces") as response:
        return response.status


async def soon(wanted: int, client: ClientSession) -> None:
    async with asyncio.timeout(10):
        while await status(client) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class TestCommands:
    @pytest.mark.slow
    def test_from_the_first_to_the_last(self, tmp_path: Path) -> None:
        """A key is shown once, its digest kept; it can be disabled, enabled and removed, but for the only one."""
        path = tmp_path / "new" / "keys.toml"
        added = service_command(
            "keys", path, "add", "desk", "--operations", "list,recognise", "--galleries", "a,default"
        )
        key = added.stdout.removesuffix("\n")
        assert KEY.fullmatch(key)
        assert key not in added.stderr
        assert key not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        entry = read_keys(path)["desk"]
        assert entry.sha256 == digest_of(key)
        assert entry.operations == {"list", "recognise"}
        assert entry.galleries == frozenset({"a", "default"})
        assert entry.created_at is not None
        assert abs(datetime.now(UTC) - entry.created_at) < timedelta(minutes=1)
        assert "disable it, or unset FACE_KEYS" in failed(path, "remove", "desk")
        out = tmp_path / "console.key"
        assert service_command("keys", path, "add", "console", "--note", "ours", "--secret-out", str(out)).stdout == ""
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert read_keys(path)["console"].sha256 == digest_of(out.read_text().strip())
        assert service_command("keys", path, "disable", "desk").returncode == 0
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        everything = "register,recognise,list,delete,change,galleries,export,import,events"
        assert [line.split() for line in service_command("keys", path, "list").stdout.splitlines()] == [
            ["desk", "disabled", today, "recognise,list", "in", "a,default"],
            ["console", "enabled", today, everything, "in", "all", "galleries", "ours"],
        ]
        assert service_command("keys", path, "enable", "desk").returncode == 0
        assert read_keys(path)["desk"].enabled
        assert service_command("keys", path, "remove", "console").returncode == 0
        assert list(read_keys(path)) == ["desk"]

    @pytest.mark.slow
    def test_mistakes_change_nothing(self, path: Path) -> None:
        before = path.read_bytes()
        assert "already" in failed(path, "add", "console")
        assert "A name is" in failed(path, "add", "key:console")
        assert "no key desk" in failed(path, "remove", "desk")
        assert "Set FACE_KEYS" in failed(None, "list")
        for options in (("--operations", "list,read"), ("--galleries", ""), ("--galleries", "a,B")):
            assert service_command("keys", path, "add", "desk", *options).returncode == 2
        assert path.read_bytes() == before


def failed(path: Path | None, *words: str) -> str:
    """The one sentence of a command that must fail."""
    done = service_command("keys", path, *words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr
