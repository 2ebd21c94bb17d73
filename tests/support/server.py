"""The service's application on a server of its own, with the same connections as a real one."""

from __future__ import annotations

from typing import Any

from aiohttp.test_utils import TestServer

from service.http.connections import Runner


class AppServer(TestServer):
    """A TestServer that answers malformed requests as the service does."""

    __test__ = False

    async def _make_runner(self, **options: Any) -> Runner:
        return Runner(self.app, access_log=None, **options)
