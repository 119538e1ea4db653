# SPDX-License-Identifier: Apache-2.0
"""Checks the published vectors with outside implementations: PyJWT, rfc8785 and http-message-signatures.

Called with the directory of the vectors. Prints `<what>: ok` for each kind, and fails at the first that does not fit.
"""

import base64
import hashlib
import json

import jwt
import rfc8785
from http_message_signatures import HTTPMessageVerifier, InvalidSignature, algorithms
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from published import COMPONENTS, ED25519, P256, Message, Resolver, ed25519_key, from_base64, p256_key, read, to_base64


def must_fail(call, *arguments, **named):
    """The oracle itself must be able to refuse, or its consent means nothing."""
    try:
        call(*arguments, **named)
    except (jwt.InvalidTokenError, InvalidSignature):
        return
    raise AssertionError(f"{call} accepted what was changed")


def changed(token):
    """The token with another last character of its payload."""
    header, payload, signature = token.split(".")
    return ".".join([header, payload[:-3] + ("AAA" if payload[-3:] != "AAA" else "BBB"), signature])


def check_keys():
    for name, entry in ED25519.items():
        assert to_base64(ed25519_key(name).public_key().public_bytes_raw()) == entry["public"]
        assert json.loads(OKPAlgorithm.to_jwk(ed25519_key(name).public_key())).items() >= entry["jwk"].items()
    for name, entry in P256.items():
        assert json.loads(ECAlgorithm.to_jwk(p256_key(name).public_key())).items() >= entry["jwk"].items()
    for entry in [*ED25519.values(), *P256.values()]:
        required = rfc8785.dumps(entry["jwk"])  # exactly the required members, RFC 7638 section 3
        assert to_base64(hashlib.sha256(required).digest()) == entry["thumbprint"]


def check_canonical_json():
    vectors = read("jcs.json")
    for case in vectors["cases"]:
        canonical = rfc8785.dumps(json.loads(case["input"]))
        assert canonical == case["canonical"].encode("utf-8"), case["name"]
        assert hashlib.sha256(canonical).hexdigest() == case["sha256"], case["name"]


