"""The settings of a Qdrant server or cluster, which are part of all settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from service.address_settings import CHECKED, AddressSettings
from service.errors import InvalidSettings
from service.variables import Allowed

Quantization = Literal["off", "int8"]

MOST_FROM = 3
"""Of so many copies most must be written, where nobody says otherwise; of two, both would have to be there then."""

_ADDRESS = r"https?://[^\s/@?#,]+/?"


@dataclass(frozen=True, slots=True, kw_only=True, config=CHECKED)
class ServerSettings(AddressSettings):
    """See service.settings.Settings."""

    qdrant_url: Annotated[
        str | None, Allowed("`http://HOST:6333` or `https://HOST:6333`, several with commas between")
    ] = Field(
        default=None,
        pattern=rf"\A{_ADDRESS}(\s*,\s*{_ADDRESS})*\Z",
        description="A Qdrant server or cluster to keep the gallery in, instead of the folder above. Of several "
        "addresses, or of a name that stands for several, the first one that works is asked.",
    )
    qdrant_api_key: Annotated[str | None, Allowed("printable ASCII without spaces")] = Field(
        default=None,
        pattern=r"\A[!-~]+\Z",
        repr=False,
        description="Its API key; `FACE_QDRANT_API_KEY_FILE` names a file that holds it.",
    )
    qdrant_grpc_port: int = Field(
        default=6334, ge=1, le=65535, description="Its gRPC port, over which everything is sent; the same on all nodes."
    )
    qdrant_ca: Path | None = Field(
        default=None, description="The authority that signed its certificate, in PEM, where that is your own."
    )
    qdrant_cert: Path | None = Field(
        default=None, description="A certificate in PEM to show it, where it wants one of its clients."
    )
    qdrant_cert_key: Path | None = Field(
        default=None, description="That certificate's private key in PEM, without a passphrase."
    )
    qdrant_collection: Annotated[str, Allowed("letters, digits, `_`, `.`, `-`")] = Field(
        default="faces",
        pattern=r"\A\w[\w.-]{,199}\Z",
        description="The gallery's name there: an alias for the collection of its model.",
    )
    qdrant_shards: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Shards of a collection that is made; 0 is one for each node of the cluster.",
    )
    qdrant_replicas: int = Field(
        default=1, ge=1, le=100, description="Copies of each shard of a collection that is made."
    )
    qdrant_write_consistency: int = Field(
        default=0,
        ge=0,
        le=100,
        description="Copies that must have a face before it counts as registered, in a collection that is made; 0 is "
        "most of three or more, 1 of fewer.",
    )
    qdrant_quantize: Quantization = Field(
        default="int8",
        description="`int8` keeps small copies of the embeddings in memory and the exact ones, by which the best are "
        "ranked, on disk; `off` keeps the exact ones in memory; in a collection that is made.",
    )
    public_url: Annotated[str | None, Allowed("`https://faces.example` or `http://HOST:5055`")] = Field(
        default=None,
        pattern=r"\Ahttps?://(?:(?![?#@])[!-~])+\Z",
        description="Where browsers reach this service; with it, `/v1` answers `include=photo` with addresses of "
        "pictures that expire (docs/rest-api.md), and each face that is registered on a Qdrant server has one that "
        "Qdrant's dashboard shows (docs/docker.md).",
    )
    picture_key: Annotated[str | None, Allowed("32 or more printable ASCII characters, or several with commas")] = (
        Field(
            default=None,
            pattern=r"\A[!-+\--~]{32,}(,[!-+\--~]{32,})*\Z",
            repr=False,
            description="The key that signs those addresses; of several the first signs, and all hold. "
            "`FACE_PICTURE_KEY_FILE` names a file that holds it.",
        )
    )

    @property
    def copies_to_write(self) -> int:
        """Copies that must have a face before it counts as registered."""
        most = self.qdrant_replicas // 2 + 1 if self.qdrant_replicas >= MOST_FROM else 1
        return self.qdrant_write_consistency or most

    @property
    def may_part(self) -> bool:
        """Whether a node that is cut off may answer alone: not where most copies must be written."""
        return 1 < self.qdrant_replicas >= 2 * self.copies_to_write

    @model_validator(mode="after")
    def _refuse_copies_that_stop_everything(self) -> Self:
        if self.copies_to_write >= max(2, self.qdrant_replicas):
            raise InvalidSettings(
                f"FACE_QDRANT_WRITE_CONSISTENCY={self.copies_to_write} must be less than FACE_QDRANT_REPLICAS="
                f"{self.qdrant_replicas}: where every copy must be written, one node that is away stops everything; "
                "with three copies, two are safe."
            )
        return self
