// SPDX-License-Identifier: Apache-2.0
//! The binary `sta`: all of it is in the library, so that tests and the demo use the same code.

use std::process::ExitCode;

fn main() -> ExitCode {
    sta_node::cli::main()
}
