// SPDX-License-Identifier: Apache-2.0
//! `sta result`: fetches a job's outputs, each resumed and verified; what is held is told with the rule that holds it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Value, json};
use sta_protocol::ids::JobId;

use super::{
    client::Client,
    failure::{Exit, Failure, Trying},
    files::{Wanted, download},
    jobs::is_final,
    print::{self, Style},
    profile::Who,
};
use crate::http::documents::{JobDocument, OutputDocument, ReceiptDocument};

/// What `sta result` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct ResultArgs {
    #[command(flatten)]
    who: Who,
    /// The job's id
    job: JobId,
    /// Only these outputs [default: all]
    outputs: Vec<String>,
    /// Where to put them
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Also fetch the host's receipt and admission and the proof of the log, for `sta verify`
    #[arg(long)]
    proofs: bool,
}

/// Does it. Exit code 4 when an output is held; the others are fetched all the same.
///
/// # Errors
/// The job is not over, the node stays away, or a file's bytes are not those of the receipt.
pub(super) async fn run(args: &ResultArgs, style: Style) -> Result<ExitCode, Failure> {
    let client = args.who.client()?;
    let job: JobDocument = print::part(&client.get(&format!("/v1/jobs/{}", args.job)).await?, "the job")?;
    let wanted = wanted(&job, &args.outputs)?;
    let doing = format!("write to `{}`", args.out.display());
    fs::create_dir_all(&args.out).trying_to(doing)?;
    let (mut fetched, mut held) = (Vec::new(), Vec::new());
    for output in wanted {
        let file = Wanted { name: output.name.clone(), sha256: output.sha256, bytes: output.bytes };
        match download(&client, job.id, &file, &args.out).await {
            Ok(path) => fetched.push((output, path)),
            Err(failure) if failure.exit == Exit::NotAllowed => held.push((output, failure)),
            Err(failure) => return Err(failure),
        }
    }
    let proofs = if args.proofs { fetch_proofs(&client, job.id, &args.out).await? } else { Vec::new() };
    let document = json!({
        "job": job.id,
        "proofs": proofs,
        "fetched": fetched.iter().map(|(output, path)| entry(output, path)).collect::<Vec<_>>(),
        "held": held.iter().map(|(output, failure)| json!({"name": output.name, "cause": failure.cause, "held_by": output.held_by})).collect::<Vec<_>>(),
        "missing": job.outputs_missing,
    });
    style.answer(&document, || text(&fetched, &job.outputs_missing, &proofs));
    for (_, failure) in &held {
        let _code = failure.tell();
    }
    Ok(if held.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(Exit::NotAllowed as u8) })
}

fn entry(output: &OutputDocument, path: &Path) -> Value {
    json!({"name": output.name, "sha256": output.sha256, "bytes": output.bytes, "file": path})
}

/// Receipt, admission and log proof, each a file that `sta verify` takes.
async fn fetch_proofs(client: &Client, job: JobId, directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let answer = client.get(&format!("/v1/jobs/{job}/receipt")).await?;
    let signed: ReceiptDocument = print::part(&answer, "the receipt")?;
    let mut documents = vec![("receipt.jws", signed.receipt.to_string())];
    documents.extend(signed.admission.map(|admission| ("admission.jws", admission.to_string())));
    documents.push(("tlog-proof", client.text(&format!("/v1/jobs/{job}/proof")).await?));
    let mut written = Vec::new();
    for (ending, text) in documents {
        let path = directory.join(format!("{job}.{ending}"));
        fs::write(&path, text).trying_to(format!("write `{}`", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

fn text(fetched: &[(&OutputDocument, PathBuf)], missing: &[String], proofs: &[PathBuf]) -> String {
    let row = |(output, path): &(&OutputDocument, PathBuf)| {
        [path.display().to_string(), print::size(output.bytes), output.sha256.to_string()]
    };
    let mut text = if fetched.is_empty() {
        "No output was fetched.".to_owned()
    } else {
        print::table(["file", ">size", "SHA-256 (verified)"], fetched.iter().map(row))
    };
    if !missing.is_empty() {
        text += &format!("\nThe job did not leave: {}", missing.join(", "));
    }
    if !proofs.is_empty() {
        let names: Vec<_> = proofs.iter().map(|path| path.display().to_string()).collect();
        text +=
            &format!("\nProofs: {0}\nCheck them: sta verify --treaty treaty.jws.json {0}", names.join(" "));
    }
    text
}

/// The outputs asked for, once the job is over.
fn wanted<'a>(job: &'a JobDocument, names: &[String]) -> Result<Vec<&'a OutputDocument>, Failure> {
    let doing = format!("fetch the outputs of job {}", job.id);
    if !is_final(&job.state) {
        return Err(Failure::new(doing, format!("it is {}", job.state))
            .mend(format!("Wait for it with `sta job {} --wait`.", job.id)));
    }
    if job.state == "refused" {
        return Err(
            Failure::new(doing, "it was refused and never ran").mend(format!("See `sta why {}`.", job.id))
        );
    }
    let unknown = names.iter().find(|name| job.outputs.iter().all(|output| output.name != **name));
    match unknown {
        Some(name) => {
            let known: Vec<_> = job.outputs.iter().map(|output| output.name.as_str()).collect();
            Err(Failure::new(doing, format!("it left no `{name}`, but: {}", known.join(", ")))
                .exit(Exit::Usage))
        }
        None => {
            Ok(job.outputs.iter().filter(|output| names.is_empty() || names.contains(&output.name)).collect())
        }
    }
}
