"""What is asked of photos that are not remembered: which faces they show, whose they are, whether two are alike."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service.errors import InvalidRequest, InvalidSettings, UnknownFace
from service.gallery import choices
from service.gallery.enrollment import require_faces
from service.gallery.identification import Identifier
from service.gallery.people import unknown_person
from service.gallery.scoring import CANDIDATES, Candidate
from service.gallery.thresholds import (
    NO_THRESHOLD,
    VERIFICATION,
    ThresholdFor,
    duplicate_threshold_for,
    threshold_for,
)
from service.settings import Settings
from service.stores.store import Store
from service.timings import Timings
from service.values import Embedding, Face, ModelContract, Quality
from service.vision.engine import Engine, Observation
from service.vision.preparation import Prepared
from service.vision.quality import checks_for, failure_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How faces are looked for in the gallery; what is None is as the settings say.

    `threshold` is the least score of a match; `fpir` the share of strangers (0.001 to 0.3) that may be taken for
    somebody, for which a score was measured. The first counts where both are given.
    """

    gallery: str
    limit: int
    group_by_remark: bool
    threshold: float | None = None
    fpir: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedFace:
    """A face, and the known faces most like it, best first; none where it is too poor to tell."""

    face: Face
    candidates: list[Candidate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """`threshold` is the least score of a match."""

    threshold: float
    observation: Observation
    faces: list[IdentifiedFace]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """`similarity` is the cosine (-1 to 1) of the two embeddings, `threshold` the least one of a person's two faces."""

    similarity: float
    threshold: float


class PhotoReader:
    """An engine that sees, and a store that is only asked."""

    def __init__(self, engine: Engine, store: Store, settings: Settings, contract: ModelContract) -> None:
        self.contract = contract
        self._engine = engine
        self._store = store
        self._settings = settings
        self._choose = choices.one_face(settings)
        self._every = choices.every(settings.min_score)
        self._checks = checks_for(settings.quality, "identify")

    @property
    def verification_threshold(self) -> float | None:
        """The measured similarity of two photos of one person; None for a model that was not measured."""
        return VERIFICATION.get(self.contract.model)

    def identification_threshold(self, faces: int) -> float | None:
        """The least score of a match in a gallery of so many faces, where a request names none; None where none is."""
        terms = Terms(gallery="", limit=1, group_by_remark=True)
        threshold = self._threshold_for(terms)(min(faces, CANDIDATES))
        return None if threshold == NO_THRESHOLD else threshold

    async def detect(self, photo: bytes, timings: Timings) -> Prepared:
        """Every face of a photo. Raises InvalidImage or Overloaded."""
        return await timings.while_wanted(self._engine.detect(photo, self._every, timings))

    async def embed(self, photo: bytes, timings: Timings) -> Observation:
        """Every face of a photo with its embedding. Raises InvalidImage or Overloaded."""
        return await timings.while_wanted(self._engine.observe(photo, self._every, timings))

    def problem(self, quality: Quality) -> str | None:
        """The slug of why a face is too poor to say whose it is; None where it isn't."""
        failure = failure_of(quality, self._checks)
        return None if failure is None else failure.code

    async def identify(self, photo: bytes, terms: Terms, timings: Timings) -> Identified:
        """Every face of a photo with who it may be.

        Raises InvalidImage, Overloaded, StoreUnavailable, and InvalidRequest for an FPIR without measured scores.
        """
        threshold_for = self._threshold_for(terms)
        observation = await timings.while_wanted(self._engine.observe(photo, self._every, timings))
        good = [face for face in observation.faces if self.problem(face.quality) is None]
        with timings.measure("search"):
            rankings = await asyncio.gather(*(self._rank(face.embedding, terms) for face in good))
            seen = rankings[0][1] if rankings else min(await self._store.count(gallery=terms.gallery), CANDIDATES)
        candidates = {id(face): found for face, (found, _) in zip(good, rankings, strict=True)}
        faces = [IdentifiedFace(face=face, candidates=candidates.get(id(face), [])) for face in observation.faces]
        return Identified(threshold=threshold_for(seen), observation=observation, faces=faces)

    async def identify_embedding(self, embedding: Embedding, terms: Terms) -> tuple[float, list[Candidate]]:
        """The threshold, and the known faces most like an embedding (512,), best first; raises like `identify`."""
        threshold_for = self._threshold_for(terms)
        candidates, seen = await self._rank(embedding, terms)
        return threshold_for(seen), candidates

    async def pictures(self, candidates: list[Candidate], *, gallery: str) -> dict[int, str]:
        """The pictures of known faces that are still there, by face_id: the base64 of JPEGs."""
        face_ids = sorted({each.neighbour.face_id for each in candidates})
        return {face_id: face.picture for face_id, face in (await self._store.fetch(face_ids, gallery=gallery)).items()}

    async def verify_photo(self, photo: bytes, other: bytes, threshold: float | None, timings: Timings) -> Verified:
        """Whether two photos are about one person. Raises what `verify_remark` raises but UnknownPerson."""
        threshold = self._verification(threshold)
        first, second = await asyncio.gather(self._embedding(photo, timings), self._embedding(other, timings))
        return Verified(similarity=cosine(first, second), threshold=threshold)

    async def verify_remark(
        self, photo: bytes, remark: str, threshold: float | None, timings: Timings, *, gallery: str
    ) -> Verified:
        """Whether a photo is about the person of a remark, by the most similar of their faces.

        Raises InvalidImage, FaceNotFound, PoorQuality, UnknownPerson, Overloaded, StoreUnavailable, and InvalidRequest
        where no threshold is known and none was given.
        """
        threshold = self._verification(threshold)
        embedding = await self._embedding(photo, timings)
        with timings.measure("search"):
            nearest = await self._identifier(gallery).nearest_of(embedding, remark)
        if nearest is None:
            raise unknown_person()
        return Verified(similarity=nearest.similarity, threshold=threshold)

    async def verify_face(
        self, photo: bytes, face_id: int, threshold: float | None, timings: Timings, *, gallery: str
    ) -> Verified:
        """Whether a photo is about the person of a known face; raises what `verify_remark` raises, and UnknownFace."""
        threshold = self._verification(threshold)
        embedding = await self._embedding(photo, timings)
        with timings.measure("search"):
            known = await self.known_embedding(face_id, gallery=gallery)
        return Verified(similarity=cosine(embedding, known), threshold=threshold)

    async def known_embedding(self, face_id: int, *, gallery: str) -> Embedding:
        """That of a known face. Raises UnknownFace or StoreUnavailable."""
        faces = await self._store.fetch([face_id], gallery=gallery)
        known = await self._store.embeddings([face_id], gallery=gallery)
        if face_id not in known or face_id not in faces or faces[face_id].is_expired(datetime.now(UTC)):
            raise UnknownFace(f"There is no face {face_id}; list the registered faces to see which there are.")
        return known[face_id]

    async def _embedding(self, photo: bytes, timings: Timings) -> Embedding:
        """Of the one face that a photo is about."""
        observation = await timings.while_wanted(self._engine.observe(photo, self._choose, timings))
        return require_faces(observation, self._engine.min_face, self._checks)[0].embedding

    def _identifier(self, gallery: str) -> Identifier:
        return Identifier(self._store, score=self._settings.score, gallery=gallery)

    async def _rank(self, embedding: Embedding, terms: Terms) -> tuple[list[Candidate], int]:
        ranking = await self._identifier(terms.gallery).rank(
            embedding, terms.limit, group_by_remark=terms.group_by_remark
        )
        return ranking.candidates, ranking.found

    def _threshold_for(self, terms: Terms) -> ThresholdFor:
        """The terms' own, else that of the settings, else the measured one, else none."""
        if terms.threshold is not None:
            fixed = terms.threshold
            return lambda _: fixed
        try:
            if terms.fpir is not None:
                return threshold_for(replace(self._settings, threshold="auto", fpir=terms.fpir), self.contract.model)
            return duplicate_threshold_for(self._settings, self.contract.model)
        except InvalidSettings:
            if terms.fpir is None:
                return lambda _: NO_THRESHOLD
            raise InvalidRequest("No scores were measured for this service's model; send `threshold`.") from None

    def _verification(self, threshold: float | None) -> float:
        found = self.verification_threshold if threshold is None else threshold
        if found is None:
            raise InvalidRequest("No similarity was measured for this service's model; send `threshold`.")
        return found


def cosine(one: Embedding, other: Embedding) -> float:
    """The similarity of two embeddings (512,), -1 to 1."""
    return min(1.0, max(-1.0, float(one @ other)))
