//! `cellblock plan`: what a build would make, and why each partition is as large as it is.

use std::fmt::Write as _;

use cellblock_build::plan::{Fill, Plan, PlannedPartition};
use cellblock_build::text::{exact, grouped, human, printable};
use cellblock_build::{Output, Preview, Space, preview_image, type_of};
use serde_json::{Map, Value, json};

use super::foreseen::{Foreseen, Look, foresee};
use super::{Failure, print};
use crate::arguments::Build;
use crate::json::sized;
use crate::report::{draw, terminal};

pub(super) fn run(build: &Build) -> Result<(), Failure> {
    let look = Look {
        only_reads: true,
        adjust: |_| {},
        at: preview_image,
        log: |preview: &Preview| &preview.log,
    };
    let Foreseen { all, mut record } = foresee(build, &look)?;
    let documents: Vec<Value> = all.iter().map(|(_, it)| document(it)).collect();
    record.write_each(&documents)?;
    record.publish()?;
    if build.run.says() {
        for (output, preview) in &all {
            print(&text(output, preview))?;
        }
    }
    Ok(())
}

fn text(output: &Output, preview: &Preview) -> String {
    let mut text = draw(&preview.table, terminal::columns(), super::color());
    for (index, partition) in preview.plan.partitions.iter().enumerate() {
        let name = printable(&partition.name);
        let _ = write!(text, "\npartition '{name}': {}", exact(partition.size));
        if let Some((tree, _)) = partition.id_of {
            let tree = printable(&preview.plan.partitions[tree].name);
            let _ = write!(text, ", its UUID from the root hash in '{tree}'");
        }
        let behind = partition.behind.as_ref();
        let behind = behind.map_or_else(String::new, |tree| {
            let place = &tree.place;
            format!(
                "  tree      {:>20} bytes from byte {} on\n",
                grouped(place.end - place.hash_offset),
                grouped(place.hash_offset),
            )
        });
        text.push_str(&match (&partition.fill, preview.filesystems.get(&index)) {
            (Fill::Filesystem(filesystem), Some(space)) => {
                format!(", {}\n{}", printable(&filesystem.kind), space_text(space))
            }
            (Fill::Raw(pieces), _) => format!(", {} raw pieces\n", pieces.len()),
            (Fill::Verity(verity), _) => {
                let data = &preview.plan.partitions[verity.of];
                let tree = verity.tree(data.size);
                format!(
                    ", the hash tree of '{}'\n  tree      {:>20} bytes over {} blocks\n",
                    printable(&data.name),
                    grouped(tree.size),
                    grouped(tree.data_blocks),
                )
            }
            (Fill::Signature(signature), _) => {
                let tree = &preview.plan.partitions[signature.tree];
                format!(
                    ", the signature of the root hash in '{}'\n  document  {:>20} bytes\n",
                    printable(&tree.name),
                    grouped(signature.length),
                )
            }
            _ => ", zeros\n".to_owned(),
        });
        text.push_str(&behind);
    }
    let _ = write!(
        text,
        "\n{output}: {} would be made; nothing has been written\n",
        human(preview.plan.size)
    );
    text
}

fn space_text(space: &Space) -> String {
    let mut text = format!(
        "  content   {:>20} bytes, {} nodes\n  metadata  {:>20} bytes\n  spare     {:>20} bytes\n",
        grouped(space.content),
        grouped(space.nodes.into()),
        grouped(space.metadata),
        grouped(space.spare),
    );
    for property in &space.properties {
        let _ = writeln!(
            text,
            "  {}: {}",
            printable(&property.name),
            printable(&property.value)
        );
    }
    for (index, (path, bytes)) in space.heaviest.iter().enumerate() {
        let heading = if index == 0 { "heaviest" } else { "" };
        let _ = writeln!(text, "  {heading:8}  {:>20} bytes  {path}", grouped(*bytes));
    }
    text
}

fn document(preview: &Preview) -> Value {
    let partitions: Vec<Value> = preview
        .plan
        .partitions
        .iter()
        .enumerate()
        .map(|(index, partition)| {
            partition_document(&preview.plan, partition, preview.filesystems.get(&index))
        })
        .collect();
    json!({
        "size": preview.plan.size,
        "disk-id": preview.table.disk_id.to_string(),
        "sector-size": preview.plan.sector_size.bytes(),
        "partitions": partitions,
    })
}

fn partition_document(plan: &Plan, partition: &PlannedPartition, space: Option<&Space>) -> Value {
    let filesystem = match &partition.fill {
        Fill::Filesystem(filesystem) => Some(filesystem),
        _ => None,
    };
    let verity = match &partition.fill {
        Fill::Verity(verity) => Some(verity),
        _ => None,
    };
    let signature = match &partition.fill {
        Fill::Signature(signature) => Some(signature),
        _ => None,
    };
    let name = |index: usize| plan.partitions[index].name.clone();
    let verity = match &partition.behind {
        Some(tree) => Some(json!({
            "of": partition.name,
            "size": tree.place.end - tree.place.hash_offset,
            "hash-offset": tree.place.hash_offset,
        })),
        None => verity.map(|it| {
            json!({
                "of": name(it.of),
                "size": it.tree(plan.partitions[it.of].size).size,
                "hash-offset": 0,
            })
        }),
    };
    json!({
        "verity-signature": signature.map(|it| json!({
            "of": name(it.tree),
            "length": it.length,
        })),
        "id-from-root-hash-in": partition.id_of.map(|(tree, _)| name(tree)),
        "verity": verity,
        "number": partition.number,
        "name": partition.name,
        "type": type_of(partition.kind),
        "id": partition.id.filter(|_| partition.id_of.is_none()).map(|id| id.to_string()),
        "start": partition.start,
        "size": partition.size,
        "filesystem": filesystem.map(|it| json!({
            "kind": it.kind,
            "label": it.label,
            "uuid": it.identifier,
        })),
        "space": space.map(|space| json!({
            "nodes": space.nodes,
            "content": space.content,
            "metadata": space.metadata,
            "spare": space.spare,
            "properties": space.properties.iter().map(|it| (it.name.clone(), json!(it.value))).collect::<Map<_, _>>(),
            "heaviest": space.heaviest.iter().map(|(path, bytes)| sized(&path.0, *bytes)).collect::<Vec<_>>(),
        })),
    })
}
