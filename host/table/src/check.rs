//! The rules that both kinds of table share: for a table about to be written they are errors, for
//! one that was read, findings.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Partition, SectorSize, Span, Table, TableError};

/// Refuses a disk whose length in bytes no file offset reaches.
pub(super) fn disk_size(sector_size: SectorSize, sectors: u64) -> Result<(), TableError> {
    let bytes = sectors.checked_mul(sector_size.bytes());
    match bytes.and_then(|bytes| i64::try_from(bytes).ok()) {
        Some(_) => Ok(()),
        None => Err(TableError::DiskTooLarge {
            sectors,
            sector_size,
        }),
    }
}

/// Refuses a range of usable sectors that runs into the table itself or beyond what it can address.
pub(super) fn usable_range(table: &Table) -> Result<(), TableError> {
    let (free_first, free_last) =
        table
            .scheme()
            .usable(table.sector_size, table.disk_sectors, &table.shape)?;
    let (first, last) = (table.first_usable, table.last_usable);
    if first < free_first || last > free_last || first > last {
        return Err(TableError::UsableRange {
            first,
            last,
            free_first,
            free_last,
        });
    }
    Ok(())
}

/// Refuses a table whose partitions break a rule.
pub(super) fn partitions(table: &Table) -> Result<(), TableError> {
    numbers(table)?;
    for partition in &table.partitions {
        placed_inside(table, partition)?;
        if partition.kind.scheme() != table.scheme() || partition.kind.is_unused() {
            return Err(TableError::WrongType {
                number: partition.number,
                scheme: table.scheme(),
            });
        }
        table.scheme().format().check(partition)?;
    }
    let outermost = table
        .partitions
        .iter()
        .filter(|partition| !partition.is_logical());
    match overlaps(outermost).first() {
        Some(&(first, second)) => Err(TableError::Overlap { first, second }),
        None => Ok(()),
    }
}

fn numbers(table: &Table) -> Result<(), TableError> {
    let mut taken = BTreeSet::new();
    let scheme = table.scheme();
    let most = scheme.most_partitions();
    for number in table.partitions.iter().map(|partition| partition.number) {
        if !(1..=most).contains(&number) {
            return Err(TableError::NumberOutOfRange {
                number,
                most,
                scheme,
            });
        }
        if !taken.insert(number) {
            return Err(TableError::NumberTaken { number });
        }
    }
    Ok(())
}

fn placed_inside(table: &Table, partition: &Partition) -> Result<(), TableError> {
    if partition.sectors == 0 {
        return Err(TableError::Empty {
            number: partition.number,
        });
    }
    if partition.start < table.first_usable || partition.last() > table.last_usable {
        return Err(TableError::OutsideUsable {
            span: partition.span(),
            first_usable: table.first_usable,
            last_usable: table.last_usable,
        });
    }
    Ok(())
}

/// Every partition that starts inside one before it, with that one.
pub(super) fn overlaps<'a>(partitions: impl Iterator<Item = &'a Partition>) -> Vec<(Span, Span)> {
    let mut spans: Vec<Span> = partitions.map(Partition::span).collect();
    spans.sort_by_key(|span| (span.first, span.last, span.number));
    let mut found = Vec::new();
    let mut furthest: Option<Span> = None;
    for span in spans {
        match furthest {
            Some(before) if span.first <= before.last => {
                found.push((before, span));
                furthest = Some(if span.last > before.last {
                    span
                } else {
                    before
                });
            }
            _ => furthest = Some(span),
        }
    }
    found
}

/// What is to be said of the partitions of a table that was read.
pub(super) fn findings(table: &Table) -> Vec<Finding> {
    let mut found: Vec<Finding> = table
        .partitions
        .iter()
        .flat_map(|partition| placement(table, partition))
        .collect();
    let (logical, outermost): (Vec<_>, Vec<_>) = table
        .partitions
        .iter()
        .partition(|partition| partition.is_logical());
    for group in [&outermost, &logical] {
        let overlaps = overlaps(group.iter().copied());
        found.extend(
            overlaps
                .into_iter()
                .map(|(first, second)| Finding::Overlap { first, second }),
        );
        found.extend(disorder(group));
    }
    found.extend(repeated_ids(&table.partitions));
    found
}

fn placement(table: &Table, partition: &Partition) -> Vec<Finding> {
    let mut found = Vec::new();
    let span = partition.span();
    let (first_usable, last_usable) = (table.first_usable, table.last_usable);
    if span.last.0 >= table.disk_sectors {
        found.push(Finding::BeyondDisk {
            span,
            disk_sectors: table.disk_sectors,
        });
    } else if span.first < first_usable || span.last > last_usable {
        found.push(Finding::OutsideUsable {
            span,
            first_usable,
            last_usable,
        });
    }
    let offset = partition.start.to_bytes(table.sector_size);
    if !offset.is_multiple_of(super::ALIGNMENT) {
        found.push(Finding::Misaligned {
            number: partition.number,
            offset,
        });
    }
    found
}

fn disorder(partitions: &[&Partition]) -> Vec<Finding> {
    let pairs = partitions
        .windows(2)
        .filter(|pair| pair[1].start < pair[0].start);
    pairs
        .map(|pair| Finding::OutOfOrder {
            number: pair[1].number,
            previous: pair[0].number,
        })
        .collect()
}

fn repeated_ids(partitions: &[Partition]) -> Vec<Finding> {
    let mut seen = BTreeMap::new();
    let mut found = Vec::new();
    for partition in partitions {
        if let Some(id) = partition.id {
            let first = *seen.entry(id).or_insert(partition.number);
            if first != partition.number {
                found.push(Finding::IdTaken {
                    first,
                    second: partition.number,
                    id,
                });
            }
        }
    }
    found
}
