//! The formatter: request and tree in, volume out.

use cellblock_guest::{
    Description, FormatError, Formatter, Output, Property, Request, Summary, Tree,
};

use crate::contents::Contents;
use crate::layout::{Candidates, Chains};
use crate::moment::Moment;
use crate::options::{DESCRIPTION, Options};
use crate::write::Writer;

/// Makes FAT volumes.
pub struct VfatFormatter;

impl Formatter for VfatFormatter {
    fn describe() -> Description {
        DESCRIPTION
    }

    fn measure(request: &Request, tree: &mut dyn Tree) -> Result<u64, FormatError> {
        let (_, contents, candidates) = prepare(request, tree)?;
        candidates.measure(&contents)
    }

    fn format(
        request: &Request,
        tree: &mut dyn Tree,
        output: &mut dyn Output,
    ) -> Result<Summary, FormatError> {
        let (options, contents, candidates) = prepare(request, tree)?;
        let volume = candidates.volume(request.size, &contents)?;
        if options.label.is_some_and(|label| label.has_lower_case()) {
            output
                .warn("the label has lower-case letters, which some systems show or match wrongly");
        }
        let has_redated_label = options.label.is_some() && !Moment::counts(request.time);
        let redated = match (contents.redated, has_redated_label) {
            (0, false) => None,
            (0, true) => Some("the label".to_owned()),
            (count, false) => Some(count.to_string()),
            (count, true) => Some(format!("{count} and the label")),
        };
        if let Some(redated) = redated {
            output.warn(&format!(
                "files and folders dated before 1980-01-01 or after 2107-12-31, which is all that FAT counts: {redated}; \
                 they are dated to the nearer end of that"
            ));
        }
        let chains = Chains::new(&volume, &contents);
        let writer = Writer::new(request, &options, &volume, &contents, &chains);
        writer.place(tree, output)?;
        writer.write(output)?;
        let cluster_bytes = volume.shape.cluster_bytes();
        let metadata = volume.cluster_offset(crate::format::FIRST_CLUSTER);
        Ok(Summary {
            used: metadata + u64::from(chains.used) * u64::from(cluster_bytes),
            properties: vec![
                property("type", format!("FAT{}", volume.shape.width.bits())),
                property("cluster size", cluster_bytes.to_string()),
                property("clusters", volume.clusters.to_string()),
                property("free clusters", (volume.clusters - chains.used).to_string()),
                property("volume id", writer.volume_id_as_shown()),
            ],
        })
    }
}

fn prepare(
    request: &Request,
    tree: &mut dyn Tree,
) -> Result<(Options, Contents, Candidates), FormatError> {
    let options = Options::new(request)?;
    let contents = Contents::read(request, options.label.is_some(), tree)?;
    let candidates = Candidates::new(&options, contents.root_slots())?;
    Ok((options, contents, candidates))
}

fn property(name: &'static str, value: String) -> Property {
    Property { name, value }
}
