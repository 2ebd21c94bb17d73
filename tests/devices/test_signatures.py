"""What is signed, to the byte; that both sides agree on it for any text; and what the check refuses."""

from __future__ import annotations

import hashlib
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import pytest
from yarl import URL

from scripts import device_client
from service.devices import signatures
from service.devices.signatures import (
    MAX_PARAMETERS,
    MAX_QUERY,
    Claim,
    canonical,
    canonical_query,
    read_claim,
    sign,
    signed_headers,
    used_secret,
    verify,
)
from service.errors import BadSignature
from tests.support.signing import OLD_SECRET, OTHER_SECRET, SECRET

DOCS = Path(__file__).parents[2] / "docs"
VECTORS = json.loads((DOCS / "device-authentication-vectors.json").read_text())
NOW = 1_764_000_000.0

PAIRS = 4000
PLANES = (*range(0x20, 0x7F), *range(0x20), 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF)
"""Code points that must be there: all of ASCII, and where the lengths of UTF-8 change."""


def claim_of(vector: dict[str, str]) -> Claim:
    names = ("device_id", "timestamp", "nonce", "content_sha256")
    return Claim(**{name: vector[name] for name in names})


def values_in(headers: Mapping[str, str]) -> Callable[[str], list[str]]:
    return lambda name: [headers[name]]


class TestVectors:
    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
    def test_the_service_agrees(self, vector: dict[str, str]) -> None:
        """On the canonical string and the signature, and it lets the request in."""
        claim = claim_of(vector)
        assert hashlib.sha256(bytes.fromhex(vector["image_hex"])).hexdigest() == vector["content_sha256"]
        assert canonical(method=vector["method"], target=vector["target"], claim=claim).decode() == vector["canonical"]
        request = {"method": vector["method"], "target": vector["target"]}
        assert sign(secret=vector["secret"], **request, claim=claim) == vector["signature"]
        now = float(vector["timestamp"])
        verify(secrets=[vector["secret"]], **request, claim=claim, signature=vector["signature"], now=now)

    def test_the_document_shows_the_first(self) -> None:
        """Its worked example has the same canonical string, bytes and signature."""
        text = (DOCS / "device-authentication.md").read_text()
        vector = VECTORS[0]
        assert f"```text\n{vector['canonical']}\n```" in text
        assert f"\n{vector['signature']}\n" in text
        assert vector["secret"] in text
        content = vector["canonical"].encode()
        for start in range(0, len(content), 16):
            assert f"\n{start:04x}  {content[start : start + 16].hex(' ')}" in text

    def test_headers(self) -> None:
        """The five that a device sends are those that the service reads."""
        vector = VECTORS[0]
        headers = signed_headers(
            secret=vector["secret"], method=vector["method"], target=vector["target"], claim=claim_of(vector)
        )
        assert len(headers) == 5
        read = read_claim(headers[signatures.DEVICE_ID], values_in(headers))
        assert read == (claim_of(vector), vector["signature"])


def text(chance: random.Random) -> str:
    """Up to 40 characters of any plane, reserved and control characters among them; often none."""
    return "".join(
        chr(chance.choice([chance.choice(PLANES), chance.randrange(0x10000, 0x110000), chance.choice(b"&=+%#?/")]))
        for _ in range(chance.choice([0, 1, 3, 40]))
    )


@pytest.mark.slow
def test_ten_thousand_requests_verify_on_both_sides() -> None:
    """What a device's client signs, the service finds right, and reads the same parameters out of it."""
    chance = random.Random(6)
    planes = set()
    for number in range(10_000):
        remark, other = text(chance), text(chance)
        planes |= {ord(each) >> 16 for each in remark}
        parameters = {"remark": remark, f"x{other}": other}
        query = device_client.canonical_query(parameters)
        headers = device_client.signed_headers(
            *("door-7", SECRET, "POST", "/registration_face", query, remark.encode()),
            timestamp=int(NOW),
            nonce=f"nonce-{number:010}",
        )
        claim, signature = read_claim("door-7", values_in(headers))
        target = f"/registration_face?{query}"
        verify(secrets=[SECRET], method="POST", target=target, claim=claim, signature=signature, now=NOW)
        assert signed_headers(secret=SECRET, method="POST", target=target, claim=claim) == headers
        assert dict(URL(target, encoded=True).query) == parameters
    assert planes == set(range(17))


