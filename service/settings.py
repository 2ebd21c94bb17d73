"""Every FACE_* setting, read once from the environment and validated before anything starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from service.errors import InvalidSettings


def setting(
    default: Any, text: str, check: Callable[[Any], bool] = lambda _: True, allowed: str = "", secret: bool = False
) -> Any:
    """A dataclass field that carries its line of the manual and the values that it accepts; no text shows a secret."""
    return field(default=default, repr=not secret, metadata={"help": text, "check": check, "allowed": allowed})


def _at_least(low: float) -> dict[str, Any]:
    return {"check": lambda value: value >= low, "allowed": f"{low} or more"}


def _between(low: float, high: float) -> dict[str, Any]:
    return {"check": lambda value: low <= value <= high, "allowed": f"{low} to {high}"}


def _one_of(*names: str) -> dict[str, Any]:
    return {"check": lambda value: value in names, "allowed": ", ".join(f"`{name}`" for name in names)}


def _like(pattern: str, allowed: str) -> dict[str, Any]:
    return {"check": lambda value: re.fullmatch(pattern, value) is not None, "allowed": allowed}


@dataclass(frozen=True, slots=True)
class Settings:
    """The service's settings; the variable of `max_bytes` is FACE_MAX_BYTES, and so on."""

    host: str = setting("0.0.0.0", "Address to listen on.")  # noqa: S104 - devices on the network must reach it
    port: int = setting(5055, "Port to listen on; 0 takes a free one.", **_between(0, 65535))
    data: Path = setting(Path("data"), "Folder of the embedded gallery.")
    qdrant_url: str | None = setting(
        None,
        "A Qdrant server to keep the gallery in, instead of the folder above.",
        **_like(r"https?://[^\s/@?#]+/?", "`http://HOST:6333` or `https://HOST:6333`"),
    )
    qdrant_api_key: str | None = setting(
        None, "Its API key.", **_like("[!-~]+", "printable ASCII without spaces"), secret=True
    )
    qdrant_grpc_port: int = setting(6334, "Its gRPC port, over which everything is sent.", **_between(1, 65535))
    collection: str = setting(
        "faces",
        "The gallery's name there: an alias for the collection of its model.",
        **_like(r"\w[\w.-]{,199}", "letters, digits, `_`, `.`, `-`"),
    )
    qdrant_shards: int = setting(
        0, "Shards of a collection that is made; 0 is one for each node of the cluster.", **_between(0, 10_000)
    )
    qdrant_replicas: int = setting(1, "Copies of each shard of a collection that is made.", **_between(1, 100))
    qdrant_write_consistency: int = setting(
        1,
        "Copies that must have a face before it counts as registered, in a collection that is made.",
        **_between(1, 100),
    )
    qdrant_quantize: str = setting(
        "off",
        "`int8` keeps small copies of the embeddings in memory, the exact ones on disk, in a collection that is made.",
        **_one_of("off", "int8"),
    )
    models: Path = setting(Path("models"), "Folder where fetched and converted weights are kept.")
    model: str = setting(
        "auto",
        "FaceNet weights; `auto` keeps the gallery's, else takes vggface2 if it can be had, else casia-webface.",
        **_one_of("auto", "vggface2", "casia-webface"),
    )
    weights: Path | None = setting(None, "A state_dict file of InceptionResnetV1 to use instead of fetching one.")
    max_bytes: int = setting(10 * 2**20, "Largest photo accepted, in bytes.", **_at_least(1))
    max_pixels: int = setting(50_000_000, "Largest photo accepted, in pixels, checked before decoding.", **_at_least(1))
    picture_side: int = setting(480, "Longer side of the pictures kept and returned, in pixels.", **_between(16, 4096))
    threshold: float = setting(
        -1.0, "Least similarity of a recognised face; -1 always returns the nearest five.", **_between(-1, 1)
    )
    search_side: int = setting(
        2400,
        "Photos with a longer side beyond this, in pixels, are searched at half, quarter or eighth size.",
        **_between(256, 30_000),
    )
    min_face: int = setting(40, "Smallest face looked for, in pixels.", **_between(20, 10_000))
    min_share: float = setting(0.04, "Smallest face looked for, as a share of the longer side.", **_between(0, 1))
    min_score: float = setting(0.9, "Least certainty of the detector for a usable face.", **_between(0, 1))
    device: str = setting(
        "auto",
        "Where embeddings are computed; `auto` is the GPU where torch finds one, else the processor.",
        **_one_of("auto", "cpu", "cuda"),
    )
    precision: str = setting(
        "auto",
        "Arithmetic of the embedder on the processor; `auto` is bf16 where the processor has it, else f32; "
        "`int8` needs a model made by `python -m service quantize`.",
        **_one_of("auto", "f32", "bf16", "int8"),
    )
    threads: int = setting(0, "Processor threads for the models; 0 is one per core.", **_between(0, 1024))
    max_queue: int = setting(256, "Faces that may wait for the embedder before requests are refused.", **_at_least(1))
    delete_by_get: bool = setting(True, "Whether `GET /get_registration_face?face_id=ID` deletes, as devices expect.")
    devices: Path | None = setting(
        None, "The file of devices; with it every request must be signed by one (docs/device-authentication.md)."
    )
    device_rate: int = setting(0, "Requests that a device may make in a minute; 0 is no limit.", **_between(0, 100_000))
    nonces_url: str | None = setting(
        None,
        "A Redis where replicas share which nonces devices have used; without it each remembers its own.",
        **_like(r"(rediss?|unix)://\S+", "`redis://HOST:6379/0`, `rediss://…` or `unix://…`"),
        secret=True,
    )
    receive_s: int = setting(
        120,
        "Longest that a request may take to arrive, and a connection may stay idle, in seconds.",
        **_between(1, 3600),
    )
    log_format: str = setting("text", "Log lines for people or for programs.", **_one_of("text", "json"))
    log_level: str = setting("INFO", "Least level that is logged.", **_one_of("DEBUG", "INFO", "WARNING", "ERROR"))

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the FACE_* variables.

        Raises InvalidSettings for a value that can't be used and for a FACE_* name that doesn't exist.
        """
        known = {variable(each.name): each for each in fields(cls)}
        values = {}
        for name, text in environ.items():
            if not name.startswith("FACE_"):
                continue
            if name not in known:
                raise InvalidSettings(f"{name} is not a setting; `python -m service --help` lists them.")
            if text != "":
                values[known[name].name] = _parse(name, text, known[name])
        return cls(**values)


def variable(field_name: str) -> str:
    """The environment variable of a field: max_bytes → FACE_MAX_BYTES."""
    return f"FACE_{field_name.upper()}"


def _parse(name: str, text: str, of: Any) -> Any:
    """Turn a variable's text into the field's type and check it."""
    kind = str(of.type).removesuffix(" | None")
    said = f"{name}={text!r}" if of.repr else name
    try:
        value = _PARSERS[kind](text)
    except (ValueError, KeyError):
        raise InvalidSettings(f"{said} is not {_KIND_WORDS[kind]}.") from None
    if not of.metadata["check"](value):
        raise InvalidSettings(f"{said} is out of range; allowed: {of.metadata['allowed']}.")
    return value


_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "Path": lambda text: Path(text).expanduser(),
    "bool": lambda text: _BOOLEANS[text.lower()],
}
_KIND_WORDS = {"str": "text", "int": "a whole number", "float": "a number", "Path": "a path", "bool": "yes or no"}


def manual() -> str:
    """Every setting with its default and meaning, for the command line."""
    lines = []
    for each in fields(Settings):
        default = "" if each.default is None else str(each.default)
        allowed = f" ({each.metadata['allowed']})" if each.metadata["allowed"] else ""
        lines.append(f"  {variable(each.name):<29} {default:<12} {each.metadata['help']}{allowed}".replace("`", ""))
    return "\n".join(lines)
