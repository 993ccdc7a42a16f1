//! Signatures of root hashes: OpenSSL makes the same ones, and keys of others sign as well.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::bench::assert_same_bytes;
use crate::support::disk::cut_out;
use crate::support::keys::{done, make_key};
use crate::support::{Bench, Judge};

const SPEC: &str = r#"
[[partition]]
name = "root"
type = "root-x86-64"
filesystem = "ext4"
content = [{ text = "signed\n", to = "/etc/hostname" }]

[[partition]]
name = "root-verity"
type = "root-x86-64-verity"
verity = { of = "root" }

[[partition]]
name = "root-sig"
type = "root-x86-64-verity-sig"
verity-signature = { of = "root", key = "test.key", certificate = "test.crt" }
"#;

fn bench() -> Option<(Bench, Judge)> {
    let bench = Bench::new();
    let openssl = make_key(&bench, "test", "3650")?;
    Some((bench, openssl))
}

fn built(bench: &Bench, spec: &str, more: &[&str]) -> (PathBuf, Value) {
    bench.write("image.toml", spec);
    let mut arguments = vec!["build", "image.toml", "-o", "disk.img", "--json", "-"];
    arguments.extend(more);
    let record = serde_json::from_str(&bench.done(&arguments)).unwrap();
    (bench.path("disk.img"), record)
}

/// The document in the partition with the signature, behind which there are zeros.
fn document(bench: &Bench, image: &Path) -> Value {
    let bytes = fs::read(cut_out(bench, image, "root-sig")).unwrap();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    assert!(bytes[end..].iter().all(|byte| *byte == 0));
    serde_json::from_slice(&bytes[..end]).unwrap()
}

/// The signature of a document, as a file.
fn signature(bench: &Bench, openssl: &Judge, document: &Value) -> PathBuf {
    bench.write("signature.base64", document["signature"].as_str().unwrap());
    let arguments = [
        "base64",
        "-d",
        "-A",
        "-in",
        "signature.base64",
        "-out",
        "signature.p7",
    ];
    done(bench, openssl, &arguments);
    bench.path("signature.p7")
}

#[test]
fn the_signature_is_the_one_that_openssl_makes() {
    let Some((bench, openssl)) = bench() else {
        return;
    };
    let (image, record) = built(&bench, SPEC, &[]);
    let document = document(&bench, &image);
    let root = record["partitions"][1]["verity"]["root-hash"].clone();
    assert_eq!(document["rootHash"], root);
    let told = &record["partitions"][2]["verity-signature"];
    assert_eq!(told["of"], "root-verity");
    assert_eq!(told["root-hash"], root);
    let fingerprint = [
        "x509",
        "-in",
        "test.crt",
        "-noout",
        "-fingerprint",
        "-sha256",
    ];
    let fingerprint = String::from_utf8(done(&bench, &openssl, &fingerprint)).unwrap();
    let (_, fingerprint) = fingerprint.trim().split_once('=').unwrap();
    let fingerprint = fingerprint.replace(':', "").to_lowercase();
    assert_eq!(document["certificateFingerprint"], fingerprint.as_str());
    assert_eq!(told["certificate"], fingerprint.as_str());
    let ours = signature(&bench, &openssl, &document);
    bench.write("root-hash", root.as_str().unwrap());
    let verify = [
        "smime",
        "-verify",
        "-binary",
        "-inform",
        "der",
        "-in",
        "signature.p7",
        "-content",
        "root-hash",
        "-CAfile",
        "test.crt",
    ];
    done(&bench, &openssl, &verify);
    let sign = [
        "smime",
        "-sign",
        "-binary",
        "-noattr",
        "-in",
        "root-hash",
        "-signer",
        "test.crt",
        "-inkey",
        "test.key",
        "-outform",
        "der",
        "-out",
        "theirs.p7",
    ];
    done(&bench, &openssl, &sign);
    assert_same_bytes(&bench.path("theirs.p7"), &ours);
    // A root hash with another digit is none that was signed.
    let other = root
        .as_str()
        .unwrap()
        .replacen(|digit| digit != '0', "0", 1);
    bench.write("root-hash", other);
    let verified = openssl
        .command()
        .current_dir(bench.folder())
        .args(verify)
        .output();
    assert!(!verified.unwrap().status.success());
}

#[test]
fn two_builds_have_the_same_signature() {
    let Some((bench, _)) = bench() else { return };
    let (image, _) = built(&bench, SPEC, &["--jobs", "1"]);
    fs::rename(&image, bench.path("first.img")).unwrap();
    let (image, _) = built(&bench, SPEC, &["--jobs", "4"]);
    assert_same_bytes(&bench.path("first.img"), &image);
}

