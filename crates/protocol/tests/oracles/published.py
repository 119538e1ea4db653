# SPDX-License-Identifier: Apache-2.0
"""The published keys, and what both oracle scripts need to read tokens and messages."""

import base64
import json
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

VECTORS = pathlib.Path(sys.argv[1])


def read(name):
    """One file of vectors."""
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


KEYS = read("keys.json")
ED25519 = {entry["name"]: entry for entry in KEYS["ed25519"]}
P256 = {entry["name"]: entry for entry in KEYS["p256"]}
COMPONENTS = ["@method", "@target-uri", "content-digest", "content-type", "idempotency-key", "sta-treaty"]


def to_base64(data):
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64(text):
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def ed25519_key(name):
    """A private Ed25519 key by its name."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(ED25519[name]["seed"]))


def p256_key(name):
    """A private P-256 key by its name."""
    return load_pem_private_key(P256[name]["pkcs8"].encode("ascii"), None)


class Message:
    """A request or response as the package http-message-signatures wants it."""

    def __init__(self, headers, method=None, url=None, status=None, request=None):
        self.headers = dict(headers)
        if status is None:
            self.method, self.url = method, url
        else:
            self.status_code, self.request, self.url = status, request, request.url


class Resolver:
    """Ed25519 keys by their thumbprint."""

    @staticmethod
    def _named(key_id):
        return next(name for name, entry in ED25519.items() if entry["thumbprint"] == key_id)

    def resolve_public_key(self, key_id):
        return ed25519_key(self._named(key_id)).public_key()

    def resolve_private_key(self, key_id):
        return ed25519_key(self._named(key_id))
