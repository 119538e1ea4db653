// SPDX-License-Identifier: Apache-2.0
//! Records that are checked as well as signed: what a record promises of itself, and the one error that says which bound it breaks.

use jiff::Timestamp;

use crate::{
    jws::{Document, JwsError, Signed, Verified},
    keys::{PublicKey, SigningKey},
};

/// The wire version of the records of models, training, incidents and orders to stop.
pub const VERSION: u8 = 1;
/// The most items of any list in such a record.
pub const LIST_LENGTH_MAX: usize = 1000;
/// The longest text for people in such a record, in characters.
pub const TEXT_CHARS_MAX: usize = 4000;
/// The longest label or reference in such a record, in characters.
pub const LABEL_CHARS_MAX: usize = 500;

/// A record breaks a bound or contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct InvalidRecord {
    /// The field, as it stands in the record.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub problem: String,
}

/// Why a record is not taken, or cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The signature or the form does not hold.
    #[error(transparent)]
    Signature(#[from] JwsError),
    /// The signature holds, and the record breaks a bound or contradicts itself.
    #[error("the record {0}")]
    Invalid(#[from] InvalidRecord),
}

/// A signed document with bounds of its own.
pub trait Record: Document {
    /// Checks the record on its own, without any other document.
    ///
    /// # Errors
    /// The first field that is wrong, and how to mend it.
    fn check(&self) -> Result<(), InvalidRecord>;
}

impl<T: Record> Signed<T> {
    /// Checks `value`, then signs it as [`Signed::sign`] does.
    ///
    /// # Errors
    /// [`RecordError::Invalid`] for what [`Record::check`] refuses; [`RecordError::Signature`] as [`Signed::sign`].
    pub fn sign_record(value: &T, key: &SigningKey) -> Result<Self, RecordError> {
        value.check()?;
        Ok(Self::sign(value, key)?)
    }

    /// Verifies the signature as [`Signed::verify`] does, then checks the record.
    ///
    /// # Errors
    /// [`RecordError::Signature`] or [`RecordError::Invalid`].
    pub fn verify_record(&self, key: impl Fn(&str) -> Option<PublicKey>) -> Result<Verified<T>, RecordError> {
        let verified = self.verify(key)?;
        verified.check()?;
        Ok(verified)
    }
}

/// The refusal of one field.
pub(crate) fn invalid<T>(field: impl Into<String>, problem: impl Into<String>) -> Result<T, InvalidRecord> {
    Err(InvalidRecord { field: field.into(), problem: problem.into() })
}

pub(crate) fn check_version(version: u8) -> Result<(), InvalidRecord> {
    if version == VERSION {
        return Ok(());
    }
    invalid("version", format!("is {version}: this software reads version {VERSION}"))
}

/// A label on one line: 1 to [`LABEL_CHARS_MAX`] printable characters.
pub(crate) fn check_label(field: &str, text: &str) -> Result<(), InvalidRecord> {
    let count = text.chars().count();
    if count == 0 || count > LABEL_CHARS_MAX || text.chars().any(char::is_control) {
        let problem =
            format!("has {count} characters: use 1 to {LABEL_CHARS_MAX} printable ones on one line");
        return invalid(field, problem);
    }
    Ok(())
}

/// A text for people: 1 to [`TEXT_CHARS_MAX`] characters, line breaks allowed.
pub(crate) fn check_text(field: &str, text: &str) -> Result<(), InvalidRecord> {
    let count = text.chars().count();
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if count == 0 || count > TEXT_CHARS_MAX || text.chars().any(control) {
        return invalid(field, format!("has {count} characters: use 1 to {TEXT_CHARS_MAX} printable ones"));
    }
    Ok(())
}

/// A list of at most [`LIST_LENGTH_MAX`] items, each once.
pub(crate) fn check_unique<T: Ord + std::fmt::Debug>(field: &str, items: &[T]) -> Result<(), InvalidRecord> {
    check_length(field, items.len())?;
    let mut seen = std::collections::BTreeSet::new();
    match items.iter().find(|item| !seen.insert(*item)) {
        Some(twice) => invalid(field, format!("has {twice:?} twice: leave one out")),
        None => Ok(()),
    }
}

pub(crate) fn check_length(field: &str, length: usize) -> Result<(), InvalidRecord> {
    if length > LIST_LENGTH_MAX {
        return invalid(field, format!("has {length} items: at most {LIST_LENGTH_MAX}"));
    }
    Ok(())
}

pub(crate) fn check_not_empty(field: &str, length: usize, what: &str) -> Result<(), InvalidRecord> {
    if length == 0 { invalid(field, format!("is empty: {what}")) } else { Ok(()) }
}

/// A word such as `research`: the letters of names, so that rules can compare it.
pub(crate) fn check_word(field: &str, word: &str) -> Result<(), InvalidRecord> {
    match word.parse::<crate::ids::Jurisdiction>() {
        Ok(_) => Ok(()),
        Err(_) => invalid(
            field,
            format!(
                "is `{}`: use a short name such as `research`",
                word.chars().take(80).collect::<String>()
            ),
        ),
    }
}

pub(crate) fn check_order(
    field: &str,
    earlier: Timestamp,
    later: Timestamp,
    what: &str,
) -> Result<(), InvalidRecord> {
    if later < earlier {
        return invalid(field, format!("is {later}, before {earlier}: {what}"));
    }
    Ok(())
}
