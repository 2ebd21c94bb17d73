"""Where an application, a request and an answer carry what several parts of service/http share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import StreamReader, web

if TYPE_CHECKING:  # the parts import their keys from here
    from service.audit.trail import Trail
    from service.gallery.retention import Retention
    from service.http.active_requests import ActiveRequests
    from service.http.audit import Notes
    from service.http.callers import Caller
    from service.http.connection_limits import ConnectionLimits
    from service.http.current import Current, Opened
    from service.http.forms import Form
    from service.http.metrics import Metrics
    from service.http.overview import Overview
    from service.http.request_log import Outcome, RequestLog
    from service.http.tls import Certificate
    from service.http.uploads import Upload, Uploads
    from service.picture_addresses import PictureAddresses
    from service.timings import Timings
    from service.variables import Origins

CURRENT: web.AppKey[Current] = web.AppKey("current")
"""The gallery and the engine that new requests get; a handler asks current.opened_for."""
RETENTION: web.AppKey[Retention | None] = web.AppKey("retention")
"""None where people are kept for ever."""
TRAIL: web.AppKey[Trail | None] = web.AppKey("trail")
"""None where nothing is written down."""
OVERVIEW: web.AppKey[Overview] = web.AppKey("overview")
METRICS: web.AppKey[Metrics] = web.AppKey("metrics")
REQUEST_LOG: web.AppKey[RequestLog] = web.AppKey("request_log")
ACTIVE_REQUESTS: web.AppKey[ActiveRequests] = web.AppKey("active_requests")
CONNECTION_LIMITS: web.AppKey[ConnectionLimits] = web.AppKey("connection_limits")
SEND_S = web.AppKey("send_s", float)
"""Seconds in which a client must take some of its answer."""
UPLOADS: web.AppKey[Uploads] = web.AppKey("uploads")
CERTIFICATE: web.AppKey[Certificate | None] = web.AppKey("certificate")
"""None where connections aren't encrypted."""
PICTURE_ADDRESSES: web.AppKey[PictureAddresses | None] = web.AppKey("picture_addresses")
"""None where pictures have no addresses of their own."""
COMPREFACE = web.AppKey("compreface", bool)
"""Whether the service speaks CompreFace's API, too."""
CORS_ORIGINS: web.AppKey[Origins] = web.AppKey("cors_origins")
"""Of pages that may ask from a browser; empty where none may."""
REMARK_CHARSET = web.AppKey("remark_charset", str)
"""In which remarks are read that are neither UTF-8 nor say what they are."""

REQUEST_ID = web.RequestKey("request_id", str)
TIMINGS: web.RequestKey[Timings] = web.RequestKey("timings")
OPENED: web.RequestKey[Opened] = web.RequestKey("opened")
"""The gallery and the engine that the request keeps to, once it has asked for them."""
UPLOAD: web.RequestKey[Upload] = web.RequestKey("upload")
"""What the request has in memory of its body."""
NAMED_CALLER = web.RequestKey("named_caller", str)
"""For the log: the device that the request names, known or not, `?` for a name that no device can have; or the known
key that it brings, as `key:` and its name."""
CALLER: web.RequestKey[Caller] = web.RequestKey("caller")
"""Who sent the request, of whom it is certain; not there on paths that are open to everybody."""
GALLERY_NAME = web.RequestKey("gallery_name", str)
"""The gallery that a request is about, once its handler has found out."""
AUDIT_NOTES: web.RequestKey[Notes] = web.RequestKey("audit_notes")
"""Whom a request is about, for the audit trail; not there where it isn't written down."""
DEVICE_ID = web.RequestKey("device_id", str)
"""The known and enabled device that the request names; by the time that a handler runs, it has signed."""
SIGNED_BODY: web.RequestKey[StreamReader] = web.RequestKey("signed_body")
"""The body, once it has been read and found to be the one that was signed."""
FORM: web.RequestKey[Form] = web.RequestKey("form")
"""The form, once it has been read: a body can be read once only."""
ANSWER_BEGUN = web.RequestKey("answer_begun", bool)
"""Set as soon as the head of the answer is on its way; another answer can't follow then."""

OUTCOME: web.ResponseKey[Outcome] = web.ResponseKey("outcome")
"""How the request ended, for the log and the metrics."""
