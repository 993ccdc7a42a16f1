//! PKCS #7 (RFC 2315): a signature with what somebody needs to check it.

use base64ct::{Base64, Encoding as _};
use der::Encode as _;
use der::asn1::ObjectIdentifier;
use sha2::{Digest as _, Sha256};

use crate::Certificate;
use crate::write::{
    BIT_STRING, CONTEXT_0, CONTEXT_2, OCTET_STRING, ONE, SEQUENCE, SET, element, set_of,
};
use cellblock_text::hexadecimal;

/// An identifier of an object, DER.
fn oid(text: &str) -> Vec<u8> {
    let oid = ObjectIdentifier::new_unwrap(text);
    oid.to_der().expect("each is a constant of this file")
}

const DATA: &str = "1.2.840.113549.1.7.1";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SHA_256: &str = "2.16.840.1.101.3.4.2.1";
const RSA: &str = "1.2.840.113549.1.1.1";
/// What Authenticode signs (Microsoft, "Windows Authenticode Portable Executable Signature Format").
const SPC_INDIRECT_DATA: &str = "1.3.6.1.4.1.311.2.1.4";
const SPC_PE_IMAGE_DATA: &str = "1.3.6.1.4.1.311.2.1.15";
const NULL: &[u8] = &[0x05, 0];

/// An algorithm without parameters.
fn algorithm(name: &str) -> Vec<u8> {
    element(SEQUENCE, &[&oid(name), NULL])
}

/// A public RSA key with the name of its algorithm (RFC 5280, `SubjectPublicKeyInfo`).
pub(crate) fn public_key_info(key: &[u8]) -> Vec<u8> {
    // No bits are left over.
    let bits = element(BIT_STRING, &[&[0], key]);
    element(SEQUENCE, &[&algorithm(RSA), &bits])
}

/// The signature of a message that is not in it, as the kernel wants it of a root hash: no attributes, so that `signature` is over the
/// message itself.
#[must_use]
pub fn detached(certificate: &Certificate, signature: &[u8]) -> Vec<u8> {
    let content = element(SEQUENCE, &[&oid(DATA)]);
    signed_data(&content, None, certificate, signature)
}

/// What a partition with the signature of a root hash holds before its zeros: JSON (Discoverable Partitions Specification, "Verity
/// Signature"). `root_hash` is in hexadecimal, which is also what `signature` is over.
#[must_use]
pub fn root_hash_document(root_hash: &str, certificate: &Certificate, signature: &[u8]) -> String {
    format!(
        r#"{{"rootHash":"{root_hash}","certificateFingerprint":"{}","signature":"{}"}}"#,
        hexadecimal(&certificate.fingerprint()),
        Base64::encode_string(&detached(certificate, signature)),
    )
}

/// What has to be signed for an EFI application whose Authenticode digest (SHA-256) this is: attributes that hold a digest of the
/// structure that holds it.
#[must_use]
pub fn authenticode_message(digest: &[u8; 32]) -> Vec<u8> {
    attributes(SET, digest)
}

/// The signature of an EFI application, as it goes behind the application. `signature` is over [`authenticode_message`].
#[must_use]
pub fn authenticode(digest: &[u8; 32], certificate: &Certificate, signature: &[u8]) -> Vec<u8> {
    let indirect = element(SEQUENCE, &[&indirect_data(digest)]);
    let content = element(
        SEQUENCE,
        &[&oid(SPC_INDIRECT_DATA), &element(CONTEXT_0, &[&indirect])],
    );
    let attributes = attributes(CONTEXT_0, digest);
    signed_data(&content, Some(&attributes), certificate, signature)
}

/// What is inside of an `SpcIndirectDataContent`.
fn indirect_data(digest: &[u8; 32]) -> Vec<u8> {
    // No flags, and a file of an empty name.
    let flags: &[u8] = &[0x03, 1, 0];
    let name = element(CONTEXT_2, &[&[0x80, 0]]);
    let image = element(SEQUENCE, &[flags, &element(CONTEXT_0, &[&name])]);
    let data = element(SEQUENCE, &[&oid(SPC_PE_IMAGE_DATA), &image]);
    let digest = element(OCTET_STRING, &[digest]);
    let digest = element(SEQUENCE, &[&algorithm(SHA_256), &digest]);
    [data, digest].concat()
}

/// The attributes that are signed: `tag` is that of a SET when they are hashed, and another one where they stand.
fn attributes(tag: u8, digest: &[u8; 32]) -> Vec<u8> {
    let attribute = |kind: &str, value: &[u8]| {
        let values = element(SET, &[value]);
        element(SEQUENCE, &[&oid(kind), &values])
    };
    let digest = Sha256::digest(indirect_data(digest));
    set_of(
        tag,
        vec![
            attribute(CONTENT_TYPE, &oid(SPC_INDIRECT_DATA)),
            attribute(MESSAGE_DIGEST, &element(OCTET_STRING, &[&digest])),
        ],
    )
}

fn signed_data(
    content: &[u8],
    attributes: Option<&[u8]>,
    certificate: &Certificate,
    signature: &[u8],
) -> Vec<u8> {
    let signer = element(
        SEQUENCE,
        &[
            ONE,
            &element(SEQUENCE, &[&certificate.issuer, &certificate.serial]),
            &algorithm(SHA_256),
            attributes.unwrap_or_default(),
            &algorithm(RSA),
            &element(OCTET_STRING, &[signature]),
        ],
    );
    let data = element(
        SEQUENCE,
        &[
            ONE,
            &element(SET, &[&algorithm(SHA_256)]),
            content,
            &element(CONTEXT_0, &[&certificate.der]),
            &element(SET, &[&signer]),
        ],
    );
    element(
        SEQUENCE,
        &[&oid(SIGNED_DATA), &element(CONTEXT_0, &[&data])],
    )
}
