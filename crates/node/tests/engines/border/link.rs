// SPDX-License-Identifier: Apache-2.0
//! A link that can be cut: what is sent over it while it is lies still, as on a line whose other end is gone, and goes on when it heals.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Both directions of the link, each an address that leads to a node.
pub(super) struct Link {
    open: watch::Sender<bool>,
    carried: Arc<AtomicU64>,
}

impl Link {
    /// Leads each of the listeners to the node beside it.
    pub(super) fn new(ways: [(std::net::TcpListener, SocketAddr); 2]) -> Self {
        let (open, is_open) = watch::channel(true);
        let carried = Arc::new(AtomicU64::new(0));
        for (from, to) in ways {
            from.set_nonblocking(true).unwrap();
            let from = TcpListener::from_std(from).unwrap();
            tokio::spawn(carry_all(from, to, is_open.clone(), carried.clone()));
        }
        Self { open, carried }
    }

    pub(super) fn cut(&self) {
        self.open.send_replace(false);
    }

    pub(super) fn heal(&self) {
        self.open.send_replace(true);
    }

    /// How many bytes have come through, both ways.
    pub(super) fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

async fn carry_all(
    from: TcpListener,
    to: SocketAddr,
    mut is_open: watch::Receiver<bool>,
    carried: Arc<AtomicU64>,
) {
    while let Ok((caller, _)) = from.accept().await {
        // A call that comes while the link is cut is not even heard.
        if is_open.wait_for(|open| *open).await.is_err() {
            return;
        }
        let Ok(called) = TcpStream::connect(to).await else { continue };
        let (caller, called) = (caller.into_split(), called.into_split());
        tokio::spawn(carry(caller.0, called.1, is_open.clone(), carried.clone()));
        tokio::spawn(carry(called.0, caller.1, is_open.clone(), carried.clone()));
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut is_open: watch::Receiver<bool>,
    carried: Arc<AtomicU64>,
) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let Ok(count) = from.read(&mut bytes).await else { return };
        // Also the end of a connection does not come through.
        if is_open.wait_for(|open| *open).await.is_err()
            || count == 0
            || to.write_all(&bytes[..count]).await.is_err()
        {
            return;
        }
        carried.fetch_add(count as u64, Ordering::Relaxed);
    }
}
