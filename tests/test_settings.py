"""Every setting: its default, what it accepts, what it refuses, and that people are told the same."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from scripts.settings_table import tables
from service.errors import InvalidSettings
from service.manual import described
from service.settings import Settings
from service.variables import variable
from tests.support.processes import ROOT

DEFAULTS: dict[str, Any] = {
    "FACE_HOST": "0.0.0.0",
    "FACE_PORT": 5055,
    "FACE_TRUSTED_PROXIES": (),
    "FACE_DATA": Path("data"),
    "FACE_QDRANT_URL": None,
    "FACE_QDRANT_API_KEY": None,
    "FACE_QDRANT_COLLECTION": "faces",
    "FACE_MODEL_DIR": Path("models"),
    "FACE_MODEL": "auto",
    "FACE_ID_BITS": 31,
    "FACE_WEIGHTS": None,
    "FACE_MAX_BYTES": 20 * 1024 * 1024,
    "FACE_MAX_PIXELS": 50_000_000,
    "FACE_DECODE_S": 5,
    "FACE_PICTURE_SIDE": 480,
    "FACE_THRESHOLD": -1.0,
    "FACE_FPIR": 0.01,
    "FACE_SCORE": "cohort",
    "FACE_CHOICE": "front",
    "FACE_ROTATE": True,
    "FACE_QUALITY": "standard",
    "FACE_DUPLICATE": "allow",
    "FACE_MIRROR": False,
    "FACE_DELETE_BY_GET": True,
    "FACE_COMPREFACE": False,
    "FACE_CONSOLE": True,
    "FACE_TLS_CERT": None,
    "FACE_TLS_KEY": None,
    "FACE_CORS_ORIGINS": (),
    "FACE_DEVICES": None,
    "FACE_KEYS": None,
    "FACE_DEVICE_RATE": 0,
    "FACE_NONCES_URL": None,
    "FACE_ENCRYPTION_KEY": None,
    "FACE_REMARK_CHARSET": "utf-8",
    "FACE_AUDIT": None,
    "FACE_AUDIT_DAYS": 30,
    "FACE_RETENTION_DAYS": 0,
    "FACE_PURGE_S": 86_400,
    "FACE_LOG_FORMAT": "text",
    "FACE_LOG_LEVEL": "INFO",
}
"""Those that people rely on."""

ACCEPTED: dict[str, dict[str, Any]] = {
    "FACE_HOST": {"127.0.0.1": "127.0.0.1", "::": "::"},
    "FACE_PORT": {"0": 0, "80": 80, "65535": 65535},
    "FACE_TRUSTED_PROXIES": {
        "127.0.0.1": (ip_network("127.0.0.1/32"),),
        "10.0.0.0/8, fd00::/8,::1": (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("::1/128")),
    },
    "FACE_DATA": {"/srv/faces": Path("/srv/faces"), "~/faces": Path.home() / "faces"},
    "FACE_QDRANT_URL": {
        each: each
        for each in (
            *("http://localhost:6333", "https://q.example.com/", "http://[::1]:1"),
            "http://10.0.0.1:6333,http://10.0.0.2:6333 , http://10.0.0.3:6333",
        )
    },
    "FACE_QDRANT_CA": {"ca.pem": Path("ca.pem")},
    "FACE_QDRANT_CERT": {"cert.pem": Path("cert.pem")},
    "FACE_QDRANT_CERT_KEY": {"~/key.pem": Path.home() / "key.pem"},
    "FACE_QDRANT_API_KEY": {"s3cr3t!": "s3cr3t!"},
    "FACE_QDRANT_GRPC_PORT": {"1": 1, "65535": 65535},
    "FACE_QDRANT_COLLECTION": {each: each for each in ("faces", "a", "Gate_2.b-c", "x" * 200)},
    "FACE_QDRANT_SHARDS": {"0": 0, "12": 12},
    "FACE_QDRANT_REPLICAS": {"1": 1, "3": 3},
    "FACE_QDRANT_WRITE_CONSISTENCY": {"0": 0, "1": 1},
    "FACE_QDRANT_QUANTIZE": {"off": "off", "int8": "int8"},
    "FACE_PUBLIC_URL": {
        each: each for each in ("https://faces.example", "http://10.0.0.7:5055/", "http://[::1]/faces")
    },
    "FACE_PICTURE_KEY": {each: each for each in ("k" * 32, f"{'k' * 32},{'!' * 40}")},
    "FACE_MODEL_DIR": {"m": Path("m")},
    "FACE_MODEL": {"vggface2": "vggface2", "casia-webface": "casia-webface"},
    "FACE_WEIGHTS": {"w.pt": Path("w.pt")},
    "FACE_MAX_BYTES": {"1": 1, "104857600": 100 * 2**20},
    "FACE_MAX_PIXELS": {"1": 1, "100000000": 10**8},
    "FACE_DECODE_S": {"1": 1, "600": 600},
    "FACE_PICTURE_SIDE": {"16": 16, "4096": 4096},
    "FACE_SEARCH_SIDE": {"256": 256, "30000": 30_000},
    "FACE_THRESHOLD": {"-1": -1.0, "0.6": 0.6, "1": 1.0, "auto": "auto"},
    "FACE_FPIR": {"0.001": 0.001, "0.01": 0.01, "0.3": 0.3},
    "FACE_SCORE": {"cohort": "cohort", "cosine": "cosine"},
    "FACE_CHOICE": {"front": "front", "largest": "largest", "center": "center"},
    "FACE_ROTATE": {"off": False, "on": True},
    "FACE_QUALITY": {"off": "off", "standard": "standard", "strict": "strict"},
    "FACE_DUPLICATE": {"allow": "allow", "refuse": "refuse"},
    "FACE_MIRROR": {"off": False, "on": True},
    "FACE_MIN_FACE": {"20": 20, "10000": 10_000},
    "FACE_MIN_SHARE": {"0": 0.0, "0.5": 0.5, "1": 1.0},
    "FACE_MIN_SCORE": {"0": 0.0, "0.95": 0.95, "1": 1.0},
    "FACE_COMPUTE": {"auto": "auto", "cpu": "cpu", "cuda": "cuda"},
    "FACE_PRECISION": {"auto": "auto", "f32": "f32", "bf16": "bf16", "int8": "int8"},
    "FACE_ID_BITS": {"31": 31, "53": 53},
    "FACE_THREADS": {"0": 0, "1024": 1024},
    "FACE_MAX_QUEUE": {"1": 1, "100000": 100_000},
    "FACE_COMPREFACE": {"on": True, "off": False},
    "FACE_CONSOLE": {"off": False, "on": True, "no": False, "yes": True},
    "FACE_DELETE_BY_GET": {"0": False, "no": False, "Off": False, "1": True, "yes": True, "TRUE": True},
    "FACE_TLS_CERT": {"cert.pem": Path("cert.pem")},
    "FACE_TLS_KEY": {"~/key.pem": Path.home() / "key.pem"},
    "FACE_CORS_ORIGINS": {
        "*": ("*",),
        "https://desk.example": ("https://desk.example",),
        "HTTPS://Desk.Example:443, http://10.0.0.7:8080": ("https://desk.example", "http://10.0.0.7:8080"),
        "http://[::1]:3000,capacitor://localhost": ("http://[::1]:3000", "capacitor://localhost"),
    },
    "FACE_DEVICES": {"devices.toml": Path("devices.toml")},
    "FACE_KEYS": {"keys.toml": Path("keys.toml")},
    "FACE_DEVICE_RATE": {"0": 0, "60": 60},
    "FACE_ENCRYPTION_KEY": {each: each for each in ("ab" * 32, "AB" * 32, "A" * 42 + "E=", "-_" * 21 + "8")},
    "FACE_NONCES_URL": {each: each for each in ("redis://h:6379/0", "rediss://:key@h", "unix:///run/redis.sock")},
    "FACE_RECEIVE_S": {"1": 1, "3600": 3600},
    "FACE_SEND_S": {"1": 1, "3600": 3600},
    "FACE_MAX_CONNECTIONS": {"1": 1, "1000000": 1_000_000},
    "FACE_MAX_ADDRESS_CONNECTIONS": {"1": 1, "1000000": 1_000_000},
    "FACE_MAX_UPLOADS_BYTES": {"1": 1, "10000000000": 10_000_000_000},
    "FACE_REMARK_CHARSET": {"utf-8": "utf-8", "gbk": "gbk", "windows-1252": "windows-1252"},
    "FACE_AUDIT": {"audit.sqlite": Path("audit.sqlite")},
    "FACE_RETENTION_DAYS": {"0": 0, "365": 365},
    "FACE_PURGE_S": {"0": 0, "3600": 3600},
    "FACE_AUDIT_DAYS": {"1": 1, "36500": 36_500},
    "FACE_LOG_FORMAT": {"text": "text", "json": "json"},
    "FACE_LOG_LEVEL": {"DEBUG": "DEBUG", "ERROR": "ERROR"},
}
REFUSED: dict[str, list[str]] = {
    "FACE_PORT": ["-1", "65536", "x", "5055.0"],
    "FACE_TRUSTED_PROXIES": ["nginx", "10.0.0.1/8", "127.0.0.1 10.0.0.1", "127.0.0.1,", "10.0.0.0/33"],
    "FACE_QDRANT_URL": [
        "localhost:6333",
        "ftp://q",
        "http://",
        "http://q/prefix",
        "http://me:key@q",
        "http://q q",
        "http://q,",
        "http://q,r",
    ],
    "FACE_QDRANT_GRPC_PORT": ["0", "65536", "x"],
    "FACE_QDRANT_COLLECTION": ["a/b", "..", "-a", "a b", "x" * 201],
    "FACE_QDRANT_SHARDS": ["-1", "x"],
    "FACE_QDRANT_REPLICAS": ["0", "x"],
    "FACE_QDRANT_WRITE_CONSISTENCY": ["-1", "101", "x"],
    "FACE_QDRANT_QUANTIZE": ["yes", "INT8"],
    "FACE_PUBLIC_URL": [
        "faces.example",
        "ftp://f",
        "https://",
        "https://me:key@f",
        "https://f?x",
        "https://f#x",
        "http://ü",
    ],
    "FACE_MODEL": ["facenet", "VGGFACE2", " "],
    "FACE_ID_BITS": ["0", "32", "-31", "x", "31.0"],
    "FACE_MAX_BYTES": ["0", "-1", "10 MB", "1e6"],
    "FACE_MAX_PIXELS": ["0", "x"],
    "FACE_DECODE_S": ["0", "601", "x", "1.5"],
    "FACE_PICTURE_SIDE": ["15", "4097", "x"],
    "FACE_SEARCH_SIDE": ["255", "30001", "x"],
    "FACE_THRESHOLD": ["-1.1", "1.1", "nan", "inf", "x", "AUTO"],
    "FACE_FPIR": ["0", "0.31", "nan", "x"],
    "FACE_SCORE": ["Cohort", "raw"],
    "FACE_CHOICE": ["centre", "first"],
    "FACE_ROTATE": ["maybe", "90"],
    "FACE_QUALITY": ["on", "Strict"],
    "FACE_DUPLICATE": ["no", "Refuse"],
    "FACE_MIRROR": ["maybe", "2"],
    "FACE_MIN_FACE": ["19", "10001", "x"],
    "FACE_MIN_SHARE": ["-0.1", "1.1", "nan"],
    "FACE_MIN_SCORE": ["-0.1", "1.1", "x"],
    "FACE_COMPUTE": ["gpu", "cuda:0"],
    "FACE_PRECISION": ["fp16", "F32"],
    "FACE_THREADS": ["-1", "1025", "two"],
    "FACE_MAX_QUEUE": ["0", "x"],
    "FACE_COMPREFACE": ["8000"],
    "FACE_CONSOLE": ["/console"],
    "FACE_DELETE_BY_GET": ["maybe", "2"],
    "FACE_CORS_ORIGINS": [
        *("desk.example", "https://desk.example/", "https://desk.example/page", "https://a, ", "https://a b", "null"),
        *("http://a:0", "http://a:65536", "http://a:x", "https://me@a", "https://*.example", "https://a?x", "//a"),
    ],
    "FACE_DEVICE_RATE": ["-1", "100001", "x"],
    "FACE_RECEIVE_S": ["0", "3601", "x"],
    "FACE_SEND_S": ["0", "3601", "x"],
    "FACE_MAX_CONNECTIONS": ["0", "1000001", "x"],
    "FACE_MAX_ADDRESS_CONNECTIONS": ["0", "1000001", "x"],
    "FACE_MAX_UPLOADS_BYTES": ["0", "-1", "1 GB"],
    "FACE_REMARK_CHARSET": ["GBK", "utf-7", "rot13"],
    "FACE_RETENTION_DAYS": ["-1", "36501", "x", "0.5"],
    "FACE_PURGE_S": ["-1", "31622401", "x", "0.5"],
    "FACE_AUDIT_DAYS": ["0", "-1", "36501", "x", "1.5"],
    "FACE_LOG_FORMAT": ["xml"],
    "FACE_LOG_LEVEL": ["info", "TRACE"],
}
ALL = {variable(each.name): each.name for each in fields(Settings)}
TEXTS = {
    "FACE_HOST",
    "FACE_DATA",
    "FACE_MODEL_DIR",
    "FACE_WEIGHTS",
    "FACE_DEVICES",
    "FACE_KEYS",
    "FACE_TLS_CERT",
    "FACE_TLS_KEY",
    "FACE_QDRANT_CA",
    "FACE_QDRANT_CERT",
    "FACE_QDRANT_CERT_KEY",
    "FACE_AUDIT",
}
"""Settings that take any text."""


def test_these_tests_know_every_setting() -> None:
    assert set(ACCEPTED) == set(ALL)
    secrets = {"FACE_QDRANT_API_KEY", "FACE_NONCES_URL", "FACE_PICTURE_KEY", "FACE_ENCRYPTION_KEY"}
    assert set(REFUSED) == set(ALL) - TEXTS - secrets


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults(name: str) -> None:
    """Nothing set, set to nothing, or beside what isn't ours: the default."""
    for environ in ({}, {name: ""}, {"PATH": "/bin", "FACES": "x", "face_port": "1"}):
        assert getattr(Settings.from_env(environ), ALL[name]) == DEFAULTS[name]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in ACCEPTED.items() for text in texts])
