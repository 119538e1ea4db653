// SPDX-License-Identifier: Apache-2.0
//! Serving connections until the node stops: TCP, or the simulation's network.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::router;
use crate::node::Node;

/// How many connections are open at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// How long answers that are on their way may take after the node was asked to stop.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a node that is not asked to stop is looked at; [`Node::stop`] ends the wait at once.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// Serves the node's routes until [`Node::stop`], then finishes the answers that are on their way, for at most ten seconds.
///
/// # Errors
/// The listener failed.
pub async fn serve<L>(node: Arc<Node>, listener: L) -> io::Result<()>
where
    L: Listener,
    L::Addr: fmt::Debug,
{
    let limited = Limited { listener, free: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
    let service = router(Arc::clone(&node));
    let stopping = Arc::clone(&node);
    let serving =
        axum::serve(limited, service).with_graceful_shutdown(async move { stopped(&stopping).await });
    let drained = async {
        stopped(&node).await;
        tokio::time::sleep(DRAIN_TIME_MAX).await;
    };
    tokio::select! {
        ended = serving.into_future() => ended,
        () = drained => {
            tracing::warn!("connections were still open when the node stopped");
            Ok(())
        }
    }
}

async fn stopped(node: &Node) {
    while node.pause(LOOK_AGAIN).await {}
}

/// A listener that accepts no more than so many connections at once.
struct Limited<L> {
    listener: L,
    free: Arc<Semaphore>,
}

impl<L: Listener> Listener for Limited<L> {
    type Io = Held<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed; without a permit the connection is only uncounted.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        let (io, address) = self.listener.accept().await;
        (Held { io, _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection with its place among those that are open.
struct Held<I> {
    io: I,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Held<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Held<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