#[test]
fn keys_are_taken_in_all_forms_that_openssl_writes() {
    let Some((bench, openssl)) = bench() else {
        return;
    };
    let (image, _) = built(&bench, SPEC, &[]);
    fs::rename(&image, bench.path("first.img")).unwrap();
    for arguments in [
        &[
            "rsa",
            "-in",
            "test.key",
            "-traditional",
            "-out",
            "test.other",
        ][..],
        &[
            "rsa",
            "-in",
            "test.key",
            "-outform",
            "der",
            "-out",
            "test.other",
        ],
        &[
            "pkcs8",
            "-topk8",
            "-nocrypt",
            "-in",
            "test.key",
            "-outform",
            "der",
            "-out",
            "test.other",
        ],
    ] {
        done(&bench, &openssl, arguments);
        let (image, _) = built(&bench, &SPEC.replace("test.key", "test.other"), &[]);
        assert_same_bytes(&bench.path("first.img"), &image);
    }
    let certificate = [
        "x509", "-in", "test.crt", "-outform", "der", "-out", "test.der",
    ];
    done(&bench, &openssl, &certificate);
    let (image, _) = built(&bench, &SPEC.replace("test.crt", "test.der"), &[]);
    assert_same_bytes(&bench.path("first.img"), &image);
    // Both in one file, with what `openssl x509 -text` and `openssl pkcs12` say around them.
    let texts = ["test.key", "test.crt"].map(|name| fs::read_to_string(bench.path(name)).unwrap());
    let [key, certificate] = texts;
    let both = format!(
        "Bag Attributes\n    friendlyName: x\n{key}subject=CN = x\nCertificate:\n    Data:\n{certificate}"
    );
    bench.write("both.pem", both);
    let spec = SPEC
        .replace("test.crt", "both.pem")
        .replace("test.key", "both.pem");
    let (image, _) = built(&bench, &spec, &[]);
    assert_same_bytes(&bench.path("first.img"), &image);
}