def test_accepted(name: str, text: str) -> None:
    value = getattr(Settings.from_env({name: text}), ALL[name])
    assert value == ACCEPTED[name][text]
    assert type(value) is type(ACCEPTED[name][text])


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts])
def test_refused(name: str, text: str) -> None:
    """In one sentence that names the variable and the value, and says what would do."""
    with pytest.raises(InvalidSettings) as refusal:
        Settings.from_env({name: text})
    sentence = str(refusal.value)
    assert sentence.startswith(f"{name}={text!r} is ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts])
def test_refused_in_code(name: str, text: str) -> None:
    """Made by the constructor, or by `replace` from other settings, a Settings is as right as one from variables."""
    with pytest.raises(InvalidSettings) as from_env:
        Settings.from_env({name: text})
    value: Any = text
    with suppress(ValueError):
        kind = type(getattr(Settings(), ALL[name]))
        value = kind(text) if kind in (int, float) else text
    change = {ALL[name]: value}
    with pytest.raises(InvalidSettings) as made:
        Settings(**change)
    with pytest.raises(InvalidSettings) as replaced:
        replace(Settings(port=80), **change)
    assert str(made.value) == str(replaced.value) == str(from_env.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"port": "5055"}, "FACE_PORT='5055' is not a whole number."),
        ({"port": 5055.0}, "FACE_PORT='5055' is not a whole number."),
        ({"port": True}, "FACE_PORT='yes' is not a whole number."),
        ({"port": None}, "FACE_PORT='' is not a whole number."),
        ({"threshold": "0.5"}, "FACE_THRESHOLD='0.5' is not `auto` or a number."),
        ({"id_bits": True}, "FACE_ID_BITS='yes' is not a whole number."),
        ({"log_format": 1}, "FACE_LOG_FORMAT='1' is not text."),
        ({"delete_by_get": 1}, "FACE_DELETE_BY_GET='1' is not yes or no."),
        ({"data": "data"}, "FACE_DATA='data' is not a path."),
        ({"weights": "w.pt"}, "FACE_WEIGHTS='w.pt' is not a path."),
        ({"host": 1}, "FACE_HOST='1' is not text."),
        ({"qdrant_api_key": b"hush"}, "FACE_QDRANT_API_KEY is not text."),
    ],
)
def test_a_value_of_another_type_is_refused(changes: dict[str, Any], sentence: str) -> None:
    """Nothing is turned into what it might have meant."""
    with pytest.raises(InvalidSettings) as refusal:
        Settings(**changes)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(("copies", "written"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (7, 4)])
