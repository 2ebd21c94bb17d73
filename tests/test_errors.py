"""Every exception has a slug that logs, metrics and programs can rely on."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import indexer
import service
from service import errors
from service.errors import FaceServiceError

SLUGS = {
    "already_registered",
    "bad_signature",
    "contract_mismatch",
    "decoding_stopped",
    "error",
    "face_blurred",
    "face_dark",
    "face_noisy",
    "face_not_found",
    "face_overexposed",
    "face_pale",
    "face_small",
    "face_turned",
    "face_uncertain",
    "gallery_damaged",
    "gallery_in_use",
    "gallery_moved",
    "image_too_large",
    "image_too_small",
    "implausible_image",
    "invalid_devices",
    "invalid_image",
    "invalid_keys",
    "invalid_request",
    "invalid_settings",
    "model_unavailable",
    "multiple_faces",
    "nonces_unavailable",
    "not_ready",
    "operation_denied",
    "overloaded",
    "poor_quality",
    "rate_exceeded",
    "remark_in_use",
    "store_unavailable",
    "audit_unavailable",
    "unauthenticated",
    "unknown_device",
    "unknown_face",
    "unknown_gallery",
    "unknown_key",
    "unknown_person",
    "unreadable_face",
    "unsupported_body",
    "unsupported_format",
    "unusable_archive",
    "wrong_encryption_key",
}
"""Of the service: alerts and dashboards name them, so one may be added, and none changes its meaning."""

NO_EXCEPTIONS = {"ok", "cut_off", "unforeseen", "uri_not_found", "method_not_allowed", "malformed_request"}
"""Reasons in the log that stand for no exception of ours."""


def classes(base: type[FaceServiceError]) -> Iterator[type[FaceServiceError]]:
    yield base
    for each in base.__subclasses__():
        yield from classes(each)


def test_every_slug_is_known_and_there_once() -> None:
    """Of all subclasses in the whole program; a class that has none of its own would be taken for its parent."""
    for package in (service, indexer):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found = [each for each in classes(FaceServiceError) if each.__module__.startswith(("service.", "indexer."))]
    slugs = [each.code for each in found]
    assert all("code" in vars(each) for each in found)
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", slug) for slug in slugs)
    assert {each.code for each in found if each.__module__.startswith("service.")} == SLUGS
    assert not set(slugs) & NO_EXCEPTIONS


def test_the_tree_at_the_top_is_the_one_below() -> None:
    """Each class stands in the module's docstring, below its parent."""
    tree = errors.__doc__ or ""
    depths = {name: len(lead) for lead, name in re.findall(r"^([│├└─ ]*)(\w+)\b", tree, re.MULTILINE)}
    for each in classes(FaceServiceError):
        if each.__module__ == errors.__name__ and each is not FaceServiceError:
            parent = each.__mro__[1].__name__
            assert depths[each.__name__] == depths[parent] + 4, each.__name__
