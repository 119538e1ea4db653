// SPDX-License-Identifier: Apache-2.0
//! `sta release`: a data steward of the host lets a held output go home; itself decided by the rules and audited.

use clap::Args;
use http::Method;
use sta_protocol::{class::Class, ids::JobId};

use super::{
    client::segment,
    failure::{Failure, Trying},
    print::Style,
    profile::Who,
};
use crate::http::documents::ReleaseRequest;

/// What `sta release` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    who: Who,
    /// The job's id
    job: JobId,
    /// The output's name
    output: String,
    /// The class that it has from now on, such as `open`
    #[arg(long)]
    class: Class,
    /// Why it may leave; it goes into the audit log
    #[arg(long)]
    reason: String,
}

/// Does it.
///
/// # Errors
/// The node does not answer, or the rules say no.
pub(super) async fn run(args: &ReleaseArgs, style: Style) -> Result<(), Failure> {
    let request = ReleaseRequest { class: args.class, reason: args.reason.clone() };
    let request = serde_json::to_value(request).trying_to("write the request")?;
    let path = format!("/v1/hosted/{}/outputs/{}/release", args.job, segment(&args.output));
    let answer = args.who.client()?.ask(Method::POST, &path, Some(&request)).await?;
    style.answer(&answer, || {
        let ReleaseArgs { output, job, class, .. } = args;
        format!("Output `{output}` of job {job} is released as {class}; its researcher fetches it with `sta result {job}` at home.")
    });
    Ok(())
}
