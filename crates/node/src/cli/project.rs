// SPDX-License-Identifier: Apache-2.0
//! `sta project add`: a project, what it may spend, and who may spend it.

use clap::Subcommand;
use http::Method;
use sta_protocol::ids::{ProjectId, ResearcherId};

use super::{
    failure::{Failure, Trying},
    print::{self, Style},
    profile::{Who, operator},
    researcher::OperatorArgs,
};
use crate::http::documents::{ProjectDocument, ProjectList, ProjectRequest};

/// What can be done with projects.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum ProjectCommand {
    /// Add a project; again for a known one to change its allocation or to add people
    Add {
        #[command(flatten)]
        operator: OperatorArgs,
        /// Its name
        name: ProjectId,
        /// What it may spend in all, in the treaty's currency, such as 100.00
        #[arg(long, value_parser = print::micro)]
        credits: i64,
        /// Who may spend it; may be repeated
        #[arg(long = "researcher")]
        researchers: Vec<ResearcherId>,
    },
    /// List projects and what is left of their allocations
    List {
        #[command(flatten)]
        who: Who,
    },
}

/// Does it.
///
/// # Errors
/// The node does not take it.
pub(super) async fn run(command: &ProjectCommand, style: Style) -> Result<(), Failure> {
    match command {
        ProjectCommand::Add { operator: by, name, credits, researchers } => {
            let request = ProjectRequest { granted_micro: *credits, researchers: researchers.clone() };
            let request = serde_json::to_value(request).trying_to("write the request")?;
            let client = operator(&by.dir, by.node.as_deref())?;
            let answer = client.ask(Method::PUT, &format!("/v1/projects/{name}"), Some(&request)).await?;
            style.answer(&answer, || format!("Project {name} may spend {}.", print::decimal(*credits)));
        }
        ProjectCommand::List { who } => {
            let answer = who.client()?.get("/v1/projects").await?;
            let list: ProjectList = print::part(&answer, "the projects")?;
            style.answer(&answer, || text(&list));
        }
    }
    Ok(())
}

fn text(list: &ProjectList) -> String {
    let row = |project: &ProjectDocument| {
        let amounts =
            [project.granted_micro, project.pending_micro, project.posted_micro, project.available_micro];
        let [granted, pending, posted, available] = amounts.map(print::decimal);
        [project.id.to_string(), granted, pending, posted, available]
    };
    print::table(["project", ">granted", ">set aside", ">spent", ">left"], list.projects.iter().map(row))
}
