"""Puts the parts together: settings in, a runnable aiohttp application out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from aiohttp import web
from prometheus_client.registry import Collector

from service.devices.keys import KeyRegistry
from service.devices.registry import DeviceRegistry
from service.devices.replay import make_replay_memory
from service.devices.secret_uses import SecretUses, open_record
from service.gallery.loading import Load, load_at_once
from service.http.active_requests import ActiveRequests
from service.http.admission import check_admission
from service.http.audit import open_trail, write_down
from service.http.authentication import admit_anybody, authenticate, needed_by
from service.http.connection_limits import ConnectionLimits
from service.http.console.pages import console_routes
from service.http.cors import allow_origins
from service.http.crowd_metrics import CrowdMetrics
from service.http.device_api import DeviceApi
from service.http.forms import FormLimits
from service.http.gallery_opening import open_gallery_of
from service.http.keys import (
    ACTIVE_REQUESTS,
    CERTIFICATE,
    COMPREFACE,
    CONNECTION_LIMITS,
    CORS_ORIGINS,
    METRICS,
    PICTURE_ADDRESSES,
    REMARK_CHARSET,
    REQUEST_LOG,
    SEND_S,
    UPLOADS,
)
from service.http.lifetime import as_long_as_it_runs, open_memory, watch
from service.http.listening import allow_open_files
from service.http.metrics import Metrics
from service.http.middlewares import answer_errors, mark_answer, record_requests
from service.http.operator_api import operator_routes
from service.http.request_heads import MAX_HEADER, MAX_REQUEST_LINE
from service.http.request_log import RequestLog
from service.http.rest_api.table import rest_routes
from service.http.signed_pictures import signed_picture_routes
from service.http.signed_requests import SignatureCheck
from service.http.tls import open_certificate
from service.http.uploads import Uploads
from service.picture_addresses import PictureAddresses
from service.settings import Settings

log = logging.getLogger(__name__)


def create_app(settings: Settings, *collectors: Collector, load: Load | None = None) -> web.Application:
    """The application, for connections.Runner; models and gallery are opened and warmed before its socket is.

    `collectors` count what the metrics tell beside the application's own. `load` has loaded the gallery ahead, or does.

    Raises InvalidDevices, InvalidKeys or InvalidSettings at once where nobody could be let in. Its start-up raises
    ModelUnavailable, ContractMismatch, StoreUnavailable or NoncesUnavailable. Each says what to do.
    """
    app = _bare_app(settings)
    for each in collectors:
        app[METRICS].show(each)
    limits = FormLimits(max_image_bytes=settings.max_bytes, receive_s=settings.receive_s)
    _add_routes(app, settings, limits)
    if settings.cors_origins:
        allow_origins(app, settings.cors_origins)
    certificate = app[CERTIFICATE] = open_certificate(settings.tls_cert, settings.tls_key)
    _ask_who_is_there(app, settings, limits, reloads=[] if certificate is None else [certificate.reload])
    app.middlewares.append(write_down(needed_by))
    app.cleanup_ctx.extend((open_trail(settings), open_gallery_of(settings, load or partial(load_at_once, settings))))
    return app


def _bare_app(settings: Settings) -> web.Application:
    """Without routes: what counts, logs and limits every request, whatever it asks for."""
    metrics, active_requests = Metrics(), ActiveRequests()
    request_log = RequestLog(metrics, settings.trusted_proxies)
    app = web.Application(
        middlewares=[record_requests(request_log, active_requests), answer_errors()],
        # A connection on which no whole head of a request comes is idle, too.
        handler_args={
            "max_line_size": MAX_REQUEST_LINE,
            "max_field_size": MAX_HEADER,
            "keepalive_timeout": float(settings.receive_s),
            "auto_decompress": False,  # what is compressed is refused
        },
    )
    app.on_response_prepare.append(mark_answer)
    app[METRICS], app[REQUEST_LOG], app[ACTIVE_REQUESTS] = metrics, request_log, active_requests
    app[REMARK_CHARSET], app[SEND_S] = settings.remark_charset, float(settings.send_s)
    app[CORS_ORIGINS], app[COMPREFACE] = settings.cors_origins, settings.compreface
    app[UPLOADS], app[CONNECTION_LIMITS] = Uploads(settings.max_uploads_bytes), _connection_limits(settings)
    metrics.show(CrowdMetrics(app[CONNECTION_LIMITS], app[UPLOADS]))
    return app


def _add_routes(app: web.Application, settings: Settings, limits: FormLimits) -> None:
    app.add_routes(DeviceApi(limits, delete_by_get=settings.delete_by_get).routes())
    app.add_routes(rest_routes(limits))
    app.add_routes(operator_routes())
    if settings.compreface:
        from service.http.compreface.table import compreface_routes  # takes 0.1 s, and few need it

        app.add_routes(compreface_routes(limits))
    if settings.console:
        app.add_routes(console_routes())
    addresses = app[PICTURE_ADDRESSES] = PictureAddresses.of(settings)
    if addresses is not None:
        app.add_routes(signed_picture_routes(addresses))


def _connection_limits(settings: Settings) -> ConnectionLimits:
    """Those of the settings, as far as the system allows so many open files."""
    at_once = allow_open_files(settings.max_connections)
    if at_once < settings.max_connections:
        log.info("At most %d connections: the system's limit of open files allows no more.", at_once)
    return ConnectionLimits(
        at_once=at_once,
        by_address=min(settings.max_address_connections, max(1, at_once // 2)),
        trusted=settings.trusted_proxies,
    )


def _ask_who_is_there(
    app: web.Application, settings: Settings, limits: FormLimits, *, reloads: list[Callable[[], None]]
) -> None:
    """Let only those in who sign as a device or bring a key, where settings name files of them; they are watched.

    `reloads` is what SIGHUP has read again beside those.
    """
    check_admission(settings)
    files: list[DeviceRegistry | KeyRegistry] = []
    check, keys = None, None
    if settings.devices is not None:
        devices, memory = (
            DeviceRegistry(settings.devices),
            make_replay_memory(settings.nonces_url, settings.device_rate),
        )
        uses = SecretUses(open_record(settings.data, settings.nonces_url), time.time)
        check = SignatureCheck(devices=devices, memory=memory, limits=limits, clock=time.time, note_use=uses.note)
        app.cleanup_ctx.append(as_long_as_it_runs(uses.keep))
        files.append(devices)
        app.cleanup_ctx.append(open_memory(memory))
    if settings.keys is not None:
        keys = KeyRegistry(settings.keys)
        files.append(keys)
    app.middlewares.append(authenticate(check, keys) if files else admit_anybody)
    app.cleanup_ctx.append(watch(files, [*reloads, *(each.reload for each in files)]))
