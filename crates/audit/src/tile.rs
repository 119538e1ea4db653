// SPDX-License-Identifier: Apache-2.0
//! Tiles: which files a log of some size consists of, and the bytes in them (C2SP tlog-tiles v0.1, height 8).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::checkpoint::parse_decimal;
use crate::merkle::Hash;

/// Hashes of a full hash tile, and entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// The longest entry, in bytes: a bundle writes the length in 16 bits.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// The highest tile level a 64-bit log can have: 256^8 is 2^64.
pub const TILE_LEVEL_MAX: u8 = 7;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of perfect subtrees of 256^level entries each.
    Hashes {
        /// Tile level: Merkle level divided by 8.
        level: u8,
    },
    /// The entries themselves, one bundle for each tile at level 0.
    Entries,
}

/// One file of a log. Its text form is the path, such as `tile/0/x001/234.p/5` or `tile/entries/000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// Why there is no such tile, or bytes are not a tile's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TileError {
    /// No path of a tile.
    #[error("`{path}` is no path of a tile: expected such as `tile/0/x001/234` or `tile/entries/000.p/5`")]
    Path {
        /// The path as given, shortened and escaped.
        path: String,
    },
    /// Level, index or width beyond what a log has.
    #[error("there is no tile at level {level} with width {width}: levels end at 7, widths are 1 to 256")]
    Coordinates {
        /// Tile level.
        level: u8,
        /// Hashes or entries.
        width: u16,
    },
    /// Another number of hashes or entries than the tile has.
    #[error("the tile has {got} hashes or entries instead of {expected}")]
    Width {
        /// Number that belongs there.
        expected: usize,
        /// Number that came.
        got: usize,
    },
    /// Not whole hashes of 32 bytes.
    #[error("a hash tile of {width} hashes has {expected} bytes, but this one has {got}")]
    HashBytes {
        /// Hashes of the tile.
        width: u16,
        /// Bytes it should have.
        expected: usize,
        /// Bytes it has.
        got: usize,
    },
    /// An entry cannot be written.
    #[error(
        "entry {position} of the bundle has {bytes} bytes; at most {ENTRY_BYTES_MAX} fit: log a digest of it instead"
    )]
    EntryTooLong {
        /// Position in the bundle, from 0.
        position: usize,
        /// Its length.
        bytes: usize,
    },
    /// The bundle ends within an entry.
    #[error("the bundle ends within entry {position}")]
    BundleCut {
        /// Position in the bundle, from 0.
        position: usize,
    },
    /// The bundle goes on after its last entry.
    #[error("the bundle has {bytes} bytes after its last entry")]
    BundleLeftover {
        /// Number of bytes too many.
        bytes: usize,
    },
}

impl Tile {
    /// A hash tile at a tile level (0 holds leaf hashes) with `width` hashes.
    ///
    /// # Errors
    /// [`TileError::Coordinates`] when there is no such tile.
    pub fn hashes(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        Self::new(TileKind::Hashes { level }, index, width)
    }

    /// An entry bundle with `width` entries.
    ///
    /// # Errors
    /// [`TileError::Coordinates`] when there is no such bundle.
    pub fn entries(index: u64, width: u16) -> Result<Self, TileError> {
        Self::new(TileKind::Entries, index, width)
    }

    fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TileError> {
        let level = match kind {
            TileKind::Hashes { level } => level,
            TileKind::Entries => 0,
        };
        let exists = level <= TILE_LEVEL_MAX
            && (1..=TILE_WIDTH).contains(&width)
            && index <= u64::MAX.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
        if exists { Ok(Self { kind, index, width }) } else { Err(TileError::Coordinates { level, width }) }
    }

    /// The tile of this kind and index as it is in a log of `size` entries, None if such a log has none there.
    #[must_use]
    pub fn in_log(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let filled = match kind {
            TileKind::Hashes { level } => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
            TileKind::Entries => size,
        };
        let full = u64::from(TILE_WIDTH);
        let rest = filled.checked_sub(index.checked_mul(full)?)?;
        Self::new(kind, index, u16::try_from(rest.min(full)).ok()?).ok()
    }

    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Zero-based index among the tiles of its kind.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Number of hashes or entries: 256 when full.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The index of its first hash or entry among those of its level.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.index * u64::from(TILE_WIDTH)
    }

    /// Whether it is at the right edge, and a fuller one will follow.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }

    /// The full tile at the same place.
    #[must_use]
    pub fn full(&self) -> Self {
        Self { width: TILE_WIDTH, ..*self }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(formatter, "tile/{level}/")?,
            TileKind::Entries => write!(formatter, "tile/entries/")?,
        }
        // Groups of three digits; an `x` marks each but the last, so that no file is also a directory.
        let groups = self.index.max(1).ilog10() / 3;
        for group in (1..=groups).rev() {
            write!(formatter, "x{:03}/", self.index / 1000u64.pow(group) % 1000)?;
        }
        write!(formatter, "{:03}", self.index % 1000)?;
        if self.is_partial() { write!(formatter, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let malformed = || {
            let shown = path.chars().take(64).flat_map(char::escape_debug).collect();
            TileError::Path { path: shown }
        };
        // Only the canonical path is accepted, so what was read must print as it stood.
        let tile = read_path(path).ok_or_else(malformed)?;
        if tile.to_string() == path { Ok(tile) } else { Err(malformed()) }
    }
}