def test_copies_that_must_be_written(copies: int, written: int) -> None:
    """Most of three or more, so that no two halves of a cluster answer different things; of two, one."""
    settings = Settings(qdrant_replicas=copies)
    assert settings.copies_to_write == written
    assert settings.may_part is (copies == 2)
    assert Settings(qdrant_replicas=3, qdrant_write_consistency=1).may_part


@pytest.mark.parametrize(("copies", "written"), [(1, 2), (2, 2), (3, 3), (3, 4)])
def test_copies_that_would_stop_everything_are_refused(copies: int, written: int) -> None:
    """With every copy to be written, one node that is away stops registering, and reading too."""
    with pytest.raises(InvalidSettings, match=r"must be less than FACE_QDRANT_REPLICAS=.*one node that is away"):
        Settings(qdrant_replicas=copies, qdrant_write_consistency=written)


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="Settings has no field prot"):
        Settings(prot=1)  # type: ignore[call-arg]


def test_settings_travel_between_processes() -> None:
    """As to the machines of a Ray cluster: what arrives is equal, and as frozen."""
    settings = Settings(port=80, trusted_proxies=(ip_network("10.0.0.0/8"),))
    arrived = pickle.loads(pickle.dumps(settings))
    assert arrived == settings
    with pytest.raises(AttributeError):
        arrived.port = 81


