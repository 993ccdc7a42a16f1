//! Keys and certificates of a test, made by OpenSSL.

use crate::support::{Bench, Judge, judge, text};

/// Makes `NAME.key` and `NAME.crt`, a certificate that it signs itself and that holds for this many days; `None` without OpenSSL.
pub fn make_key(bench: &Bench, name: &str, days: &str) -> Option<Judge> {
    let openssl = judge("openssl")?;
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let subject = format!("/O=cellblock's tests/CN={name}");
    done(
        bench,
        &openssl,
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-days",
            days,
            "-subj",
            &subject,
        ],
    );
    Some(openssl)
}

/// What OpenSSL prints where it succeeds, in the folder of the test.
pub fn done(bench: &Bench, openssl: &Judge, arguments: &[&str]) -> Vec<u8> {
    let mut command = openssl.command();
    let output = command.current_dir(bench.folder()).args(arguments);
    let output = output.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    output.stdout
}