fn read_path(path: &str) -> Option<Tile> {
    let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes { level: u8::try_from(parse_decimal(level)?).ok()? },
    };
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (number, u16::try_from(parse_decimal(width)?).ok()?),
        None => (rest, TILE_WIDTH),
    };
    let mut index = 0u64;
    for group in number.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Tile::new(kind, index, width).ok()
}

/// Every file, but the checkpoint, of a log with `size` entries: bundles first, then hash tiles from level 0 upwards,
/// each from the left. Lazy, because a log can have more tiles than fit in memory.
pub fn tiles_for_size(size: u64) -> impl Iterator<Item = Tile> {
    let levels = (0..=TILE_LEVEL_MAX).flat_map(move |level| row(TileKind::Hashes { level }, size));
    bundles_for_size(size).chain(levels)
}

/// The entry bundles of a log with `size` entries, from the left.
pub fn bundles_for_size(size: u64) -> impl Iterator<Item = Tile> {
    row(TileKind::Entries, size)
}

fn row(kind: TileKind, size: u64) -> impl Iterator<Item = Tile> {
    (0..).map_while(move |index| Tile::in_log(kind, index, size))
}

/// The bytes of a hash tile: its hashes, one after another.
///
/// # Errors
/// [`TileError::Width`] when there are none or more than 256.
pub fn write_hash_tile(hashes: &[Hash]) -> Result<Vec<u8>, TileError> {
    check_width(hashes.len())?;
    Ok(hashes.iter().flat_map(|hash| hash.0).collect())
}

/// The hashes of a hash tile with `width` hashes.
///
/// # Errors
/// [`TileError::HashBytes`] when the length is another.
pub fn read_hash_tile(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let expected = usize::from(width) * 32;
    let (chunks, _) = bytes.as_chunks::<32>();
    if bytes.len() != expected {
        return Err(TileError::HashBytes { width, expected, got: bytes.len() });
    }
    Ok(chunks.iter().copied().map(Hash).collect())
}

/// The bytes of an entry bundle: each entry after its length in 16 bits, big-endian.
///
/// # Errors
/// [`TileError`] when there are none or more than 256 entries, or one is too long.
pub fn write_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, TileError> {
    check_width(entries.len())?;
    let mut bundle = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len())
            .map_err(|_| TileError::EntryTooLong { position, bytes: entry.len() })?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// Reads the entries of a bundle one by one, so that what stands before a fault can still be looked at. Says nothing
/// about how many there should be: [`read_bundle`] does.
pub fn bundle_entries(bundle: &[u8]) -> impl Iterator<Item = Result<&[u8], TileError>> {
    let mut rest = bundle;
    let mut position = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = rest
            .split_first_chunk::<2>()
            .and_then(|(length, after)| after.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let Some((entry, after)) = entry else {
            rest = &[];
            return Some(Err(TileError::BundleCut { position }));
        };
        rest = after;
        position += 1;
        Some(Ok(entry))
    })
}

/// The entries of a bundle that holds exactly `width`.
///
/// # Errors
/// [`TileError`] when it holds more, fewer, or part of one.
pub fn read_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let expected = usize::from(width);
    let mut entries = Vec::with_capacity(expected);
    let mut read_bytes = 0;
    for entry in bundle_entries(bundle) {
        if entries.len() == expected {
            return Err(TileError::BundleLeftover { bytes: bundle.len() - read_bytes });
        }
        let entry = entry?;
        read_bytes += 2 + entry.len();
        entries.push(entry);
    }
    if entries.len() == expected {
        Ok(entries)
    } else {
        Err(TileError::Width { expected, got: entries.len() })
    }
}

fn check_width(got: usize) -> Result<(), TileError> {
    let full = usize::from(TILE_WIDTH);
    if (1..=full).contains(&got) { Ok(()) } else { Err(TileError::Width { expected: full, got }) }
}
