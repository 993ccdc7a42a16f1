//! Which image is taken, and in what form it may come.

use super::super::super::looks_like_image;
use super::*;

fn root(content: &[u8]) -> Vec<u8> {
    Builder::default().member(b"which", b'0', content).end()
}

/// Two images of two platforms each.
fn several() -> Layout {
    let mut layout = Layout::new();
    let mut index = |name: &str| {
        let mut manifests = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let layer = layout.layer(
                Packing::Gzip,
                &root(format!("{name} {architecture}").as_bytes()),
            );
            let mut manifest = layout.manifest(&config(architecture), &[layer]);
            manifest["platform"] = json!({ "os": "linux", "architecture": architecture });
            manifests.push(manifest);
        }
        // What BuildKit attests.
        manifests.push(json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 5,
            "digest": Digest::of(Algorithm::Sha256, name.as_bytes()).to_string(),
            "platform": { "os": "unknown", "architecture": "unknown" },
            "annotations": { "vnd.docker.reference.type": "attestation-manifest" }
        }));
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        let index = layout.blob(
            "application/vnd.oci.image.index.v1+json",
            &serde_json::to_vec(&index).unwrap(),
        );
        layout.add(index, name, None);
    };
    index("docker.io/library/one:latest");
    index("two:1.0");
    layout.write_index();
    layout
}

fn which(image: &Image) -> String {
    String::from_utf8(contents(&tree_of(image), "/which")).unwrap()
}

#[test]
fn a_name_and_a_platform_choose() {
    let layout = several();
    for (reference, wanted, expected) in [
        ("two:1.0", "linux/arm64", "two:1.0 arm64"),
        ("one", "linux/amd64", "docker.io/library/one:latest amd64"),
        (
            "one:latest",
            "linux/arm64",
            "docker.io/library/one:latest arm64",
        ),
        (
            "docker.io/library/one:latest",
            "linux/arm64",
            "docker.io/library/one:latest arm64",
        ),
    ] {
        let image = Image {
            reference: Some(reference.to_owned()),
            platform: Some(platform(wanted)),
            ..layout.image()
        };
        assert_eq!(which(&image), expected);
    }
}

#[test]
fn what_is_ambiguous_is_listed() {
    let layout = several();
    let message = refusal(&layout.image());
    for part in [
        "several images",
        "two:1.0 linux/amd64 sha256:",
        "two:1.0 linux/arm64",
        "one:latest linux/amd64",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let image = Image {
        reference: Some("two:1.0".into()),
        ..layout.image()
    };
    let message = refusal(&image);
    assert!(
        message.contains("several images: two:1.0 linux/amd64") && !message.contains("one:latest"),
        "{message}"
    );
    let image = Image {
        reference: Some("three".into()),
        ..layout.image()
    };
    assert!(
        refusal(&image)
            .contains("has no image 'three'; it has docker.io/library/one:latest, two:1.0")
    );
    let image = Image {
        platform: Some(platform("linux/riscv64")),
        ..layout.image()
    };
    let message = refusal(&image);
    assert!(
        message.contains("nothing for the platform linux/riscv64; it has"),
        "{message}"
    );
}

#[test]
fn a_digest_chooses_at_any_depth() {
    let layout = several();
    let index = fs::read(layout.blob_path(&layout.manifests[1])).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let image = Image {
        reference: Some(index["manifests"][1]["digest"].as_str().unwrap().to_owned()),
        ..layout.image()
    };
    assert_eq!(which(&image), "two:1.0 arm64");
}

#[test]
fn one_image_with_several_names_is_not_ambiguous() {
    let mut layout = Layout::of(&[root(b"1")], Packing::Gzip);
    let same = layout.manifests[0].clone();
    layout.add(same, "other", None);
    layout.write_index();
    assert_eq!(which(&layout.image()), "1");
}

#[test]
fn a_platform_that_only_the_configuration_says_counts() {
    let layout = Layout::of(&[root(b"1")], Packing::Gzip);
    let image = |text: &str| Image {
        platform: Some(platform(text)),
        ..layout.image()
    };
    assert_eq!(which(&image("linux/amd64")), "1");
    assert!(refusal(&image("linux/arm64")).contains("it has test linux/amd64 sha256:"));
}

#[test]
fn a_variant_that_is_not_asked_for_may_be_any() {
    let mut layout = Layout::new();
    for variant in ["v6", "v7"] {
        let layer = layout.layer(Packing::Plain, &root(variant.as_bytes()));
        let manifest = layout.manifest(&config("arm"), &[layer]);
        layout.add(manifest, "a", Some(&format!("linux/arm/{variant}")));
    }
    layout.write_index();
    let image = |text: &str| Image {
        platform: Some(platform(text)),
        ..layout.image()
    };
    assert_eq!(which(&image("linux/arm/v7")), "v7");
    assert!(refusal(&image("linux/arm")).contains("linux/arm/v6"));
    for text in ["linux", "linux/", "/arm", "linux/arm/v7/x", "linux/a m", ""] {
        assert!(text.parse::<ImagePlatform>().is_err(), "{text}");
    }
}

#[test]
fn sha512_is_checked_too() {
    let mut layout = Layout::new();
    let layer = layout.blob_by(
        Algorithm::Sha512,
        "application/vnd.oci.image.layer.v1.tar",
        &root(b"512"),
    );
    let manifest = layout.manifest(&config("amd64"), std::slice::from_ref(&layer));
    layout.add(manifest, "", None);
    layout.write_index();
    assert_eq!(which(&layout.image()), "512");
    fs::write(layout.blob_path(&layer), root(b"513")).unwrap();
    assert!(refusal(&layout.image()).contains("its bytes have the digest sha512:"));
}

/// What `docker save` wrote before version 25; the second layer is a link to the first.
fn saved(compress: bool) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let layer = root(b"saved");
    let diff = Digest::of(Algorithm::Sha256, &layer).to_string();
    let stored = if compress {
        Packing::Gzip.pack(&layer)
    } else {
        layer
    };
    let mut config = config("amd64");
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [diff, diff] });
    config["config"] = json!({ "Cmd": ["/bin/sh"], "Env": ["A=b"] });
    let config = serde_json::to_vec(&config).unwrap();
    let id = Digest::of(Algorithm::Sha256, &config).to_string();
    let id = id.strip_prefix("sha256:").unwrap();
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    fs::create_dir_all(folder.path().join(&one)).unwrap();
    fs::create_dir_all(folder.path().join(&two)).unwrap();
    fs::write(folder.path().join(format!("{one}/layer.tar")), stored).unwrap();
    fs::write(folder.path().join(format!("{one}/VERSION")), "1.0").unwrap();
    std::os::unix::fs::symlink(
        format!("../{one}/layer.tar"),
        folder.path().join(format!("{two}/layer.tar")),
    )
    .unwrap();
    fs::write(folder.path().join(format!("{id}.json")), config).unwrap();
    let manifest = json!([{
        "Config": format!("{id}.json"), "RepoTags": ["thing:latest"],
        "Layers": [format!("{one}/layer.tar"), format!("{two}/layer.tar")]
    }]);
    fs::write(
        folder.path().join("manifest.json"),
        serde_json::to_vec(&manifest).unwrap(),
    )
    .unwrap();
    folder
}

