//! `cellblock derive`: root hashes, measurements, and what has to be signed where the key is.

use std::fmt::Write as _;

use cellblock_build::text::{hexadecimal, printable};
use cellblock_build::{Derived, PartitionRecord, ToSign, derive_image};
use serde_json::{Value, json};

use super::foreseen::{Foreseen, Look, foresee};
use super::{Failure, print};
use crate::arguments::Build;

/// How everything is signed, by the name that RFC 8017 gives it.
const ALGORITHM: &str = "rsassa-pkcs1-v1_5-sha256";

pub(super) fn run(build: &Build) -> Result<(), Failure> {
    let look = Look {
        only_reads: false,
        // Only an image that is published has some.
        adjust: |options| options.digests = false,
        at: derive_image,
        log: |derived: &Derived| &derived.log,
    };
    let Foreseen { all, mut record } = foresee(build, &look)?;
    let documents = all.iter().map(|(_, derived)| document(derived));
    record.write_each(&documents.collect::<Result<Vec<_>, _>>()?)?;
    record.publish()?;
    if build.run.says() {
        all.iter()
            .try_for_each(|(_, derived)| print(&text(derived)))?;
    }
    Ok(())
}

fn text(derived: &Derived) -> String {
    let mut text = String::new();
    for partition in &derived.partitions {
        text.push_str(&partition_text(partition));
    }
    for to_sign in &derived.to_sign {
        let _ = write!(
            text,
            "\nto sign: {}\n  digest      {}\n  into        {}\n  certificate {}\n",
            printable(&to_sign.what),
            hexadecimal(&to_sign.digest()),
            printable(&to_sign.signature.display().to_string()),
            hexadecimal(&to_sign.fingerprint),
        );
    }
    if text.is_empty() {
        text.push_str(
            "nothing is derived: there is no hash tree, and no unified kernel is assembled\n",
        );
    }
    text
}

fn partition_text(partition: &PartitionRecord) -> String {
    let mut text = String::new();
    let name = printable(&partition.name);
    if let Some(verity) = &partition.verity {
        let _ = writeln!(
            text,
            "{name}: the root hash of '{}' is {}",
            printable(&verity.of),
            verity.root_hash
        );
    }
    let filesystem = partition.filesystem.iter();
    for kernel in filesystem.flat_map(|it| &it.unified_kernels) {
        let _ = writeln!(text, "{name}: {}", printable(&kernel.path));
        for (phase, value) in &kernel.pcr_11 {
            let phase = if phase.is_empty() { "its stub" } else { phase };
            let _ = writeln!(text, "  PCR 11 {value} after {phase}");
        }
    }
    text
}

fn document(derived: &Derived) -> Result<Value, Failure> {
    let partitions = serde_json::to_value(&derived.partitions).map_err(Failure::failed)?;
    let to_sign: Vec<Value> = derived.to_sign.iter().map(to_sign).collect();
    Ok(json!({
        "cellblock": env!("CARGO_PKG_VERSION"),
        "partitions": partitions,
        "to-sign": to_sign,
    }))
}

fn to_sign(to_sign: &ToSign) -> Value {
    json!({
        "what": to_sign.what,
        "algorithm": ALGORITHM,
        "message": hexadecimal(&to_sign.message),
        "sha256": hexadecimal(&to_sign.digest()),
        "signature": to_sign.signature.display().to_string(),
        "certificate": hexadecimal(&to_sign.fingerprint),
    })
}
