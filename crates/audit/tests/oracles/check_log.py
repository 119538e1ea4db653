# SPDX-License-Identifier: Apache-2.0
"""Checks a log directory in C2SP layout and its proof files with the PyPI packages `cryptography` and `sigstore`.

Usage: check_log.py DIRECTORY, which holds `checkpoint`, `tile/...`, `log.vkey`, `witness.vkey` and `proofs/*.tlog-proof`.
Written from the specifications (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles, tlog-proof) and
shares no code with what it checks.
"""

import base64
import hashlib
import pathlib
import sys
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sigstore._internal.merkle import verify_merkle_inclusion


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def read_key(text):
    """Gives name, id, type and key of a verifier key."""
    name, key_id, encoded = text.strip().split("+", 2)
    typed = base64.b64decode(encoded, validate=True)
    computed = sha256(name.encode(), b"\n", typed)[:4]
    assert computed.hex() == key_id, f"key id of {name} is {key_id}, should be {computed.hex()}"
    return name, computed, typed[0], Ed25519PublicKey.from_public_bytes(typed[1:])


def signature_by(key, note):
    """Gives the text of a note and the bytes of this key's signature, not yet verified."""
    name, key_id, _, _ = key
    text, _, lines = note.rpartition("\n\n")
    for line in lines.splitlines():
        dash, signer, encoded = line.split(" ")
        assert dash == "\u2014", "signature line"
        identified = base64.b64decode(encoded, validate=True)
        if signer == name and identified[:4] == key_id:
            return (text + "\n").encode(), identified[4:]
    raise AssertionError(f"no signature by {name}")


def open_checkpoint(note, log_key, witness_key):
    """Gives size, root and time of cosignature of a checkpoint, all verified."""
    assert (log_key[2], witness_key[2]) == (1, 4), "key types"
    text, signature = signature_by(log_key, note)
    log_key[3].verify(signature, text)
    text, timestamped = signature_by(witness_key, note)
    time = int.from_bytes(timestamped[:8], "big")
    witness_key[3].verify(timestamped[8:], f"cosignature/v1\ntime {time}\n".encode() + text)
    origin, size, root = text.decode().splitlines()
    assert origin == log_key[0], "origin is the name of the key"
    return int(size), base64.b64decode(root, validate=True), time


def tree_root(hashes):
    """RFC 6962, section 2.1, word for word."""
    if not hashes:
        return sha256()
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    return sha256(b"\x01", tree_root(hashes[:split]), tree_root(hashes[split:]))


def read_entries(directory, size):
    """Gives all entries, each checked against its hash in the tiles at level 0."""
    entries = []
    for number in range((size + 255) // 256):
        width = min(256, size - 256 * number)
        name = f"{number:03}" + ("" if width == 256 else f".p/{width}")
        bundle = (directory / "tile" / "entries" / name).read_bytes()
        tile = (directory / "tile" / "0" / name).read_bytes()
        assert len(tile) == 32 * width, f"length of tile {name}"
        for position in range(width):
            length = int.from_bytes(bundle[:2], "big")
            entry, bundle = bundle[2 : 2 + length], bundle[2 + length :]
            stored = tile[32 * position : 32 * position + 32]
            assert sha256(b"\x00", entry) == stored, f"entry {256 * number + position} is not the one in the tile"
            entries.append(entry)
        assert not bundle, f"bytes after the last entry of {name}"
    return entries


def check_proof(path, entries, log_key, witness_key):
    """Checks one proof file with the inclusion proof verification of sigstore."""
    head, _, note = path.read_text(encoding="utf-8").partition("\n\n")
    header, index_line, *hashes = head.split("\n")
    assert header == "c2sp.org/tlog-proof@v1", "header of the proof"
    index = int(index_line.removeprefix("index "))
    size, root, _ = open_checkpoint(note, log_key, witness_key)
    proof = SimpleNamespace(
        log_index=index,
        tree_size=size,
        root_hash=root,
        hashes=[base64.b64decode(line, validate=True) for line in hashes],
    )
    inner = SimpleNamespace(inclusion_proof=proof, canonicalized_body=entries[index])
    try:
        verify_merkle_inclusion(SimpleNamespace(_inner=inner))
    except Exception as error:
        raise AssertionError(f"{path.name}: {error}") from error


def main(directory):
    log_key = read_key((directory / "log.vkey").read_text(encoding="utf-8"))
    witness_key = read_key((directory / "witness.vkey").read_text(encoding="utf-8"))
    note = (directory / "checkpoint").read_text(encoding="utf-8")
    size, root, time = open_checkpoint(note, log_key, witness_key)
    entries = read_entries(directory, size)
    assert tree_root([sha256(b"\x00", entry) for entry in entries]) == root, "root over the entries"
    proofs = sorted((directory / "proofs").glob("*.tlog-proof"))
    assert proofs, "no proof files"
    for path in proofs:
        check_proof(path, entries, log_key, witness_key)
    print(f"ok: {size} entries, {len(proofs)} proofs, cosigned at {time}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
