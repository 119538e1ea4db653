// SPDX-License-Identifier: Apache-2.0
//! The `@context` of a document: what its short names stand for (JSON-LD 1.1 §4.1, the part of it that Croissant uses).

use std::collections::BTreeMap;

use serde_json::Value;

use super::CroissantError;

/// The most terms of a context.
const TERMS_MAX: usize = 1000;

/// Terms and prefixes with what they stand for, and the vocabulary of everything else.
pub(super) struct Context {
    vocabulary: String,
    terms: BTreeMap<String, String>,
}

impl Context {
    /// The context of a document, which must stand in the document itself.
    pub(super) fn of(document: &Value) -> Result<Self, CroissantError> {
        let refused = |problem| Err(CroissantError::Context(problem));
        let mut context = Self { vocabulary: String::new(), terms: BTreeMap::new() };
        let whole =
            document.get("@context").ok_or(CroissantError::Context("is missing: Croissant 1.0 has one"))?;
        let parts = match whole {
            Value::Array(parts) => parts.iter().collect(),
            one => vec![one],
        };
        for part in parts {
            let Value::Object(members) = part else {
                return refused("names a context to be fetched: write the context into the document itself");
            };
            if context.terms.len() + members.len() > TERMS_MAX {
                return refused("has more than 1000 terms");
            }
            for (term, meaning) in members {
                let meaning = meaning.get("@id").unwrap_or(meaning).as_str();
                match (term.as_str(), meaning) {
                    ("@vocab", Some(vocabulary)) => context.vocabulary = normal(vocabulary),
                    (term, Some(meaning)) if !term.starts_with('@') => {
                        context.terms.insert(term.to_owned(), meaning.to_owned());
                    }
                    // `@language`, `@base` and the like name nothing.
                    _ => {}
                }
            }
        }
        if has_context_within(document) {
            return refused("stands within the document again: leave one, at its beginning");
        }
        Ok(context)
    }

    /// The whole name of a key or type.
    pub(super) fn expand(&self, short: &str) -> String {
        match self.terms.get(short) {
            // One step suffices for terms that stand for a prefixed name; a term for itself must not go round.
            Some(meaning) if meaning != short => self.expand_prefixed(meaning),
            Some(_) | None => self.expand_prefixed(short),
        }
    }

    fn expand_prefixed(&self, name: &str) -> String {
        match name.split_once(':') {
            Some((_, rest)) if rest.starts_with("//") => normal(name),
            Some((prefix, rest)) => match self.terms.get(prefix) {
                Some(meaning) => normal(&format!("{meaning}{rest}")),
                None => name.to_owned(),
            },
            None if name.starts_with('@') => name.to_owned(),
            None => format!("{}{name}", self.vocabulary),
        }
    }
}

/// schema.org is written with either scheme.
fn normal(name: &str) -> String {
    name.strip_prefix("http://schema.org/")
        .map_or_else(|| name.to_owned(), |rest| format!("https://schema.org/{rest}"))
}

fn has_context_within(document: &Value) -> bool {
    let inner = |value: &Value| {
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) if members.contains_key("@context") => return true,
                Value::Object(members) => open.extend(members.values()),
                Value::Array(items) => open.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        false
    };
    let members = document.as_object().into_iter().flatten();
    members.filter(|(key, _)| *key != "@context").any(|(_, value)| inner(value))
}
