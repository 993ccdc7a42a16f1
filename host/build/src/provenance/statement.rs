//! The statement itself: in-toto's Statement v1 around SLSA's Provenance v1.
//!
//! Fields are those of <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md> and
//! <https://slsa.dev/spec/v1.0/provenance>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Input;
use crate::record::{PartitionRecord, Record};

/// The type of the statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of its predicate.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters mean: a spec of this program, whose relative paths begin in the folder of the build.
pub const BUILD_TYPE: &str = "urn:cellblock:build:v1";
/// Who builds: this program, on whoever's machine.
const BUILDER: &str = "urn:cellblock:cli";

/// A digest set: hexadecimal digits by algorithm.
type Digests = BTreeMap<String, String>;

/// An in-toto statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What was made: the image, and the files of its partitions if there are any.
    pub subject: Vec<Resource>,
    /// [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// How it was made.
    pub predicate: Predicate,
}

/// A file, a partition or a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is called.
    pub name: String,
    /// Its digests.
    pub digest: Digests,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// SLSA's provenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    /// What was asked for.
    pub build_definition: BuildDefinition,
    /// Who did it.
    pub run_details: RunDetails,
}

/// What was asked for, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`].
    pub build_type: String,
    /// What whoever builds decides.
    pub external_parameters: Parameters,
    /// The versions of the libraries that compress, where something was compressed.
    #[serde(default)]
    pub internal_parameters: BTreeMap<String, String>,
    /// All that was read, and the guests.
    pub resolved_dependencies: Vec<Resource>,
}

/// What whoever builds decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// The spec in TOML with all that was typed beside it, as `cellblock convert` prints it.
    pub spec: String,
}

/// Who did it, and what else came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    /// The program.
    pub builder: Builder,
    /// The partitions, and the unified kernels in them.
    #[serde(default)]
    pub byproducts: Vec<Resource>,
}

/// The program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// Its name.
    pub id: String,
    /// Its version.
    #[serde(default)]
    pub version: BTreeMap<String, String>,
}

/// Why a file is no statement that this program can build from.
#[derive(Debug, Error)]
pub enum StatementError {
    /// It is no such JSON.
    #[error("it is no provenance that this program writes: {0}")]
    Json(#[from] serde_json::Error),
    /// It is a statement about something else.
    #[error("its {field} is \"{is}\", and would have to be \"{expected}\"")]
    Type {
        /// The field.
        field: &'static str,
        /// What it has.
        is: String,
        /// What it would have to have.
        expected: &'static str,
    },
    /// It tells of no image.
    #[error("it has no subject with a SHA-256 digest")]
    Subject,
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    /// [`StatementError`] if it is none of this program's.
    pub fn parse(text: &[u8]) -> Result<Self, StatementError> {
        let statement: Self = serde_json::from_slice(text)?;
        let build_type = &statement.predicate.build_definition.build_type;
        for (field, is, expected) in [
            ("_type", &statement.kind, STATEMENT_TYPE),
            ("predicateType", &statement.predicate_type, PREDICATE_TYPE),
            ("buildType", build_type, BUILD_TYPE),
        ] {
            if is != expected {
                return Err(StatementError::Type {
                    field,
                    is: is.clone(),
                    expected,
                });
            }
        }
        if statement.image().sha256().is_none() {
            return Err(StatementError::Subject);
        }
        Ok(statement)
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &Resource {
        const NOTHING: &Resource = &Resource {
            name: String::new(),
            digest: BTreeMap::new(),
            annotations: BTreeMap::new(),
        };
        self.subject.first().unwrap_or(NOTHING)
    }

    /// The spec, which relative paths of begin in the current folder.
    #[must_use]
    pub fn spec(&self) -> &str {
        &self.predicate.build_definition.external_parameters.spec
    }

    /// All that was read, and the guests.
    #[must_use]
    pub fn dependencies(&self) -> &[Resource] {
        &self.predicate.build_definition.resolved_dependencies
    }
}

impl Resource {
    /// The SHA-256 digest in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.digest.get("sha256").map(String::as_str)
    }

    fn new(name: impl Into<String>, sha256: Option<&str>) -> Self {
        let digest = sha256.map(|digest| ("sha256".to_owned(), digest.to_owned()));
        Self {
            name: name.into(),
            digest: digest.into_iter().collect(),
            annotations: BTreeMap::new(),
        }
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.annotations.insert(name.to_owned(), value.to_string());
        self
    }
}

/// The statement of an image that was built from `spec`, TOML that says all of it, and `inputs`; the record has digests.
#[must_use]
pub fn statement(spec: String, inputs: &[Input], record: &Record) -> Statement {
    let name = std::path::Path::new(&record.image).file_name();
    let name = name.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let image = Resource::new(name, record.digest.as_deref()).with("size", record.size);
    let split = record.partitions.iter().filter_map(|partition| {
        let split = partition.split.as_ref()?;
        Some(Resource::new(&split.file, Some(&split.sha256)).with("partition", &partition.name))
    });
    let codecs = record.partitions.iter().filter_map(|partition| {
        let encoded = partition.filesystem.as_ref()?.encoded.as_ref()?;
        Some(encoded.codecs.iter())
    });
    Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: [image].into_iter().chain(split).collect(),
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: Parameters { spec },
                internal_parameters: codecs
                    .flatten()
                    .map(|(name, version)| ((*name).to_owned(), version.clone()))
                    .collect(),
                resolved_dependencies: inputs.iter().map(of_input).chain(guests(record)).collect(),
            },
            run_details: RunDetails {
                builder: Builder {
                    id: BUILDER.to_owned(),
                    version: BTreeMap::from([(
                        "cellblock".to_owned(),
                        record.cellblock.to_owned(),
                    )]),
                },
                byproducts: record.partitions.iter().flat_map(of_partition).collect(),
            },
        },
    }
}

