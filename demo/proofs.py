"""Proof of possession (RFC 9449, DPoP) as its two recipients check it: the authorization server and the shop.

One check for both. The Worker has the same in `worker/src/policy/proof.ts`, with these very values (`make
worker-data`); both are held to the cases of `worker/test/proofs.json`.

What is said here is what a proof says by itself. Whether it came before (its `jti`) and whether a token is bound to its
key is for who keeps the tokens.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

ALGORITHMS: Final = ("ES256",)
"""`dpop_signing_alg_values_supported`. Never a symmetric one (section 4.3); one that every client has is enough."""
TYPE: Final = "dpop+jwt"
SECONDS: Final = 60.0
"""How old a proof may be (section 11.1: "on the order of seconds or minutes"): it is made for one request."""
AHEAD_SECONDS: Final = 5.0
"""How far the client's clock may be ahead of ours."""
NONCE_SECONDS: Final = 300.0
"""How long a nonce is good for."""
REMEMBERED_SECONDS: Final = 60.0
"""For how much longer than it is accepted a used proof is remembered: of two requests that come as it ends, the one
that was checked first may be the one that is served last."""
LONGEST: Final = 4096
"""Characters of a proof. Ours have 500."""
LONGEST_ID: Final = 256
"""Characters of a `jti`."""
THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""What a `jkt` looks like (section 6.1: base64url of a SHA-256)."""

Fault = Literal["missing", "several", "malformed", "signature", "method", "url", "time", "nonce", "token"]
"""Why a proof proves nothing:

- `missing`, `several`: there has to be one `DPoP` header;
- `malformed`: no JWT of this kind, or a claim or the key is missing, wrong, or private;
- `signature`: not by the key that it names;
- `method`, `url`: made for another request;
- `time`: made too long ago, or ahead of our clock;
- `nonce`: its nonce is not one of ours that is still good;
- `token`: made for another access token (`ath`).
"""

_COMPACT_JWS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class ProofRefused(ValueError):
    """A proof that proves nothing; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault

    @property
    def wants_nonce(self) -> bool:
        """Whether it may pass with a nonce of ours in it, which stands in for a clock (section 8)."""
        return self.fault in ("time", "nonce")


@dataclass(frozen=True)
class Proof:
    """A proof that holds for its request.

    Args:
        key: the RFC 7638 thumbprint of the key that it proves (`jkt`).
        id: what tells it from every other one of the same key; a digest, of a fixed length.
        until: POSIX seconds up to which it would be accepted, and so has to be remembered.
    """

    key: str
    id: str
    until: float


@dataclass(frozen=True)
class Received:
    """The part of a request that a proof is about.

    Args:
        proofs: its `DPoP` headers.
        method: of the request.
        urls: under which it may have been made; one is enough.
    """

    proofs: tuple[str, ...]
    method: str
    urls: Collection[str]


