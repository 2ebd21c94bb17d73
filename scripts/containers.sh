#!/bin/sh
# What `make up` does before it starts containers: it completes .env and makes Qdrant's key.
#
#     sh scripts/containers.sh [cpu|gpu]
set -eu
umask 077
profile="${1:-}"

stop() {
    echo "$1" >&2
    exit 1
}

value() { # value NAME: what .env says last
    sed -n "s/^$1=//p" .env | tail -n 1
}

put() { # put NAME VALUE: in the place of what .env says, or at its end
    grep -v "^$1=" .env > .env.new || true
    printf '%s=%s\n' "$1" "$2" >> .env.new
    mv .env.new .env
}

if env | sed -n 's/^\(FACE_[A-Z_]*\)=.*/\1/p' | grep . >&2; then
    stop "The containers take settings from .env alone: write there what is set in the shell."
fi
case "$profile" in "" | cpu | gpu) ;; *) stop "PROFILE is cpu or gpu, not $profile." ;; esac

touch .env
chmod 600 .env
[ -z "$(tail -c 1 .env)" ] || echo >> .env # the last line may lack its end

# An older version named the project after its folder, and had Qdrant's key in .env; those volumes and that key are kept.
if [ -z "$(value COMPOSE_PROJECT_NAME)" ]; then
    project=face-service
    [ -z "$(value QDRANT_API_KEY)" ] || project=$(basename "$PWD" | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9_-' | sed 's/^[_-]*//')
    put COMPOSE_PROJECT_NAME "${project:-face-service}"
fi
if [ ! -s secrets/qdrant_api_key ]; then
    mkdir -p secrets
    chmod 700 secrets # which keeps the file from others here, for containers read it as users of their own
    key=$(value QDRANT_API_KEY)
    printf '%s' "${key:-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')}" > secrets/qdrant_api_key.new
    chmod 444 secrets/qdrant_api_key.new
    mv secrets/qdrant_api_key.new secrets/qdrant_api_key
fi
if grep -q '^QDRANT_API_KEY=' .env; then
    grep -v '^QDRANT_API_KEY=' .env > .env.new || true
    mv .env.new .env
fi

if [ -n "$profile" ]; then
    put COMPOSE_PROFILES "$profile"
elif [ -z "$(value COMPOSE_PROFILES)" ]; then
    put COMPOSE_PROFILES cpu
fi

asks=$(value FACE_DEVICES)$(value FACE_KEYS)
address=$(value PUBLISH_ADDRESS)
if [ -n "$asks" ] && [ -z "$address" ]; then
    put PUBLISH_ADDRESS 0.0.0.0
elif [ -z "$asks" ] && [ "$(value OPEN_TO_ALL)" != yes ]; then
    case "$address" in
        "" | 127.* | localhost | ::1 | "[::1]") ;;
        *) stop "PUBLISH_ADDRESS=$address lets everybody register, recognise, list and delete: set FACE_DEVICES or FACE_KEYS in .env, or OPEN_TO_ALL=yes if that is meant." ;;
    esac
fi
