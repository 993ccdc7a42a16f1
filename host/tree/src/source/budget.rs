//! How much of the host's memory content may take.

use super::attributes::AttributeSets;
use super::count::Counter;

/// Bytes that all of it may take, beside [`PER_NODE`].
const IN_ALL: u64 = 14 << 20;
/// Bytes that each node may take: a name, a signature as an attribute.
const PER_NODE: u64 = 640;

/// What the host keeps of content beside a few numbers for each node: attributes, names, link targets and maps of holes.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) sets: AttributeSets,
    nodes: u64,
    /// Of all but attributes.
    bytes: u64,
    /// Who watches is told of each node.
    pub(crate) found: Counter,
}

/// More than is kept of content. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverBudget {
    pub(crate) kept: u64,
    pub(crate) limit: u64,
}

impl Kept {
    pub(crate) fn new(found: Counter) -> Self {
        Self {
            sets: AttributeSets::new(),
            nodes: 0,
            bytes: 0,
            found,
        }
    }

    /// Counts a node whose attributes are among the sets already, and that takes so many bytes beside them.
    pub(crate) fn node(&mut self, bytes: u64) -> Result<(), OverBudget> {
        self.nodes += 1;
        self.found.add();
        self.bytes += bytes;
        within(self.nodes, self.bytes + self.sets.bytes())
    }
}

/// Whether so many nodes may take so many bytes.
pub(crate) fn within(nodes: u64, kept: u64) -> Result<(), OverBudget> {
    let limit = IN_ALL + nodes * PER_NODE;
    if kept > limit {
        return Err(OverBudget { kept, limit });
    }
    Ok(())
}
