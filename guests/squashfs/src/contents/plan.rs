//! From files to contents, blocks and fragment blocks: all that is known before anything is compressed.

use std::collections::BTreeMap;

use cellblock_guest::{Digest, Encoder, FormatError, Range, SettingProblem, Span, Tree};

use crate::census::{Census, FileId};
use crate::contents::same::firsts;
use crate::contents::{Content, ContentId, Contents, Fragment, FragmentId, Run, Step, Tail};
use crate::options::{Options, Tails};

/// Where a file has data.
#[derive(Clone, Copy, Debug)]
pub(super) enum Data<'a> {
    /// Everywhere.
    All,
    /// In these ranges, ascending and disjoint.
    Ranges(&'a [Range]),
}

impl Contents {
    /// Plans what `census` has.
    ///
    /// # Errors
    /// [`FormatError`] if the host fails, or what is to come first is not there.
    pub(crate) fn plan(
        options: &Options,
        census: &Census,
        tree: &mut dyn Tree,
        encoder: &mut dyn Encoder,
    ) -> Result<Self, FormatError> {
        let priorities = priorities(options, census)?;
        let mut ranges: BTreeMap<FileId, Vec<Range>> = BTreeMap::new();
        for (number, file) in (0..).zip(&census.files) {
            if file.is_sparse {
                ranges.insert(FileId(number), tree.ranges(file.node)?);
            }
        }
        let data = |file: FileId| match ranges.get(&file) {
            Some(ranges) => Data::Ranges(ranges),
            None => Data::All,
        };
        let mut planner = Planner {
            options,
            contents: Self::default(),
            open: 0,
            tails: BTreeMap::new(),
        };
        let mut order: Vec<(i16, ContentId)> = Vec::new();
        planner.contents.of_file = vec![None; census.files.len()];
        let firsts = if options.once {
            firsts(census, data, encoder)?
        } else {
            (0..).map(FileId).take(census.files.len()).collect()
        };
        for (number, first) in (0..).zip(firsts) {
            let file = FileId(number);
            if census.files[file.index()].size == 0 {
                continue;
            }
            let priority = priorities.as_ref().map_or(0, |all| all[file.index()]);
            let id = match planner.contents.of_file[first.index()] {
                Some(id) => {
                    let earlier = &mut order[id.index()].0;
                    *earlier = (*earlier).max(priority);
                    id
                }
                None => {
                    let id = planner.add(census, file, &data(file));
                    order.push((priority, id));
                    id
                }
            };
            planner.contents.of_file[file.index()] = Some(id);
        }
        // Stable: what has one priority stays in the tree's order.
        order.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
        let order: Vec<ContentId> = order.into_iter().map(|(_, id)| id).collect();
        let digests = planner.digests_of_tails(encoder)?;
        for id in order {
            planner.arrange(id, digests.get(&id).copied());
        }
        planner.close_fragment();
        Ok(planner.contents)
    }
}

struct Planner<'a> {
    options: &'a Options,
    contents: Contents,
    /// The bytes in the fragment block that is being filled.
    open: u32,
    /// Where ends of large files are, by length and digest.
    tails: BTreeMap<(u32, Digest), Tail>,
}

