//! Who signs, read.

use super::super::error::ProblemKind;
use super::super::fields::{Fields, text};
use super::super::sign::{SignSpec, SignedBy, VeritySignatureSpec};

/// The table `sign`, if it is there.
pub(super) fn sign(around: &mut Fields<'_, '_>) -> Option<SignSpec> {
    let within = around.within();
    let mut fields = around.take_table("sign", within)?;
    let sign = signer(&mut fields);
    fields.finish();
    sign
}

/// The table `verity-signature`, if it is there.
pub(super) fn verity_signature(partition: &mut Fields<'_, '_>) -> Option<VeritySignatureSpec> {
    let within = partition.within();
    let mut fields = partition.take_table("verity-signature", within)?;
    let of = fields.require("of", "of = \"root\"", text);
    let sign = signer(&mut fields);
    fields.finish();
    Some(VeritySignatureSpec {
        of: of?,
        sign: sign?,
    })
}

fn signer(fields: &mut Fields<'_, '_>) -> Option<SignSpec> {
    let place = fields.place.clone();
    let certificate = fields.require_path("certificate", "certificate = \"sign.crt\"");
    let by = match (fields.take_path("key"), fields.take_path("signature")) {
        (Some(key), None) => Some(SignedBy::Key(key)),
        (None, Some(signature)) => Some(SignedBy::Signature(signature)),
        (key, _) => {
            let found = if key.is_some() { 2 } else { 0 };
            fields.problem(ProblemKind::SignedBy { found }, place.clone());
            None
        }
    };
    Some(SignSpec {
        place,
        certificate: certificate?,
        by: by?,
    })
}
