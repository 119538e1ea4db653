// SPDX-License-Identifier: Apache-2.0
//! The page of a report: whole in three languages, the same each time, closed to what comes from a scenario.

use std::{collections::BTreeSet, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};
use sta_replay::{
    html::page,
    report::{Cost, Outcome, Report, Terms},
};

use crate::example_report::report;

/// Between two marks, the first time.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} after {from}")).0
}

fn article<'t>(page: &'t str, code: &str) -> &'t str {
    between(page, &format!("<article id=\"{code}\" lang=\"{code}\">"), "</article>")
}

/// Every value of an attribute.
fn attributes<'t>(html: &'t str, name: &str) -> Vec<&'t str> {
    let start = format!(" {name}=\"");
    html.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The names of its elements and classes in order, runs of the same once: what the page is made of, without what it says.
fn structure(html: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for tag in html.split('<').skip(1).filter(|tag| !tag.starts_with('/')) {
        let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
        let within_drawings =
            ["path", "rect", "circle", "text", "pattern", "br", "strong", "code", "b", "bdi", "a"];
        let within_tables = ["td", "th", "tr", "thead", "tbody", "tfoot", "caption"];
        if within_drawings.contains(&name.as_str()) || within_tables.contains(&name.as_str()) {
            continue;
        }
        let class = attributes(&format!("<{}", tag.split('>').next().unwrap_or_default()), "class")
            .first()
            .map(|class| format!(".{class}"));
        let line = name + &class.unwrap_or_default();
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    lines.join(" ").replace(" section ", "\nsection ").replace(" figure ", "\n  figure ")
}

/// The example, and on every name what must not become markup, turn the text around it or widen the page.
fn hostile() -> Report {
    let mut hostile = report();
    let name = "</title></style><script>alert(\"1\")</script>' onfocus='x' {wait} \u{202e}gnirts\u{0} שם";
    let name = name.to_owned() + &"long".repeat(30);
    for place in [&mut hostile.scenario, &mut hostile.currency, &mut hostile.from] {
        place.clone_from(&name);
    }
    // The names are the point; long tables only cost the browser time.
    hostile.load.truncate(9);
    hostile.members[0].name.clone_from(&name);
    hostile.members[1].id.clone_from(&name);
    hostile.savings[0].baseline.clone_from(&name);
    hostile.savings[1].baseline = format!("cloud:{name}");
    hostile.savings[2].bills[0].member.clone_from(&name);
    hostile
}

#[test]
fn the_pages_that_a_browser_looks_at_are_written_where_they_are_asked_for() {
    if let Some(folder) = std::env::var_os("STA_REPORT_DIR").map(PathBuf::from) {
        std::fs::write(folder.join("report.html"), page(&report())).unwrap();
        std::fs::write(folder.join("names.html"), page(&hostile())).unwrap();
    }
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    assert_eq!(page(&report()), page(&report()));
}

#[test]
fn the_page_has_the_same_parts_in_each_language() {
    let page = page(&report());
    let english = structure(article(&page, "en"));
    for code in ["fr", "de"] {
        assert_eq!(english, structure(article(&page, code)), "{code}");
    }
    insta::assert_snapshot!(english);
}

#[test]
fn every_link_and_every_label_leads_to_one_element_of_the_page() {
    let page = page(&report());
    let ids = attributes(&page, "id");
    let once: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), once.len(), "no id stands twice");
    let links = attributes(&page, "href")
        .into_iter()
        .map(|link| link.strip_prefix('#').expect("a place in the page"));
    let labels = attributes(&page, "aria-labelledby").into_iter().flat_map(str::split_whitespace);
    let fills = page.split("url(#").skip(1).filter_map(|rest| rest.split(')').next());
    let lost: Vec<&str> = links.chain(labels).chain(fills).filter(|target| !once.contains(target)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn the_page_loads_nothing_and_lets_nothing_but_its_own_style_apply() {
    let page = page(&report());
    let style = between(&page, "<style>", "</style>");
    let digest = BASE64_STANDARD.encode(Sha256::digest(style));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'");
    assert_eq!(attributes(&page, "content")[0], policy, "STYLE_SHA256 in html/mod.rs is that of style.css");
    for foreign in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "://",
        "@import",
        " style=",
        " src=",
        " onload=",
        "javascript:",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("url(").count(), page.matches("url(#").count());
}

