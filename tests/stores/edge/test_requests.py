"""What the service may ask its gallery's process."""

from __future__ import annotations

import pickle
from pathlib import Path

from service.stores.edge import requests
from service.stores.edge.shard import Shard
from tests.support.stored_faces import CONTRACT, embedding, face

EXAMPLES: list[requests.Request[object]] = [
    requests.Bind(CONTRACT),
    requests.AddMany([(face(1), embedding(1))]),
    requests.Search(embedding=embedding(1), limit=5, people=None),
    requests.KeysFrom(microseconds=None, limit=5),
    requests.KeysAt(microseconds=0, first_id=1, limit=5),
    requests.Fetch([1]),
    requests.FetchEmbeddings([1]),
    requests.PageEmbedded(after=0, limit=5),
    requests.PageKeys(after=0, limit=5),
    requests.Count(),
    requests.ReadFigures(),
    requests.Optimize(),
    requests.Remove(1),
]


def test_every_request_travels_and_is_carried_out(tmp_path: Path) -> None:
    """As a pickle, to a real shard; those that write are marked, so that their answers wait for the disk."""
    shard = Shard(tmp_path / "gallery")
    for request in EXAMPLES:
        pickle.loads(pickle.dumps(request)).carry_out(shard)
    assert shard.count() == 0
    shard.close()
    assert {type(each) for each in EXAMPLES} == set(requests.Request.__subclasses__())
    assert {type(each) for each in EXAMPLES if each.writes} == {requests.AddMany, requests.Remove}
