//! HTML: text that is escaped, tables, the strip of a disk, and data for the script.

use std::fmt;

use serde::Serialize;

use super::Piece;
use cellblock_build::text::{exact, human, printable};

/// How many colours partitions have in turn; the style sheet has as many.
const COLORS: u32 = 6;
/// The strip of a disk is drawn in this many units.
const WIDTH: f64 = 1000.0;

/// Text in HTML, also between double quotes. What acts on the direction of writing is replaced.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in printable(self.0).chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                letter => write!(f, "{letter}")?,
            }
        }
        Ok(())
    }
}

/// Names and what is said of them.
pub(super) fn facts(facts: &[(&'static str, String)]) -> String {
    let mut text = String::from("<dl>\n");
    for (name, value) in facts {
        text += &format!(
            "<div><dt>{}</dt><dd>{}</dd></div>\n",
            Escaped(name),
            Escaped(value)
        );
    }
    text + "</dl>\n"
}

/// A table whose first column names its rows. One without rows is nothing.
pub(super) fn table(
    caption: &str,
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return String::new();
    }
    let mut text = format!(
        "<div class=\"wide\"><table>\n<caption>{}</caption>\n<thead><tr>",
        Escaped(caption)
    );
    for title in header {
        text += &format!("<th scope=\"col\">{}</th>", Escaped(title));
    }
    text += "</tr></thead>\n<tbody>\n";
    for row in rows {
        text += "<tr>";
        for (index, cell) in row.iter().enumerate() {
            let cell = Escaped(cell);
            text += &match index {
                0 => format!("<th scope=\"row\">{cell}</th>"),
                _ => format!("<td>{cell}</td>"),
            };
        }
        text += "</tr>\n";
    }
    text + "</tbody>\n</table></div>\n"
}

/// A disk to scale.
pub(super) fn strip(size: u64, pieces: &[Piece]) -> String {
    let size = size.max(1);
    let at = |byte: u64| byte as f64 / size as f64 * WIDTH;
    let mut text = format!(
        "<svg class=\"strip\" viewBox=\"0 0 {WIDTH} 64\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{} to scale; the table below has the same partitions\">\n",
        human(size)
    );
    let mut color = 0;
    let mut labels = String::new();
    for piece in pieces {
        let (x, width) = (at(piece.start), at(piece.size));
        let name = match piece.partition {
            Some(_) => {
                color = color % COLORS + 1;
                format!("p p{color}")
            }
            None => "none".to_owned(),
        };
        let (called, exact) = (Escaped(&piece.name), exact(piece.size));
        text += &format!(
            "<rect class=\"{name}\" x=\"{x:.3}\" y=\"0\" width=\"{width:.3}\" height=\"64\"><title>{called}: {exact}</title></rect>\n"
        );
        // A label where there is room for some letters.
        if piece.partition.is_some() && width > 60.0 {
            labels += &format!(
                "<span style=\"left:{:.3}%;width:{:.3}%\">{called}</span>\n",
                x / WIDTH * 100.0,
                width / WIDTH * 100.0
            );
        }
    }
    format!(
        "<div class=\"disk\">\n{text}</svg>\n<div class=\"labels\" aria-hidden=\"true\">\n{labels}</div>\n</div>\n"
    )
}

/// Data for the script, which no text in it can end.
pub(super) fn data(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("it has text and numbers");
    let json = json.replace('<', "\\u003c");
    format!("<script type=\"application/json\">{json}</script>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        let hostile = "</script><script>alert(1)</script>\" onload=\"x\u{202e}";
        let text = Escaped(hostile).to_string();
        assert!(!text.contains(['<', '>', '"', '\u{202e}']), "{text}");
        let text = data(&[hostile]);
        assert_eq!(text.matches('<').count(), 2, "{text}");
        let back: Vec<String> = serde_json::from_str(
            text.trim_start_matches("<script type=\"application/json\">")
                .trim_end_matches("</script>\n"),
        )
        .expect("it is JSON");
        assert_eq!(back, [hostile]);
    }
}
