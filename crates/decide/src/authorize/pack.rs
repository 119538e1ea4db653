// SPDX-License-Identifier: Apache-2.0
//! One policy pack as text: cut into its rules, each with the line on which it begins, so that an error can name the place.

use cedar_policy::{ActionConstraint, Effect, Policy, PolicyId};
use sta_protocol::refusal::RefusalCode;

use super::Action;
use super::rules::{PackError, Rule};
use crate::gate::GateRule;

/// A rule of a pack, parsed, under its own id.
pub(super) struct ParsedRule {
    pub(super) rule: Rule,
    pub(super) policy: Policy,
}

/// Reads every rule of a pack.
pub(super) fn parse(pack: &str, text: &str) -> Result<Vec<ParsedRule>, PackError> {
    statements(text).into_iter().map(|(line, statement)| parse_rule(pack, line, statement)).collect()
}

fn parse_rule(pack: &str, line: usize, statement: &str) -> Result<ParsedRule, PackError> {
    let wrong = |rule: &str, problem: String| PackError {
        pack: pack.to_owned(),
        rule: rule.to_owned(),
        line,
        problem,
    };
    let policy =
        Policy::parse(None, statement).map_err(|error| wrong("?", format!("is no Cedar policy: {error}")))?;
    let id = policy.annotation("id").unwrap_or_default().to_owned();
    if !is_rule_id(&id) {
        let problem =
            format!("has the @id `{id}`: give it an @id of 1 to 32 letters, digits and `-`, such as SOV-001");
        return Err(wrong("?", problem));
    }
    if RefusalCode::ALL.iter().any(|code| code.as_str() == id) {
        return Err(wrong(
            &id,
            "has an @id that the protocol's own list of refusals uses: choose another".to_owned(),
        ));
    }
    let is_guard = policy.effect() == Effect::Forbid;
    let actions = actions_of(&policy).map_err(|problem| wrong(&id, problem))?;
    if is_guard && actions.iter().any(|action| action.is_gate() != actions[0].is_gate()) {
        return Err(wrong(&id, "is about jobs and gates at once: write two rules, one for each".to_owned()));
    }
    let wanted: &[&str] = if is_guard { &["source", "advice", "facts"] } else { &[] };
    if let Some(missing) =
        wanted.iter().find(|name| policy.annotation(name).is_none_or(|text| text.trim().is_empty()))
    {
        return Err(wrong(
            &id,
            format!("forbids without @{missing}(\"...\"): a refusal must say why and what would change it"),
        ));
    }
    let annotation = |name: &str| policy.annotation(name).unwrap_or_default().to_owned();
    let facts: Vec<String> = annotation("facts")
        .split(',')
        .map(|path| path.trim().to_owned())
        .filter(|path| !path.is_empty())
        .collect();
    let gate = if is_guard && actions.iter().any(|action| action.is_gate()) {
        Some(GateRule::of(&actions, &facts, &annotation).map_err(|problem| wrong(&id, problem))?)
    } else {
        None
    };
    let rule = Rule {
        pack: pack.to_owned(),
        line,
        is_guard,
        source: annotation("source"),
        advice: annotation("advice"),
        facts,
        actions,
        gate,
        id: id.clone(),
    };
    if let Some(path) = rule.facts.iter().find(|path| !is_fact_path(path)) {
        return Err(wrong(&id, format!("quotes `{path}` in @facts: write section.name, such as data.class")));
    }
    Ok(ParsedRule { rule, policy: policy.new_id(PolicyId::new(id)) })
}

/// The actions a rule is about. Groups of actions are not used, so that this list is the whole truth.
fn actions_of(policy: &Policy) -> Result<Vec<Action>, String> {
    let named = match policy.action_constraint() {
        ActionConstraint::Any => return Ok(Action::ALL.to_vec()),
        ActionConstraint::Eq(uid) => vec![uid],
        ActionConstraint::In(uids) => uids,
    };
    let known = |uid: &cedar_policy::EntityUid| {
        let action = Action::from_name(uid.id().unescaped());
        action.ok_or_else(|| format!("names {uid}, which is no action: use one of {}", Action::names()))
    };
    named.iter().map(known).collect()
}

fn is_rule_id(id: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=32).contains(&id.len()) && id.bytes().all(letters)
}

/// Whether `path` is `section.name`, each a word of `a-z`, `0-9` and `_`, so that it can be put into a policy's text as it is.
fn is_fact_path(path: &str) -> bool {
    let in_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_word = |word: &str| {
        word.bytes().next().is_some_and(|first| first.is_ascii_lowercase()) && word.bytes().all(in_word)
    };
    path.split_once('.').is_some_and(|(section, name)| is_word(section) && is_word(name))
}

/// Cuts a text at the `;` that end its rules, outside of strings and comments; each with the line on which it begins.
fn statements(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut begin, mut line, mut begin_line) = (Vec::new(), None, 1, 1);
    let (mut in_string, mut in_comment, mut escaped) = (false, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        if byte == b'\n' {
            line += 1;
            in_comment = false;
        }
        let opens_comment = !in_string && text.as_bytes()[offset..].starts_with(b"//");
        in_comment |= opens_comment;
        if in_comment || (begin.is_none() && byte.is_ascii_whitespace()) {
            continue;
        }
        if begin.is_none() {
            (begin, begin_line) = (Some(offset), line);
        }
        in_string ^= byte == b'"' && !escaped;
        escaped = in_string && byte == b'\\' && !escaped;
        if let (b';', false, Some(start)) = (byte, in_string, begin) {
            found.push((begin_line, &text[start..=offset]));
            begin = None;
        }
    }
    // What is left has no `;`: Cedar's own parser says what is wrong with it.
    found.extend(begin.map(|start| (begin_line, &text[start..])));
    found
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn a_semicolon_in_a_string_or_a_comment_ends_no_rule() {
        let text = "// a; b\n@a(\"x; \\\" ; y\") // c;\npermit(x);\n\n\nforbid(y);\nrest";
        let found: Vec<(usize, bool)> =
            statements(text).iter().map(|(line, text)| (*line, text.ends_with(';'))).collect();
        assert_eq!(found, [(2, true), (6, true), (7, false)]);
    }

    #[test]
    fn letters_of_more_than_one_byte_do_not_break_the_cut() {
        let found = statements("@a(\"Québec – \u{1F600}\") permit(x);\n// é\nforbid(y);");
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
    }
}
