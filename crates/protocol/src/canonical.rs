// SPDX-License-Identifier: Apache-2.0
//! Canonical JSON (RFC 8785): the one spelling of a value, over which digests and signatures are made.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::digest::DigestError;

/// The largest magnitude of an integer that every JSON implementation keeps exactly: 2^53 - 1 (RFC 7493 §2.2).
pub const JSON_INTEGER_MAX: u64 = (1 << 53) - 1;

/// `value` as canonical JSON bytes (JSON Canonicalization Scheme, RFC 8785).
///
/// # Errors
/// [`DigestError::NotJson`] when `value` does not serialise (a NaN, a map without text keys), and
/// [`DigestError::NumberTooLarge`] for a number beyond [`JSON_INTEGER_MAX`]: RFC 8785 would round it silently.
pub fn canonical_json(value: &impl Serialize) -> Result<Vec<u8>, DigestError> {
    let bytes = serde_json_canonicalizer::to_vec(value).map_err(DigestError::NotJson)?;
    if serde_json::from_slice::<ExactNumbers>(&bytes).is_err() {
        // Read once more for the number that is too large.
        let written: Value = serde_json::from_slice(&bytes).map_err(DigestError::NotJson)?;
        canonical_value(&written)?;
    }
    Ok(bytes)
}

/// As [`canonical_json`], of what is a JSON value already; several times as fast, and the same bytes.
///
/// # Errors
/// [`DigestError::NumberTooLarge`], as there.
pub fn canonical_value(value: &Value) -> Result<Vec<u8>, DigestError> {
    let mut bytes = Vec::with_capacity(512);
    write(value, &mut bytes)?;
    Ok(bytes)
}

/// Whether `json` is exactly the canonical form of what it says, which also rules out a key that occurs twice.
#[must_use]
pub fn is_canonical_json(json: &[u8]) -> bool {
    let value: Result<Value, _> = serde_json::from_slice(json);
    value.is_ok_and(|value| canonical_value(&value).is_ok_and(|canonical| canonical == json))
}

fn write(value: &Value, bytes: &mut Vec<u8>) -> Result<(), DigestError> {
    match value {
        Value::Null => bytes.extend_from_slice(b"null"),
        Value::Bool(true) => bytes.extend_from_slice(b"true"),
        Value::Bool(false) => bytes.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, bytes)?,
        Value::String(text) => write_text(text, bytes)?,
        Value::Array(items) => {
            bytes.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                write(item, bytes)?;
            }
            bytes.push(b']');
        }
        Value::Object(members) => write_object(members, bytes)?,
    }
    Ok(())
}

/// Members go by the UTF-16 code units of their names (RFC 8785 §3.2.3), which of ASCII is the order of its bytes.
fn write_object(members: &Map<String, Value>, bytes: &mut Vec<u8>) -> Result<(), DigestError> {
    let mut members: Vec<(&String, &Value)> = members.iter().collect();
    members.sort_unstable_by(|(one, _), (other, _)| {
        if one.is_ascii() && other.is_ascii() {
            one.cmp(other)
        } else {
            one.encode_utf16().cmp(other.encode_utf16())
        }
    });
    bytes.push(b'{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        write_text(name, bytes)?;
        bytes.push(b':');
        write(value, bytes)?;
    }
    bytes.push(b'}');
    Ok(())
}

/// The escapes of `serde_json` are those of RFC 8785 §3.2.2.2.
fn write_text(text: &str, bytes: &mut Vec<u8>) -> Result<(), DigestError> {
    serde_json::to_writer(bytes, text).map_err(DigestError::NotJson)
}

/// A whole number is written as its digits; what is none, as ECMAScript writes it.
fn write_number(number: &Number, bytes: &mut Vec<u8>) -> Result<(), DigestError> {
    if !is_exact(number) {
        return Err(DigestError::NumberTooLarge(number.to_string()));
    }
    if number.is_f64() {
        bytes.extend(serde_json_canonicalizer::to_vec(number).map_err(DigestError::NotJson)?);
        return Ok(());
    }
    serde_json::to_writer(bytes, number).map_err(DigestError::NotJson)
}

/// Whether a number cannot have been rounded on its way through a 64-bit float.
fn is_exact(number: &Number) -> bool {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(integer), _, _) => integer.unsigned_abs() <= JSON_INTEGER_MAX,
        (None, Some(integer), _) => integer <= JSON_INTEGER_MAX,
        (None, None, Some(float)) => float.abs() <= JSON_INTEGER_MAX as f64,
        (None, None, None) => false,
    }
}

/// Reads JSON for its numbers alone, and fails at one that is too large.
struct ExactNumbers;

impl<'de> Deserialize<'de> for ExactNumbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

fn exact<E: Error>(number: &Number) -> Result<ExactNumbers, E> {
    if is_exact(number) { Ok(ExactNumbers) } else { Err(E::custom("a number is too large")) }
}

impl<'de> Visitor<'de> for ExactNumbers {
    type Value = Self;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self, E> {
        exact(&number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self, E> {
        exact(&number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self, E> {
        Number::from_f64(number).map_or_else(|| Err(E::custom("no number")), |number| exact(&number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while let Some(Self) = items.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while let Some((IgnoredAny, Self)) = members.next_entry()? {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1000i64..1000).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number,
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let object = prop::collection::vec((".{0,3}", inner.clone()), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect()));
            prop_oneof![prop::collection::vec(inner, 0..6).prop_map(Value::Array), object]
        })
    }

    proptest! {
        /// The two ways to the canonical bytes are one, and both refuse the same.
        #[test]
        fn a_value_is_written_as_any_other_type_is(value in any_value()) {
            let (general, fast) = (canonical_json(&value), canonical_value(&value));
            prop_assert_eq!(general.is_ok(), fast.is_ok());
            if let (Ok(general), Ok(fast)) = (general, fast) {
                prop_assert!(is_canonical_json(&fast));
                prop_assert_eq!(String::from_utf8(general), String::from_utf8(fast));
            }
        }
    }

    #[test]
    fn members_go_by_utf_16_and_not_by_bytes() {
        // U+FF5E comes after U+1F600 in UTF-16, whose surrogates are smaller, and before it in UTF-8.
        let value = serde_json::json!({"\u{ff5e}": 1, "\u{1f600}": 2, "a": 3});
        let text = String::from_utf8(canonical_value(&value).unwrap()).unwrap();
        assert_eq!(text, "{\"a\":3,\"\u{1f600}\":2,\"\u{ff5e}\":1}");
    }
}