class Nonces:
    """Nonces that nobody need keep: each says when it was made, and is sealed (section 8).

    A client is asked for one only where its clock disagrees with ours.

    Args:
        secret: what seals them; with another one those of before count no more, and who has one is asked again.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)

    def issue(self, now: float) -> str:
        """A nonce, for the header `DPoP-Nonce`."""
        at = str(int(now))
        return f"{at}.{self._seal(at)}"

    def made_at(self, nonce: str) -> float | None:
        """When a nonce was made, in POSIX seconds by our clock; None for one that is not ours."""
        at, _, seal = nonce.partition(".")
        known = nonce.isascii() and at.isdigit() and hmac.compare_digest(seal, self._seal(at))
        return float(at) if known else None

    def _seal(self, at: str) -> str:
        return encoded(hmac.new(self._secret, f"DPoP nonce {at}".encode(), hashlib.sha256).digest())


def sent(headers: Iterable[str]) -> tuple[str, ...]:
    """The proofs in a request's `DPoP` headers. Two may arrive as one with a comma in it (RFC 9110 section 5.2), which
    no proof has."""
    return tuple(one.strip() for value in headers for one in value.split(","))


def check(received: Received, *, now: float, nonces: Nonces, token: str | None = None) -> Proof:
    """Section 4.3, all but what only the keeper of tokens knows.

    Args:
        now: POSIX seconds by the clock of who received it.
        token: the access token that came with it; None at the token endpoint.

    Raises:
        ProofRefused: it proves nothing.
    """
    if len(received.proofs) != 1:
        raise ProofRefused("several" if received.proofs else "missing")
    text = received.proofs[0].strip()
    key, claims = self_signed(text, TYPE)
    id, method, url, made = (claims.get(name) for name in ("jti", "htm", "htu", "iat"))
    if not (isinstance(id, str) and 0 < len(id) <= LONGEST_ID and isinstance(method, str) and isinstance(url, str)):
        raise ProofRefused("malformed")
    if isinstance(made, bool) or not isinstance(made, int | float) or not 0 <= made < 1e12:
        raise ProofRefused("malformed")
    if method != received.method:
        raise ProofRefused("method")
    if normal(url) not in {normal(one) for one in received.urls}:
        raise ProofRefused("url")
    until = _good_until(claims, made, now, nonces)
    if token is not None and claims.get("ath") != digest(token):
        raise ProofRefused("token")
    return Proof(key, encoded(hashlib.sha256(f"{key} {id}".encode("utf-8", "surrogatepass")).digest()), until)


def self_signed(text: str, typ: str) -> tuple[str, Mapping[str, Any]]:
    """The thumbprint of the key in a JWT's header, and the claims, which that key has signed.

    Raises:
        ProofRefused: it is no such JWT of this `typ` (`malformed`), or signed by another key (`signature`).
    """
    if len(text) > LONGEST or not _COMPACT_JWS.fullmatch(text):
        raise ProofRefused("malformed")
    try:
        header = jws.extract_compact(text.encode()).headers()
    except (JoseError, ValueError, RecursionError):
        raise ProofRefused("malformed") from None
    jwk = header.get("jwk")
    if header.get("typ") != typ or header.get("alg") not in ALGORITHMS or not isinstance(jwk, dict) or "d" in jwk:
        raise ProofRefused("malformed")
    members = tuple(jwk.get(name) for name in ("kty", "crv", "x", "y"))
    if members[:2] != ("EC", "P-256") or not all(isinstance(one, str) for one in members):
        raise ProofRefused("malformed")
    try:
        key, thumbprint = _key(*members[2:])
    except (JoseError, ValueError):
        raise ProofRefused("malformed") from None
    try:
        payload = jws.deserialize_compact(text, key, algorithms=list(ALGORITHMS)).payload
    except (JoseError, ValueError):
        raise ProofRefused("signature") from None
    try:
        claims = json.loads(payload or b"")
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise ProofRefused("malformed")
    return thumbprint, claims


_COORDINATE: Final = 43
"""Characters of base64url that 32 octets have."""


@functools.lru_cache(maxsize=1024)
def _key(x: str, y: str) -> tuple[ECKey, str]:
    """A public key and its thumbprint: one agent proves the same one at each call.

    Raises:
        ValueError: a coordinate is not 32 octets (RFC 7518 section 6.2.1.2). With zeros before it one key would have
            any number of thumbprints, and who was revoked by one would come back by another.
    """
    if len(x) != _COORDINATE or len(y) != _COORDINATE:
        raise ValueError("a coordinate of P-256 is 32 octets")
    key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    _ = key.raw_value  # it is read here whether x and y are a point of the curve
    return key, key.thumbprint()


def _good_until(claims: Mapping[str, Any], made: float, now: float, nonces: Nonces) -> float:
    """Until when a proof is accepted. A nonce says when it was made by our own clock, so that the client's does not
    matter (section 4.3 item 11)."""
    if (nonce := claims.get("nonce")) is None:
        if not now - SECONDS <= made <= now + AHEAD_SECONDS:
            raise ProofRefused("time")
        return made + SECONDS
    made_at = nonces.made_at(nonce) if isinstance(nonce, str) else None
    if made_at is None or not now - NONCE_SECONDS <= made_at <= now + AHEAD_SECONDS:
        raise ProofRefused("nonce")
    return made_at + NONCE_SECONDS


def digest(token: str) -> str:
    """What `ath` is for an access token (section 4.2)."""
    return encoded(hashlib.sha256(token.encode()).digest())


def encoded(value: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@functools.lru_cache(maxsize=256)
def normal(url: str) -> str:
    """A URL as `htu` is compared: without query and fragment, by the normalization of syntax and scheme (RFC 3986
    sections 6.2.2 and 6.2.3); of what is no URL of HTTP, nothing that any is."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        return ""
    shown = f"[{host}]" if ":" in host else host
    place = shown if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{shown}:{port}"
    return f"{parts.scheme}://{place}{_decoded(parts.path) or '/'}"


def _decoded(path: str) -> str:
    """A path in which what need not be escaped is not, and what is, is in capitals (RFC 3986 section 6.2.2)."""

    def one(found: re.Match[str]) -> str:
        character = unquote(found[0])
        return character if re.fullmatch(r"[A-Za-z0-9._~-]", character) else found[0].upper()

    return re.sub(r"%[0-9A-Fa-f]{2}", one, path)
