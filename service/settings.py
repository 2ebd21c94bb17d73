"""Every FACE_* setting: read from the environment, and typed and checked wherever a Settings is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from service.address_settings import CHECKED
from service.retention_settings import AuditDays, AuditFile, PurgeS, RetentionDays
from service.secret_files import read_secrets
from service.server_settings import ServerSettings
from service.variables import Allowed, RemarkCharset, Threshold, parse_all, refusal, variable

ModelName = Literal["auto", "vggface2", "casia-webface"]
Compute = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "f32", "bf16", "int8"]
Score = Literal["cohort", "cosine"]
QualityLevel = Literal["off", "standard", "strict"]
FaceChoice = Literal["front", "largest", "center"]
Duplicate = Literal["allow", "refuse"]
LogFormat = Literal["text", "json"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, slots=True, kw_only=True, config=CHECKED)
class Settings(ServerSettings):
    """The service's settings; the variable of `max_bytes` is FACE_MAX_BYTES, and so on.

    A value of the wrong type or out of range raises InvalidSettings, in the constructor and in dataclasses.replace too.
    """

    data: Path = Field(default=Path("data"), description="Folder of the embedded gallery.")
    model_dir: Path = Field(default=Path("models"), description="Folder where fetched and converted weights are kept.")
    model: ModelName = Field(
        default="auto",
        description="FaceNet weights; `auto` keeps the gallery's, else takes vggface2 if it can be had, "
        "else casia-webface.",
    )
    id_bits: Literal[31, 53] = Field(
        default=31,
        description="Numbers of faces in a gallery that is made are below 2 to this power: 31 for firmware that keeps "
        "them in 32 bits, 53 for over 100 million faces.",
    )
    weights: Path | None = Field(
        default=None, description="A state_dict file of InceptionResnetV1 to use instead of fetching one."
    )
    max_bytes: int = Field(default=20 * 2**20, ge=1, description="Largest photo accepted, in bytes.")
    max_pixels: int = Field(
        default=50_000_000, ge=1, description="Largest photo accepted, in pixels, checked before decoding."
    )
    decode_s: int = Field(
        default=5, ge=1, le=600, description="Longest that decoding a photo may take, in seconds of processor time."
    )
    picture_side: int = Field(
        default=480, ge=16, le=4096, description="Longer side of the pictures kept and returned, in pixels."
    )
    threshold: Annotated[Threshold, Allowed("`auto` or -1 to 1")] = Field(
        default=-1.0,
        description="Least score of a recognised face; `auto` is the score at which FACE_FPIR of the strangers are "
        "taken for somebody in a gallery of this size; -1 always returns the nearest five.",
    )
    fpir: float = Field(
        default=0.01,
        ge=0.001,
        le=0.3,
        description="Share of strangers whom FACE_THRESHOLD=auto lets be taken for somebody.",
    )
    score: Score = Field(
        default="cohort",
        description="What is compared with thresholds: the cosine of the embeddings, or (`cohort`) how far it stands "
        "out from those of the nearest other people.",
    )
    search_side: int = Field(
        default=2400,
        ge=256,
        le=30_000,
        description="Photos with a longer side beyond this, in pixels, are searched at half, quarter or eighth size.",
    )
    min_face: int = Field(default=40, ge=20, le=10_000, description="Smallest face looked for, in pixels.")
    min_share: float = Field(
        default=0.04, ge=0, le=1, description="Smallest face looked for, as a share of the longer side."
    )
    min_score: float = Field(default=0.97, ge=0, le=1, description="Least certainty of the detector for a usable face.")
    choice: FaceChoice = Field(
        default="front",
        description="Which of several faces counts: the `largest`, the most central (`center`), or of those nearly as "
        "large as the largest the most central (`front`).",
    )
    rotate: bool = Field(
        default=True,
        description="Whether a photo without a face that is sure to stand upright is searched lying on its sides and "
        "upside down, and turned where a face is surer there.",
    )
    quality: QualityLevel = Field(
        default="standard",
        description="How good a face must be to be registered: `strict` is for photos taken on purpose, `off` takes "
        "every face. Recognition refuses only what would match anybody, unless it is `off`.",
    )
    duplicate: Duplicate = Field(
        default="allow", description="Whether a face that is registered under another remark may be registered again."
    )
    mirror: bool = Field(
        default=False,
        description="Whether an embedding is the mean of the face's and of its mirror image's, for twice the time.",
    )
    compute: Compute = Field(
        default="auto",
        description="Where faces are found and embedded; `auto` is the GPU where torch finds one, else the processor.",
    )
    precision: Precision = Field(
        default="auto",
        description="Arithmetic of the embedder on the processor; `auto` is int8 where the processor has instructions "
        "for it (VNNI, AMX) and the model's ranges are known, else bf16 where it has that, else f32.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Processor threads for the models; 0 is one for each processor that the service may use.",
    )
    delete_by_get: bool = Field(
        default=True, description="Whether `GET /get_registration_face?face_id=ID` deletes, as devices expect."
    )
    remark_charset: RemarkCharset = Field(
        default="utf-8",
        description="How remarks are read that are not UTF-8 and don't say what they are: firmware in China often "
        "sends `gbk`.",
    )
    compreface: bool = Field(default=False, description="Whether CompreFace's API is there, too (docs/compreface.md).")
    console: bool = Field(default=True, description="Whether `/` is the console, where operators see the gallery.")
    devices: Path | None = Field(
        default=None,
        description="The file of devices, which sign their requests (docs/device-authentication.md); with it, or with "
        "FACE_KEYS, nobody else is let in.",
    )
    keys: Path | None = Field(
        default=None, description="The file of keys of programs and people (docs/rest-api.md); see FACE_DEVICES."
    )
    device_rate: int = Field(
        default=0, ge=0, le=100_000, description="Requests that a device may make in a minute; 0 is no limit."
    )
    nonces_url: Annotated[str | None, Allowed("`redis://HOST:6379/0`, `rediss://…` or `unix://…`")] = Field(
        default=None,
        pattern=r"\A(rediss?|unix)://\S+\Z",
        repr=False,
        description="A Redis where replicas share which nonces devices have used and how many requests they made; "
        "without it each remembers its own. `FACE_NONCES_URL_FILE` names a file that holds it.",
    )
    audit: AuditFile = None
    audit_days: AuditDays = 30
    retention_days: RetentionDays = 0
    purge_s: PurgeS = 86_400
    encryption_key: Annotated[str | None, Allowed("32 bytes as hex or as base64")] = Field(
        default=None,
        pattern=r"\A([0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{43}=?)\Z",
        repr=False,
        description="A key of 32 bytes, as hex or base64, with which pictures, remarks and metadata are encrypted in "
        "the gallery (docs/privacy.md). `FACE_ENCRYPTION_KEY_FILE` names a file that holds it, which others must not "
        "be able to read.",
    )
    log_format: LogFormat = Field(default="text", description="Log lines for people or for programs.")
    log_level: LogLevel = Field(default="INFO", description="Least level that is logged.")

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_in_a_sentence(cls, values: object, check: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return check(values)
        except ValidationError as error:
            refused = refusal(error, FIELDS)
        raise refused

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the FACE_* variables, secrets from the files that FACE_…_FILE name; one that is empty counts as not set.

        Raises InvalidSettings for a value that can't be used and for a FACE_* name that doesn't exist (any more).
        """
        return cls(**parse_all(read_secrets(environ, FIELDS), FIELDS, renamed=_RENAMED))  # type: ignore[arg-type]  # which is what the constructor checks


_RENAMED = {
    "FACE_DEVICE": variable("compute"),  # one letter from FACE_DEVICES
    "FACE_MODELS": variable("model_dir"),  # one letter from FACE_MODEL
    "FACE_COLLECTION": variable("qdrant_collection"),
}


def _fields() -> dict[str, FieldInfo]:
    """In the order in which people read them: those of a server come after the folder that it is instead of."""
    fields: dict[str, FieldInfo] = Settings.__pydantic_fields__  # type: ignore[attr-defined]  # pydantic adds it
    server = list(ServerSettings.__pydantic_fields__)  # type: ignore[attr-defined]
    own = [name for name in fields if name not in server]
    place = own.index("data") + 1
    return {name: fields[name] for name in (*own[:place], *server, *own[place:])}


FIELDS = _fields()
