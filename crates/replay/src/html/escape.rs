// SPDX-License-Identifier: Apache-2.0
//! Text as HTML and SVG: what comes from a scenario can neither become markup nor turn the text around it.

/// The most characters of a name that are shown.
const NAME_CHARACTERS_MAX: usize = 200;

/// Text between tags or in a quoted attribute. Control characters, among them those that set the direction of what
/// follows, are shown as U+FFFD.
pub(super) fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for letter in raw.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ if letter.is_control() || turns_text(letter) => safe.push('\u{fffd}'),
            _ => safe.push(letter),
        }
    }
    safe
}

/// A name where there can be no element around it: in an attribute, in the title of a drawing.
pub(super) fn name(raw: &str) -> String {
    shortened(raw, NAME_CHARACTERS_MAX)
}

/// A name in running text; written from right to left, it leaves the order of what is beside it alone.
pub(super) fn isolated(raw: &str) -> String {
    format!("<bdi>{}</bdi>", name(raw))
}

/// At most so many characters, the last an ellipsis where some were left out.
pub(super) fn shortened(raw: &str, characters_max: usize) -> String {
    if raw.chars().count() <= characters_max {
        return text(raw);
    }
    let kept: String = raw.chars().take(characters_max.saturating_sub(1)).collect();
    text(&kept) + "…"
}

/// Embeddings, overrides, isolates and marks of direction.
fn turns_text(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{isolated, shortened, text};

    #[test]
    fn markup_and_quotes_become_text() {
        assert_eq!(text("<script>\"it's\" & more"), "&lt;script&gt;&quot;it&#39;s&quot; &amp; more");
    }

    #[test]
    fn what_turns_text_around_is_shown_as_a_replacement() {
        assert_eq!(isolated("a\u{202e}b\u{2066}c\u{0}"), "<bdi>a\u{fffd}b\u{fffd}c\u{fffd}</bdi>");
        assert_eq!(text("מרכז"), "מרכז");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(shortened("äöüß", 4), "äöüß");
        assert_eq!(shortened("äöüßé", 4), "äöü…");
    }
}
