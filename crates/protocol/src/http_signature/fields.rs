// SPDX-License-Identifier: Apache-2.0
//! The fields `Signature-Input` and `Signature` (RFC 9421 §4) and the signature base (§2.5), written and read strictly.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use sfv::{
    BareItem, Dictionary, FieldType as _, InnerList, Item, KeyRef, List, ListEntry, Parser, key_ref,
    visitor::{DictionaryVisitor, EntryVisitor, Ignored},
};

use super::{CannotSign, LIFETIME_SECONDS_MAX, SIGNATURE, SIGNATURE_INPUT, SignatureRefused, Signer, TAG};
use crate::keys::PublicKey;

const LABEL: &str = "sig1";
const ALGORITHM: &str = "ed25519";
/// All parameters, in the order we write them. Any order is read; this one is the only one the crate `httpsig` verifies.
const PARAMETERS: [&str; 6] = ["created", "expires", "nonce", "alg", "keyid", "tag"];
/// The longest signature field that is parsed, in bytes; the profile's own are about 350.
const FIELD_BYTES_MAX: usize = 4096;

/// Signs, and gives the values of `Signature-Input` and `Signature`, and the signature's bytes.
pub(super) fn sign(
    signer: &Signer<'_>,
    components: &[&str],
    values: &[&str],
) -> Result<(String, String, [u8; 64]), CannotSign> {
    let created = signer.created.as_second();
    let seconds = |second: i64| BareItem::try_from(second).map_err(|_| CannotSign::Created(signer.created));
    let text = |text: &str| sfv::String::from_string(text.to_owned()).map(BareItem::String);
    let nonce = URL_SAFE_NO_PAD.encode(signer.nonce);
    let key_id = text(signer.key_id).map_err(|_| CannotSign::KeyId(signer.key_id.to_owned()))?;
    let fixed = |value: &str| text(value).expect("constants and base64url are printable ASCII");
    let parameters = [
        seconds(created)?,
        seconds(created + LIFETIME_SECONDS_MAX)?,
        fixed(&nonce),
        fixed(ALGORITHM),
        key_id,
        fixed(TAG),
    ];
    let mut input = component_list(components);
    input.params = PARAMETERS.iter().map(|name| key_ref(name).to_owned()).zip(parameters).collect();
    let signature = signer.key.sign(signature_base(components, values, &list_text(&input)).as_bytes());
    let field = ListEntry::Item(Item::new(BareItem::ByteSequence(signature.to_vec())));
    Ok((dictionary_text(ListEntry::InnerList(input)), dictionary_text(field), signature))
}

/// A structured byte sequence, `:base64:`.
pub(super) fn byte_sequence(bytes: &[u8]) -> String {
    Item::new(BareItem::ByteSequence(bytes.to_vec())).serialize()
}

/// What is signed: one line a component, then the line of parameters, without a line break at the end (RFC 9421 §2.5).
fn signature_base(components: &[&str], values: &[&str], parameters: &str) -> String {
    let lines = components.iter().zip(values).map(|(component, value)| format!("{component}: {value}\n"));
    lines.chain([format!("\"@signature-params\": {parameters}")]).collect()
}

/// The component identifiers as an inner list without parameters.
fn component_list(components: &[&str]) -> InnerList {
    let list: List = Parser::new(&format!("({})", components.join(" "))).parse().expect("constants parse");
    match list.into_iter().next() {
        Some(ListEntry::InnerList(inner)) => inner,
        Some(ListEntry::Item(_)) | None => unreachable!("the text has parentheses"),
    }
}

fn list_text(inner: &InnerList) -> String {
    vec![ListEntry::InnerList(inner.clone())].serialize().expect("a list of one member is not empty")
}

fn dictionary_text(member: ListEntry) -> String {
    let fields = Dictionary::from_iter([(key_ref(LABEL).to_owned(), member)]);
    fields.serialize().expect("a dictionary of one member is not empty")
}

/// What the two signature fields of a message say, of which nothing is proven yet.
pub(super) struct ReceivedSignature {
    pub(super) key_id: String,
    pub(super) nonce: [u8; 16],
    pub(super) created: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) signature: [u8; 64],
    /// The value of `@signature-params`.
    parameters: String,
}

impl ReceivedSignature {
    /// Reads both fields and refuses whatever the profile does not have.
    pub(super) fn parse(headers: &HeaderMap, components: &[&str]) -> Result<Self, SignatureRefused> {
        let ListEntry::InnerList(input) = only_member(headers, &SIGNATURE_INPUT)? else {
            return Err(SignatureRefused::malformed(
                "signature-input",
                "is not a list of components in parentheses",
            ));
        };
        let ListEntry::Item(item) = only_member(headers, &SIGNATURE)? else {
            return Err(SignatureRefused::malformed("signature", "is a list, not one byte sequence"));
        };
        let signature = item.bare_item.as_byte_sequence().and_then(|bytes| bytes.try_into().ok());
        let found = list_text(&InnerList::new(input.items.clone()));
        let expected = list_text(&component_list(components));
        if found != expected {
            return Err(SignatureRefused::WrongComponents { found, expected });
        }
        let parameters = Parameters(&input);
        parameters.check_names()?;
        let (algorithm, tag) = (parameters.text("alg")?, parameters.text("tag")?);
        if tag != TAG {
            return Err(SignatureRefused::WrongTag { found: tag });
        }
        if algorithm != ALGORITHM {
            return Err(SignatureRefused::WrongAlgorithm { found: algorithm });
        }
        Ok(Self {
            key_id: parameters.text("keyid")?,
            nonce: parameters.nonce()?,
            created: parameters.time("created")?,
            expires: parameters.time("expires")?,
            signature: signature.ok_or_else(|| {
                SignatureRefused::malformed("signature", "is not a byte sequence of 64 bytes")
            })?,
            parameters: list_text(&input),
        })
    }

