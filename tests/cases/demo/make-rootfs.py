#!/usr/bin/env python3
"""Makes rootfs.tar: a small root file system with everything that a real one has, the same bytes on every run.

    python3 tests/cases/demo/make-rootfs.py
"""

import hashlib
import io
import pathlib
import tarfile

# 2024-03-01 12:00:00 UTC, and a fraction of a second that takes all nine digits.
TIME = 1709294400
NANOSECONDS = "123456789"
# 2100-01-01, which 32 bits cannot count.
FAR_FUTURE = 4102444800

USER = 1000
# Version 2, CAP_NET_RAW permitted and effective, as the kernel stores it (linux/capability.h, vfs_cap_data).
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")


def noise(name, size):
    """Bytes that do not compress, the same for the same name."""
    blocks = (hashlib.sha256(f"{name} {number}".encode()).digest() for number in range(size // 32 + 1))
    return b"".join(blocks)[:size]


class Archive:
    def __init__(self, path):
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")

    def add(self, name, kind, data=b"", mode=0o644, owner=(0, 0), seconds=TIME, fraction="", pax=(), **fields):
        member = tarfile.TarInfo(name)
        member.type = kind
        member.mode = mode
        member.uid, member.gid = owner
        member.uname = {0: "root", USER: "user"}.get(owner[0], "")
        member.gname = {0: "root", USER: "user"}.get(owner[1], "")
        member.mtime = seconds
        member.size = len(data)
        for field, value in fields.items():
            setattr(member, field, value)
        member.pax_headers = dict(pax)
        if fraction:
            member.pax_headers["mtime"] = f"{seconds}.{fraction}"
        self.tar.addfile(member, io.BytesIO(data))

    def directory(self, name, mode=0o755, **more):
        self.add(name, tarfile.DIRTYPE, mode=mode, **more)

    def file(self, name, data, **more):
        data = data.encode() if isinstance(data, str) else data
        self.add(name, tarfile.REGTYPE, data, **more)

    def symlink(self, name, target, **more):
        self.add(name, tarfile.SYMTYPE, mode=0o777, linkname=target, **more)

    def hard_link(self, name, target, **more):
        self.add(name, tarfile.LNKTYPE, linkname=target, **more)

    def device(self, name, kind, major, minor, mode, group=0):
        self.add(name, kind, mode=mode, owner=(0, group), devmajor=major, devminor=minor)

    def sparse(self, name, size, pieces, **more):
        """A file with holes, in the form 1.0 of GNU tar: the map stands before the data, in decimal lines."""
        pieces = [*pieces, (size, b"")]
        numbers = [len(pieces)] + [number for offset, data in pieces for number in (offset, len(data))]
        stored = "".join(f"{number}\n" for number in numbers).encode()
        stored += bytes(-len(stored) % 512)
        stored += b"".join(data for _, data in pieces)
        directory, _, base = name.rpartition("/")
        pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name, "GNU.sparse.realsize": str(size)}
        self.file(f"{directory}/GNUSparseFile.0/{base}", stored, pax=pax, **more)


def directories(archive):
    archive.directory(".")
    for name in ["dev", "dev/pts", "etc", "etc/ssl", "etc/ssl/certs", "home", "mnt", "opt", "proc", "run", "srv", "sys"]:
        archive.directory(f"./{name}")
    for name in ["usr", "usr/bin", "usr/lib", "usr/lib/modules", "usr/local", "usr/local/bin", "usr/sbin", "usr/share"]:
        archive.directory(f"./{name}")
    for name in ["var", "var/cache", "var/lib", "var/log", "var/spool"]:
        archive.directory(f"./{name}")
    archive.directory("./root", mode=0o700, fraction=NANOSECONDS)
    archive.directory("./tmp", mode=0o1777)
    archive.directory("./var/mail", mode=0o2775, owner=(0, 8))
    acl = "user::rwx,user:1000:r-x,group::r-x,mask::r-x,other::---"
    archive.directory("./var/lib/shared", mode=0o750, pax={"SCHILY.acl.access": acl, "SCHILY.acl.default": acl})
    for name, target in [("bin", "usr/bin"), ("lib", "usr/lib"), ("sbin", "usr/sbin")]:
        archive.symlink(f"./{name}", target, fraction=NANOSECONDS)


def devices(archive):
    for name, minor in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)]:
        archive.device(f"./dev/{name}", tarfile.CHRTYPE, 1, minor, 0o666)
    archive.device("./dev/console", tarfile.CHRTYPE, 5, 1, 0o600)
    archive.device("./dev/tty", tarfile.CHRTYPE, 5, 0, 0o666, group=5)
    archive.device("./dev/vda", tarfile.BLKTYPE, 254, 0, 0o660, group=6)
    archive.device("./dev/nvme0n1p300", tarfile.BLKTYPE, 259, 300, 0o660, group=6)
    archive.symlink("./dev/fd", "/proc/self/fd")
    archive.add("./run/initctl", tarfile.FIFOTYPE, mode=0o600, fraction=NANOSECONDS)


