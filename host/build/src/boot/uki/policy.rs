//! Policies of a TPM that the expected values of register 11 fulfil, and their signatures: what a secret is unlocked by that is bound to
//! who signs kernels (systemd-measure(1), "sign"; TPM 2.0 Library, part 3, "TPM2_PolicyPCR").

use base64ct::{Base64, Encoding as _};
use sha2::{Digest as _, Sha256};

use cellblock_text::hexadecimal;

/// The register of the stub.
const REGISTER: u32 = 11;
/// The numbers of `TPM2_PolicyPCR` and of SHA-256.
const POLICY_PCR: [u8; 4] = [0, 0, 1, 0x7f];
const SHA_256: [u8; 2] = [0, 0x0b];

/// The digest of the policy that register 11 has this value, in the bank of SHA-256.
#[must_use]
pub fn policy(value: &[u8; 32]) -> [u8; 32] {
    let mut selection = vec![0, 0, 0, 1];
    selection.extend(SHA_256);
    // A bit for each of 24 registers.
    selection.extend([3]);
    selection.extend(&(1_u32 << REGISTER).to_le_bytes()[..3]);
    let mut hash = Sha256::new();
    hash.update([0; 32]);
    hash.update(POLICY_PCR);
    hash.update(selection);
    hash.update(Sha256::digest(value));
    hash.finalize().into()
}

/// What a section `.pcrsig` holds: of each policy its digest and its signature. `fingerprint` is the SHA-256 digest of the public key as
/// PKCS #1 has it.
#[must_use]
pub fn document(fingerprint: &[u8; 32], policies: &[([u8; 32], Vec<u8>)]) -> String {
    let fingerprint = hexadecimal(fingerprint);
    let entries: Vec<String> = policies
        .iter()
        .map(|(policy, signature)| {
            format!(
                r#"{{"pcrs":[{REGISTER}],"pkfp":"{fingerprint}","pol":"{}","sig":"{}"}}"#,
                hexadecimal(policy),
                Base64::encode_string(signature),
            )
        })
        .collect();
    format!(r#"{{"sha256":[{}]}}"#, entries.join(","))
}
