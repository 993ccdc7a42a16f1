//! What is wrong is named: image, layer and entry.

use super::*;

#[track_caller]
fn refused(image: &Image, parts: &[&str]) {
    let message = refusal(image);
    assert!(
        message.starts_with(image.path.to_str().unwrap()),
        "{message}"
    );
    for part in parts {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_layer_with_other_bytes_is_refused_by_its_digest() {
    for packing in Packing::ALL {
        let layout = Layout::of(
            &[
                tar().member(b"a", b'0', &[1; 2000]).end(),
                tar().member(b"b", b'0', b"").end(),
            ],
            packing,
        );
        let manifest = fs::read(layout.blob_path(&layout.manifests[0])).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let path = layout.blob_path(&manifest["layers"][0]);
        let good = fs::read(&path).unwrap();
        for at in [0, 40, good.len() / 2, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[at] ^= 0x40;
            fs::write(&path, bytes).unwrap();
            refused(
                &layout.image(),
                &[
                    "layer 1 of 2 (sha256:",
                    "its bytes have the digest sha256:",
                    "make or fetch the image again",
                ],
            );
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        refused(&layout.image(), &["and its descriptor says"]);
    }
}

#[test]
fn documents_are_held_to_their_digests() {
    let layout = Layout::of(&[tar().end()], Packing::Plain);
    let path = layout.blob_path(&layout.manifests[0]);
    let good = fs::read(&path).unwrap();
    let mut bytes = good.clone();
    bytes[10] ^= 1;
    fs::write(&path, &bytes).unwrap();
    refused(
        &layout.image(),
        &["blobs/sha256/", "has the digest sha256:"],
    );
    fs::write(&path, &good).unwrap();
    let manifest: Value = serde_json::from_slice(&good).unwrap();
    let config = layout.blob_path(&manifest["config"]);
    let mut bytes = fs::read(&config).unwrap();
    bytes[3] ^= 1;
    fs::write(&config, bytes).unwrap();
    refused(
        &layout.image(),
        &["blobs/sha256/", "has the digest sha256:"],
    );
}

#[test]
fn a_layer_that_is_cut_short_fails() {
    let whole = tar().member(b"a", b'0', &[1; 2000]).end();
    for packing in Packing::ALL {
        // Its digest is right, and what it is not.
        let layout = Layout::of(&[whole[..1024].to_vec()], packing);
        refused(
            &layout.image(),
            &["layer 1 of 1", "truncated", "member 'a'"],
        );
    }
    let mut layout = Layout::new();
    let packed = Packing::Gzip.pack(&whole);
    let layer = layout.blob(
        "application/vnd.oci.image.layer.v1.tar+gzip",
        &packed[..packed.len() - 9],
    );
    let manifest = layout.manifest(&config("amd64"), &[layer]);
    layout.add(manifest, "", None);
    layout.write_index();
    refused(&layout.image(), &["layer 1 of 1", "damaged gzip data"]);
}

#[test]
fn paths_that_lead_out_are_refused() {
    for name in [
        &b"../evil"[..],
        b"a/../../evil",
        b"a/..",
        b".wh...",
        b".wh..",
        b".wh.",
        b".wh.d/x",
    ] {
        let layout = Layout::of(
            &[
                tar().member(b"ok", b'0', b"").end(),
                tar().member(name, b'0', b"").end(),
            ],
            Packing::Gzip,
        );
        let shown = String::from_utf8_lossy(name);
        refused(
            &layout.image(),
            &["layer 2 of 2", &format!("member '{shown}'")],
        );
    }
    let layout = Layout::of(
        &[tar().link(b"a", b'1', b"../../etc/passwd").end()],
        Packing::Plain,
    );
    refused(&layout.image(), &["layer 1 of 1", "'..'"]);
    // An absolute path is one of the image.
    let layout = Layout::of(&[tar().member(b"/etc/a", b'0', b"").end()], Packing::Plain);
    assert_eq!(paths(&tree_of(&layout.image())), ["/etc", "/etc/a"]);
}

#[test]
fn a_hard_link_to_nothing_is_refused() {
    let layout = Layout::of(
        &[tar().end(), tar().link(b"a", b'1', b"absent").end()],
        Packing::Plain,
    );
    refused(
        &layout.image(),
        &["layer 2 of 2", "member 'a' is a hard link to 'absent'"],
    );
}

#[test]
fn foreign_encrypted_and_unknown_layers_are_refused() {
    for (kind, part) in [
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "is foreign",
        ),
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "is foreign",
        ),
        (
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "is encrypted",
        ),
        (
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "is no layer",
        ),
    ] {
        let mut layout = Layout::new();
        let layer = layout.blob(kind, &tar().end());
        if part == "is foreign" {
            fs::remove_file(layout.blob_path(&layer)).unwrap();
        }
        let manifest = layout.manifest(&config("amd64"), &[layer]);
        layout.add(manifest, "", None);
        layout.write_index();
        refused(&layout.image(), &["layer 1 (sha256:", part]);
    }
}

#[test]
fn an_artifact_is_no_image() {
    let mut layout = Layout::new();
    let config = layout.blob("application/vnd.cncf.helm.config.v1+json", b"{}");
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    let manifest = layout.blob(
        "application/vnd.oci.image.manifest.v1+json",
        &serde_json::to_vec(&manifest).unwrap(),
    );
    layout.add(manifest, "", None);
    layout.write_index();
    refused(
        &layout.image(),
        &["an artifact of the kind application/vnd.cncf.helm.config.v1+json"],
    );
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let layout = Layout::of(
        &[
            tar().end(),
            tar().member(b"zeros", b'0', &vec![0; 4 << 20]).end(),
        ],
        Packing::Gzip,
    );
    let source = Source::new(What::Image(layout.image()));
    let error = read_sources(&[source], &spool, &ReadOptions::within(1 << 20))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("layer 2 of 2") && error.contains("more than the 1048576 bytes"),
        "{error}"
    );
}

