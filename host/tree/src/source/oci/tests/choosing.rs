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
fn a_variant_that_is_not_asked_for_is_the_usual_one_or_else_any() {
    let of = |variants: &[&str]| {
        let mut layout = Layout::new();
        for variant in variants {
            let layer = layout.layer(Packing::Plain, &root(variant.as_bytes()));
            let manifest = layout.manifest(&config("arm"), &[layer]);
            layout.add(manifest, "a", Some(&format!("linux/arm/{variant}")));
        }
        layout.write_index();
        layout
    };
    let image = |layout: &Layout, text: &str| Image {
        platform: Some(platform(text)),
        ..layout.image()
    };
    let layout = of(&["v6", "v7"]);
    assert_eq!(which(&image(&layout, "linux/arm/v6")), "v6");
    for usual in ["linux/arm", "linux/arm/v7", "linux/armhf"] {
        assert_eq!(which(&image(&layout, usual)), "v7", "{usual}");
    }
    assert_eq!(which(&image(&of(&["v6"]), "linux/arm")), "v6");
    let message = refusal(&image(&of(&["v5", "v6"]), "linux/arm"));
    assert!(
        message.contains("several images: a linux/arm/v5"),
        "{message}"
    );
    for text in ["linux", "linux/", "/arm", "linux/arm/v7/x", "linux/a m", ""] {
        assert!(text.parse::<ImagePlatform>().is_err(), "{text}");
    }
}

#[test]
fn one_manifest_for_two_platforms_is_found_under_each() {
    let mut layout = Layout::new();
    let layer = layout.layer(Packing::Plain, &root(b"both"));
    let manifest = layout.manifest(&config("arm64"), &[layer]);
    for platform in ["linux/arm64", "linux/amd64"] {
        layout.add(manifest.clone(), "a", Some(platform));
    }
    layout.write_index();
    for wanted in ["linux/amd64", "linux/arm64", "linux/arm64/v8"] {
        let image = Image {
            platform: Some(platform(wanted)),
            ..layout.image()
        };
        assert_eq!(which(&image), "both", "{wanted}");
    }
    // It is one image.
    assert_eq!(which(&layout.image()), "both");
}

/// What is beside an image for `linux/amd64` in an index, and is none: by what it is called in errors.
fn others(layout: &Layout) -> Vec<(&'static str, Value)> {
    let manifest = |config: &str, more: Value| {
        let config = layout.blob(config, b"{}");
        let mut manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
        manifest
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        layout.blob(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.to_string().as_bytes(),
        )
    };
    let absent = |kind: &str, text: &str| {
        let digest = Digest::of(Algorithm::Sha256, text.as_bytes()).to_string();
        json!({ "mediaType": kind, "size": 5, "digest": digest })
    };
    let mut attested = absent("application/vnd.oci.image.manifest.v1+json", "unknown");
    attested["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    vec![
        (
            "an artifact of the kind application/vnd.example+type",
            manifest(
                "application/vnd.oci.empty.v1+json",
                json!({ "artifactType": "application/vnd.example+type" }),
            ),
        ),
        (
            "an artifact of the kind application/vnd.cncf.helm.config.v1+json",
            manifest("application/vnd.cncf.helm.config.v1+json", json!({})),
        ),
        (
            "of the media type application/vnd.example.thing",
            absent("application/vnd.example.thing", "thing"),
        ),
        ("for no platform, as what is attested of an image", attested),
    ]
}

#[test]
fn what_is_no_image_is_passed_over_and_listed() {
    let layer = |layout: &Layout| layout.layer(Packing::Plain, &root(b"image"));
    for count in [1, 4] {
        let mut layout = Layout::new();
        let others: Vec<_> = others(&layout).into_iter().take(count).collect();
        for (_, other) in &others {
            layout.add(other.clone(), "", None);
        }
        let layer = layer(&layout);
        let manifest = layout.manifest(&config("amd64"), &[layer]);
        layout.add(manifest, "", None);
        layout.write_index();
        assert_eq!(which(&layout.image()), "image");
        let mut image = layout.image();
        image.platform = Some(platform("linux/amd64"));
        assert_eq!(which(&image), "image");
        image.platform = Some(platform("linux/riscv64"));
        let message = refusal(&image);
        assert!(
            message.contains("nothing for the platform linux/riscv64; it has linux/amd64 sha256:"),
            "{message}"
        );
        for (what, _) in &others {
            assert!(message.contains(what), "{message}");
        }
    }
    let mut layout = Layout::new();
    for (_, other) in others(&layout) {
        layout.add(other, "", None);
    }
    layout.write_index();
    let message = refusal(&layout.image());
    assert!(
        message.contains("has no image in it; it has sha256:")
            && message.contains("(an artifact of the kind application/vnd.example+type)"),
        "{message}"
    );
}

#[test]
fn what_is_not_in_a_layout_matters_where_it_is_meant() {
    let mut layout = Layout::new();
    let layer = layout.layer(Packing::Plain, &root(b"there"));
    let there = layout.manifest(&config("amd64"), &[layer]);
    let gone = |kind: &str| {
        let digest = Digest::of(Algorithm::Sha256, kind.as_bytes()).to_string();
        json!({ "mediaType": kind, "size": 5, "digest": digest })
    };
    let index = gone("application/vnd.oci.image.index.v1+json");
    let manifest = gone("application/vnd.oci.image.manifest.v1+json");
    // Its configuration is not there.
    let half = layout.manifest(&config("riscv64"), &[]);
    let bytes = fs::read(layout.blob_path(&half)).unwrap();
    let config: Value = serde_json::from_slice(&bytes).unwrap();
    fs::remove_file(layout.blob_path(&config["config"])).unwrap();
    for other in [&index, &manifest, &half] {
        layout.manifests.clear();
        layout.add(other.clone(), "other", None);
        layout.add(there.clone(), "this", None);
        layout.write_index();
        let mut image = layout.image();
        image.platform = Some(platform("linux/amd64"));
        assert_eq!(which(&image), "there");
        image.platform = Some(platform("linux/arm64"));
        let message = refusal(&image);
        let digest = other["digest"].as_str().unwrap();
        assert!(
            message.contains("it has this linux/amd64 sha256:")
                && message.contains(&format!("other {digest} (not in the layout)")),
            "{message}"
        );
        // Nobody has said that the other one is not meant.
        let message = refusal(&layout.image());
        assert!(
            message.contains("several images: other sha256:"),
            "{message}"
        );
        image.platform = None;
        image.reference = Some("this".to_owned());
        assert_eq!(which(&image), "there");
        image.reference = Some("other".to_owned());
        let message = refusal(&image);
        assert!(message.contains("cannot open blobs/sha256/"), "{message}");
    }
}

#[test]
fn images_for_windows_are_told_apart_by_its_version() {
    let mut layout = Layout::new();
    for version in ["10.0.17763.1", "10.0.20348.1"] {
        let layer = layout.layer(Packing::Plain, &root(version.as_bytes()));
        let mut manifest = layout.manifest(&config("amd64"), &[layer]);
        manifest["platform"] =
            json!({ "os": "windows", "architecture": "amd64", "os.version": version });
        layout.manifests.push(manifest);
    }
    layout.write_index();
    let message = refusal(&layout.image());
    for version in ["10.0.17763.1", "10.0.20348.1"] {
        let part = format!("windows/amd64 (os.version {version}) sha256:");
        assert!(message.contains(&part), "{message}");
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
