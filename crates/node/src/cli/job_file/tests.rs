// SPDX-License-Identifier: Apache-2.0
//! What people get wrong in job files, and what they are told.

use super::*;

const GOOD: &str = r#"name = "digits"
command = ["python3", "train.py"]
project = "open-vision"
purpose = "research"
objective = { price = 2, carbon = 1 }
cpu_cores = 1
memory = "512 MiB"
time_limit = "10 min"
datasets = ["de/digits"]
outputs = ["model.json"]

[[inputs]]
path = "train.py"
"#;

fn told(text: &str) -> String {
    let outcome =
        JobFile::parse(text, "job.toml").and_then(|job| job.spec(Vec::new(), Some(("job.toml", text))));
    let failure = outcome.expect_err("the job is wrong");
    assert_eq!(failure.exit, Exit::Usage);
    failure.to_string()
}

#[test]
fn a_job_file_says_what_the_wire_says() {
    let job = JobFile::parse(GOOD, "job.toml").expect("it is well written");
    assert_eq!(job.inputs[0].file_name(), Ok("train.py".to_owned()));
    assert_eq!(job.inputs[0].class, Class::Internal, "what is not said to be open is not treated as open");
    let spec = job.spec(Vec::new(), None).expect("it is whole");
    assert_eq!((spec.memory_bytes, spec.time_limit_s, spec.image.as_str()), (512 << 20, 600, "host"));
    assert_eq!(spec.objective, Objective { price: 2, carbon: 1, wait: 0 });
}

#[test]
fn a_job_file_says_how_the_job_saves_its_work() {
    let spec_of = |text: &str| JobFile::parse(text, "job.toml").and_then(|job| job.spec(Vec::new(), None));
    let text = format!("{GOOD}\n[checkpoint]\non_signal = true\nevery_s = 300\n");
    let checkpoint = spec_of(&text).expect("it is whole").checkpoint;
    assert_eq!(checkpoint, Some(Checkpoint { on_signal: true, every_s: Some(300) }));
    let silent = told(&format!("{GOOD}\n[checkpoint]\n"));
    assert!(silent.contains("`checkpoint` says not when the job saves its work"), "{silent}");
}

#[test]
fn the_shipped_examples_read() {
    for example in ["digits", "hospital", "sweep"] {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example).join("job.toml");
        let job = JobFile::read(&path).expect("an example reads");
        assert!(job.inputs.iter().all(|input| input.path.is_file()), "the inputs of {example} are beside it");
        job.spec(Vec::new(), None).expect("an example is whole");
    }
}

#[test]
fn a_job_array_names_the_outputs_of_all_its_tasks_in_one() {
    let text = GOOD
        .replace("cpu_cores = 1", "cpu_cores = 1\ncount = 3")
        .replace("[\"model.json\"]", "[\"model-{index}.json\", \"all.log\"]");
    let spec =
        JobFile::parse(&text, "job.toml").and_then(|job| job.spec(Vec::new(), None)).expect("it is whole");
    assert_eq!(spec.outputs, ["model-0.json", "model-1.json", "model-2.json", "all.log"]);
    assert_eq!((spec.shape.count, spec.shape.parallel), (3, 3), "all at once, when it does not say");
    insta::assert_snapshot!(told(&text.replace("count = 3", "count = 300")));
}

#[test]
fn what_cannot_be_spread_is_told_with_its_line() {
    insta::assert_snapshot!(told(&GOOD.replace("cpu_cores = 1", "cpu_cores = 1\nnodes = 4\ntasks = 2")));
    insta::assert_snapshot!(told(&GOOD.replace("cpu_cores = 1", "cpu_cores = 1\ncount = 2\nparallel = 3")));
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_keys_there_are() {
    insta::assert_snapshot!(told(&GOOD.replace("cpu_cores", "cpus")));
}

#[test]
fn memory_without_a_unit_is_told_how_to_be_written() {
    insta::assert_snapshot!(told(&GOOD.replace("\"512 MiB\"", "\"512 MB\"")));
    insta::assert_snapshot!(told(&GOOD.replace("\"512 MiB\"", "512")));
}

#[test]
fn a_time_without_a_unit_is_told_how_to_be_written() {
    insta::assert_snapshot!(told(&GOOD.replace("10 min", "10 minutes")));
}

#[test]
fn an_objective_that_there_is_not_is_told_with_those_that_there_are() {
    insta::assert_snapshot!(told(&GOOD.replace("{ price = 2, carbon = 1 }", "\"greenest\"")));
    insta::assert_snapshot!(told(&GOOD.replace("carbon = 1", "co2 = 1")));
}

#[test]
fn a_dataset_without_its_member_is_told_how_to_be_named() {
    insta::assert_snapshot!(told(&GOOD.replace("de/digits", "digits")));
}

#[test]
fn a_class_that_there_is_not_is_told_with_those_that_there_are() {
    insta::assert_snapshot!(told(&format!("{GOOD}class = \"secret\"\n")));
}

#[test]
fn what_is_missing_is_told_with_an_example() {
    insta::assert_snapshot!(told(&GOOD.replace("project = \"open-vision\"\n", "")));
    insta::assert_snapshot!(told(&GOOD.replace("command = [\"python3\", \"train.py\"]\n", "")));
}

#[test]
fn a_value_out_of_bounds_is_told_with_its_line() {
    insta::assert_snapshot!(told(&GOOD.replace("cpu_cores = 1", "cpu_cores = 0")));
}

#[test]
fn broken_toml_is_told_with_its_line() {
    insta::assert_snapshot!(told(&GOOD.replace("purpose = \"research\"", "purpose = research")));
}
