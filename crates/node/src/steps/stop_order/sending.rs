// SPDX-License-Identifier: Apache-2.0
//! Sending: orders to stop, their lifting and the sites' answers, from the outbox to each member until it has them.

use sta_protocol::{
    digest::Sha256Digest,
    ids::{MemberId, StopOrderId},
};

use super::super::StepError;
use crate::{
    node::Node,
    peers::outbound::CallError,
    store::{
        outbox::{self, Effect, Waiting},
        stop_orders::{self as table, KeptOrder},
    },
};

/// Brings an order, its lifting or the sites' answers to another member.
///
/// # Errors
/// The member is away, or refuses: brought again later, until the order lapses.
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
        let told = match (waiting.effect, &order.lift) {
            (Effect::StopOrder, _) => {
                node.outbound().tell(to, "/federation/v1/stop-orders", key, &order.signed).await
            }
            (Effect::StopLift, Some(lift)) => {
                let key = key_for(key.as_bytes(), "lift");
                node.outbound().tell(to, "/federation/v1/stop-lifts", key, lift).await
            }
            (Effect::StopLift, None) => Ok(()),
            // Every other effect has a step of its own.
            _ => send_answers(node, &order, to).await?,
        };
        match told {
            // A member that was away for as long as the order was good takes neither it nor what follows from it.
            Err(CallError::Refused { member, refusals, .. }) if has_lapsed(node, &order) => {
                let (order, effect) = (order.id, waiting.effect.as_str());
                let rules =
                    refusals.iter().map(|refusal| refusal.rule.as_str()).collect::<Vec<_>>().join(", ");
                tracing::error!(%order, effect, %member, rules, "a member refuses what is about an order to stop that has lapsed; it is not brought again");
            }
            told => told?,
        }
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

fn has_lapsed(node: &Node, order: &KeptOrder) -> bool {
    order.signed.peek_unverified().is_ok_and(|order| order.expires_at <= node.outside.now())
}

async fn send_answers(
    node: &Node,
    order: &KeptOrder,
    to: &MemberId,
) -> Result<Result<(), CallError>, StepError> {
    let answers = node.store.read(|connection| table::acknowledgements(connection, order.id))?;
    for (answer, _) in answers {
        let of_ours = answer.peek_unverified().is_ok_and(|answer| answer.member == *node.member());
        if of_ours {
            let key = key_for(answer.digest().as_bytes(), "acknowledgement");
            if let Err(error) =
                node.outbound().tell(to, "/federation/v1/stop-acknowledgements", key, &answer).await
            {
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(()))
}

/// The same idempotency key at every attempt, and another for each document.
fn key_for(bytes: &[u8], what: &str) -> uuid::Uuid {
    let digest = Sha256Digest::of(&[what.as_bytes(), bytes].concat());
    let mut key = [0; 16];
    key.copy_from_slice(&digest.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(key).into_uuid()
}