#[test]
fn documents_without_end_are_not_read() {
    let layout = Layout::of(&[tar().end()], Packing::Plain);
    fs::File::create(layout.path().join("index.json"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    refused(
        &layout.image(),
        &["index.json has 1073741824 bytes", "may have 4194304"],
    );
    fs::write(layout.path().join("index.json"), "[".repeat(1 << 20)).unwrap();
    refused(&layout.image(), &["index.json: "]);
}

#[test]
fn an_index_of_thousands_is_listed_in_part_and_not_followed_for_ever() {
    let mut layout = Layout::new();
    for number in 0..3000 {
        let digest = Digest::of(
            Algorithm::Sha256,
            &[
                u8::try_from(number % 256).unwrap(),
                u8::try_from(number / 256).unwrap(),
            ],
        );
        let descriptor = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest.to_string(), "size": 1 });
        layout.add(descriptor, &format!("n{number}"), Some("linux/amd64"));
    }
    layout.write_index();
    refused(
        &layout.image(),
        &["several images: n0 linux/amd64", "and 2980 more"],
    );

    // Each index names all that come after it: without a bound their paths are without number.
    let mut layout = Layout::new();
    let mut later: Vec<Value> = Vec::new();
    for number in 0..40 {
        let index = json!({ "schemaVersion": 2, "manifests": later, "annotations": { "n": number.to_string() } });
        later.push(layout.blob(
            "application/vnd.oci.image.index.v1+json",
            &serde_json::to_vec(&index).unwrap(),
        ));
    }
    layout.add(later.pop().unwrap(), "", None);
    layout.write_index();
    refused(&layout.image(), &[]);
}

#[test]
fn links_out_of_a_layout_are_not_followed() {
    let layout = Layout::of(&[tar().end()], Packing::Plain);
    let manifest = layout.blob_path(&layout.manifests[0]);
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    fs::copy(&manifest, elsewhere.path()).unwrap();
    fs::remove_file(&manifest).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &manifest).unwrap();
    refused(
        &layout.image(),
        &[
            "cannot open blobs/sha256/",
            "links that lead out of a layout are not followed",
        ],
    );
    // Within it they are.
    fs::remove_file(&manifest).unwrap();
    fs::copy(elsewhere.path(), layout.path().join("real")).unwrap();
    std::os::unix::fs::symlink("../../real", &manifest).unwrap();
    assert_eq!(paths(&tree_of(&layout.image())).len(), 0);
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let layout = Layout::of(&[tar().end()], Packing::Plain);
    let manifest = layout.blob_path(&layout.manifests[0]);
    fs::remove_file(&manifest).unwrap();
    let done = std::process::Command::new("mkfifo")
        .arg(&manifest)
        .status()
        .unwrap();
    assert!(done.success());
    refused(&layout.image(), &["is a fifo"]);
}

#[test]
fn a_layout_that_changes_after_it_was_read_is_an_error() {
    let layout = Layout::of(&[tar().member(b"a", b'0', b"data").end()], Packing::Plain);
    let tree = tree_of(&layout.image());
    let manifest = fs::read(layout.blob_path(&layout.manifests[0])).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let path = layout.blob_path(&manifest["layers"][0]);
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(b"x")
        .unwrap();
    let mut buffer = [0; 4];
    let error = tree
        .reader()
        .read(find(&tree, "/a"), 0, &mut buffer)
        .unwrap_err()
        .to_string();
    assert!(error.contains("changed while it was read"), "{error}");
}

#[test]
fn folders_and_archives_that_are_no_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    refused(
        &Image::new(folder.path().into()),
        &["is no container image", "skopeo copy"],
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), tar().member(b"a", b'0', b"").end()).unwrap();
    refused(&Image::new(file.path().into()), &["is no container image"]);
}

#[test]
fn a_value_that_no_program_can_be_given_is_refused() {
    let mut layout = Layout::new();
    let mut config = config("amd64");
    config["config"]["Cmd"] = json!(["a\0b"]);
    let manifest = layout.manifest(&config, &[]);
    layout.add(manifest, "", None);
    layout.write_index();
    refused(&layout.image(), &["its `Cmd` has a NUL byte"]);
}

