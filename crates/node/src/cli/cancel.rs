// SPDX-License-Identifier: Apache-2.0
//! `sta cancel`: asks for a job's end, wherever it runs.

use clap::Args;
use http::Method;
use sta_protocol::ids::JobId;

use super::{
    failure::Failure,
    jobs::is_final,
    print::{self, Style},
    profile::Who,
};
use crate::http::documents::JobDocument;

/// What `sta cancel` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    who: Who,
    /// The job's id
    job: JobId,
}

/// Does it. Cancelling again changes nothing.
///
/// # Errors
/// The node does not answer, or says no.
pub(super) async fn run(args: &CancelArgs, style: Style) -> Result<(), Failure> {
    let answer = args.who.client()?.ask(Method::POST, &format!("/v1/jobs/{}/cancel", args.job), None).await?;
    let job: JobDocument = print::part(&answer, "the job")?;
    style.answer(&answer, || {
        let state = &job.state;
        if is_final(state) {
            format!("Job {} is over: {state}.", job.id)
        } else {
            format!("Job {} is {state} and will be stopped.", job.id)
        }
    });
    Ok(())
}
