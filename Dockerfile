# The service with its model inside. TORCH is the build of torch (cpu, cuda), MODEL the weights (FACE_MODEL's values).
#
#     docker build -t face-service:cpu .
#     docker run -p 5055:5055 -v faces:/data face-service:cpu      # with the embedded gallery, kept in the volume `faces`
#
# docker-compose.yml runs it with a Qdrant server.

FROM python:3.12-slim AS build
ARG TORCH=cpu
ARG MODEL=auto
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY pyproject.toml requirements.lock ./
COPY scripts/__init__.py scripts/install.py ./scripts/
# Without the lock's tools of development; redis is for FACE_NONCES_URL.
RUN python scripts/install.py --torch "$TORCH" --extra redis /opt/venv
COPY service ./service
RUN FACE_MODEL="$MODEL" /opt/venv/bin/python -m service prepare

FROM python:3.12-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    FACE_DATA=/data \
    FACE_MODELS=/app/models
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin face \
    && install --directory --owner=face --group=face /data
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app/models ./models
COPY service ./service
COPY indexer ./indexer
# Readable for the user below whatever the umask of the checkout, and compiled, since that user can't write here.
RUN chmod -R a+rX service indexer && python -m compileall -q service indexer
USER 10001:10001
EXPOSE 5055
STOPSIGNAL SIGTERM
# Not urlopen: it would ask the proxy where HTTP_PROXY is set.
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
service = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('FACE_PORT') or 5055), timeout=8); \
service.request('GET', '/readyz'); \
sys.exit(service.getresponse().status != 200)"]
CMD ["python", "-m", "service"]