    /// Checks the signature with the key that `keys` knows under its name.
    pub(super) fn check(
        &self,
        keys: impl Fn(&str) -> Option<PublicKey>,
        components: &[&str],
        values: &[&str],
    ) -> Result<(), SignatureRefused> {
        let key_id = self.key_id.clone();
        let Some(key) = keys(&key_id) else {
            return Err(SignatureRefused::UnknownKey { key_id });
        };
        let base = signature_base(components, values, &self.parameters);
        if key.verifies(base.as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(SignatureRefused::BadSignature { key_id })
        }
    }

    /// Checks that the signature holds now, by our clock and within the allowed skew.
    pub(super) fn check_time(&self, now: Timestamp, skew_seconds_max: u32) -> Result<(), SignatureRefused> {
        let (created, expires, now) = (self.created.as_second(), self.expires.as_second(), now.as_second());
        let seconds = expires - created;
        if !(1..=LIFETIME_SECONDS_MAX).contains(&seconds) {
            return Err(SignatureRefused::LifetimeNotAllowed { seconds });
        }
        let (seconds_ahead, seconds_ago) = (created - now, now - expires);
        if seconds_ahead > i64::from(skew_seconds_max) {
            return Err(SignatureRefused::CreatedInFuture { seconds_ahead, skew_seconds_max });
        }
        if seconds_ago > i64::from(skew_seconds_max) {
            return Err(SignatureRefused::Expired { seconds_ago });
        }
        Ok(())
    }
}

/// The one member `sig1` of a dictionary field. The field must be in the canonical serialization, so that a message
/// has one spelling and a byte changed within it never goes unseen.
fn only_member(headers: &HeaderMap, name: &HeaderName) -> Result<ListEntry, SignatureRefused> {
    let field = name.as_str();
    let malformed = |problem: &str| SignatureRefused::malformed(field, problem);
    let mut lines = Vec::new();
    for line in headers.get_all(name) {
        lines.push(line.to_str().map_err(|_| malformed("is not visible ASCII"))?.trim_matches([' ', '\t']));
    }
    let text = lines.join(", ");
    if lines.is_empty() {
        return Err(SignatureRefused::MissingHeader { header: field.to_owned() });
    }
    if text.len() > FIELD_BYTES_MAX {
        return Err(malformed("is longer than 4096 bytes"));
    }
    let not_a_dictionary = |_| malformed("is not a dictionary (RFC 9651 §3.2)");
    let labels =
        Parser::new(&text).parse_dictionary_with_visitor(Labels::default()).map_err(not_a_dictionary)?;
    let mut fields: Dictionary = Parser::new(&text).parse().map_err(not_a_dictionary)?;
    for (position, label) in labels.iter().enumerate() {
        if labels[..position].contains(label) {
            return Err(SignatureRefused::DuplicateLabel { field: field.to_owned(), label: label.clone() });
        }
        if label != LABEL {
            return Err(SignatureRefused::UnknownLabel { field: field.to_owned(), label: label.clone() });
        }
    }
    if fields.serialize().as_deref() != Some(&text) {
        return Err(malformed("is not in the canonical serialization (RFC 9651 §4.1)"));
    }
    fields.swap_remove(LABEL).ok_or_else(|| malformed("is empty"))
}

/// Collects all the labels of a dictionary, also those that the parser would drop because they come again.
#[derive(Default)]
struct Labels(Vec<String>);

impl<'de> DictionaryVisitor<'de> for Labels {
    type Out = Vec<String>;
    type Error = std::convert::Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Self::Error> {
        self.0.push(key.as_str().to_owned());
        Ok(Ignored)
    }

    fn finish(self) -> Result<Self::Out, Self::Error> {
        Ok(self.0)
    }
}

/// The parameters of `Signature-Input`.
struct Parameters<'a>(&'a InnerList);

impl Parameters<'_> {
    fn check_names(&self) -> Result<(), SignatureRefused> {
        let unknown = |name: &&sfv::Key| !PARAMETERS.contains(&name.as_str());
        match self.0.params.keys().find(unknown) {
            Some(name) => {
                Err(SignatureRefused::parameter(name.as_str(), "is not in the profile `sta/fed/1`"))
            }
            None => Ok(()),
        }
    }

    fn get(&self, name: &str) -> Result<&BareItem, SignatureRefused> {
        self.0.params.get(name).ok_or_else(|| SignatureRefused::parameter(name, "is missing"))
    }

    fn text(&self, name: &str) -> Result<String, SignatureRefused> {
        let text = self.get(name)?.as_string().map(|text| text.as_str().to_owned());
        text.ok_or_else(|| SignatureRefused::parameter(name, "is not a string"))
    }

    fn time(&self, name: &str) -> Result<Timestamp, SignatureRefused> {
        let second = self.get(name)?.as_integer().map(i64::from);
        let time = second.and_then(|second| Timestamp::from_second(second).ok());
        time.ok_or_else(|| SignatureRefused::parameter(name, "is not a time in whole seconds since 1970"))
    }

    fn nonce(&self) -> Result<[u8; 16], SignatureRefused> {
        let bytes = URL_SAFE_NO_PAD.decode(self.text("nonce")?).ok();
        let nonce = bytes.and_then(|bytes| bytes.try_into().ok());
        nonce.ok_or_else(|| {
            SignatureRefused::parameter("nonce", "is not 16 bytes in base64url without padding")
        })
    }
}
