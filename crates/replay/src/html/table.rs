// SPDX-License-Identifier: Apache-2.0
//! A table in a region of its own, which scrolls where the table is wider than the page and can be reached by keyboard.

/// How many columns fit on paper upright.
const PAPER_COLUMNS_MAX: usize = 8;

/// A table; every text is HTML already.
pub(super) struct Table {
    /// For its caption, which names the region.
    pub(super) id: String,
    pub(super) caption: String,
    /// The rows of the head, whole.
    pub(super) head: String,
    /// The rows; the first cell of each is its heading.
    pub(super) rows: Vec<Vec<String>>,
    /// Whether the last row is a sum.
    pub(super) has_total: bool,
}

impl Table {
    /// Whether it is broader than a sheet of paper is.
    fn is_broad(&self) -> bool {
        self.rows.first().is_some_and(|cells| cells.len() > PAPER_COLUMNS_MAX)
    }

    /// As HTML.
    pub(super) fn html(&self) -> String {
        let split = if self.has_total { self.rows.len().saturating_sub(1) } else { self.rows.len() };
        let (body, foot) = self.rows.split_at(split);
        let foot = if foot.is_empty() { String::new() } else { format!("<tfoot>{}</tfoot>", rows(foot)) };
        format!(
            "<div class=\"{class}\" role=\"region\" tabindex=\"0\" aria-labelledby=\"{id}\"><table>\
             <caption id=\"{id}\"><span>{caption}</span></caption><thead>{head}</thead><tbody>{body}</tbody>{foot}</table></div>\n",
            class = if self.is_broad() { "scroll broad" } else { "scroll" },
            id = self.id,
            caption = self.caption,
            head = self.head,
            body = rows(body),
        )
    }
}

/// One row of a head.
pub(super) fn head(columns: &[&str]) -> String {
    let cells = columns.iter().map(|column| format!("<th scope=\"col\">{column}</th>"));
    format!("<tr>{}</tr>", cells.collect::<String>())
}

fn rows(rows: &[Vec<String>]) -> String {
    let row = |cells: &Vec<String>| {
        let (first, others) =
            cells.split_first().map_or(("", &[][..]), |(first, others)| (first.as_str(), others));
        let others: String = others.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr><th scope=\"row\">{first}</th>{others}</tr>\n")
    };
    rows.iter().map(row).collect()
}
