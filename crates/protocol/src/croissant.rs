// SPDX-License-Identifier: Apache-2.0
//! Reads Croissant (MLCommons, format 1.0 with the RAI vocabulary 1.0): a dataset's description in JSON-LD becomes typed facts.
//!
//! Names are resolved by the document's own `@context`, as JSON-LD asks, so `rai:dataBiases` and an alias for it are the
//! same. Contexts that would have to be fetched, or that change within the document, are refused: nothing here is loaded.

use serde_json::Value;

use crate::{
    dataset_facts::{DatasetFacts, PersonalInformation, TEXTS_MAX},
    digest::Sha256Digest,
    record::{LIST_LENGTH_MAX, TEXT_CHARS_MAX},
};

mod context;

use context::Context;

/// The longest document that is read, in bytes.
pub const CROISSANT_BYTES_MAX: usize = 16 << 20;
const CROISSANT: &str = "http://mlcommons.org/croissant/";
const CONFORMS_TO: &str = "http://purl.org/dc/terms/conformsTo";
const SCHEMA: &str = "https://schema.org/";

/// What a Croissant document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Croissant {
    /// What people call the dataset.
    pub name: String,
    /// Where it is described.
    pub url: Option<String>,
    /// Its files, to compare with those of its record.
    pub files: Vec<CroissantFile>,
    /// The facts.
    pub facts: DatasetFacts,
}

/// A file of the distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CroissantFile {
    /// What it is called.
    pub name: String,
    /// SHA-256 of its bytes, where it is given.
    pub sha256: Option<Sha256Digest>,
    /// Length in bytes, where it is given as a number of bytes.
    pub bytes: Option<u64>,
}

