// SPDX-License-Identifier: Apache-2.0
//! Evaluations and models on the command line: real logs of Inspect, bound to weights, verified and exported offline.

use std::{fs, path::PathBuf, process::Command};

use sta_protocol::{jws::Signed, keys::SigningKey, model::ModelRecord};

use super::{Bench, Told};

/// A file of the protocol's tests or vectors.
fn shared(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../protocol").join(path)
}

/// A bench with two nodes' keys and a treaty, the logs, weights and a model's record.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.signed_treaty();
    for log in [
        "refuses-harm.eval",
        "refuses-harm.json",
        "error.json",
        "incomplete.json",
        "invalidated.json",
        "limited.json",
    ] {
        fs::copy(shared("tests/data/inspect").join(log), bench.path(log)).unwrap();
    }
    fs::write(bench.path("model.safetensors"), b"the weights of a model").unwrap();
    fs::write(bench.path("other.safetensors"), b"other weights").unwrap();
    let vectors = fs::read(shared("vectors/safety_records.json")).unwrap();
    let vectors: serde_json::Value = serde_json::from_slice(&vectors).unwrap();
    fs::write(bench.path("model.json"), vectors["documents"][0]["payload"].to_string()).unwrap();
    bench
}

fn attest(bench: &Bench, log: &str, more: &[&str]) -> Told {
    let plain = [
        "evaluation",
        "attest",
        "--log",
        log,
        "--weights",
        "model.safetensors",
        "--key",
        "de/keys/signing.seed",
        "--out",
        "evaluation.dsse.json",
    ];
    bench.sta(&[plain.as_slice(), more].concat())
}

fn verify(bench: &Bench, more: &[&str]) -> Told {
    bench.sta(&[&["evaluation", "verify", "evaluation.dsse.json"], more].concat())
}

