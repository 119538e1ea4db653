// SPDX-License-Identifier: Apache-2.0
//! What a job waits for, in a sentence for its people.

use sta_protocol::{
    federation::Exit,
    ids::{MemberId, SiteId},
};

use crate::{
    node::Node,
    store::{
        StoreError, holds,
        jobs::{HomeJob, HomeState},
        ledger, outbox,
        reclaims::{self, Notices},
        waits,
    },
};

/// What is known of notices to a job that is not over.
pub(super) fn notices(node: &Node, job: &HomeJob) -> Result<Notices, StoreError> {
    if job.state.is_final() {
        return Ok(Notices::default());
    }
    node.store.read(|connection| reclaims::at_home(connection, job.id))
}

/// What an unfinished job waits for: the last trouble of its outgoing work, else what comes next.
pub(super) fn waiting_for(node: &Node, job: &HomeJob) -> Result<Option<String>, StoreError> {
    let (trouble, holds) = node
        .store
        .read(|connection| Ok((outbox::last_error(connection, job.id)?, holds::of(connection, job.id)?)))?;
    if trouble.is_some() {
        return Ok(trouble);
    }
    let reasons: Vec<&str> =
        holds.iter().filter(|hold| hold.is_open()).map(|hold| hold.reason.as_str()).collect();
    if !reasons.is_empty() && !job.state.is_final() {
        return Ok(Some(format!("release of {}", reasons.join(", "))));
    }
    let host = || job.host.as_ref().map_or("the host", MemberId::as_str);
    let site = || job.site.as_ref().map_or("the site", SiteId::as_str);
    let notices = notices(node, job)?;
    Ok(match job.state {
        HomeState::Waiting if job.attempt > 1 => {
            Some("a site that it goes on at; home decides on it anew".to_owned())
        }
        HomeState::Waiting => {
            let others = node.store.read(|connection| waits::of(connection, job.id))?;
            let names: Vec<String> = others.iter().map(ToString::to_string).collect();
            Some(format!(
                "end of {}",
                if names.is_empty() { "nothing any more".to_owned() } else { names.join(", ") }
            ))
        }
        HomeState::Offered => Some(format!("answer of {}", host())),
        HomeState::Admitted if had_to_leave(node, job)? => {
            let owner =
                if job.host.as_ref() == Some(node.member()) { "" } else { ", whose owner needed its place" };
            Some(format!("room at {}{owner}; it goes on there from what it saved", site()))
        }
        HomeState::Admitted if notices.reclaimed > 0 => Some(format!("room at {}, where it goes on", site())),
        HomeState::Admitted => Some(format!("inputs and room at {}", site())),
        HomeState::Running if notices.notice_at.is_some() => Some(format!(
            "the end of its notice at {}: {} needs the place for its own jobs, and it saves its work and waits again",
            site(),
            host()
        )),
        HomeState::Running => Some(format!("end of the run at {}", site())),
        HomeState::Completed | HomeState::Failed | HomeState::Cancelled | HomeState::Refused => None,
    })
}

/// Whether the attempt before had to leave the site for its owner, or for a job that was owed the place.
fn had_to_leave(node: &Node, job: &HomeJob) -> Result<bool, StoreError> {
    if job.attempt == 1 {
        return Ok(false);
    }
    let before = node.store.read(|connection| ledger::receipt_of(connection, job.id, job.attempt - 1))?;
    let exit = before.map(|receipt| super::jobs::peek(&receipt)).transpose()?.map(|receipt| receipt.exit);
    Ok(exit == Some(Exit::Reclaimed))
}
