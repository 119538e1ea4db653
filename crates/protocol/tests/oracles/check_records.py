# SPDX-License-Identifier: Apache-2.0
"""Holds our exports and attestations against other people's code.

- CycloneDX 1.6: the official JSON schema, in strict form, as `cyclonedx-python-lib` ships it.
- SPDX 3.0.1: `spdx-python-model`, classes that SPDX generates from the shapes (SHACL) of its model: every class, property,
  cardinality, pattern and enumeration.
- DSSE: `securesystemslib` verifies the envelopes; in-toto: `in-toto-attestation` validates statements and parses the predicates
  by their protocol buffers, where a field that the predicate does not have is an error.

Each check also shows that it can fail.
"""

import base64
import copy
import hashlib
import io
import json
import sys
from pathlib import Path

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from spdx_python_model import v3_0_1 as spdx3

VECTORS = Path(sys.argv[1])
KEYS = {key["name"]: key for key in json.loads((VECTORS / "keys.json").read_text())["ed25519"]}


def read(name):
    return json.loads((VECTORS / name).read_text())


def must_fail(check, *arguments, errors=(Exception,)):
    try:
        check(*arguments)
    except errors:
        return
    raise AssertionError(f"{check.__name__} did not refuse what is wrong")


def dsse_key(name):
    public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYS[name]["seed"])).public_key()
    return SSlibKey(KEYS[name]["thumbprint"], "ed25519", "ed25519", {"public": public.public_bytes_raw().hex()})


def cyclonedx(document):
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    if error is not None:
        raise ValueError(error)


def check_cyclonedx():
    for name in ["model_cyclonedx.json", "bare_model_cyclonedx.json"]:
        document = read(name)
        cyclonedx(document)
        assert document["metadata"]["component"]["type"] == "machine-learning-model"
        references = [document["metadata"]["component"]["bom-ref"]] + [part["bom-ref"] for part in document["components"]]
        assert len(references) == len(set(references))
        [dependency] = document["dependencies"]
        assert {dependency["ref"], *dependency["dependsOn"]} == set(references)
        for at, value in [("bomFormat", "SPDX"), ("serialNumber", "urn:uuid:1"), ("more", 1)]:
            must_fail(cyclonedx, {**document, at: value})
        wrong = copy.deepcopy(document)
        wrong["metadata"]["component"]["modelCard"]["modelParameters"]["weights"] = "secret"
        must_fail(cyclonedx, wrong)


def spdx(document):
    graph = spdx3.SHACLObjectSet()
    spdx3.JSONLDDeserializer().read(io.BytesIO(json.dumps(document).encode()), graph)
    graph.link()
    missing = graph.missing_ids - {"https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoAssertion"}
    assert not missing, missing
    # Writing checks the cardinalities of every object.
    spdx3.JSONLDSerializer().write(graph, io.BytesIO())
    return graph


def check_spdx():
    for name in ["model_spdx.json", "bare_model_spdx.json"]:
        document = read(name)
        graph = spdx(document)
        [root] = [element.rootElement[0] for element in graph.foreach_type(spdx3.SpdxDocument)]
        assert isinstance(root, spdx3.ai_AIPackage)
        # What the AI profile asks of a package beyond its classes (SPDX 3.0.1, AI profile, conformance).
        assert root.software_downloadLocation and root.software_packageVersion and root.releaseTime and root.suppliedBy
        assert root.software_primaryPurpose.endswith("SoftwarePurpose/model")
        kinds = [relation.relationshipType.rsplit("/", 1)[-1] for relation in graph.foreach_type(spdx3.Relationship)]
        assert {"hasDeclaredLicense", "hasConcludedLicense", "contains"} <= set(kinds)
        for change in ["property", "value", "reference", "missing"]:
            must_fail(spdx, spoiled(document, change))


def spoiled(document, change):
    """The document with one thing wrong."""
    wrong = copy.deepcopy(document)
    package = next(element for element in wrong["@graph"] if element.get("spdxId", "").endswith("#model"))
    if change == "property":
        package["ai_weights"] = "secret"
    elif change == "value":
        package["ai_autonomyType"] = "perhaps"
    elif change == "reference":
        package["suppliedBy"] = "urn:nobody"
    else:
        del package["creationInfo"]
    return wrong


def envelopes():
    for case in read("attestations.json")["attestations"]:
        envelope = case["envelope"]
        assert case["sha256"] == hashlib.sha256(rfc8785.dumps(envelope)).hexdigest()
        yield case, envelope


def check_dsse():
    for case, envelope in envelopes():
        verified = Envelope.from_dict(copy.deepcopy(envelope)).verify([dsse_key(case["key"])], 1)
        assert list(verified) == [KEYS[case["key"]]["thumbprint"]]
        changed = copy.deepcopy(envelope)
        payload = base64.b64decode(changed["payload"]).replace(b"PASSED", b"FAILED")
        changed["payload"] = base64.b64encode(payload).decode()
        for wrong, key in [(changed, case["key"]), (envelope, "ca")]:
            must_fail(
                Envelope.from_dict(copy.deepcopy(wrong)).verify, [dsse_key(key)], 1, errors=(VerificationError,)
            )


def check_statements():
    predicates = {
        "https://in-toto.io/attestation/test-result/v0.1": test_result_pb2.TestResult,
        "https://slsa.dev/verification_summary/v1": vsa_pb2.VerificationSummary,
    }
    seen = set()
    for case, envelope in envelopes():
        assert envelope["payloadType"] == "application/vnd.in-toto+json"
        payload = json.loads(base64.b64decode(envelope["payload"]))
        statement = Statement.copy_from_pb(json_format.ParseDict(payload, statement_pb2.Statement()))
        statement.validate()
        assert [dict(subject.digest) for subject in statement.pb.subject] == [{"sha256": case["weights"]}]
        # SLSA 1.1 has levels as a list of texts and a version of the verifier; the package (0.9.3) has one text, and none.
        levels = payload["predicate"].pop("verifiedLevels", None)
        if "verifier" in payload["predicate"]:
            assert payload["predicate"]["verifier"].pop("version") == {"sta": "0.1.0"}
        predicate = predicates[payload["predicateType"]]()
        json_format.ParseDict(payload["predicate"], predicate)
        must_fail(json_format.ParseDict, {**payload["predicate"], "more": 1}, type(predicate)())
        seen.add(payload["predicateType"])
        if case["name"] == "test-result":
            assert predicate.result == "PASSED" and list(predicate.passed_tests) == ["includes/accuracy >= 0.9"]
        else:
            assert predicate.verification_result == "PASSED"
            assert levels == ["STA_GATE_EXPORT_WEIGHTS"]
    assert seen == set(predicates)


for what, check in {
    "cyclonedx": check_cyclonedx,
    "spdx": check_spdx,
    "dsse": check_dsse,
    "statements": check_statements,
}.items():
    check()
    print(f"{what}: ok")
