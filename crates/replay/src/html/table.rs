// SPDX-License-Identifier: Apache-2.0
//! A table in a region of its own, which scrolls where the table is wider than the page and can be reached by keyboard.

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
    /// As HTML.
    pub(super) fn html(&self) -> String {
        let split = if self.has_total { self.rows.len().saturating_sub(1) } else { self.rows.len() };
        let (body, foot) = self.rows.split_at(split);
        let foot = if foot.is_empty() { String::new() } else { format!("<tfoot>{}</tfoot>", rows(foot)) };
        format!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"{id}\"><table>\
             <caption id=\"{id}\"><span>{caption}</span></caption><thead>{head}</thead><tbody>{body}</tbody>{foot}</table></div>\n",
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
