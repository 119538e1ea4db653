// SPDX-License-Identifier: Apache-2.0
//! Sending: orders to stop, their lifting and the sites' answers, from the outbox to each member until it has them.

use sta_protocol::{
    digest::Sha256Digest,
    ids::{MemberId, StopOrderId},
};

use super::super::StepError;
use crate::{
    node::Node,
    store::{
        outbox::{self, Effect, Waiting},
        stop_orders::{self as table, KeptOrder},
    },
};

/// Brings an order, its lifting or the sites' answers to another member.
///
/// # Errors
/// The member is away: brought again later.
pub async fn send(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let key = uuid::Uuid::from_bytes(*waiting.job.as_bytes());
    let meant = waiting.key.split_once('/').and_then(|(order, member)| {
        Some((order.parse::<StopOrderId>().ok()?, member.parse::<MemberId>().ok()?))
    });
    let order = match &meant {
        Some((id, _)) => node.store.read(|connection| table::find(connection, *id))?,
        None => None,
    };
    if let Some((order, (_, to))) = order.zip(meant.as_ref()) {
        match waiting.effect {
            Effect::StopOrder => {
                node.outbound().tell(to, "/federation/v1/stop-orders", key, &order.signed).await?;
            }
            Effect::StopLift => {
                if let Some(lift) = &order.lift {
                    node.outbound()
                        .tell(to, "/federation/v1/stop-lifts", key_for(key.as_bytes(), "lift"), lift)
                        .await?;
                }
            }
            // Every other effect has a step of its own.
            _ => send_answers(node, &order, to).await?,
        }
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

async fn send_answers(node: &Node, order: &KeptOrder, to: &MemberId) -> Result<(), StepError> {
    let answers = node.store.read(|connection| table::acknowledgements(connection, order.id))?;
    for (answer, _) in answers {
        let of_ours = answer.peek_unverified().is_ok_and(|answer| answer.member == *node.member());
        if of_ours {
            let key = key_for(answer.digest().as_bytes(), "acknowledgement");
            node.outbound().tell(to, "/federation/v1/stop-acknowledgements", key, &answer).await?;
        }
    }
    Ok(())
}

/// The same idempotency key at every attempt, and another for each document.
fn key_for(bytes: &[u8], what: &str) -> uuid::Uuid {
    let digest = Sha256Digest::of(&[what.as_bytes(), bytes].concat());
    let mut key = [0; 16];
    key.copy_from_slice(&digest.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(key).into_uuid()
}
