// SPDX-License-Identifier: Apache-2.0
//! Why a command did not do what was asked: what we tried, why it failed, how to mend it, and the exit code for programs.

use std::{error::Error, fmt, process::ExitCode};

/// The exit codes of `sta`; `sta --help` and docs/operations.md list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The thing itself failed: the job was refused or failed, a file cannot be read, the node said no for now.
    Failed = 1,
    /// The command, or a file it was given, is not written as it should be.
    Usage = 2,
    /// The node did not answer.
    Unreachable = 3,
    /// The node knows who asks, and they may not; or it does not know them.
    NotAllowed = 4,
    /// A proof, log or signature does not hold.
    Unverified = 5,
}

/// A command's failure, told once, at the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What we tried, after `cannot`.
    pub doing: String,
    /// Why it failed, one cause after the other.
    pub cause: String,
    /// What would mend it, as a sentence.
    pub mend: Option<String>,
}

impl Failure {
    /// A failure with exit code 1.
    #[must_use]
    pub fn new(doing: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, doing: doing.into(), cause: cause.into(), mend: None }
    }

    /// The same failure under another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same failure with what would mend it.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// Says it on standard error and gives the exit code.
    #[must_use]
    pub fn tell(&self) -> ExitCode {
        eprintln!("sta: {self}");
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, self.cause)?;
        self.mend.as_ref().map_or(Ok(()), |mend| write!(f, "\n  {mend}"))
    }
}

impl Error for Failure {}

/// Says what was tried when something went wrong.
pub trait Trying<T> {
    /// Turns the error into a [`Failure`] of `doing`, with the whole chain of causes.
    ///
    /// # Errors
    /// The failure.
    fn trying_to(self, doing: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Error> Trying<T> for Result<T, E> {
    fn trying_to(self, doing: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(doing, causes(&error)))
    }
}

/// An error and what caused it, in one line; a cause that only repeats the one before is left out.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_was_tried_why_it_failed_and_what_mends_it() {
        let missing = std::fs::read("/there/is/no/such/file");
        let failure =
            missing.trying_to("read the job file").expect_err("there is no such file").mend("Give its path.");
        insta::assert_snapshot!(failure, @r"
        cannot read the job file: No such file or directory (os error 2)
          Give its path.
        ");
    }
}
