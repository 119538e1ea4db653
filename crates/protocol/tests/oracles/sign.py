# SPDX-License-Identifier: Apache-2.0
"""Signs one of each kind with outside implementations and prints them as JSON, to be verified by ours.

Called with the directory of the vectors, whose keys and moment it uses.
"""

import base64
import datetime
import hashlib
import json

import jwt
import rfc8785
from http_message_signatures import HTTPMessageSigner, algorithms
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from published import COMPONENTS, ED25519, P256, Message, Resolver, ed25519_key, p256_key, read, to_base64

NOW = read("passport.json")["now"]
NOTE = read("jws.json")["payload"]


def jws(payload, key, header):
    """A compact JWS over canonical JSON by PyJWT."""
    return jwt.PyJWS().encode(rfc8785.dumps(payload), ed25519_key(key), algorithm="EdDSA", headers=header)


def multi_signed(typ):
    """The general serialization, put together from one compact JWS a signer."""
    parts = [
        jws(NOTE, name, {"kid": ED25519[name]["thumbprint"], "typ": typ}).split(".") for name in ("ca", "de")
    ]
    signatures = [{"protected": protected, "signature": signature} for protected, _, signature in parts]
    return {"payload": parts[0][1], "signatures": signatures}


def identity_token(name, typ, claims):
    """A visa or passport by PyJWT, whose JSON is not canonical and need not be."""
    entry = P256[name]
    registered = {
        "iss": entry["issuer"],
        "sub": "ada@ca",
        "iat": NOW,
        "exp": NOW + 3600,
        "cnf": {"jkt": ED25519["session"]["thumbprint"]},
    }
    header = {"typ": typ, "kid": entry["thumbprint"], "jku": entry["jku"]}
    return jwt.encode(registered | claims, p256_key(name), algorithm="ES256", headers=header)


def visa():
    """A grant of a dataset."""
    assertion = {
        "type": "ControlledAccessGrants",
        "asserted": NOW - 60,
        "value": "https://de.sta.example/datasets/hospital",
        "source": "https://charite.example",
        "by": "dac",
    }
    return identity_token("de", "vnd.ga4gh.visa+jwt", {"jti": "visa-python", "ga4gh_visa_v1": assertion})


def holder_proof():
    """The proof of the vector's holder, made anew."""
    vector = read("holder_proof.json")
    claims = {"aud": vector["audience"], "digest": vector["digest"], "iat": NOW, "job": vector["job"]}
    return jws(claims, "session", {"typ": "sta-holder+jwt", "jwk": ED25519["session"]["jwk"]})


def request():
    """A request signed by the package http-message-signatures."""
    body = '{"offer":"python"}'
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    headers = {
        "content-digest": f"sha-256=:{digest}:",
        "content-type": "application/json",
        "idempotency-key": "019ab0e1-7c00-7a10-8c3e-2f1f6f0a9b11",
        "sta-treaty": hashlib.sha256(b"the treaty").hexdigest(),
    }
    target_uri = "https://de.sta.example/federation/v1/offers"
    message = Message(headers, "POST", target_uri)
    moment = datetime.datetime.fromtimestamp(NOW, tz=datetime.timezone.utc)
    HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Resolver()).sign(
        message,
        key_id=ED25519["ca"]["thumbprint"],
        created=moment,
        expires=moment + datetime.timedelta(seconds=60),
        nonce=to_base64(b"python's own one"),
        label="sig1",
        tag="sta/fed/1",
        covered_component_ids=COMPONENTS,
        use_existing_digest=True,
    )
    return {"target_uri": target_uri, "body": body, "headers": message.headers}


def attestation():
    """The published attestation in an envelope by securesystemslib, over JSON that is not canonical."""
    published = read("attestations.json")["attestations"][0]["envelope"]
    payload = json.dumps(json.loads(base64.b64decode(published["payload"])), indent=2).encode()
    private = ed25519_key("de")
    public = {"public": private.public_key().public_bytes_raw().hex()}
    key = SSlibKey(ED25519["de"]["thumbprint"], "ed25519", "ed25519", public)
    envelope = Envelope(payload, published["payloadType"], {})
    envelope.sign(CryptoSigner(private, key))
    return envelope.to_dict()


VISA = visa()
print(
    json.dumps(
        {
            "jws": jws(NOTE, "ca", {"kid": ED25519["ca"]["thumbprint"], "typ": read("jws.json")["typ"]}),
            "multi_signed": multi_signed("application/vnd.sta.treaty+jws"),
            "visa": VISA,
            "passport": identity_token(
                "ca", "vnd.ga4gh.passport+jwt", {"jti": "passport-python", "ga4gh_passport_v1": [VISA]}
            ),
            "holder_proof": holder_proof(),
            "request": request(),
            "attestation": attestation(),
        }
    )
)
