//! Colours, where they are wished for.

/// The colours of partitions, by number: cyan, green, yellow, magenta, blue as ANSI terminals know
/// them.
const PALETTE: [&str; 5] = ["36", "32", "33", "35", "34"];
pub(super) const BOLD: &str = "1";
pub(super) const DIM: &str = "2";

/// Paints text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pen {
    pub(super) color: bool,
}

impl Pen {
    pub(super) fn paint(self, text: &str, code: &str) -> String {
        if self.color && !text.trim().is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Text in the colour of a partition.
    pub(super) fn partition(self, text: &str, number: u32) -> String {
        // Which colour it is does not matter.
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(0);
        self.paint(text, PALETTE[index % PALETTE.len()])
    }
}
