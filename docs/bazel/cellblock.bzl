"""Disk images as Bazel targets.

    load("//tools:cellblock.bzl", "cellblock_image")

    cellblock_image(
        name = "disk",
        spec = "image.toml",
        archives = {":rootfs.tar": "root"},
        files = {"motd": "root,to=/etc/motd,mode=0644"},
        cellblock = "//tools:cellblock",
    )

makes `disk.img`, and with `record = True` its record, `disk.json`, which has times of the run in it. Files reach an action as symbolic links, which cellblock stores as such: give content as archives and
files, and not as directories in the spec.
"""

def _quoted(path):
    # A comma in a path would begin an option.
    return '"' + path + '"'

def _content(kind, file, value):
    """NAME=SOURCE of --content, from `PARTITION[,OPTION…]`."""
    parts = value.split(",")
    options = parts[1:]
    if kind == "file" and not [it for it in options if it.startswith("owner=")]:
        options.append("owner=0:0")
    return ",".join(["%s=%s:%s" % (parts[0], kind, _quoted(file.path))] + options)

def _single(target):
    files = target.files.to_list()
    if len(files) != 1:
        fail("%s has %d files, and content is one" % (target.label, len(files)))
    return files[0]

def _cellblock_image_impl(ctx):
    image = ctx.actions.declare_file(ctx.attr.out or ctx.label.name + ".img")
    outputs = [image]
    spec = ctx.file.spec
    arguments = ctx.actions.args()
    arguments.add("build")
    arguments.add(spec)
    arguments.add("-q")
    arguments.add("-o", image)
    if ctx.attr.record:
        record = ctx.actions.declare_file(ctx.label.name + ".json")
        arguments.add("--json", record)
        outputs.append(record)
    inputs = [spec] + ctx.files.srcs
    for kind, contents in [("archive", ctx.attr.archives), ("file", ctx.attr.files)]:
        for target, value in contents.items():
            file = _single(target)
            inputs.append(file)
            arguments.add("--content", _content(kind, file, value))
    arguments.add_all(ctx.attr.options)
    ctx.actions.run(
        executable = ctx.executable.cellblock,
        arguments = [arguments],
        inputs = inputs,
        outputs = outputs,
        mnemonic = "CellblockImage",
        progress_message = "Building the disk image %s" % image.short_path,
    )
    return [DefaultInfo(files = depset(outputs))]

cellblock_image = rule(
    implementation = _cellblock_image_impl,
    doc = "A disk image, built from a spec and content.",
    attrs = {
        "spec": attr.label(mandatory = True, allow_single_file = True, doc = "The spec: an image.toml."),
        "srcs": attr.label_list(allow_files = True, doc = "Other files that the spec names, from its folder on."),
        "archives": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "Tar archives, plain or compressed, and OCI layouts as tars: to `PARTITION`, perhaps with options of a source, as in `root,from=rootfs`.",
        ),
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "Files: to `PARTITION,to=/PATH`, perhaps with `mode=` and `owner=USER:GROUP`, which is 0:0 otherwise.",
        ),
        "out": attr.string(doc = "The image's name: its suffix is its format. NAME.img by default."),
        "record": attr.bool(doc = "Whether NAME.json, the record of the build, is made too."),
        "options": attr.string_list(doc = "More options of `cellblock build`."),
        "cellblock": attr.label(
            mandatory = True,
            allow_single_file = True,
            executable = True,
            cfg = "exec",
            doc = "The program.",
        ),
    },
)
