//! Lists: columns of text and numbers, as wide as what they hold, or as there is room for.

use super::text::{columns, left, right};

/// The columns between two columns of text.
const GAP: &str = "  ";

/// The fewest columns that a column of text is shrunk to.
const MIN_TEXT: usize = 8;

/// A column of a list.
pub(super) struct Column {
    title: &'static str,
    cells: Vec<String>,
    width: usize,
    is_text: bool,
}

impl Column {
    /// Text, which stands at the left and may be shrunk.
    pub(super) fn text(title: &'static str, cells: Vec<String>) -> Self {
        Self::new(title, true, cells)
    }

    /// A number, which stands at the right.
    pub(super) fn number(title: &'static str, cells: Vec<String>) -> Self {
        Self::new(title, false, cells)
    }

    fn new(title: &'static str, is_text: bool, cells: Vec<String>) -> Self {
        let widest = cells.iter().map(|cell| columns(cell)).max().unwrap_or(0);
        Self {
            title,
            width: widest.max(title.len()),
            cells,
            is_text,
        }
    }

    fn field(&self, text: &str) -> String {
        if self.is_text {
            left(text, self.width)
        } else {
            right(text, self.width)
        }
    }
}

/// Makes columns fit so many columns of a terminal, where that is possible: those without any text go first, then the one of
/// the title `spare`, and then the widest text is shrunk.
pub(super) fn fit(list: &mut Vec<Column>, spare: &str, width: usize) {
    list.retain(|column| column.cells.iter().any(|cell| !cell.is_empty()));
    if excess(list, width) > 0 {
        list.retain(|column| column.title != spare);
    }
    loop {
        let excess = excess(list, width);
        let texts = list
            .iter_mut()
            .filter(|column| column.is_text && column.width > MIN_TEXT);
        match texts.max_by_key(|column| column.width) {
            Some(widest) if excess > 0 => widest.width -= 1,
            _ => return,
        }
    }
}

fn excess(list: &[Column], width: usize) -> usize {
    let text: usize = list.iter().map(|column| column.width).sum();
    (text + GAP.len() * list.len().saturating_sub(1)).saturating_sub(width)
}

/// The titles, and the rows; `paint` gives the first field of each row its colour.
pub(super) fn rows(
    list: &[Column],
    paint: impl Fn(usize, &str) -> String,
) -> (String, Vec<String>) {
    let titles: Vec<String> = list
        .iter()
        .map(|column| column.field(column.title))
        .collect();
    let count = list.first().map_or(0, |column| column.cells.len());
    let rows = (0..count).map(|row| {
        let mut fields: Vec<String> = list
            .iter()
            .map(|column| column.field(&column.cells[row]))
            .collect();
        if let Some(first) = fields.first_mut() {
            *first = paint(row, first);
        }
        fields.join(GAP)
    });
    (titles.join(GAP).trim_end().to_owned(), rows.collect())
}
