// SPDX-License-Identifier: Apache-2.0
//! The binary `sta`: all of it is in the library, so that tests and the demo use the same code.

use std::process::ExitCode;

/// A node makes and drops many small values, some in other threads than made them: this one takes a fifth less processor time for
/// a job than the C library's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    sta_node::cli::main()
}