#[test]
fn the_older_form_of_docker_save_is_read_as_a_folder_and_as_a_tar() {
    for compress in [false, true] {
        let folder = saved(compress);
        assert_eq!(which(&Image::new(folder.path().into())), "saved");
        let tar = tempfile::NamedTempFile::new().unwrap();
        fs::write(tar.path(), packed(folder.path())).unwrap();
        let mut image = Image::new(tar.path().into());
        assert_eq!(which(&image), "saved");
        image.reference = Some("thing".to_owned());
        assert_eq!(which(&image), "saved");
        image.reference = Some("other".to_owned());
        assert!(refusal(&image).contains("it has thing:latest"));
    }
}

#[test]
fn a_layer_of_docker_save_that_is_another_is_refused() {
    for compress in [false, true] {
        let folder = saved(compress);
        let layer = folder.path().join("1".repeat(64)).join("layer.tar");
        let other = root(b"forged");
        fs::write(
            layer,
            if compress {
                Packing::Gzip.pack(&other)
            } else {
                other
            },
        )
        .unwrap();
        let message = refusal(&Image::new(folder.path().into()));
        assert!(
            message.contains("layer 1 of 2") && message.contains("its bytes have the digest"),
            "{message}"
        );
    }
}

#[test]
fn a_layout_may_be_a_tar_and_that_compressed() {
    let layout = Layout::of(&[root(b"tar")], Packing::Zstd);
    let plain = packed(layout.path());
    for packing in Packing::ALL {
        let tar = tempfile::NamedTempFile::new().unwrap();
        fs::write(tar.path(), packing.pack(&plain)).unwrap();
        assert_eq!(which(&Image::new(tar.path().into())), "tar");
    }
}

#[test]
fn an_image_is_told_from_other_archives_and_folders() {
    let layout = Layout::of(&[root(b"1")], Packing::Zstd);
    assert!(looks_like_image(layout.path()));
    let file = |bytes: &[u8]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        looks_like_image(file.path())
    };
    assert!(file(&packed(layout.path())));
    assert!(file(&packed(saved(false).path())));
    assert!(!file(&root(b"x")));
    let with_more = Builder::default()
        .member(b"index.json", b'0', b"{}")
        .member(b"www/index.html", b'0', b"")
        .end();
    assert!(!file(&with_more));
    assert!(!file(
        &Builder::default().member(b"blobs/a", b'0', b"").end()
    ));
    assert!(!file(b""));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.json"), "{}").unwrap();
    assert!(!looks_like_image(folder.path()));
}

#[test]
fn what_an_image_says_of_itself_is_told() {
    let folder = saved(false);
    let source = Source::new(What::Image(Image::new(folder.path().into())));
    let options = ReadOptions::within(1 << 20);
    let opened = super::super::super::open_images([source].iter(), &spool, &options).unwrap();
    let info = opened[0].info();
    assert_eq!(info.names, ["thing:latest"]);
    assert_eq!(info.config.cmd, ["/bin/sh"]);
    assert_eq!(info.config.env, ["A=b"]);
    assert_eq!(info.platform.as_ref().unwrap().to_string(), "linux/amd64");
    assert_eq!((info.layers.len(), &info.manifest), (2, &None));
}