/// The digest of an attestation differs with the fresh key that made it.
fn without_digests(told: &str) -> String {
    let hidden = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let line = |line: &str| {
        let words = line.split(' ').map(|word| {
            let bare = word.trim_end_matches(['.', ')', ':']);
            if hidden(bare) { word.replace(bare, "SHA-256") } else { word.to_owned() }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    told.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_passed_evaluation_is_attested_over_the_weights_and_verified_by_the_treatys_keys() {
    let bench = bench();
    let asked = ["--require", "includes/accuracy >= 0.9", "--covers", "harmful-manipulation"];
    for log in ["refuses-harm.eval", "refuses-harm.json"] {
        let told = attest(&bench, log, &asked);
        assert_eq!(told.code, 0, "{}", told.err);
    }
    insta::assert_snapshot!(without_digests(&attest(&bench, "refuses-harm.eval", &asked).out), @r#"
    Attestation written to evaluation.dsse.json, SHA-256 SHA-256.
    PASSED: refuses_harm 1.0.0 on mockllm/model, 4 of 4 samples, ended 2026-11-23T17:56:37Z.
      includes/accuracy = 1
      includes/stderr = 0
      holds: includes/accuracy >= 0.9
      weights model.safetensors SHA-256
    "#);
    let told = verify(&bench, &["--treaty", "treaty.jws.json", "--weights", "model.safetensors"]);
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    insta::assert_snapshot!(without_digests(&told.out), @r#"
    Signed by de.
    PASSED: refuses_harm 1.0.0 on mockllm/model, 4 of 4 samples, ended 2026-11-23T17:56:37Z.
      includes/accuracy = 1
      includes/stderr = 0
      holds: includes/accuracy >= 0.9
      weights model.safetensors SHA-256
    "#);
}

#[test]
fn a_log_that_proves_nothing_is_not_attested() {
    let bench = bench();
    fs::write(bench.path("broken.eval"), b"PK but no archive").unwrap();
    let told =
        ["error.json", "incomplete.json", "invalidated.json", "limited.json", "broken.eval", "missing.eval"]
            .map(|log| {
                let told = attest(&bench, log, &[]);
                assert_eq!(told.code, 1, "{log}: {}", told.out);
                told.err
            });
    insta::assert_snapshot!(told.concat(), @r#"
    sta: cannot attest the evaluation `error.json`: the evaluation's status is `error` (RuntimeError('the provider closed the connection')); only `success` counts: run it again to its end
    sta: cannot attest the evaluation `incomplete.json`: 3 of 4 samples were completed: run the evaluation again, to the end of every sample
    sta: cannot attest the evaluation `invalidated.json`: the log was invalidated: what it says was taken back, so run the evaluation again
    sta: cannot attest the evaluation `limited.json`: the evaluation ran on a part of the suite (`eval.config.limit` is set): run the whole of it
    sta: cannot attest the evaluation `broken.eval`: the log is no `.eval` archive that can be opened: copy it again from where it was written: invalid Zip archive: Could not find EOCD
    sta: cannot attest the evaluation `missing.eval`: cannot read the log `missing.eval`: No such file or directory (os error 2)
    "#);
    assert!(!bench.path("evaluation.dsse.json").exists());
}

#[test]
fn an_archive_without_a_header_or_with_an_endless_one_is_refused() {
    let bench = bench();
    // Made by Python's zipfile: our own crate must not check itself.
    let script = "import sys, zipfile
for name, member, size in [('cut.eval', 'summaries.json', 2), ('bomb.eval', 'header.json', 65 << 20)]:
    with zipfile.ZipFile(name, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, b' ' * size)";
    let made =
        Command::new("python3").args(["-c", script]).current_dir(bench.directory.path()).status().unwrap();
    assert!(made.success());
    assert!(fs::metadata(bench.path("bomb.eval")).unwrap().len() < 1 << 20);
    let told = ["cut.eval", "bomb.eval"].map(|log| attest(&bench, log, &[]).err);
    insta::assert_snapshot!(told.concat(), @r#"
    sta: cannot attest the evaluation `cut.eval`: the archive has no `header.json`: the evaluation was not ended, run it again to its end
    sta: cannot attest the evaluation `bomb.eval`: the archive's `header.json` has more than 67108864 bytes
    "#);
}

#[test]
fn an_attestation_that_does_not_fit_says_what_and_how_to_mend_it() {
    let bench = bench();
    attest(&bench, "refuses-harm.eval", &["--require", "includes/accuracy <= 0.5"]);
    let told = verify(&bench, &["--treaty", "treaty.jws.json", "--weights", "other.safetensors"]);
    assert_eq!(told.code, 5);
    insta::assert_snapshot!(without_digests(&told.out), @r#"
    Signed by de.
    FAILED: refuses_harm 1.0.0 on mockllm/model, 4 of 4 samples, ended 2026-11-23T17:56:37Z.
      includes/accuracy = 1
      includes/stderr = 0
      does not hold: includes/accuracy <= 0.5
      weights model.safetensors SHA-256
    BAD  It says nothing about `other.safetensors` (SHA-256 SHA-256): evaluate these weights, or give those it names.
    BAD  It did not pass: includes/accuracy <= 0.5 does not hold.
    "#);
    let told = verify(&bench, &[]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err, @r#"
    sta: cannot verify the attestation `evaluation.dsse.json`: nobody's signature is to be believed
      Give the treaty with --treaty, or the signer's public key with --public-key.
    "#);
    let told = attest(&bench, "refuses-harm.eval", &["--require", "match/accuracy >= 0.5"]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err, @"sta: cannot attest the evaluation `refuses-harm.eval`: the criterion `match/accuracy >= 0.5` asks for a value that the log does not have; it has `includes/accuracy`, `includes/stderr`");
    let text = fs::read_to_string(bench.path("evaluation.dsse.json")).unwrap();
    fs::write(bench.path("evaluation.dsse.json"), text.replace("\"payload\":\"e", "\"payload\":\"f"))
        .unwrap();
    let told = verify(&bench, &["--treaty", "treaty.jws.json"]);
    assert_eq!(told.code, 5);
    assert!(told.err.contains("does not fit the payload"), "{}", told.err);
}

#[test]
fn a_key_that_others_can_read_signs_nothing() {
    let bench = bench();
    let seed = bench.path("seed");
    fs::write(&seed, [7; 32]).unwrap();
    fs::set_permissions(&seed, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let told = bench.sta(&[
        "evaluation",
        "attest",
        "--log",
        "refuses-harm.eval",
        "--weights",
        "model.safetensors",
        "--key",
        "seed",
        "--out",
        "x.json",
    ]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("has mode 644: nobody else may read it"), "{}", told.err);
}

#[test]
fn a_model_is_exported_in_both_formats_with_its_evaluations_values() {
    let bench = bench();
    attest(&bench, "refuses-harm.eval", &["--require", "includes/accuracy >= 0.9"]);
    for (format, expected) in
        [("cyclonedx", "\"specVersion\": \"1.6\""), ("spdx", "\"specVersion\": \"3.0.1\"")]
    {
        let arguments = ["model", "export", "--format", format, "model.json"];
        let plain = bench.done(&arguments);
        assert!(plain.contains(expected) && !plain.contains("includes/accuracy"), "{plain}");
        assert_eq!(plain, bench.done(&arguments), "the same record gives the same document");
        let more =
            ["--evaluation", "evaluation.dsse.json", "--treaty", "treaty.jws.json", "--out", "out.json"];
        let told = bench.done(&[arguments.as_slice(), &more].concat());
        assert_eq!(told, "Model ca/tumour-notes written to out.json.\n");
        assert!(fs::read_to_string(bench.path("out.json")).unwrap().contains("includes/accuracy"));
    }
}

#[test]
fn a_record_that_contradicts_itself_is_not_exported() {
    let bench = bench();
    let text = fs::read_to_string(bench.path("model.json")).unwrap();
    fs::write(bench.path("model.json"), text.replacen("\"class\":\"special\"", "\"class\":\"open\"", 1))
        .unwrap();
    let told = bench.sta(&["model", "export", "--format", "spdx", "model.json"]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err, @"sta: cannot export the model `model.json`: `class` is `open`, and the model was made from `special` data: use `special` or a stricter class; a steward may release single files later");
}

#[test]
fn a_datasets_croissant_goes_into_its_record_and_holds_its_class() {
    let bench = Bench::new();
    bench.signed_treaty();
    let _node = bench.serve("de");
    fs::copy(shared("tests/data/croissant/hospital.json"), bench.path("croissant.json")).unwrap();
    let data = shared("../../examples/hospital/breast_cancer.csv");
    fs::copy(data, bench.path("breast_cancer.csv")).unwrap();
    let add = |class: &str| {
        bench.sta(&[
            "dataset",
            "add",
            "--dir",
            "de",
            "hospital",
            "breast_cancer.csv",
            "--class",
            class,
            "--origin",
            "de",
            "--croissant",
            "croissant.json",
        ])
    };
    let told = add("internal");
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err, @"sta: cannot register the dataset: `class` is `internal`, and the dataset states information about people that is `special`: use `special` or a stricter class, or correct the statement");
    let told = add("special");
    assert_eq!(told.code, 0, "{}", told.err);
    let listed = bench.json(&["dataset", "list", "--dir", "de"]);
    let facts = &listed["datasets"][0]["facts"];
    assert_eq!(facts["personal_information"], "special", "{listed}");
    assert_eq!(facts["limitations"].as_array().map(Vec::len), Some(2));
    // Another file under the name that was described.
    fs::write(bench.path("breast_cancer.csv"), "1,2\n").unwrap();
    let told = add("special");
    assert_eq!(told.code, 2);
    assert!(told.err.contains("Give the file that was described"), "{}", told.err);
}

#[test]
fn a_signed_model_verifies_by_the_treaty_and_by_its_own_member_alone() {
    let bench = bench();
    let record: ModelRecord = serde_json::from_slice(&fs::read(bench.path("model.json")).unwrap()).unwrap();
    for (member, code) in [("ca", 0), ("de", 5)] {
        let seed = fs::read(bench.path(&format!("{member}/keys/signing.seed"))).unwrap();
        let key = SigningKey::from_seed(seed.try_into().unwrap());
        let signed = Signed::sign_record(&record, &key).unwrap();
        fs::write(bench.path("model.jws"), signed.as_str()).unwrap();
        let told = bench.sta(&["verify", "--treaty", "treaty.jws.json", "model.jws"]);
        assert_eq!(told.code, code, "{member}: {}{}", told.out, told.err);
    }
    let told = bench.sta(&["model", "export", "--format", "spdx", "model.jws"]);
    assert_eq!(told.code, 2, "a signature that nobody is to believe: {}", told.err);
    let arguments = ["model", "export", "--format", "spdx", "model.jws", "--treaty", "treaty.jws.json"];
    assert_eq!(bench.done(&arguments), bench.done(&["model", "export", "--format", "spdx", "model.json"]));
}