#[test]
fn names_of_a_scenario_stay_text() {
    let (tame, page) = (page(&report()), page(&hostile()));
    for forbidden in ["<script", "</title></style>", "' onfocus", "\u{202e}", "\u{0}"] {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    assert!(page.contains("{wait}"), "a name is not looked through for values");
    let quotes = |page: &str| page.matches('\'').count();
    assert_eq!(quotes(&page), quotes(&tame), "the quotes of the style and its policy, and no other");
    assert_eq!(structure(article(&page, "en")), structure(article(&tame, "en")));
}

#[test]
fn a_very_long_name_is_cut() {
    let mut long = report();
    long.scenario = "x".repeat(100_000);
    long.members[0].name = "y".repeat(100_000);
    assert!(page(&long).len() < page(&report()).len() + 20_000);
}

#[test]
fn each_language_writes_numbers_its_own_way_and_says_which_baseline_a_saving_is_against() {
    let page = page(&report());
    let line = |code: &str| between(article(&page, code), "<dd class=\"says\">", "</dd>").to_owned();
    assert_eq!(
        line("en"),
        "<strong>0.23%</strong> saved against the baseline <code>alone</code>: each member stays alone on what it owns \
         and buys from no cloud"
    );
    for (code, percent, price, jobs) in [
        ("en", "10.3%", "USD\u{a0}7.91 per processor hour", "116,873"),
        ("fr", "10,3\u{202f}%", "7,91\u{a0}USD par heure de processeur", "116\u{202f}873"),
        ("de", "10,3\u{a0}%", "7,91\u{a0}USD je Prozessorstunde", "116.873"),
    ] {
        let article = article(&page, code);
        let savings: Vec<&str> = article.split("<dd class=\"says\">").skip(1).collect();
        assert!(savings[1].starts_with(&format!("<strong>{percent}</strong>")), "{}", &savings[1][..80]);
        assert!(between(savings[1], "<code>cloud:7.91</code>", "</dd>").ends_with(price), "{code}");
        assert!(article.contains(jobs), "{code}");
    }
}

#[test]
fn a_pool_that_costs_more_says_so() {
    let mut dear = report();
    dear.savings[0].saving_percent = -1.26;
    let page = page(&dear);
    assert!(page.contains("<strong>1.3%</strong> more than the baseline <code>alone</code>"));
    assert!(page.contains("<strong>1,3\u{a0}%</strong> mehr als die Vergleichsbasis <code>alone</code>"));
}

#[test]
fn a_report_of_nothing_is_a_whole_page_too() {
    let nothing = Outcome {
        jobs: 0,
        too_large: 0,
        wait_mean_s: 0.0,
        wait_p50_s: 0,
        wait_p95_s: 0,
        wait_p99_s: 0,
        wait_max_s: 0,
        processor_hours: 0.0,
        busy_percent: f64::NAN,
        moved: 0,
        evictions: 0,
        lost_hours: 0.0,
        violations: 0,
        later_than_alone: 0,
        cost: Cost::default(),
        carbon_kg: 0.0,
    };
    let empty = Report {
        version: 1,
        scenario: String::new(),
        currency: String::new(),
        policy: "fifo",
        from: String::new(),
        span_s: 0,
        loads: Vec::new(),
        movable_percent: 0.0,
        terms: Terms { staging_s: 0, checkpoint_s: 0, restart_s: 0, grace_s: 0, reclaim_bound_s: 0 },
        members: Vec::new(),
        total: nothing,
        alone: nothing,
        savings: Vec::new(),
        curve: Vec::new(),
        load: Vec::new(),
    };
    let mut bare = report();
    for member in &mut bare.members {
        member.waits.clear();
    }
    bare.load.truncate(1);
    bare.curve.truncate(1);
    for saving in &mut bare.savings {
        saving.bills.clear();
    }
    for report in [empty, bare] {
        let page = page(&report);
        assert!(!page.contains("NaN") && !page.contains("inf"), "no number that is none");
        assert!(page.ends_with("</main>\n</body>\n</html>\n"));
    }
}
