//! Text in columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that a printable text takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// The text, cut to a number of columns; `…` marks the cut.
pub(super) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut kept = String::new();
    for letter in text.chars() {
        let needed = letter.width().unwrap_or(0);
        if needed > left {
            break;
        }
        left -= needed;
        kept.push(letter);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The text in a field of a number of columns, cut or filled with spaces behind it.
pub(super) fn left(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let fill = width.saturating_sub(columns(&text));
    text + &" ".repeat(fill)
}

/// The text in a field of a number of columns, cut or filled with spaces before it.
pub(super) fn right(text: &str, width: usize) -> String {
    let text = cut(text, width);
    " ".repeat(width.saturating_sub(columns(&text))) + &text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_width_in_columns() {
        assert_eq!(cut("rootfs", 6), "rootfs");
        assert_eq!(cut("rootfs", 4), "roo…");
        assert_eq!(cut("根文件", 4), "根…");
        assert_eq!(left("根文件", 4), "根… ");
        assert_eq!(right("12", 4), "  12");
        assert_eq!(cut("x", 0), "");
    }
}
