"""The table of paths agrees with the paths that there are."""

from __future__ import annotations

import pytest

from service.devices.operations import DEVICE_OPERATIONS
from service.http.rest_api.table import NEEDS
from service.http.routes import CONSOLE_PATHS, DOCUMENT_PATHS, OPEN_PATHS, REST_PATHS, ROUTES
from tests.support.device import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_route_is_in_the_table_and_the_other_way_round(service: Client) -> None:
    registered = {route.resource.canonical for route in service.app.router.routes() if route.resource is not None}
    assert registered == set(ROUTES) | REST_PATHS | CONSOLE_PATHS
    assert len(registered) == len(ROUTES) + len(REST_PATHS) + len(CONSOLE_PATHS)


async def test_every_operation_has_a_path() -> None:
    """And what isn't open is an operation."""
    named = {route.operation for route in ROUTES.values()} | {route.with_face_id for route in ROUTES.values()}
    assert named - {None} == set(DEVICE_OPERATIONS)
    assert {path for path, route in ROUTES.items() if route.operation is None} == OPEN_PATHS


@pytest.mark.slow
async def test_what_is_open() -> None:
    """Written out once more, so that nobody opens a path by a slip."""
    assert {"/healthz", "/readyz", "/metrics"} == OPEN_PATHS
    assert {"/openapi.json", "/docs", "/docs/style.css"} == DOCUMENT_PATHS
    assert {"/", "/console/{file}"} == CONSOLE_PATHS


async def test_every_path_below_v1_needs_an_operation() -> None:
    """But for the documents, which are open."""
    assert {path for _, path in NEEDS} == REST_PATHS - DOCUMENT_PATHS
