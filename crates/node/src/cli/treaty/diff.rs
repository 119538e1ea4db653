// SPDX-License-Identifier: Apache-2.0
//! What differs between two treaties: every field by its path, with named things found by name whatever their order.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sta_protocol::treaty::Treaty;

use crate::cli::print::table;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where, such as `sites.juelich.tariff.gpu_hour_micro`.
    pub path: String,
    /// The value before; none where it is new.
    pub before: Option<String>,
    /// The value after; none where it is gone.
    pub after: Option<String>,
}

/// Every field that differs, in the order of the paths.
///
/// # Errors
/// A treaty cannot be written as JSON.
pub fn differences(before: &Treaty, after: &Treaty) -> Result<Vec<Difference>, serde_json::Error> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten("", &serde_json::to_value(before)?, &mut old);
    flatten("", &serde_json::to_value(after)?, &mut new);
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    let differing = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
    Ok(differing
        .map(|path| Difference {
            path: path.clone(),
            before: old.get(path).cloned(),
            after: new.get(path).cloned(),
        })
        .collect())
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(&below(name), value, into)),
        // Lists of named things; a list of plain values is one value.
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                let name = ["id", "name", "member"]
                    .into_iter()
                    .find_map(|key| item[key].as_str())
                    .map(str::to_owned);
                flatten(
                    &below(&name.or_else(|| route(item)).unwrap_or_else(|| index.to_string())),
                    item,
                    into,
                );
            }
        }
        Value::String(text) => {
            into.insert(path.to_owned(), text.clone());
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            into.insert(path.to_owned(), value.to_string());
        }
    }
}

/// A transfer ground has no name of its own: where from, where to, and in what law.
fn route(item: &Value) -> Option<String> {
    let part = |name: &str| item[name].as_str();
    Some(format!("{}->{} ({})", part("from")?, part("to")?, part("ground")?))
}

/// The differences as a table.
pub(super) fn text(found: &[Difference]) -> String {
    if found.is_empty() {
        return "The treaties are the same.".to_owned();
    }
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    table(
        ["field", "before", "after"],
        found.iter().map(|one| [one.path.clone(), shown(&one.before), shown(&one.after)]),
    )
}
