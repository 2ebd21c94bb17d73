"""What the service may ask its gallery's process."""

from __future__ import annotations

import pickle
from pathlib import Path

from service.stores.edge import inspection, people_requests, removal_requests, requests, upkeep_requests
from service.stores.edge.shard import Shard
from service.values import DEFAULT_GALLERY, FaceChanges
from tests.support.stored_faces import CONTRACT, START, embedding, face

CHANGES = FaceChanges(remark="b", metadata=None, expires_at=None)

EXAMPLES: list[requests.Request[object]] = [
    requests.Bind(CONTRACT, face_id_bits=31),
    requests.AddMany([(face(1), embedding(1))]),
    requests.Search(embedding=embedding(1), limit=5, people=None, gallery=DEFAULT_GALLERY),
    requests.KeysFrom(microseconds=None, limit=5, gallery=DEFAULT_GALLERY),
    requests.KeysAt(microseconds=0, first_id=1, limit=5, gallery=DEFAULT_GALLERY),
    requests.Fetch([1], gallery=DEFAULT_GALLERY),
    requests.FetchEmbeddings([1], gallery=DEFAULT_GALLERY),
    requests.PageEmbedded(after=0, limit=5),
    requests.PageKeys(after=0, limit=5),
    requests.Count(gallery=DEFAULT_GALLERY),
    requests.ReadFigures(),
    requests.Optimize(),
    upkeep_requests.Purge(),
    upkeep_requests.ReadErasure(),
    requests.Change(1, CHANGES, gallery=DEFAULT_GALLERY),
    requests.RemoveExpired(START),
    people_requests.SightingsFrom(name_order=0, gallery=DEFAULT_GALLERY, part=None, limit=5),
    people_requests.SightingsAt(name_order=0, person=0, gallery=DEFAULT_GALLERY, part=None, limit=5),
    people_requests.CountFaces([1], DEFAULT_GALLERY),
    people_requests.FindPerson("b", DEFAULT_GALLERY),
    people_requests.RenamePerson("b", "c", DEFAULT_GALLERY),
    people_requests.ListGalleries(),
    people_requests.CreateGallery("staff", START),
    people_requests.RemoveGallery("staff"),
    people_requests.RemovePerson("none", DEFAULT_GALLERY),
    people_requests.MarkSeen([(DEFAULT_GALLERY, "c")], START),
    people_requests.RemoveUnseen(START, START),
    requests.ProbeWrite(),
    inspection.ReadFindings(),
    inspection.InspectPage(after=0, limit=5),
    requests.Remove(1, gallery=DEFAULT_GALLERY),
    removal_requests.PageIds(gallery=DEFAULT_GALLERY, device_id=None, after=0, limit=5),
    removal_requests.RemoveMany([1], gallery=DEFAULT_GALLERY),
    inspection.AcceptRest([]),
]

WRITES = {
    *(requests.AddMany, requests.Change, requests.Remove, requests.RemoveExpired, removal_requests.RemoveMany),
    *(people_requests.RenamePerson, people_requests.RemovePerson),
    *(people_requests.CreateGallery, people_requests.RemoveGallery),
    *(people_requests.MarkSeen, people_requests.RemoveUnseen),
}


def test_every_request_travels_and_is_carried_out(tmp_path: Path) -> None:
    """As a pickle, to a real shard; those that write are marked, so that their answers wait for the disk."""
    shard = Shard(tmp_path / "gallery")
    for request in EXAMPLES:
        pickle.loads(pickle.dumps(request)).carry_out(shard)
    assert shard.faces.count() == 0
    shard.close()
    assert {type(each) for each in EXAMPLES} == set(requests.Request.__subclasses__())
    assert {type(each) for each in EXAMPLES if each.writes} == WRITES
