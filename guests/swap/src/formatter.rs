//! The formatter: a request in, a swap space out.

use cellblock_guest::{
    Description, FormatError, Formatter, NodeId, NodeProblem, Output, Property, Request, Summary,
    Tree, each_node,
};

use crate::layout::{DESCRIPTION, Layout};
use crate::write;

/// Makes swap spaces.
pub struct SwapFormatter;

impl Formatter for SwapFormatter {
    fn describe() -> Description {
        DESCRIPTION
    }

    fn measure(request: &Request, tree: &mut dyn Tree) -> Result<u64, FormatError> {
        let layout = Layout::new(request)?;
        check_empty(tree)?;
        Ok(layout.smallest())
    }

    fn format(
        request: &Request,
        tree: &mut dyn Tree,
        output: &mut dyn Output,
    ) -> Result<Summary, FormatError> {
        let layout = Layout::new(request)?;
        check_empty(tree)?;
        let last_page = layout.last_page(request.size)?;
        write::write(&layout, request.uuid, last_page, output)?;
        Ok(Summary {
            used: layout.page_bytes.into(),
            properties: vec![
                property("page size", layout.page_bytes.to_string()),
                property("pages", (u64::from(last_page) + 1).to_string()),
                property("uuid", request.uuid.to_string()),
            ],
        })
    }
}

/// Refuses everything but a root directory: there are no files in a swap space.
fn check_empty(tree: &mut dyn Tree) -> Result<(), FormatError> {
    each_node(tree, |id, _| match id {
        NodeId::ROOT => Ok(()),
        _ => Err(FormatError::node(id, NodeProblem::Kind)),
    })
}

fn property(name: &'static str, value: String) -> Property {
    Property { name, value }
}
