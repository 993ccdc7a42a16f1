//! What a build derives, without the image: root hashes, measurements, and what has to be signed where the key is.

use std::collections::BTreeSet;

use cellblock_cell::Runtime;
use cellblock_spec::Spec;

use crate::BuildOptions;
use crate::catalogue::Catalog;
use crate::disk::Groundwork;
use crate::error::Error;
use crate::filesystem::Prepared;
use crate::making::{self, Making};
use crate::output::Output;
use crate::plan::{Fill, Plan};
use crate::record::PartitionRecord;
use crate::said::Said;
use crate::signing::{Signers, ToSign};

/// What a build derives.
#[derive(Debug)]
pub struct Derived {
    /// The partitions in the order of the disk. Of those that nothing derives from, nothing was made.
    pub partitions: Vec<PartitionRecord>,
    /// What has to be signed elsewhere, and is not yet.
    pub to_sign: Vec<ToSign>,
    /// What is said of the file systems, by partition.
    pub log: Vec<(String, Said)>,
}

/// What a build of `spec` derives. Signatures that are made elsewhere need not be there; what they are to be of is told. Something that
/// depends on one that is not there is told once it is.
///
/// # Errors
/// [`Error`], as the build.
pub fn derive_image(
    spec: &Spec,
    output: &Output,
    runtime: &Runtime,
    catalog: &Catalog,
    options: &BuildOptions,
) -> Result<Derived, Error> {
    let scratch = output.scratch()?;
    let signers = Signers::read(spec)?.noting();
    let ground = Groundwork::new(spec, signers, output, &scratch, runtime, catalog, options)?;
    let Groundwork {
        basis,
        prepared,
        mut plan,
        places,
        needs,
        log,
    } = ground;
    let preparation = basis.preparation(runtime, &scratch, options, output.file());
    let wanted = making::with_needs(wanted(&plan, &prepared), &needs.partitions);
    let making = Making {
        preparation: &preparation,
        plan: &plan,
        places: &places,
        needs: &needs,
    };
    let made = making.some(prepared, &wanted)?;
    making::identify(&mut plan, &made);
    Ok(Derived {
        partitions: PartitionRecord::all(&plan, made),
        to_sign: basis.signers.noted(),
        log,
    })
}

/// The partitions that something derives from, by index: hash trees, signatures, what holds derived values or unified kernels.
fn wanted(plan: &Plan, prepared: &[Prepared]) -> BTreeSet<usize> {
    let partitions = plan.partitions.iter().enumerate();
    let of_verity = partitions.filter(|(_, partition)| {
        partition.behind.is_some() || matches!(partition.fill, Fill::Verity(_) | Fill::Signature(_))
    });
    let filesystems = prepared
        .iter()
        .filter(|prepared| prepared.derives())
        .map(|prepared| prepared.index);
    of_verity
        .map(|(index, _)| index)
        .chain(filesystems)
        .collect()
}
