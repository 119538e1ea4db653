// SPDX-License-Identifier: Apache-2.0
//! The report as one page that loads nothing: words, drawings and tables in three languages, without script.
//!
//! Which language is seen follows from the fragment of the address: `report.html#fr` is the French one, any place within it
//! too, and without a fragment it is the English one. That is a rule of the style sheet, so it works where scripts are
//! forbidden, and a link to a section is a link to it in one language.

mod dates;
mod edition;
mod escape;
mod figures;
mod numbers;
mod plots;
mod sections;
mod table;
mod words;

use self::{
    edition::Edition,
    sections::Section,
    words::{ENGLISH, FRENCH, GERMAN, Words},
};
use crate::report::Report;

/// The languages, the one that is seen at first in front.
static LANGUAGES: [&Words; 3] = [&ENGLISH, &FRENCH, &GERMAN];
/// All of the look.
const STYLE: &str = include_str!("style.css");
/// The SHA-256 of [`STYLE`] in Base64: the one thing that the page's content security policy lets apply.
const STYLE_SHA256: &str = "+rH5TOTHSB3o0apyma1eJGIzfwhQmbhFWmMPs0k3lWs=";

/// The page. The same report gives the same bytes.
#[must_use]
pub fn page(report: &Report) -> String {
    let articles: String = LANGUAGES.iter().map(|words| article(&Edition::new(report, words))).collect();
    format!(
        "<!doctype html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'sha256-{STYLE_SHA256}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – sta replay</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{articles}</main>\n</body>\n</html>\n",
        code = LANGUAGES[0].code,
        title = escape::name(&report.scenario),
    )
}

/// The whole report in one language.
fn article(edition: &Edition<'_>) -> String {
    let words = edition.words;
    let sections = sections::all(edition);
    format!(
        "<article id=\"{code}\" lang=\"{code}\">\n<header>\n{languages}<p class=\"kicker\">{kicker}</p>\n\
         <h1>{title}</h1>\n{facts}</header>\n{contents}{sections}<footer><p>{footer}</p></footer>\n</article>\n",
        code = words.code,
        languages = languages(edition),
        kicker = words.kicker,
        title = escape::isolated(&edition.report.scenario),
        facts = facts(edition),
        contents = contents(edition, &sections),
        sections = sections.iter().map(|section| section_html(edition, section)).collect::<String>(),
        footer = words.footer,
    )
}

/// Links to the other languages; each language says itself which one it is.
fn languages(edition: &Edition<'_>) -> String {
    let link = |words: &&Words| {
        let current = if words.code == edition.words.code { " aria-current=\"true\"" } else { "" };
        format!(
            "<li><a href=\"#{0}\" lang=\"{0}\" hreflang=\"{0}\"{current}>{1}</a></li>",
            words.code, words.name
        )
    };
    let links: String = LANGUAGES.iter().map(link).collect();
    format!("<nav class=\"languages\" aria-label=\"{}\"><ul>{links}</ul></nav>\n", edition.words.languages)
}

/// What was replayed, in a line.
fn facts(edition: &Edition<'_>) -> String {
    let (words, report) = (edition.words, edition.report);
    let members: Vec<String> = (0..report.members.len()).map(|index| edition.member(index)).collect();
    let jobs = edition.say(words.jobs_counted, &[("jobs", &edition.language.count(report.total.jobs))]);
    let movable = edition.say(words.movable_is, &[("share", &edition.share(report.movable_percent))]);
    let facts = [members.join(" + "), jobs, sections::days(edition), sections::begin(edition), movable];
    let facts = facts.map(|fact| format!("<span>{fact}</span>"));
    format!("<p class=\"facts\">{}</p>\n", facts.join(" · "))
}

fn contents(edition: &Edition<'_>, sections: &[Section]) -> String {
    let link = |section: &Section| {
        format!("<li><a href=\"#{}\">{}</a></li>", edition.id(section.id), section.heading)
    };
    let links: String = sections.iter().map(link).collect();
    format!("<nav class=\"contents\" aria-label=\"{}\"><ul>{links}</ul></nav>\n", edition.words.contents)
}

fn section_html(edition: &Edition<'_>, section: &Section) -> String {
    let id = edition.id(section.id);
    format!("<section id=\"{id}\">\n<h2>{}</h2>\n{}</section>\n", section.heading, section.body)
}
