//! Content that is compressed on the wire, with a server that is honest and with ones that are not.

#![allow(clippy::unwrap_used)]

mod server;

use std::time::Duration;

use cellblock_reapi::{Address, BlobName, Client, Compression, ReapiError};

use server::{Manner, Server};

fn client(server: &Server, compression: Compression) -> Client {
    let address = Address::parse(&format!("grpc://{}/images", server.address)).unwrap();
    // A machine with much to do answers late.
    let client = Client::new(&address, Duration::from_secs(120)).unwrap();
    client.compressing(compression)
}

fn text(size: usize) -> Vec<u8> {
    (0_u64..)
        .flat_map(|number| format!("line {number} of a text\n").into_bytes())
        .take(size)
        .collect()
}

fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(size)
    .collect()
}

/// A large one, several that go together, and one of each kind that does not become smaller.
fn blobs() -> Vec<Vec<u8>> {
    vec![
        text((5 << 20) + 1),
        text(700_000),
        text(600_000),
        noise(500_000),
        noise(5 << 20),
    ]
}

fn upload(client: &Client, blobs: &[Vec<u8>]) -> Result<(), ReapiError> {
    let named: Vec<(BlobName, &[u8])> = blobs.iter().map(|it| (BlobName::of(it), &**it)).collect();
    client.upload(&named)
}

fn download(client: &Client, blobs: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, ReapiError> {
    let names: Vec<BlobName> = blobs.iter().map(|it| BlobName::of(it)).collect();
    client.download(&names)
}

#[test]
fn what_becomes_smaller_goes_and_comes_compressed() {
    let server = Server::start(Manner::Honest, true);
    let client = client(&server, Compression::Always);
    let blobs = blobs();
    upload(&client, &blobs).unwrap();
    let (asked, up) = server.asked();
    let expected = [
        "write true",
        "update 1",
        "update 1",
        "update 0",
        "write false",
    ];
    assert_eq!(asked, expected);
    for blob in &blobs {
        assert!(server.kept(blob).as_ref() == Some(blob));
    }
    assert!(download(&client, &blobs).unwrap() == blobs);
    let (asked, down) = server.asked();
    let expected = [
        "read true",
        "batch true",
        "batch true",
        "batch true",
        "read true",
    ];
    assert_eq!(asked, expected);
    // What does not become smaller is all that there is of much.
    let least = (5 << 20) + 500_000;
    for bytes in [up, down] {
        assert!((least..least + 2_500_000).contains(&bytes), "{bytes}");
    }
    assert_eq!(server.capabilities(), 1);
    // What it has is not sent to its end, and not a mistake.
    upload(&client, &blobs[..1]).unwrap();
    assert_eq!(server.asked().0, ["had it"]);
}

#[test]
fn a_server_that_does_not_say_so_is_sent_nothing_compressed() {
    let server = Server::start(Manner::Honest, false);
    let client = client(&server, Compression::Always);
    let blobs = blobs();
    upload(&client, &blobs).unwrap();
    assert!(download(&client, &blobs).unwrap() == blobs);
    let (asked, bytes) = server.asked();
    let is_compressed = |it: &String| it.ends_with("true") || it == "update 1";
    assert!(!asked.iter().any(is_compressed), "{asked:?}");
    assert_eq!(bytes, 2 * blobs.iter().map(Vec::len).sum::<usize>());
}

#[test]
fn whoever_does_not_want_it_has_it_as_it_is() {
    let server = Server::start(Manner::Honest, true);
    let client = client(&server, Compression::Never);
    let blobs = blobs();
    upload(&client, &blobs).unwrap();
    assert!(download(&client, &blobs).unwrap() == blobs);
    let bytes = server.asked().1;
    assert_eq!(bytes, 2 * blobs.iter().map(Vec::len).sum::<usize>());
}

#[test]
fn a_blob_may_come_in_several_frames() {
    let server = Server::start(Manner::Frames, true);
    let client = client(&server, Compression::Always);
    let blobs = blobs();
    blobs.iter().for_each(|blob| server.keep(blob));
    assert!(download(&client, &blobs).unwrap() == blobs);
}

/// Whatever it sends, it is refused with a reason, or it is what was asked for.
#[test]
fn a_hostile_server_gives_no_other_bytes_and_takes_no_more_memory() {
    // A large one alone, and two that come together.
    let large = vec![text((5 << 20) + 1)];
    let small = vec![text(700_000), text(600_000)];
    for (manner, of_large, of_small) in [
        (
            Manner::Bomb,
            "of more than the 5242881 bytes",
            "of more than the 700000 bytes",
        ),
        (
            Manner::Cut,
            "it sends what is no Zstandard",
            "it sends what is no Zstandard",
        ),
        (
            Manner::Other,
            "other bytes than have the digest",
            "other bytes than have the digest",
        ),
        (
            Manner::Longer,
            "of more than the 5242881 bytes",
            "of more than the 700000 bytes",
        ),
        (
            Manner::Plain,
            "it sends what is no Zstandard",
            "it sends what is no Zstandard",
        ),
        (Manner::Endless, "of more than the 5242881 bytes", ""),
        (Manner::Elsewhere, "", "what it was not asked for"),
        (Manner::Again, "", "what it was not asked for"),
    ] {
        let server = Server::start(manner, true);
        let client = client(&server, Compression::Always);
        for (blobs, expected) in [(&large, of_large), (&small, of_small)] {
            blobs.iter().for_each(|blob| server.keep(blob));
            match (download(&client, blobs), expected) {
                (Ok(found), "") => assert!(found == *blobs, "{manner:?}"),
                (Err(ReapiError::Nonsense(text)), _) => {
                    assert!(
                        !expected.is_empty() && text.contains(expected),
                        "{manner:?}: {text}"
                    );
                }
                (other, _) => panic!("{manner:?}: {:?}", other.map(|it| it.len())),
            }
        }
    }
}

#[test]
fn what_is_missing_is_missing_compressed_too() {
    let server = Server::start(Manner::Honest, true);
    let client = client(&server, Compression::Always);
    let found = download(&client, &[text(5 << 20)]);
    assert_eq!(found.unwrap_err(), ReapiError::Missing);
}
