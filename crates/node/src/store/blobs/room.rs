// SPDX-License-Identifier: Apache-2.0
//! Room on the disk for what comes in: what is promised to one transfer is not promised to another, and some stays free.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Blobs, file_error};
use crate::store::StoreError;

/// How much of the free disk is promised to transfers under way, in bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Promised(Arc<AtomicU64>);

/// Room that is promised to one transfer, until what needs it is written or the transfer ends.
#[derive(Debug)]
pub struct Room {
    promised: Promised,
    left: AtomicU64,
}

/// There is not as much room as something needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom {
    /// What it needs, in bytes.
    pub needed: u64,
    /// What is free on the disk, in bytes.
    pub free: u64,
    /// What is promised to others, in bytes.
    pub promised: u64,
}

impl Blobs {
    /// How many bytes are free for this node on the disk of its files.
    ///
    /// # Errors
    /// The disk does not say.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let told = nix::sys::statvfs::statvfs(&self.root);
        let told = told.map_err(|errno| file_error(&self.root, errno.into()))?;
        Ok(told.blocks_available().saturating_mul(told.fragment_size()))
    }

    /// Promises room for `needed` bytes, if then still `free_min` are left.
    ///
    /// # Errors
    /// The disk does not say how much is free.
    pub fn promise(&self, needed: u64, free_min: u64) -> Result<Result<Room, NoRoom>, StoreError> {
        let free = self.free_bytes()?;
        let promised = &self.inner.promised;
        let before = promised.0.fetch_add(needed, Ordering::SeqCst);
        let room = Room { promised: promised.clone(), left: AtomicU64::new(needed) };
        let wanted = before.saturating_add(needed).saturating_add(free_min);
        // Where it does not fit, the promise ends here with `room`.
        Ok(if needed == 0 || wanted <= free {
            Ok(room)
        } else {
            Err(NoRoom { needed, free, promised: before })
        })
    }
}

impl Room {
    /// Notes that so many of the promised bytes are on the disk now.
    pub fn written(&self, bytes: u64) {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(bytes)));
        let taken = before.unwrap_or_default().min(bytes);
        self.promised.0.fetch_sub(taken, Ordering::SeqCst);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.promised.0.fetch_sub(*self.left.get_mut(), Ordering::SeqCst);
    }
}
