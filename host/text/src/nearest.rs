//! The known word that is spelled most like a given one.

/// The candidate with the fewest edits from `word`, if it is near enough to be what was meant. The case of letters is no edit.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let allowed = length.div_ceil(3).min(3).min(length.saturating_sub(1));
    candidates
        .into_iter()
        // So many characters differ at least.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= allowed)
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be inserted, removed or replaced to turn one word into the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut previous: Vec<usize> = (0..=to.len()).collect();
    for (row, left) in from.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, right) in to.iter().enumerate() {
            let replaced = previous[column] + usize::from(!left.eq_ignore_ascii_case(right));
            let edited = previous[column + 1].min(current[column]) + 1;
            current.push(replaced.min(edited));
        }
        previous = current;
    }
    previous[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let keys = ["filesystem", "size", "content"];
        assert_eq!(nearest("filesytem", keys), Some("filesystem"));
        assert_eq!(nearest("sise", keys), Some("size"));
        assert_eq!(nearest("compression", keys), None);
        assert_eq!(nearest("SIZE", keys), Some("size"));
        assert_eq!(nearest("x", ["y"]), None);
    }
}