@pytest.mark.slow
def test_the_signed_query_says_what_the_handlers_read() -> None:
    """Whatever a query looks like, as long as it is UTF-8: else an altered one could pass, and mean something else."""
    chance = random.Random(7)
    compared = 0
    for _ in range(20_000):
        raw = "".join(chance.choice("ab=&%+;?/25zZ:@~-._[]'(*é😀") for _ in range(chance.randint(0, 10)))
        read = list(URL.build(path="/x", query_string=raw, encoded=True).query.items())
        if "\ufffd" in str(read) or len({name for name, _ in read}) < len(read):
            continue
        pieces = [piece.partition("=") for piece in canonical_query(raw).split("&") if piece]
        assert sorted((unquote(name), unquote(value)) for name, _, value in pieces) == sorted(read)
        compared += 1
    assert compared > 10_000


@pytest.mark.parametrize("query", ["remark=a&remark=b", "remark=a&%72emark=b", "a&a=", "a=1&b=2&a=1"])
def test_a_parameter_given_twice_is_refused(query: str) -> None:
    """Its order counts, and is not signed."""
    with pytest.raises(BadSignature, match="twice"):
        canonical_query(query)


@pytest.mark.parametrize("query", ["a" * (MAX_QUERY + 1), "&".join(f"a{each}" for each in range(MAX_PARAMETERS + 1))])
def test_a_query_that_is_too_large_is_refused(query: str) -> None:
    """Anybody may send one in the name of a device; the longest remark has its place."""
    with pytest.raises(BadSignature, match="those that are needed"):
        canonical_query(query)
    assert canonical_query(f"remark={'%F0%9F%98%80' * 1024}&x=1")


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["%", "&", "=", "%41", "%4", "\udcff", "a&"])
def test_a_query_of_the_greatest_length_takes_no_time(unit: str) -> None:
    """Whatever it is made of: it is read before anything else is known of who sends it."""
    query = unit * (MAX_QUERY // len(unit))
    began = time.process_time()
    for _ in range(10):
        with suppress(BadSignature):
            canonical_query(query)
    assert time.process_time() - began < 0.3


@pytest.mark.parametrize("target", ["", "*", "x", "http://service/recognition_face", "/x#y", "/x?remark=a#b"])
def test_other_targets_are_refused(target: str) -> None:
    """What stands behind a `#` is nobody's: a remark could be cut there."""
    with pytest.raises(BadSignature, match="request line"):
        canonical(method="GET", target=target, claim=claim_of(VECTORS[0]))


def checked(ahead_s: float, secrets: Sequence[str] = (SECRET,), signed_with: str = SECRET) -> None:
    claim = Claim(
        device_id="door-7",
        timestamp=str(int(NOW + ahead_s)),
        nonce="nonce-0123456789",
        content_sha256=signatures.EMPTY_SHA256,
    )
    signature = sign(secret=signed_with, method="GET", target="/x", claim=claim)
    verify(secrets=secrets, method="GET", target="/x", claim=claim, signature=signature, now=NOW)


class TestVerify:
    @pytest.mark.parametrize("ahead_s", [-300, -1, 0, 299, 300])
    def test_clocks_within_the_window(self, ahead_s: int) -> None:
        checked(ahead_s)

    @pytest.mark.parametrize(("ahead_s", "said"), [(-301, "301 s behind"), (301, "301 s ahead"), (-1e9, "behind")])
    def test_clocks_beyond_it(self, ahead_s: float, said: str) -> None:
        """The sentence says by how much, and what sets the clock."""
        with pytest.raises(BadSignature, match=f"{said}.*Date"):
            checked(ahead_s)

    def test_a_clock_that_is_off_is_told_the_service_s_time(self) -> None:
        """In seconds, as a device sends it, and as people read it; nothing else that is expected is told."""
        claim = Claim(
            device_id="door-7", timestamp="1700000000", nonce="n" * 16, content_sha256=signatures.EMPTY_SHA256
        )
        with pytest.raises(BadSignature, match=r"clock, which is at 1800000000 \(2027-01-15T08:00:00Z\); set") as told:
            verify(secrets=[SECRET], method="GET", target="/", claim=claim, signature="0" * 64, now=1800000000.9)
        assert sign(secret=SECRET, method="GET", target="/", claim=claim) not in str(told.value)

    def test_either_of_two_secrets(self) -> None:
        """While a device is given a new one, both are right, and no third."""
        checked(0, [SECRET, OLD_SECRET], signed_with=SECRET)
        checked(0, [SECRET, OLD_SECRET], signed_with=OLD_SECRET)
        with pytest.raises(BadSignature, match="does not match"):
            checked(0, [SECRET, OLD_SECRET], signed_with=OTHER_SECRET)


def leaky(secrets: Sequence[str], message: bytes, signature: str) -> bool:
    """Compares as nobody should: digit by digit up to the first that differs."""
    right = signatures._hmac(secrets[0], message)
    return len(right) == len(signature) and all(a == b for a, b in zip(right, signature, strict=True))


Check = Callable[[Sequence[str], bytes, str], object]


def bias(check: Check, one: str, other: str) -> float:
    """By how much a check of `one` takes longer than one of `other` in more than half of the pairs, -0.5 to 0.5.

    Each of a pair is a string of its own, the first of them chosen at random; ties count half.
    """
    message = VECTORS[0]["canonical"].encode()
    chance = random.Random()
    longer = 0.0
    for _ in range(PAIRS):
        took = {}
        for signature in chance.sample((one.encode(), other.encode()), 2):
            checked = signature.decode()
            began = time.perf_counter_ns()
            check([SECRET, OLD_SECRET], message, checked)
            took[signature] = time.perf_counter_ns() - began
        this, that = took[one.encode()], took[other.encode()]
        longer += (this > that) + (this == that) / 2
    return longer / PAIRS - 0.5


@pytest.mark.slow
def test_right_and_wrong_signatures_take_the_same_time() -> None:
    """A sign test over 4,000 pairs, each timed one right after the other.

    Of equal times either is the longer in half of the pairs, with a standard deviation of 0.5 / sqrt(4000) = 0.8 %. The
    bound is 10 %, since a branch that is predicted better moves a nanosecond or two (2 to 4 %, measured). A difference
    that makes one the longer in 65 % of the pairs, half a standard deviation of a single timing or some 20 of its 4,000
    nanoseconds, is six deviations beyond the bound and found with a probability over 99.99 %. That a comparison which
    stops at the first wrong digit is found, the last line shows. The median of three counts: others use the machine.
    """
    right = sign(secret=SECRET, method="POST", target=VECTORS[0]["target"], claim=claim_of(VECTORS[0]))
    wrong_at_once = ("0" if right[0] != "0" else "1") + right[1:]
    wrong_at_last = right[:-1] + ("0" if right[-1] != "0" else "1")
    assert used_secret([SECRET, OLD_SECRET], VECTORS[0]["canonical"].encode(), right) == SECRET
    for one, other in ((right, wrong_at_once), (right, wrong_at_last), (wrong_at_last, wrong_at_once)):
        assert abs(statistics.median(bias(used_secret, one, other) for _ in range(3))) < 0.1
    assert bias(leaky, wrong_at_last, wrong_at_once) > 0.3
