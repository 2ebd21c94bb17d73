# The service with its model inside.
#
#     docker build -t face-service:cpu .
#     docker run -p 5055:5055 -v faces:/data face-service:cpu      # with the embedded gallery, kept in the volume `faces`
#     docker run --rm face-service:cpu face-service --help         # the commands of the service; face-indexer has others
#
# Build arguments: MODEL, the weights (FACE_MODEL's values); TORCH, none or cuda, which runs FaceNet on an NVIDIA GPU;
# EXTRAS, extras of pyproject.toml, like ray; VERSION, for the label; PYTHON_IMAGE, the base, with a digest if it must
# not change. docker-compose.yml runs it with a Qdrant server.

ARG PYTHON_IMAGE=python:3.12-slim
FROM ${PYTHON_IMAGE} AS base
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY pyproject.toml requirements.lock ./
COPY scripts/__init__.py scripts/install.py ./scripts/

# What only builds stays behind: torch, which converts the model, and hatchling, which makes the wheel.
FROM base AS build
ARG MODEL=auto
RUN python scripts/install.py --torch cpu --group build /opt/build
COPY README.md LICENSE ./
COPY service ./service
COPY indexer ./indexer
# Readable for the last stage's user whatever the umask of the checkout.
RUN chmod -R a+rX service indexer \
    && /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels . \
    && FACE_MODEL="$MODEL" /opt/build/bin/python -m service prepare

# The lock's packages for a service whose model is converted; redis is for FACE_NONCES_URL.
FROM base AS environment
ARG TORCH=none
ARG EXTRAS=
RUN python scripts/install.py --torch "$TORCH" $(printf -- '--extra %s ' redis $EXTRAS) /opt/venv
COPY --from=build /app/wheels wheels
RUN /opt/venv/bin/pip install --quiet --no-deps --no-index wheels/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=unknown
LABEL org.opencontainers.image.title="face-service" \
      org.opencontainers.image.description="Face recognition over REST: MTCNN and FaceNet on a CPU or GPU, faces kept in Qdrant" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/python:3.12-slim"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    FACE_DATA=/data \
    FACE_MODEL_DIR=/app/models
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin face \
    && install --directory --mode=0700 --owner=face --group=face /data /access
WORKDIR /app
COPY --from=environment /opt/venv /opt/venv
COPY --from=build /app/models ./models
USER 10001:10001
EXPOSE 5055
STOPSIGNAL SIGTERM
# Not urlopen: it would ask the proxy where HTTP_PROXY is set.
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "\
import http.client, os, ssl, sys; \
where = ('127.0.0.1', int(os.environ.get('FACE_PORT') or 5055)); \
encrypted = {'context': ssl._create_unverified_context()}; \
service = http.client.HTTPSConnection(*where, timeout=8, **encrypted) if os.environ.get('FACE_TLS_CERT') \
    else http.client.HTTPConnection(*where, timeout=8); \
service.request('GET', '/readyz'); \
sys.exit(service.getresponse().status != 200)"]
CMD ["face-service"]
