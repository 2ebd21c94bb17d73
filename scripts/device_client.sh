#!/bin/sh
# A device's side of the service with openssl and curl: signs requests as docs/device-authentication.md says.
#
#     device_client.sh -d ID -s SECRET_FILE URL register PHOTO REMARK
#     device_client.sh -d ID -s SECRET_FILE URL recognise PHOTO | list | delete FACE_ID
#
# -t SECONDS and -n NONCE set the time and the nonce, -p prints the canonical string and the headers and sends nothing.
# The secret never stands on a command line, where other users of the machine could see it.
set -eu
export LC_ALL=C

usage() {
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

hex() { # standard input as hex digits
    od -An -v -tx1 | tr -d ' \n'
}

sha256() { # standard input's digest
    openssl dgst -sha256 -r | cut -d ' ' -f 1
}

encode() { # $1, percent-encoded by RFC 3986
    printf '%s' "$1" | od -An -v -tx1 | awk '
        BEGIN {
            free = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
            for (i = 32; i < 127; i++) {
                c = sprintf("%c", i)
                if (index(free, c)) plain[sprintf("%02x", i)] = c
            }
        }
        { for (i = 1; i <= NF; i++) printf "%s", ($i in plain) ? plain[$i] : "%" toupper($i) }'
}

pad() { # the key $1 (hex, up to 64 bytes) XOR the byte $2, as 64 bytes
    rest=$1
    count=0
    while [ "$count" -lt 64 ]; do
        byte=0
        if [ -n "$rest" ]; then
            byte=$((0x${rest%"${rest#??}"}))
            rest=${rest#??}
        fi
        # shellcheck disable=SC2059
        printf "\\$(printf '%03o' $((byte ^ $2)))"
        count=$((count + 1))
    done
}

bytes() { # the bytes of the hex digits $1
    rest=$1
    while [ -n "$rest" ]; do
        # shellcheck disable=SC2059
        printf "\\$(printf '%03o' $((0x${rest%"${rest#??}"})))"
        rest=${rest#??}
    done
}

hmac_sha256() { # of standard input under the secret in the file $1, by RFC 2104; openssl would want the key as an argument
    key=$(tr -d '\r\n' < "$1" | hex)
    if [ "${#key}" -gt 128 ]; then
        key=$(bytes "$key" | sha256)
    fi
    inner=$( (pad "$key" 54 && cat) | sha256)
    (pad "$key" 92 && bytes "$inner") | sha256
}

device='' secret_file='' timestamp='' nonce='' print=''
while getopts d:s:t:n:p option; do
    case $option in
    d) device=$OPTARG ;;
    s) secret_file=$OPTARG ;;
    t) timestamp=$OPTARG ;;
    n) nonce=$OPTARG ;;
    p) print=yes ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ -n "$device" ] && [ -n "$secret_file" ] && [ $# -ge 2 ] || usage
[ -r "$secret_file" ] || { echo "The secret file $secret_file can't be read." >&2; exit 1; }

url=${1%/} command=$2 photo='' query=''
case $command:$# in
register:4) method=POST path=/registration_face photo=$3 query="remark=$(encode "$4")" ;;
recognise:3) method=POST path=/recognition_face photo=$3 ;;
list:2) method=GET path=/get_registration_face ;;
delete:3) method=DELETE path=/delete_registration_face query="face_id=$(encode "$3")" ;;
*) usage ;;
esac

[ -n "$timestamp" ] || timestamp=$(date +%s)
[ -n "$nonce" ] || nonce=$(openssl rand -hex 16)
if [ -n "$photo" ]; then
    [ -r "$photo" ] || { echo "The photo $photo can't be read." >&2; exit 1; }
    digest=$(sha256 < "$photo")
else
    digest=$(printf '' | sha256)
fi
canonical=$(printf 'v1\n%s\n%s\n%s\n%s\n%s\n%s\n%s' \
    "$method" "$path" "$query" "$device" "$timestamp" "$nonce" "$digest")
signature=$(printf '%s' "$canonical" | hmac_sha256 "$secret_file")

set -- -H "X-Device-Id: $device" -H "X-Timestamp: $timestamp" -H "X-Nonce: $nonce" \
    -H "X-Content-SHA256: $digest" -H "X-Signature: $signature"
if [ -n "$print" ]; then
    printf '%s\n\n' "$canonical"
    for each; do
        [ "$each" = -H ] || printf '%s\n' "$each"
    done
    exit
fi
target=$url$path${query:+?$query}
if [ -n "$photo" ]; then
    exec curl -sS -w '\n' --globoff -X "$method" "$@" -F 'image=@-;filename=photo' "$target" < "$photo"
fi
exec curl -sS -w '\n' --globoff -X "$method" "$@" "$target"
