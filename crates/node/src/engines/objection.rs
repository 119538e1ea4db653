// SPDX-License-Identifier: Apache-2.0
//! Why a site can never run a job: what an engine says before anything is admitted.

use serde::{Deserialize, Serialize};
use sta_protocol::ids::{MemberId, ProjectId, ResearcherId};

/// Why a site can never run a job for its owner: said before anything is admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// The site has no account for the researcher.
    #[error("the site has no account for `{researcher}` of `{member}` in project `{project}`")]
    NoAccount {
        /// The researcher's member.
        member: MemberId,
        /// The project.
        project: ProjectId,
        /// Who asks.
        researcher: ResearcherId,
    },
    /// The site cannot run the image.
    #[error("the site cannot run the image `{image}`: it knows {known}")]
    Image {
        /// What was asked for.
        image: String,
        /// The patterns that the site maps to a runtime.
        known: String,
    },
    /// The site's operator does not allow an option.
    #[error("the site does not allow the option `{option}`: it allows {allowed}")]
    Option {
        /// What was asked for.
        option: String,
        /// What is allowed.
        allowed: String,
    },
    /// The job is not one that this engine can run.
    #[error("the site cannot run the job: {reason}")]
    Shape {
        /// Why not, and what would be possible.
        reason: String,
    },
}