/// An image of one layer whose configuration and manifest `edit` changes.
fn edited(packing: Packing, edit: impl FnOnce(&mut Value, &mut Value)) -> Layout {
    let mut layout = Layout::new();
    let tar = tar().member(b"a", b'0', b"x").end();
    let layer = layout.layer(packing, &tar);
    let mut config = config("amd64");
    let diff_id = Digest::of(Algorithm::Sha256, &tar).to_string();
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [diff_id] });
    let mut manifest = json!({ "schemaVersion": 2, "layers": [layer] });
    edit(&mut config, &mut manifest);
    let bytes = serde_json::to_vec(&config).unwrap();
    manifest["config"] = layout.blob("application/vnd.oci.image.config.v1+json", &bytes);
    let manifest = layout.blob(
        "application/vnd.oci.image.manifest.v1+json",
        &serde_json::to_vec(&manifest).unwrap(),
    );
    layout.add(manifest, "", None);
    layout.write_index();
    layout
}

#[test]
fn a_document_that_could_be_taken_for_something_else_is_refused() {
    for kind in [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ] {
        let sound = edited(Packing::Plain, |_, manifest| {
            manifest["mediaType"] = json!(kind)
        });
        assert_eq!(paths(&tree_of(&sound.image())), ["/a"]);
    }
    for manifests in [json!([]), json!([{ "digest": "sha256:00", "size": 1 }])] {
        let both = edited(Packing::Plain, |_, manifest| {
            manifest["manifests"] = manifests
        });
        refused(
            &both.image(),
            &["blobs/sha256/", "it may be one of them only"],
        );
    }
    for kind in [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.config.v1+json",
    ] {
        let other = edited(Packing::Plain, |_, manifest| {
            manifest["mediaType"] = json!(kind)
        });
        refused(
            &other.image(),
            &[
                "blobs/sha256/",
                &format!("it is a manifest, and its `mediaType` is {kind}"),
            ],
        );
    }
    let layout = Layout::of(&[tar().end()], Packing::Plain);
    let index = |extra: Value| {
        let mut index = json!({ "schemaVersion": 2, "manifests": layout.manifests });
        index
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        fs::write(layout.path().join("index.json"), index.to_string()).unwrap();
    };
    index(json!({ "layers": [] }));
    refused(&layout.image(), &["index.json: it has `manifests`"]);
    index(json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json" }));
    refused(
        &layout.image(),
        &["index.json: it is an index, and its `mediaType` is"],
    );
    index(json!({ "mediaType": "application/vnd.oci.image.index.v1+json" }));
    tree_of(&layout.image());
}

#[test]
fn a_layout_of_another_version_is_refused() {
    let layout = Layout::of(&[tar().end()], Packing::Plain);
    let mark = layout.path().join("oci-layout");
    for (text, shown) in [
        (r#"{"imageLayoutVersion":"9.0.0"}"#, "'9.0.0'"),
        (r#"{"imageLayoutVersion":"10"}"#, "'10'"),
        ("{}", "''"),
    ] {
        fs::write(&mark, text).unwrap();
        let expected = format!("oci-layout: its `imageLayoutVersion` is {shown}");
        refused(&layout.image(), &[&expected]);
    }
    fs::write(&mark, r#"{"imageLayoutVersion":"1.7"}"#).unwrap();
    tree_of(&layout.image());
    fs::remove_file(mark).unwrap();
    tree_of(&layout.image());
}

#[test]
fn the_digests_of_a_configuration_belong_to_the_layers() {
    let zero = format!("sha256:{}", "0".repeat(64));
    for packing in Packing::ALL {
        let sound = edited(packing, |_, _| ());
        assert_eq!(paths(&tree_of(&sound.image())), ["/a"]);
        for diff_ids in [json!(null), json!([]), json!([zero, zero])] {
            let count = diff_ids.as_array().map_or(0, Vec::len);
            let layout = edited(packing, |config, _| config["rootfs"]["diff_ids"] = diff_ids);
            let expected = format!(
                "its `rootfs.diff_ids` are the digests of {count} layers, and the manifest names 1;"
            );
            refused(&layout.image(), &[&expected]);
        }
        let layout = edited(packing, |config, _| {
            config["rootfs"]["type"] = json!("base")
        });
        refused(
            &layout.image(),
            &["its `rootfs.type` is 'base' and not 'layers'"],
        );
        // Of a compressed one it would have to be computed beside that of the blob.
        let other = edited(packing, |config, _| {
            config["rootfs"]["diff_ids"] = json!([zero])
        });
        if packing == Packing::Plain {
            let expected =
                format!("is not compressed, and the configuration has the digest {zero}");
            refused(&other.image(), &["layer 1 (sha256:", &expected]);
        } else {
            tree_of(&other.image());
        }
    }
}
