"""Where an application, a request and an answer carry what several parts of service/http share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:  # the parts import their keys from here
    from service.gallery.galleries import Galleries
    from service.gallery.photos import PhotoReader
    from service.http.active_requests import ActiveRequests
    from service.http.forms import Form
    from service.http.health import Health
    from service.http.metrics import Metrics
    from service.http.overview import Overview
    from service.http.request_log import Outcome, RequestLog
    from service.timings import Timings

GALLERIES: web.AppKey[Galleries] = web.AppKey("galleries")
PHOTO_READER: web.AppKey[PhotoReader] = web.AppKey("photo_reader")
HEALTH: web.AppKey[Health] = web.AppKey("health")
OVERVIEW: web.AppKey[Overview] = web.AppKey("overview")
METRICS: web.AppKey[Metrics] = web.AppKey("metrics")
REQUEST_LOG: web.AppKey[RequestLog] = web.AppKey("request_log")
ACTIVE_REQUESTS: web.AppKey[ActiveRequests] = web.AppKey("active_requests")

REQUEST_ID = web.RequestKey("request_id", str)
TIMINGS: web.RequestKey[Timings] = web.RequestKey("timings")
NAMED_DEVICE = web.RequestKey("named_device", str)
"""The device that the request names, known or not, for the log; `?` for a name that no device can have."""
DEVICE_ID = web.RequestKey("device_id", str)
"""The known and enabled device that the request names; by the time that a handler runs, it has signed."""
FORM: web.RequestKey[Form] = web.RequestKey("form")
"""The form, once it has been read: a body can be read once only."""
ANSWER_BEGUN = web.RequestKey("answer_begun", bool)
"""Set as soon as the head of the answer is on its way; another answer can't follow then."""

OUTCOME: web.ResponseKey[Outcome] = web.ResponseKey("outcome")
"""How the request ended, for the log and the metrics."""