@pytest.mark.parametrize("key", ["hush hush", "hush\n", "hüsh"])
def test_a_key_is_never_shown(key: str) -> None:
    """Neither where it can't be used nor where the settings are printed."""
    with pytest.raises(InvalidSettings, match=r"^FACE_QDRANT_API_KEY is out of range") as refusal:
        Settings.from_env({"FACE_QDRANT_API_KEY": key})
    assert "sh" not in str(refusal.value).removeprefix("FACE_QDRANT_API_KEY")
    assert "hush" not in repr(Settings.from_env({"FACE_QDRANT_API_KEY": "hush"}))


@pytest.mark.parametrize("key", ["hush", f"hush {'k' * 40}", f"{'k' * 40},hush", f"{'k' * 40},", "hüsh" * 10])
def test_a_key_of_pictures_is_long_and_never_shown(key: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^FACE_PICTURE_KEY is out of range; allowed: 32 or more") as refusal:
        Settings.from_env({"FACE_PICTURE_KEY": key})
    assert "sh" not in str(refusal.value)
    assert "hush" not in repr(Settings.from_env({"FACE_PICTURE_KEY": "hush" * 8}))


@pytest.mark.parametrize("url", ["http://:hush@h", "redis://h hush", "hush"])
def test_a_url_with_a_password_is_never_shown(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^FACE_NONCES_URL is out of range; allowed: `redis://") as refusal:
        Settings.from_env({"FACE_NONCES_URL": url})
    assert "hush" not in str(refusal.value)
    assert "hush" not in repr(Settings.from_env({"FACE_NONCES_URL": "redis://:hush@h"}))


@pytest.mark.parametrize("name", ["FACE_TRESHOLD", "FACE_", "FACE_port"])
def test_an_unknown_setting_is_refused(name: str) -> None:
    """A slip of the pen must not pass in silence."""
    with pytest.raises(InvalidSettings, match=f"^{name} is not a setting"):
        Settings.from_env({name: "1"})


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("FACE_DEVICE", "FACE_COMPUTE"),
        ("FACE_MODELS", "FACE_MODEL_DIR"),
        ("FACE_COLLECTION", "FACE_QDRANT_COLLECTION"),
    ],
)
def test_a_former_name_is_refused_by_a_sentence_with_the_new_one(former: str, name: str) -> None:
    """Even empty: whoever fills it in later is not to find out then."""
    for text in ("x", ""):
        with pytest.raises(InvalidSettings) as refusal:
            Settings.from_env({former: text})
        assert str(refusal.value) == f"{former} is called {name} now; rename it."
    assert name in ALL


def test_the_page_has_every_setting() -> None:
    """Once each; tests/test_documents.py sees to it that the page has these tables."""
    for name in ALL:
        assert tables().count(f"| `{name}` |") == 1


@pytest.mark.process
def test_help_has_every_setting() -> None:
    """With its default and its meaning."""
    command = [sys.executable, "-m", "service", "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = " ".join(text.split())
    for each in described():
        default = f"{each.default} " if each.default else ""
        meaning = each.meaning.replace("`", "")
        assert f"{each.variable} {default}{meaning}" in words
    assert {each.variable for each in described()} == set(ALL)