pub(super) fn of_input(input: &Input) -> Resource {
    let resource = Resource {
        name: input.path.to_string_lossy().into_owned(),
        digest: input.digest.clone(),
        annotations: BTreeMap::from([("what".to_owned(), input.what.clone())]),
    };
    match &input.partition {
        Some(partition) => resource.with("partition", partition),
        None => resource,
    }
}

/// The guests, each once, by their names.
pub(super) fn guests(record: &Record) -> impl Iterator<Item = Resource> + use<> {
    let filesystems = record
        .partitions
        .iter()
        .filter_map(|it| it.filesystem.as_ref());
    let guests: BTreeMap<String, String> = filesystems
        .map(|it| (it.guest.clone(), it.guest_digest.clone()))
        .collect();
    guests.into_iter().map(|(name, digest)| {
        Resource::new(format!("guest:{name}"), Some(&digest)).with("what", "the formatter")
    })
}

/// A partition, and the unified kernels in it.
pub(super) fn of_partition(partition: &PartitionRecord) -> Vec<Resource> {
    let name = format!("partition:{}", partition.name);
    let mut resource = Resource::new(&name, partition.sha256.as_deref())
        .with("start", partition.start)
        .with("size", partition.size);
    if let Some(key) = &partition.fill_key {
        resource = resource.with("fillKey", key);
    }
    if let Some(id) = &partition.id {
        resource = resource.with("uuid", id);
    }
    if let Some(verity) = &partition.verity {
        resource = resource
            .with("verityOf", &verity.of)
            .with("rootHash", &verity.root_hash);
    }
    let mut all = vec![resource];
    let kernels = partition
        .filesystem
        .iter()
        .flat_map(|it| &it.unified_kernels);
    all.extend(kernels.map(|kernel| {
        let file = format!("{name}:{}", kernel.path);
        let of =
            Resource::new(file, Some(&kernel.sha256)).with("commandLine", &kernel.command_line);
        kernel.pcr_11.iter().fold(of, |of, (phase, value)| {
            of.with(&format!("pcr11:{phase}"), value)
        })
    }));
    all
}
