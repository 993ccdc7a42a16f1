//! Who signs: a private key with its certificate, or a signature that was made elsewhere.

use std::path::PathBuf;

use schemars::JsonSchema;

use super::Placed;
use super::place::Place;

/// Who signs, as `sign = { key = "…", certificate = "…" }` asks for it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub struct SignSpec {
    /// Where the table stands.
    #[schemars(skip)]
    pub place: Place,
    /// The certificate of an RSA key: PEM or DER.
    #[schemars(with = "PathBuf")]
    pub certificate: Placed<PathBuf>,
    /// The private key.
    #[schemars(flatten)]
    pub by: SignedBy,
}

/// Where signatures come from.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum SignedBy {
    /// The private key: PEM or DER, PKCS #8 or PKCS #1, without a password.
    Key(#[schemars(with = "PathBuf")] Placed<PathBuf>),
    /// The signature itself, made where the key is: RSA with PKCS #1 v1.5 and SHA-256, of what `cellblock derive` prints.
    Signature(#[schemars(with = "PathBuf")] Placed<PathBuf>),
}

impl SignSpec {
    /// The files that it names, with what they are.
    pub fn files(&self) -> [(&'static str, &Placed<PathBuf>); 2] {
        let by = match &self.by {
            SignedBy::Key(file) => ("the private key", file),
            SignedBy::Signature(file) => ("the signature", file),
        };
        [("the certificate", &self.certificate), by]
    }
}

/// The signature of a root hash, as `verity-signature = { of = "root", key = "…", certificate = "…" }` asks for it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub struct VeritySignatureSpec {
    /// The name of the partition whose root hash is signed: the one with the data, or the one with the hash tree.
    #[schemars(with = "String")]
    pub of: Placed<String>,
    /// Who signs.
    #[schemars(flatten)]
    pub sign: SignSpec,
}