impl Planner<'_> {
    fn block_size(&self) -> u64 {
        self.options.block_size.into()
    }

    /// Adds the content of a file that is not empty.
    fn add(&mut self, census: &Census, file: FileId, data: &Data<'_>) -> ContentId {
        let file = census.files[file.index()];
        let block_size = self.block_size();
        let whole = file.size / block_size;
        let rest = file.size % block_size;
        let is_packed = match self.options.tails {
            Tails::Apart => false,
            Tails::Small => whole == 0,
            Tails::All => true,
        };
        let is_hole = match data {
            Data::All => false,
            Data::Ranges(ranges) => ranges
                .last()
                .is_none_or(|last| last.offset + last.length <= whole * block_size),
        };
        let has_tail = is_packed && rest > 0 && !is_hole;
        let blocks = whole + u64::from(rest > 0 && !has_tail);
        let blocks = u32::try_from(blocks).expect("larger files were refused");
        let first_run = self.contents.runs.len();
        match data {
            Data::All if blocks == 0 => {}
            Data::All => self.contents.runs.push(Run {
                first: 0,
                count: blocks,
            }),
            Data::Ranges(ranges) => self.add_runs(ranges, blocks),
        }
        let runs = first_run..self.contents.runs.len();
        let with_data: u64 = self.contents.runs[runs.clone()]
            .iter()
            .map(|run| u64::from(run.count))
            .sum();
        // Only the last block is shorter, and a hole if the file ends in one.
        let shorter = if is_hole && rest > 0 {
            block_size - rest
        } else {
            0
        };
        let sparse = (u64::from(blocks) - with_data) * block_size - shorter;
        let id = u32::try_from(self.contents.contents.len()).expect("there are fewer than nodes");
        self.contents.contents.push(Content {
            file: file.node,
            size: file.size,
            blocks,
            sparse,
            // Where it is is settled when its turn comes.
            tail: has_tail.then_some(Tail {
                fragment: FragmentId(0),
                offset: 0,
            }),
            runs,
            start: 0,
            lengths: 0,
        });
        ContentId(id)
    }

    /// Adds the runs of blocks that `ranges` touch.
    fn add_runs(&mut self, ranges: &[Range], blocks: u32) {
        let block_size = self.block_size();
        let first_run = self.contents.runs.len();
        for range in ranges {
            let number = |block: u64| {
                // Those behind the last are in a fragment block.
                u32::try_from(block).map_or(blocks, |block| block.min(blocks))
            };
            let mut first = number(range.offset / block_size);
            let end = number((range.offset + range.length).div_ceil(block_size));
            let runs = &mut self.contents.runs;
            let is_first = runs.len() == first_run;
            let last = runs.last_mut().filter(|_| !is_first);
            match last {
                Some(last) if last.blocks().end >= first => {
                    last.count = last.count.max(end.saturating_sub(last.first));
                    continue;
                }
                _ => {}
            }
            first = first.min(end);
            if first < end {
                runs.push(Run {
                    first,
                    count: end - first,
                });
            }
        }
    }

    /// The bytes of a content behind its last whole block.
    fn tail_span(&self, content: &Content) -> Span {
        let length = content.size % self.block_size();
        Span {
            file: content.file,
            offset: content.size - length,
            length,
        }
    }

    /// The digests of the ends of large files that are as long as others.
    fn digests_of_tails(
        &self,
        encoder: &mut dyn Encoder,
    ) -> Result<BTreeMap<ContentId, Digest>, FormatError> {
        let mut digests = BTreeMap::new();
        if self.options.tails != Tails::All || !self.options.once {
            return Ok(digests);
        }
        let block_size = self.block_size();
        let mut candidates: Vec<(u64, ContentId)> = (0..)
            .map(ContentId)
            .zip(&self.contents.contents)
            .filter(|(_, content)| {
                // Smaller ones were compared as a whole.
                let mostly_data = content.sparse <= content.size / 2;
                content.tail.is_some() && content.size > block_size && mostly_data
            })
            .map(|(id, content)| (content.size % block_size, id))
            .collect();
        candidates.sort_unstable();
        for group in candidates.chunk_by(|a, b| a.0 == b.0) {
            if group.len() == 1 {
                continue;
            }
            for (_, id) in group {
                let file = self.contents.content(*id).file;
                let all = encoder.block_digests(file, self.options.block_size)?;
                digests.extend(all.last().map(|last| (*id, *last)));
            }
        }
        Ok(digests)
    }

    /// Gives a content its place behind those before.
    fn arrange(&mut self, id: ContentId, digest: Option<Digest>) {
        let content = self.contents.content(id);
        if !content.runs.is_empty() {
            self.contents.steps.push(Step::Content(id));
        }
        let content = self.contents.content(id);
        if content.tail.is_none() {
            return;
        }
        let span = self.tail_span(content);
        let length = u32::try_from(span.length).expect("it is shorter than a block");
        let key = digest.map(|digest| (length, digest));
        let known = key.and_then(|key| self.tails.get(&key).copied());
        let tail = known.unwrap_or_else(|| self.pack(span, length));
        if let Some(key) = key {
            self.tails.insert(key, tail);
        }
        self.contents.contents[id.index()].tail = Some(tail);
    }

    /// Puts an end into a fragment block: a new one if it does not fit.
    fn pack(&mut self, span: Span, length: u32) -> Tail {
        if self.open + length > self.options.block_size {
            self.close_fragment();
        }
        let tail = Tail {
            fragment: FragmentId(self.next_fragment()),
            offset: self.open,
        };
        self.contents.spans.push(span);
        self.open += length;
        tail
    }

    fn next_fragment(&self) -> u32 {
        u32::try_from(self.contents.fragments.len()).expect("there are fewer than files")
    }

    fn close_fragment(&mut self) {
        if self.open == 0 {
            return;
        }
        let id = FragmentId(self.next_fragment());
        let fragments = &mut self.contents.fragments;
        let first = fragments.last().map_or(0, |last| last.spans.end);
        fragments.push(Fragment {
            spans: first..self.contents.spans.len(),
            size: self.open,
            start: 0,
            length: 0,
        });
        self.open = 0;
        self.contents.steps.push(Step::Fragment(id));
    }
}

/// The priority of each file, if there are any: what is deeper in a path says more.
fn priorities(options: &Options, census: &Census) -> Result<Option<Vec<i16>>, FormatError> {
    if options.priorities.is_empty() {
        return Ok(None);
    }
    let mut rules: Vec<_> = options.priorities.iter().collect();
    rules.sort_by_key(|rule| rule.path.split('/').count());
    let mut of_node = vec![0; census.len()];
    for rule in rules {
        let top = census
            .find(&rule.path)
            .ok_or_else(|| FormatError::setting("sort", SettingProblem::Malformed))?;
        of_node[census.subtree(top)].fill(rule.priority);
    }
    let of_file = census
        .files
        .iter()
        .map(|file| of_node[file.node.index()])
        .collect();
    Ok(Some(of_file))
}