def check_content_digests():
    for case in read("content_digest.json"):
        digest = hashlib.sha256(case["body"].encode("utf-8")).digest()
        assert case["content_digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"


def check_jws():
    vector = read("jws.json")
    compact = vector["compact"]
    key = ed25519_key(vector["key"]).public_key()
    token = jwt.PyJWS().decode_complete(compact, key, algorithms=["EdDSA"])
    header = {"alg": "EdDSA", "kid": ED25519[vector["key"]]["thumbprint"], "typ": vector["typ"]}
    assert token["header"] == header
    assert token["payload"] == rfc8785.dumps(vector["payload"])
    assert hashlib.sha256(compact.encode()).hexdigest() == vector["sha256"]
    must_fail(jwt.PyJWS().decode, changed(compact), key, algorithms=["EdDSA"])


def check_multi_signed():
    vector = read("multi_signed.json")
    document = vector["document"]
    assert from_base64(document["payload"]) == rfc8785.dumps(vector["payload"])
    assert len(document["signatures"]) == len(vector["keys"])
    for name, signature in zip(vector["keys"], document["signatures"]):
        compact = f"{signature['protected']}.{document['payload']}.{signature['signature']}"
        token = jwt.PyJWS().decode_complete(compact, ed25519_key(name).public_key(), algorithms=["EdDSA"])
        assert token["header"] == {"alg": "EdDSA", "kid": ED25519[name]["thumbprint"], "typ": vector["typ"]}


class VerifierAt(HTTPMessageVerifier):
    """The verifier at a moment of its own instead of now."""

    now = 0

    def validate_created_and_expires(self, sig_input, max_age=None):
        if not sig_input.params["created"] - 5 <= self.now <= sig_input.params["expires"] + 5:
            raise InvalidSignature("not at this time")


def check_http():
    vector = read("http_signatures.json")
    verifier = VerifierAt(signature_algorithm=algorithms.ED25519, key_resolver=Resolver())
    verifier.now = vector["now"]
    asked, answered = vector["request"], vector["response"]
    request = Message(asked["headers"], asked["method"], asked["target_uri"])
    wanted = {"expect_tag": "sta/fed/1", "require_components": COMPONENTS}
    (result,) = verifier.verify(request, body=asked["body"].encode(), **wanted)
    assert (result.label, result.parameters["keyid"]) == ("sig1", ED25519[asked["key"]]["thumbprint"])
    assert result.parameters["expires"] - result.parameters["created"] == 60
    assert list(result.covered_components)[:-1] == [f'"{name}"' for name in COMPONENTS]

    response = Message(answered["headers"], status=answered["status"], request=request)
    covered = ["@status", "content-digest", "content-type", '"signature";req;key="sig1"']
    (result,) = verifier.verify(
        response, body=answered["body"].encode(), expect_tag="sta/fed/1", require_components=covered
    )
    assert result.parameters["keyid"] == ED25519[answered["key"]]["thumbprint"]

    for case in vector["refused"]:
        other = asked | case
        verifier.now = case.get("now", vector["now"])
        message = Message(other["headers"], other["method"], other["target_uri"])
        must_fail(verifier.verify, message, body=other["body"].encode(), **wanted)


def open_token(case, typ):
    """Opens an ES256 token with PyJWT, by its own rules for time."""
    issuer = P256[case["key"]]
    token = jwt.decode_complete(
        case["token"],
        p256_key(case["key"]).public_key(),
        algorithms=["ES256"],
        issuer=issuer["issuer"],
        # PyJWT reads the clock; the vectors have their own moment, which is checked below.
        options={"verify_exp": False, "verify_iat": False, "require": ["iss", "sub", "iat", "exp", "jti", "cnf"]},
    )
    assert token["header"] == {"alg": "ES256", "jku": issuer["jku"], "kid": issuer["thumbprint"], "typ": typ}
    assert token["payload"]["iat"] <= case["now"] < token["payload"]["exp"] <= token["payload"]["iat"] + 86400
    assert token["payload"]["cnf"] == {"jkt": ED25519["session"]["thumbprint"]}
    must_fail(jwt.decode, changed(case["token"]), p256_key(case["key"]).public_key(), algorithms=["ES256"])
    return token["payload"]


def check_visas():
    vectors = read("visas.json")
    for case in vectors["accepted"]:
        claims = open_token(case, "vnd.ga4gh.visa+jwt")
        assert claims["ga4gh_visa_v1"].keys() == {"type", "asserted", "value", "source", "by"}
    unsigned = [case for case in vectors["refused"] if case["why"] == "BadSignature"]
    assert unsigned
    for case in unsigned:
        must_fail(jwt.decode, case["token"], p256_key("de").public_key(), algorithms=["ES256"])


def check_passport():
    vector = read("passport.json")
    claims = open_token(vector, "vnd.ga4gh.passport+jwt")
    assert claims["sub"] == vector["subject"]
    ends = [claims["exp"]]
    for token in claims["ga4gh_passport_v1"]:
        issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
        name = next(name for name, entry in P256.items() if entry["issuer"] == issuer)
        visa = open_token({"key": name, "now": vector["now"], "token": token}, "vnd.ga4gh.visa+jwt")
        assert visa["sub"] == vector["subject"]
        ends.append(visa["exp"])
    assert min(ends) == vector["expires"]


def check_holder_proof():
    vector = read("holder_proof.json")
    header = jwt.get_unverified_header(vector["token"])
    key = OKPAlgorithm.from_jwk(header["jwk"])
    assert to_base64(hashlib.sha256(rfc8785.dumps(header["jwk"])).digest()) == vector["jkt"]
    claims = {"aud": vector["audience"], "digest": vector["digest"], "iat": vector["now"], "job": vector["job"]}
    assert jwt.PyJWS().decode(vector["token"], key, algorithms=["EdDSA"]) == rfc8785.dumps(claims)
    assert header.keys() == {"alg", "jwk", "typ"} and header["typ"] == "sta-holder+jwt"


for what, check in {
    "keys": check_keys,
    "jcs": check_canonical_json,
    "content digests": check_content_digests,
    "jws": check_jws,
    "multi-signed": check_multi_signed,
    "http": check_http,
    "visas": check_visas,
    "passport": check_passport,
    "holder": check_holder_proof,
}.items():
    check()
    print(f"{what}: ok")