/// Why a document is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CroissantError {
    /// Longer than is read.
    #[error("the document has {0} bytes; at most {CROISSANT_BYTES_MAX} are read")]
    TooLong(usize),
    /// Not JSON.
    #[error("the document is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// Its context cannot be resolved here.
    #[error("`@context` {0}")]
    Context(&'static str),
    /// Not a Croissant dataset.
    #[error("the document is no Croissant 1.0 dataset: {0}")]
    NotCroissant(String),
    /// A property has a value that it cannot have.
    #[error("`{property}` {problem}")]
    Property {
        /// Its name in the vocabulary.
        property: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl Croissant {
    /// Reads a document.
    ///
    /// # Errors
    /// Every [`CroissantError`].
    pub fn from_json(json: &[u8]) -> Result<Self, CroissantError> {
        if json.len() > CROISSANT_BYTES_MAX {
            return Err(CroissantError::TooLong(json.len()));
        }
        let value: Value = serde_json::from_slice(json).map_err(CroissantError::NotJson)?;
        let node = Node { context: &Context::of(&value)?, value: &value };
        node.check_kind()?;
        let rai = |name: &str| node.texts(&format!("{CROISSANT}RAI/{name}"));
        let all = |names: &[&str]| -> Result<Vec<String>, CroissantError> {
            let lists: Result<Vec<_>, _> = names.iter().map(|name| rai(name)).collect();
            Ok(lists?.concat())
        };
        let stated = rai("personalSensitiveInformation")?;
        let facts = DatasetFacts {
            source: Sha256Digest::of(json),
            description: node.text(&format!("{SCHEMA}description"))?,
            licence: node.reference(&format!("{SCHEMA}license"))?,
            personal_information: PersonalInformation::of_statements(&stated),
            personal_information_stated: stated,
            collection: all(&[
                "dataCollection",
                "dataCollectionType",
                "dataCollectionTimeframe",
                "dataCollectionMissingData",
                "dataCollectionRawData",
            ])?,
            biases: rai("dataBiases")?,
            limitations: rai("dataLimitations")?,
            use_cases: rai("dataUseCases")?,
            social_impact: rai("dataSocialImpact")?,
            annotation: all(&[
                "dataAnnotationProtocol",
                "dataAnnotationPlatform",
                "dataAnnotationAnalysis",
                "annotatorDemographics",
            ])?,
            maintenance: rai("dataReleaseMaintenancePlan")?,
        };
        let name = node.text(&format!("{SCHEMA}name"))?;
        Ok(Self {
            name: name.ok_or_else(|| CroissantError::NotCroissant("it has no `name`".to_owned()))?,
            url: node.reference(&format!("{SCHEMA}url"))?,
            files: node.files()?,
            facts,
        })
    }
}

/// One object of the document, with the context that gives its keys their meaning.
struct Node<'a> {
    context: &'a Context,
    value: &'a Value,
}

impl<'a> Node<'a> {
    /// The values of a property by its whole name: none, one, or those of a list.
    fn values(&self, property: &str) -> Result<Vec<&'a Value>, CroissantError> {
        let Some(members) = self.value.as_object() else { return Ok(Vec::new()) };
        let mut found = members.iter().filter(|(key, _)| self.context.expand(key) == property);
        let Some((_, value)) = found.next() else { return Ok(Vec::new()) };
        if found.next().is_some() {
            return refused(property, "stands there twice under different names: leave one out");
        }
        let values = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items.iter().collect(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => vec![value],
        };
        if values.len() > LIST_LENGTH_MAX {
            return refused(
                property,
                &format!("has {} values; at most {LIST_LENGTH_MAX} are read", values.len()),
            );
        }
        Ok(values)
    }

    fn texts(&self, property: &str) -> Result<Vec<String>, CroissantError> {
        let values = self.values(property)?;
        if values.len() > TEXTS_MAX {
            return refused(property, &format!("has {} texts; at most {TEXTS_MAX} are read", values.len()));
        }
        values.into_iter().map(|value| text_of(property, value)).collect()
    }

    fn text(&self, property: &str) -> Result<Option<String>, CroissantError> {
        let mut texts = self.texts(property)?;
        if texts.len() > 1 {
            return refused(property, "has several values: give one");
        }
        Ok(texts.pop())
    }

    /// An address: a text, or an object with `@id` or `url`.
    fn reference(&self, property: &str) -> Result<Option<String>, CroissantError> {
        let values = self.values(property)?;
        let Some(value) = values.first() else { return Ok(None) };
        let address = value.get("@id").or_else(|| value.get("url")).unwrap_or(value);
        text_of(property, address).map(Some)
    }

    fn is_of_type(&self, wanted: &str) -> bool {
        let types = match self.value.get("@type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one.as_str()],
            Some(_) | None => Vec::new(),
        };
        types.into_iter().any(|found| self.context.expand(found) == wanted)
    }

    fn check_kind(&self) -> Result<(), CroissantError> {
        if !self.is_of_type(&format!("{SCHEMA}Dataset")) {
            return Err(CroissantError::NotCroissant("its `@type` is not `sc:Dataset`".to_owned()));
        }
        let said = self.values(CONFORMS_TO)?;
        let said: Vec<&str> =
            said.iter().filter_map(|value| value.get("@id").unwrap_or(value).as_str()).collect();
        let known = ["1.0", "1.1"].map(|version| format!("{CROISSANT}{version}"));
        if said.iter().any(|version| known.iter().any(|known| known == version)) {
            return Ok(());
        }
        let said = said.join(", ").chars().take(200).collect::<String>();
        Err(CroissantError::NotCroissant(format!("its `conformsTo` is `{said}`: use `{CROISSANT}1.0`")))
    }

    fn files(&self) -> Result<Vec<CroissantFile>, CroissantError> {
        let mut files = Vec::new();
        for value in self.values(&format!("{SCHEMA}distribution"))? {
            let node = Node { context: self.context, value };
            // A set of files has no digest of its own.
            if !node.is_of_type(&format!("{CROISSANT}FileObject")) {
                continue;
            }
            let id = value.get("@id").and_then(Value::as_str).map(str::to_owned);
            let property = format!("{SCHEMA}sha256");
            let sha256 = match node.text(&property)? {
                None => None,
                Some(hex) => match hex.parse() {
                    Ok(digest) => Some(digest),
                    Err(_) => {
                        return refused(
                            &property,
                            &format!("is `{hex}`: write 64 hexadecimal digits in lower case"),
                        );
                    }
                },
            };
            let size = node.text(&format!("{SCHEMA}contentSize"))?;
            let name = node.text(&format!("{SCHEMA}name"))?.or(id);
            files.push(CroissantFile {
                name: name.ok_or_else(|| CroissantError::NotCroissant("a file has no `name`".to_owned()))?,
                sha256,
                bytes: size.as_deref().and_then(bytes_of),
            });
        }
        Ok(files)
    }
}

/// `120268 B`, or a bare number. Rounded sizes such as `1.2 MB` are no number of bytes.
fn bytes_of(size: &str) -> Option<u64> {
    size.trim().trim_end_matches('B').trim_end().parse().ok()
}

/// A text, a number, or a JSON-LD value object.
fn text_of(property: &str, value: &Value) -> Result<String, CroissantError> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Object(members) => match members.get("@value").or_else(|| members.get("en")) {
            Some(Value::String(text)) => text.clone(),
            Some(_) | None => return refused(property, "is an object without `@value`: write a text"),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) => {
            return refused(property, "is neither a text nor a number: write a text");
        }
    };
    let text = text.trim().to_owned();
    let count = text.chars().count();
    let control = text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    if count == 0 || count > TEXT_CHARS_MAX || control {
        return refused(
            property,
            &format!("has {count} characters: use 1 to {TEXT_CHARS_MAX} printable ones"),
        );
    }
    Ok(text)
}

fn refused<T>(property: &str, problem: &str) -> Result<T, CroissantError> {
    Err(CroissantError::Property { property: property.to_owned(), problem: problem.to_owned() })
}
