// SPDX-License-Identifier: Apache-2.0
//! Files that may be packed with gzip, line by line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

/// The longest line of a file, in bytes.
pub const LINE_BYTES_MAX: usize = 4096;
const BUFFER_BYTES: usize = 1 << 18;

/// Opens a file, and unpacks what is packed.
///
/// # Errors
/// It is not there, or not to be read.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    // The two bytes that every gzip file begins with (RFC 1952, section 2.3.1).
    if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file))))
    } else {
        Ok(Box::new(file))
    }
}

/// Reads the next line in place of the last, no more of it than is needed to see that it is too long; `false` at the end.
///
/// # Errors
/// It is no text, or cannot be read.
pub(crate) fn next_line(source: &mut impl BufRead, text: &mut String) -> io::Result<bool> {
    text.clear();
    Ok(source.take(LINE_BYTES_MAX as u64 + 1).read_line(text)? != 0)
}