/// The bytes that hexadecimal digits stand for.
pub fn bytes_of(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Signs all that `cellblock derive` asks for, as a service does that has the key: it is given digests alone.
pub fn sign_elsewhere(bench: &Bench, openssl: &Judge) -> Vec<Value> {
    let derived = bench.done(&["derive", "image.toml", "--json", "-"]);
    let derived: Value = serde_json::from_str(&derived).unwrap();
    let asked = derived["to-sign"].as_array().unwrap().clone();
    for one in &asked {
        assert_eq!(one["algorithm"], "rsassa-pkcs1-v1_5-sha256");
        bench.write("digest", bytes_of(one["sha256"].as_str().unwrap()));
        bench.write("message", bytes_of(one["message"].as_str().unwrap()));
        let digest = done(bench, openssl, &["dgst", "-sha256", "-binary", "message"]);
        assert_eq!(digest, fs::read(bench.path("digest")).unwrap());
        let file = one["signature"].as_str().unwrap();
        let sign = [
            "pkeyutl",
            "-sign",
            "-inkey",
            "test.key",
            "-pkeyopt",
            "digest:sha256",
            "-in",
            "digest",
            "-out",
            file,
        ];
        done(bench, openssl, &sign);
    }
    asked
}

#[test]
fn a_key_that_stays_elsewhere_signs_what_is_derived() {
    let Some((bench, openssl)) = bench() else {
        return;
    };
    let (image, record) = built(&bench, SPEC, &[]);
    fs::rename(&image, bench.path("first.img")).unwrap();
    let spec = SPEC.replace("key = \"test.key\"", "signature = \"root.sig\"");
    bench.write("image.toml", &spec);
    // Without the signature there is no image, and what is asked for is told.
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("root.sig"), "{}", outcome.stderr);
    assert!(!bench.path("disk.img").exists());
    bench.done(&["plan", "image.toml"]);
    let text = bench.done(&["derive", "image.toml"]);
    let root = record["partitions"][1]["verity"]["root-hash"]
        .as_str()
        .unwrap();
    assert!(text.contains(root) && text.contains("root.sig"), "{text}");
    let [asked] = &sign_elsewhere(&bench, &openssl)[..] else {
        panic!("one is asked for")
    };
    assert_eq!(
        bytes_of(asked["message"].as_str().unwrap()),
        root.as_bytes()
    );
    let (image, _) = built(&bench, &spec, &[]);
    assert_same_bytes(&bench.path("first.img"), &image);
    // What is signed need not be signed again.
    let derived: Value =
        serde_json::from_str(&bench.done(&["derive", "image.toml", "--json", "-"])).unwrap();
    assert_eq!(derived["to-sign"], Value::Array(Vec::new()));
    // Another root has another signature.
    let changed = spec.replace("signed\\n", "changed\\n");
    assert_ne!(changed, spec);
    bench.write("image.toml", changed);
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("no signature of the root hash"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("image.toml:"), "{}", outcome.stderr);
    assert_same_bytes(&bench.path("first.img"), &image);
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let Some(openssl) = crate::support::judge("openssl") else {
        return;
    };
    let bench = Bench::new();
    let request = [
        "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "test.key", "-out", "test.csr", "-subj",
        "/CN=old",
    ];
    done(&bench, &openssl, &request);
    fs::create_dir(bench.path("ca")).unwrap();
    bench.write("ca/index", "");
    bench.write(
        "ca.cnf",
        "[ca]\ndefault_ca = it\n[it]\ndatabase = ca/index\nnew_certs_dir = ca\nrand_serial = yes\ndefault_md = sha256\n\
         policy = any\n[any]\ncommonName = supplied\n",
    );
    let sign = [
        "ca",
        "-config",
        "ca.cnf",
        "-batch",
        "-notext",
        "-selfsign",
        "-keyfile",
        "test.key",
        "-in",
        "test.csr",
        "-startdate",
        "20200101000000Z",
        "-enddate",
        "20210203040506Z",
        "-out",
        "test.crt",
    ];
    done(&bench, &openssl, &sign);
    bench.write("image.toml", SPEC);
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("warning: root-sig: the certificate")
            && outcome
                .stderr
                .contains("has expired, at 2021-02-03T04:05:06Z"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_cannot_be_signed_is_refused_at_its_line_and_nothing_is_written() {
    let Some((bench, openssl)) = bench() else {
        return;
    };
    make_key(&bench, "other", "3650");
    let curve = [
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        "curve.key",
    ];
    done(&bench, &openssl, &curve);
    let of_curve = [
        "req",
        "-x509",
        "-key",
        "curve.key",
        "-out",
        "curve.crt",
        "-subj",
        "/CN=curve",
    ];
    done(&bench, &openssl, &of_curve);
    let small = [
        "req",
        "-x509",
        "-newkey",
        "rsa:1024",
        "-nodes",
        "-keyout",
        "small.key",
        "-out",
        "small.crt",
        "-subj",
        "/CN=small",
    ];
    done(&bench, &openssl, &small);
    let locked = [
        "rsa",
        "-in",
        "test.key",
        "-aes128",
        "-passout",
        "pass:secret",
        "-out",
        "locked.key",
    ];
    done(&bench, &openssl, &locked);
    bench.write("short.sig", [0; 255]);
    bench.write("wrong.sig", [0; 256]);
    for (from, to, expected) in [
        (
            "test.key",
            "other.key",
            "the key does not fit the certificate",
        ),
        ("test.key", "locked.key", "the key is encrypted"),
        (
            "test.key",
            "test.crt",
            "it is a certificate, and no private key",
        ),
        ("test.key", "curve.key", "it is no RSA key"),
        ("test.key", "image.toml", "it is no private key"),
        ("test.key", "missing.key", "missing.key"),
        ("test.crt", "test.key", "it is no X.509 certificate"),
        ("test.crt", "curve.crt", "its key is no RSA key"),
        ("test.crt", "small.crt", "its RSA key has 1024 bits"),
        (
            "key = \"test.key\"",
            "signature = \"short.sig\"",
            "has 256 bytes, and this has 255",
        ),
        (
            "key = \"test.key\"",
            "signature = \"wrong.sig\"",
            "it is no signature of the root hash",
        ),
        (
            "key = \"test.key\", ",
            "",
            "it names 0 of `key` and `signature`",
        ),
        (
            "key = \"test.key\"",
            "key = \"test.key\", signature = \"wrong.sig\"",
            "it names 2 of `key` and `signature`",
        ),
        (
            ", certificate = \"test.crt\"",
            "",
            "the key `certificate` is missing",
        ),
        (
            "of = \"root\", key",
            "of = \"rot\", key",
            "did you mean 'root'?",
        ),
        (
            "verity = { of = \"root\" }",
            "size = \"1MiB\"",
            "partition 'root' has no hash tree",
        ),
        (
            "verity-signature",
            "size = 1024\nverity-signature",
            "the signature takes",
        ),
        (
            "verity-signature",
            "size = \"5MiB\"\nverity-signature",
            "systemd reads none of more than",
        ),
        (
            "verity-signature",
            "filesystem = \"ext4\"\nverity-signature",
            "both `verity-signature` and `filesystem` are there",
        ),
    ] {
        bench.refuses_spec(SPEC, from, to, expected);
    }
}

#[test]
fn an_image_is_never_written_over_a_key() {
    let Some((bench, _)) = bench() else { return };
    bench.write("image.toml", SPEC);
    for file in ["test.key", "test.crt"] {
        let before = fs::read(bench.path(file)).unwrap();
        let outcome = bench.run(&["build", "image.toml", "-o", file]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert_eq!(fs::read(bench.path(file)).unwrap(), before);
    }
}

#[test]
fn a_spec_with_signatures_is_printed_as_it_means() {
    let Some((bench, _)) = bench() else { return };
    let (image, _) = built(&bench, SPEC, &[]);
    fs::rename(&image, bench.path("first.img")).unwrap();
    let printed = bench.done(&["convert", "image.toml"]);
    let (image, _) = built(&bench, &printed, &[]);
    assert_same_bytes(&bench.path("first.img"), &image);
}
