"""The file of devices: what it may hold, who may read it, how it is changed, and that a broken one changes nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from service.devices import entries
from service.devices.operations import DEVICE_OPERATIONS
from service.devices.registry import DeviceRegistry, read_devices
from service.errors import InvalidDevices
from tests.conftest import MODELS
from tests.support.processes import ROOT, launch, listening, service_command
from tests.support.signing import DEVICES, OLD_SECRET, SECRET, code, devices_file, signed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return devices_file(tmp_path / "devices.toml")


class TestFile:
    def test_what_it_says(self, path: Path) -> None:
        """A device has one or two secrets; it is enabled and may do everything unless the file says otherwise."""
        found = read_devices(path)
        assert list(found) == ["door-7", "other", "terminal", "screen", "stolen"]
        assert found["door-7"].secrets == (SECRET, OLD_SECRET)
        assert found["door-7"].operations == set(DEVICE_OPERATIONS)
        assert found["terminal"].operations == {"recognise"}
        assert found["other"].note == "beside door-7"
        assert [each.id for each in found.values() if not each.enabled] == ["stolen"]
        assert {each.gallery for each in found.values()} == {"default"}
        assert SECRET not in repr(found)

    @pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o601, 0o660, 0o777])
    def test_others_must_not_read_it(self, path: Path, mode: int) -> None:
        """Nor may anyone but its owner change it; the sentence has the command that helps."""
        path.chmod(mode)
        with pytest.raises(InvalidDevices, match=f"chmod 600 {path}"):
            read_devices(path)

    @pytest.mark.parametrize("mode", [0o400, 0o600, 0o640])
    def test_its_group_may(self, path: Path, mode: int) -> None:
        """So that the service need not own it."""
        path.chmod(mode)
        assert "door-7" in read_devices(path)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "names no device"),
            ("# nothing\n", "names no device"),
            ("[door-7\n", "at line 1"),
            ("[door-7", "at its end"),
            (f'[door-7]\nsecrets = ["{SECRET}"\n', "at its end"),
            ("[door-7]\n", "one or two texts"),
            ("[door-7]\nsecrets = []\n", "one or two texts"),
            (f'[door-7]\nsecrets = "{SECRET}"\n', "one or two texts"),
            (f'[door-7]\nsecrets = ["{SECRET}", "{SECRET}", "{SECRET}"]\n', "one or two texts"),
            (f'[door-7]\nsecrets = ["{SECRET[:31]}"]\n', "32 to 256"),
            (f'[door-7]\nsecrets = ["{SECRET} "]\n', "without spaces"),
            (f'[door-7]\nsecrets = ["{SECRET}", 7]\n', "one or two texts"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\nenabeld = true\n', "not `enabeld`"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\nenabled = "no"\n', "true or false"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\noperations = "list"\n', "list of some"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\noperations = ["read"]\n', "register, recognise, list, delete"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\noperations = ["export"]\n', "register, recognise, list, delete"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\nnote = 7\n', "`note` is a text"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\ngallery = ""\n', "`gallery` is a gallery's name"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\ngallery = ["a"]\n', "`gallery` is a gallery's name"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\ngallery = "Visitors"\n', "`gallery` is a gallery's name"),
            (f'["key:door"]\nsecrets = ["{SECRET}"]\n', "doesn't begin with `key:`"),
            (f'["door 7"]\nsecrets = ["{SECRET}"]\n', "an id is"),
            (f'["{"x" * 65}"]\nsecrets = ["{SECRET}"]\n', "an id is"),
            (f'[door.7]\nsecrets = ["{SECRET}"]\n', "not `7`"),
            (f'secrets = ["{SECRET}"]\n', "a device is a table"),
            (f'[door-7]\nsecrets = ["{SECRET}"]\n[door-7]\nsecrets = ["{SECRET}"]\n', "not valid TOML"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, text: str, said: str) -> None:
        """One sentence on the file and what to do, which never quotes a secret."""
        path = devices_file(tmp_path / "devices.toml", text)
        with pytest.raises(InvalidDevices) as refusal:
            read_devices(path)
        sentence = str(refusal.value)
        assert sentence.startswith(str(path))
        assert said in sentence
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert SECRET[:31] not in sentence

    def test_not_text(self, path: Path) -> None:
        path.write_bytes(b"\xff\xfe[\x00")
        with pytest.raises(InvalidDevices, match="save it as UTF-8"):
            read_devices(path)

    def test_none(self, tmp_path: Path) -> None:
        """Missing, or a folder."""
        for path in (tmp_path / "none", tmp_path):
            with pytest.raises(InvalidDevices, match="devices add ID"):
                read_devices(path)


class TestReload:
    def test_a_broken_edit_changes_nothing(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Half a file, rights for all, no file: the last good state stays and the log says why; a good one counts."""
        caplog.set_level(logging.INFO)
        known = DeviceRegistry(path)

        def break_rights() -> None:
            path.chmod(0o644)

        for broken in (lambda: path.write_text(DEVICES[:40]), lambda: path.write_text(""), break_rights, path.unlink):
            caplog.clear()
            broken()
            known.reload()
            assert known.find("door-7") is not None
            assert [record.levelname for record in caplog.records] == ["ERROR"]
            assert "the devices read before stay (5)" in caplog.text
            assert SECRET not in caplog.text
        devices_file(path, DEVICES.replace("door-7", "door-8"))
        known.reload()
        assert known.find("door-7") is None
        assert known.find("door-8") is not None

    async def test_every_change_is_noticed(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Written in place, replaced, rights changed and back; and nothing is read where nothing changed."""
        caplog.set_level(logging.INFO)
        monkeypatch.setattr(entries, "_WATCH_INTERVAL_S", 0.01)
        known = DeviceRegistry(path)
        watching = asyncio.create_task(known.watch())
        await asyncio.sleep(0.1)
        assert "read again" not in caplog.text
        for device_id in ("door-8", "door-9"):
            devices_file(path, DEVICES.replace("door-7", device_id))
            await found(known, device_id)
        devices_file(path.with_suffix(".new")).rename(path)
        await found(known, "door-7")
        watching.cancel()

    @pytest.mark.process
    @pytest.mark.slow
    async def test_a_running_service(self, tmp_path: Path) -> None:
        """Takes up what a command writes, and SIGHUP at once; a broken edit shuts nobody out."""
        path = tmp_path / "devices.toml"
        secret = command(path, "add", "door-7", "--operations", "list").stdout.strip()
        environ = {"FACE_DATA": str(tmp_path / "data"), "FACE_MODEL_DIR": str(MODELS), "FACE_MODEL": "casia-webface"}
        running = await listening(await launch({**environ, "FACE_DEVICES": str(path)}))
        try:
            assert await listed(running.port, secret) == 0
            assert command(path, "disable", "door-7").returncode == 0
            running.signal(signal.SIGHUP)
            await soon(1003, running.port, secret)
            assert command(path, "enable", "door-7").returncode == 0
            await soon(0, running.port, secret)  # without a signal
            new = command(path, "rotate", "door-7").stdout.strip()
            running.signal(signal.SIGHUP)
            await soon(0, running.port, new)
            assert await listed(running.port, secret) == 0
            path.write_text("[door-7")
            running.signal(signal.SIGHUP)
            await asyncio.sleep(0.2)
            assert await listed(running.port, secret) == 0
        finally:
            running.signal(signal.SIGTERM)
            assert await running.ended() == 0
        assert (
            "is not valid TOML; correct it: look at its end. Until then the devices read before stay (1)."
            in running.log
        )
        assert secret not in running.log


@pytest.mark.process
@pytest.mark.slow
async def test_a_service_does_not_start_with_a_broken_file(tmp_path: Path) -> None:
    """It would let nobody in, or everybody: it leaves with the sentence instead."""
    path = devices_file(tmp_path / "devices.toml", mode=0o644)
    running = await launch({"FACE_DATA": str(tmp_path / "data"), "FACE_DEVICES": str(path)})
    assert await running.ended() == 1
    last = running.log.splitlines()[-1]
    fault = f"{path} holds secrets and others can read or change it"
    assert last == f"The service can't start: {fault}; run `chmod 600 {path}` (or 640)."


async def listed(port: int, secret: str) -> int:
    return await code(port, signed("GET", "/get_registration_face", secret=secret))


async def soon(wanted: int, port: int, secret: str) -> None:
    async with asyncio.timeout(10):
        while await listed(port, secret) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def found(known: DeviceRegistry, device_id: str) -> None:
    async with asyncio.timeout(5):
        while known.find(device_id) is None:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


def command(path: Path | None, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m service devices …` on that file."""
    return service_command("devices", path, *words)


def failed(path: Path | None, *words: str) -> str:
    """The one sentence of a command that must fail."""
    done = command(path, *words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


class TestCommands:
    @pytest.mark.slow
    def test_add_and_list(self, tmp_path: Path) -> None:
        """The secret is shown once, alone on standard output; the file is its owner's only, in a folder made for it."""
        path = tmp_path / "new" / "devices.toml"
        added = command(path, "add", "door-7", "--note", "front\tdoor", "--operations", "delete,recognise")
        secret = added.stdout.removesuffix("\n")
        assert len(secret) == 64
        assert secret not in added.stderr
        assert command(path, "add", "AA:BB.1").stdout.strip() != secret
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert read_devices(path)["door-7"].secrets == (secret,)
        shown = command(path, "list").stdout
        assert [line.split() for line in shown.splitlines()] == [
            ["door-7", "enabled", "1", "secret", "recognise,delete", "front?door"],
            ["AA:BB.1", "enabled", "1", "secret", "register,recognise,list,delete"],
        ]
        assert [each.name for each in path.parent.iterdir()] == ["devices.toml"]

    @pytest.mark.slow
    def test_rotation(self, path: Path) -> None:
        """The secret before works beside the new one, until it is finished; what a third one does is told elsewhere."""
        command(path, "rotate", "--anyway", "door-7")
        newest, before = read_devices(path)["door-7"].secrets
        assert before == SECRET
        assert command(path, "rotate", "--anyway", "door-7").stdout.strip() == read_devices(path)["door-7"].secrets[0]
        assert read_devices(path)["door-7"].secrets[1] == newest
        last = read_devices(path)["door-7"].secrets[0]
        assert command(path, "rotate", "--finish", "door-7").stdout == ""
        assert read_devices(path)["door-7"].secrets == (last,)

    @pytest.mark.slow
    def test_a_change_keeps_the_rest(self, path: Path) -> None:
        """Comments, other devices, the file's rights, and the link by which it is named."""
        path.write_text(f"# by hand\n{DEVICES}")
        path.chmod(0o640)
        link = path.with_name("link.toml")
        link.symlink_to(path)
        assert command(link, "disable", "other").returncode == 0
        assert link.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert path.read_text() == f"# by hand\n{DEVICES}".replace("enabled = true", "enabled = false")

    @pytest.mark.process
    @pytest.mark.slow
    def test_many_at_once(self, path: Path) -> None:
        """None undoes what another wrote."""
        lines = [[sys.executable, "-m", "service", "devices", "add", f"new-{number}"] for number in range(4)]
        environ = os.environ | {"FACE_DEVICES": str(path)}
        started = [subprocess.Popen(line, cwd=ROOT, env=environ, stdout=-3, stderr=-3) for line in lines]
        assert [process.wait(60) for process in started] == [0] * 4
        assert len(read_devices(path)) == 5 + 4

    @pytest.mark.slow
    def test_mistakes_change_nothing(self, path: Path) -> None:
        before = path.read_bytes()
        assert "already" in failed(path, "add", "door-7")
        assert "An id is" in failed(path, "add", "door 8")
        assert "no device door-8" in failed(path, "disable", "door-8")
        assert "no device door-8" in failed(path, "rotate", "door-8")
        assert "Set FACE_DEVICES" in failed(None, "list")
        assert "doesn't begin with `key:`" in failed(path, "add", "key:door")
        assert command(path, "add", "door-8", "--gallery", "Visitors").returncode == 2
        assert "can't be read" in failed(path.with_name("none.toml"), "disable", "door-7")
        assert command(path, "add", "door-8", "--operations", "list,read").returncode == 2
        assert path.read_bytes() == before
        path.write_text("[broken")
        assert "at its end" in failed(path, "add", "door-8")
        assert path.read_text() == "[broken"
        path.chmod(0o644)
        assert "chmod 600" in failed(path, "list")

    @pytest.mark.slow
    def test_a_gallery_and_a_file_for_the_secret(self, path: Path, tmp_path: Path) -> None:
        """The secret then is in that file only, which is its owner's; it is never written over another file."""
        out = tmp_path / "door-8.secret"
        added = command(path, "add", "door-8", "--gallery", "visitors", "--secret-out", str(out))
        device = read_devices(path)["door-8"]
        assert device.gallery == "visitors"
        assert (out.read_text(), added.stdout) == (f"{device.secrets[0]}\n", "")
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert device.secrets[0] not in added.stderr
        assert "gallery=visitors" in command(path, "list").stdout
        assert f"{out} can't be written (File exists)" in failed(path, "rotate", "door-8", "--secret-out", str(out))
        assert read_devices(path)["door-8"] == device
        other = tmp_path / "other.secret"
        assert "already" in failed(path, "add", "door-8", "--secret-out", str(other))
        assert not other.exists()

    @pytest.mark.slow
    def test_a_device_is_forgotten(self, path: Path) -> None:
        """With its secrets, and nothing else is; the only one can't be, nor one that isn't there."""
        before = read_devices(path)
        assert command(path, "remove", "door-7").returncode == 0
        left = read_devices(path)
        assert left == {name: each for name, each in before.items() if name != "door-7"}
        assert "[door-7]" not in path.read_text()
        assert "no device door-7" in failed(path, "remove", "door-7")
        for name in list(left)[1:]:
            assert command(path, "remove", name).returncode == 0
        [last] = read_devices(path)
        assert "is the only device; disable it, or unset FACE_DEVICES" in failed(path, "remove", last)

    @pytest.mark.slow
    def test_what_is_granted_unasked_is_said(self, path: Path) -> None:
        """To whoever adds a device without naming its operations, and to nobody else."""
        said = command(path, "add", "door-8").stderr
        assert "WARNING: the device door-8 may do everything (register, recognise, list, delete)" in said
        for words in (("add", "door-9", "--operations", "list"), ("disable", "door-8"), ("list",)):
            assert "WARNING" not in command(path, *words).stderr
        assert "WARNING" not in failed(path, "add", "door-8")

    @pytest.mark.slow
    def test_what_it_writes_is_toml(self, tmp_path: Path) -> None:
        """Whatever the note."""
        path = tmp_path / "devices.toml"
        note = 'a "quoted" \\ 張 note\nin two lines'
        assert command(path, "add", "x", "--note", note).returncode == 0
        assert tomllib.loads(path.read_text())["x"]["note"] == note