def configuration(archive):
    archive.file("./etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:A User:/home/user:/bin/sh\n")
    archive.file("./etc/group", "root:x:0:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\nshadow:x:42:\nuser:x:1000:\n")
    archive.file("./etc/shadow", "root:*:19783:0:99999:7:::\nuser:*:19783:0:99999:7:::\n", mode=0o640, owner=(0, 42))
    archive.file("./etc/hostname", "unnamed\n")
    archive.file("./etc/machine-id", "", mode=0o444)
    archive.file("./etc/fstab", "# replaced by the image\n")
    archive.symlink("./etc/mtab", "../proc/self/mounts")
    archive.symlink("./etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
    archive.symlink("./etc/ssl/certs/ca.pem", "/usr/share/" + "very-long-directory-name/" * 3 + "ca.pem")


def programs(archive):
    archive.file("./usr/bin/sh", noise("sh", 20_000), mode=0o755, fraction=NANOSECONDS)
    archive.hard_link("./usr/bin/dash", "./usr/bin/sh")
    archive.hard_link("./usr/sbin/rescue-shell", "./usr/bin/sh")
    archive.symlink("./usr/bin/[", "test")
    archive.file("./usr/bin/test", "#!/bin/sh\nexec /bin/sh -c '[ \"$@\" ]' test \"$@\"\n", mode=0o755)
    archive.file("./usr/bin/su", noise("su", 5_000), mode=0o4755)
    archive.file("./usr/bin/wall", noise("wall", 3_000), mode=0o2755, owner=(0, 5))
    capability = {"SCHILY.xattr.security.capability": NET_RAW.decode("ascii")}
    archive.file("./usr/bin/ping", noise("ping", 4_096), mode=0o755, pax=capability)
    archive.file("./usr/lib/libc.so.6", noise("libc", 30_000), mode=0o755, fraction=NANOSECONDS)
    archive.symlink("./usr/lib/libc.so", "libc.so.6")


def state(archive):
    archive.directory("./home/user", mode=0o700, owner=(USER, USER))
    archive.file("./home/user/.profile", "umask 022\n", owner=(USER, USER))
    notes = {"SCHILY.xattr.user.origin": "demo", "SCHILY.xattr.user.note": "one line\nand another"}
    archive.file("./home/user/notes.txt", "Buy milk.\n", owner=(USER, USER), mode=0o600, pax=notes)
    archive.file("./home/user/Gr\u00fc\u00dfe.txt", "Hello\n", owner=(USER, USER))
    archive.file("./home/user/caf\udce9.txt", "a name in Latin-1\n", owner=(USER, USER))
    archive.file("./home/user/" + "n" * 251 + ".txt", "the longest name\n", owner=(USER, USER))
    archive.file("./home/user/future", "", owner=(USER, USER), seconds=FAR_FUTURE, fraction="999999999")
    archive.file("./home/user/past", "", owner=(USER, USER), seconds=-2, fraction="5")
    archive.file("./home/user/big-owner", "", owner=(4_000_000_000, 3_000_000_000))
    archive.sparse("./var/lib/database", 1_048_576, [(0, noise("head", 4096)), (700_416, noise("tail", 8192))])
    archive.file("./var/log/lastlog", "", mode=0o664, owner=(0, 43))
    for number in range(24):
        archive.file(f"./usr/share/message.{number:02}", f"message {number}\n")


def main():
    archive = Archive(pathlib.Path(__file__).with_name("rootfs.tar"))
    for part in [directories, devices, configuration, programs, state]:
        part(archive)
    archive.tar.close()


if __name__ == "__main__":
    main()
