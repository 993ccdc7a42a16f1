//! A Debian that an ordinary user puts on a disk boots to its login, writes, and leaves a clean file system.

use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::grub::{GRUB, make_core};
use crate::support::disk::cut_out;
use crate::support::judges::{judge_ext4, judge_fat, judge_table};
use crate::support::{Ability, Bench, Judge, is_root, judge, lacks, skipped, text};
use crate::unprivileged::{as_nobody, folder_of_nobody};

/// Where Debian has UEFI for a virtual machine.
const UEFI: &str = "/usr/share/ovmf/OVMF.fd";
/// What a small Debian needs to boot.
const PACKAGES: &str = "linux-image-cloud-amd64,systemd-sysv,initramfs-tools,udev,zstd";
/// What GRUB needs beside what its platform adds.
const MODULES: [&str; 9] = [
    "part_gpt",
    "part_msdos",
    "ext2",
    "fat",
    "normal",
    "linux",
    "serial",
    "search",
    "search_fs_uuid",
];
const GRUB_CONFIG: &str = "\
serial --unit=0
terminal_output serial
search --no-floppy --fs-uuid --set=root {{ partition.root.filesystem-uuid }}
linux /vmlinuz root=UUID={{ partition.root.filesystem-uuid }} ro console=ttyS0
initrd /initrd.img
boot
";
const ROOT: &str = "PARTUUID={{ partition.root.uuid }} / ext4 errors=remount-ro 0 1\n";
const ESP: &str = "UUID={{ partition.efi.filesystem-uuid }} /boot/efi vfat umask=0077 0 1\n";

/// Whether the kernel says this of a file system that is not as it should be.
fn is_complaint(line: &str) -> bool {
    let says = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let is_mounting = says(&["mounted filesystem", "re-mounted", "unmounting filesystem"]);
    says(&["EXT4-fs error", "EXT4-fs warning", "JBD2: ", "FAT-fs ("])
        || says(&["EXT4-fs ("]) && !is_mounting
}

/// How a disk is booted.
struct Way {
    name: &'static str,
    /// The spec, without the root file system.
    head: &'static str,
    type_name: &'static str,
    fstab: String,
    firmware: &'static [&'static str],
}

fn ways() -> [Way; 4] {
    [
        Way {
            name: "BIOS and GPT",
            head: "[boot.grub-bios]\nboot-image = \"boot.img\"\ncore-image = \"core-gpt.img\"\n\n\
                   [[partition]]\ntype = \"bios-boot\"\nsize = \"1MiB\"\n",
            type_name: "root-x86-64",
            fstab: ROOT.to_owned(),
            firmware: &[],
        },
        Way {
            name: "BIOS and MBR",
            head: "[disk]\ntable = \"mbr\"\n\n\
                   [boot.grub-bios]\nboot-image = \"boot.img\"\ncore-image = \"core-mbr.img\"\n",
            type_name: "linux",
            fstab: ROOT.to_owned(),
            firmware: &[],
        },
        Way {
            name: "UEFI",
            head: "[boot.grub-efi]\nimage = \"grub.efi\"\nconfig = { template = \"grub.cfg.in\" }\n\n\
                   [[partition]]\nname = \"efi\"\ntype = \"esp\"\nsize = \"64MiB\"\nfilesystem = \"vfat\"\n",
            type_name: "root-x86-64",
            fstab: format!("{ROOT}{ESP}"),
            firmware: &["-bios", UEFI],
        },
        Way {
            name: "UEFI and a unified kernel",
            head: "[boot]\nunified-kernels = [{ name = \"debian.efi\", stub = \"stub.efi\", kernel = \"vmlinuz\", \
                   initrd = \"initrd.img\", command-line = { template = \"cmdline.in\" }, os-release = \"os-release\" }]\n\
                   [boot.systemd-boot]\nimage = \"systemd-boot.efi\"\n\n\
                   [[partition]]\nname = \"efi\"\ntype = \"esp\"\nsize = \"160MiB\"\nfilesystem = \"vfat\"\n",
            type_name: "root-x86-64",
            fstab: format!("{ROOT}{ESP}"),
            firmware: &["-bios", UEFI],
        },
    ]
}

impl Way {
    fn takes_a_stub(&self) -> bool {
        self.head.contains("stub.efi")
    }

    fn spec(&self) -> String {
        format!(
            "{}
[[partition]]
name = \"root\"
type = \"{}\"
size = \"minimum + 256MiB\"
filesystem = \"ext4\"
content = [
    {{ archive = \"rootfs.tar\" }},
    {{ template = \"fstab.in\", to = \"/etc/fstab\" }},
    {{ template = \"grub.cfg.in\", to = \"/boot/grub/grub.cfg\" }},
]
",
            self.head, self.type_name
        )
    }
}

#[test]
#[ignore = "debootstrap fetches a Debian from its mirror, and virtual machines boot it three times: minutes"]
fn a_debian_boots() {
    boot_all(|way| !way.takes_a_stub());
}

#[test]
#[ignore = "debootstrap fetches a Debian from its mirror, and a virtual machine boots it: minutes"]
fn a_unified_kernel_boots() {
    boot_all(Way::takes_a_stub);
}

/// Boots a Debian in each of the chosen ways.
fn boot_all(is_chosen: impl Fn(&Way) -> bool) {
    let bench = Bench::new();
    let (Some(qemu), Some(setpriv)) = (judge("qemu-system-x86_64"), judge("setpriv")) else {
        return;
    };
    if !make_debian(&bench) {
        return;
    }
    make_grub(&bench);
    let mut accelerators = accelerators();
    for way in ways().into_iter().filter(is_chosen) {
        if way.firmware.contains(&UEFI) && !Path::new(UEFI).exists() {
            skipped("ovmf", "no UEFI for a virtual machine");
            continue;
        }
        if way.takes_a_stub() && !make_unified_kernel(&bench) {
            continue;
        }
        let image = build(&bench, &setpriv, &way);
        let machine = Machine {
            qemu: qemu.program(),
            image: &image,
            way: &way,
        };
        machine.boot(&bench, &mut accelerators);
    }
}

/// What may run a virtual machine, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Accelerator {
    pub(super) name: &'static str,
    pub(super) processor: &'static str,
    pub(super) limit: Duration,
}

/// The kernel's own, where there is one, and then an emulation of every instruction.
pub(super) fn accelerators() -> Vec<Accelerator> {
    let kvm = fs::File::options().read(true).write(true).open("/dev/kvm");
    let kvm = kvm.is_ok().then_some(("kvm", "host", 60));
    // Where virtual machines are nested, an emulated kernel may die of faults that no disk has: less often without the
    // compare-and-exchange of 16 bytes.
    let emulated = [("tcg", "qemu64,-cx16", 300); 3];
    let all = kvm.into_iter().chain(emulated);
    all.map(|(name, processor, seconds)| Accelerator {
        name,
        processor,
        limit: Duration::from_secs(seconds),
    })
    .collect()
}

/// The tar of a Debian whose superuser needs no password; false where it cannot be had.
pub(super) fn make_debian(bench: &Bench) -> bool {
    if !is_root() {
        lacks(Ability::Superuser, "only it runs debootstrap");
        return false;
    }
    let (Some(debootstrap), Some(tar)) = (judge("debootstrap"), judge("tar")) else {
        return false;
    };
    let root = bench.path("debian");
    let include = format!("--include={PACKAGES}");
    let output = debootstrap.run(&["--variant=minbase", &include, "stable"], &root);
    if !output.status.success() {
        let said = text(&output);
        let last = said.lines().next_back().unwrap_or_default();
        lacks(
            Ability::Network,
            &format!("no Debian could be made: {last}"),
        );
        return false;
    }
    fs::create_dir_all(root.join("boot/efi")).unwrap();
    let shadow = root.join("etc/shadow");
    let accounts = fs::read_to_string(&shadow).unwrap();
    let (_, rest) = accounts.split_once("root:*:").unwrap();
    assert!(accounts.starts_with("root:*:"), "{accounts}");
    fs::write(&shadow, format!("root::{rest}")).unwrap();
    // Debian's initrd has drivers of file systems that can be written to, and not these.
    let modules = root.join("etc/initramfs-tools/modules");
    fs::write(modules, "erofs\nsquashfs\n").unwrap();
    let output = Command::new("chroot")
        .arg(&root)
        .args(["/usr/sbin/update-initramfs", "-u"])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let output = tar
        .command()
        .args(["--numeric-owner", "-C"])
        .arg(&root)
        .args(["--exclude=./var/cache/apt/archives/*.deb", "-cf"])
        .arg(bench.path("rootfs.tar"))
        .arg(".")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    // What a unified kernel is assembled from.
    for (from, to) in [
        ("vmlinuz", "vmlinuz"),
        ("initrd.img", "initrd.img"),
        ("usr/lib/os-release", "os-release"),
    ] {
        fs::copy(root.join(from), bench.path(to)).unwrap();
    }
    fs::remove_dir_all(root).unwrap();
    true
}

/// systemd's boot loader and stub, and the template of a command line; false where Debian's package is missing.
fn make_unified_kernel(bench: &Bench) -> bool {
    bench.write(
        "cmdline.in",
        "root=UUID={{ partition.root.filesystem-uuid }} ro\nconsole=ttyS0\n",
    );
    let Some(stub) = super::kernels::stub() else {
        return false;
    };
    fs::copy(stub, bench.path("stub.efi")).unwrap();
    let loader = Path::new(super::kernels::SYSTEMD).join("systemd-bootx64.efi");
    fs::copy(loader, bench.path("systemd-boot.efi")).unwrap();
    true
}

/// GRUB's images, and the templates of its configuration.
pub(super) fn make_grub(bench: &Bench) {
    bench.write("grub.cfg.in", GRUB_CONFIG);
    fs::copy(Path::new(GRUB).join("boot.img"), bench.path("boot.img")).unwrap();
    let bios: Vec<&str> = ["biosdisk"].into_iter().chain(MODULES).collect();
    for (format, prefix, modules, name) in [
        ("i386-pc", "(,gpt2)/boot/grub", &bios[..], "core-gpt.img"),
        ("i386-pc", "(,msdos1)/boot/grub", &bios, "core-mbr.img"),
        ("x86_64-efi", "/EFI/BOOT", &MODULES, "grub.efi"),
    ] {
        assert!(make_core(format, prefix, modules, &bench.path(name)));
    }
}

/// Builds the disk as nobody, with no right and nothing in the environment.
fn build(bench: &Bench, setpriv: &Judge, way: &Way) -> PathBuf {
    bench.write("fstab.in", &way.fstab);
    bench.write("image.toml", way.spec());
    folder_of_nobody(bench, "out");
    let begun = Instant::now();
    as_nobody(
        bench,
        setpriv,
        &["build", "image.toml", "-o", "out/disk.img", "-q"],
    );
    println!(
        "{}: built in {:.1} s",
        way.name,
        begun.elapsed().as_secs_f64()
    );
    let image = bench.path("out/disk.img");
    judge_table(&image, !way.name.contains("MBR"));
    image
}

/// A virtual machine with the disk.
struct Machine<'a> {
    qemu: &'a Path,
    image: &'a Path,
    way: &'a Way,
}

impl Machine<'_> {
    /// Boots the disk. What emulates the machine may not be up to it, so there are several attempts: but none of them may
    /// find fault with a file system.
    fn boot(&self, bench: &Bench, accelerators: &mut Vec<Accelerator>) {
        for accelerator in accelerators.clone() {
            let kind = accelerator.name;
            let copy = bench.path("booted.img");
            fs::copy(self.image, &copy).unwrap();
            let begun = Instant::now();
            let mut console = Console::start(self.command(accelerator, &copy), accelerator.limit);
            let seen = console.session();
            let took = begun.elapsed().as_secs_f64();
            console.assert_content();
            if !seen {
                let (name, last) = (self.way.name, console.last_lines());
                println!("{name}: no login under {kind} in {took:.0} s:\n{last}");
                accelerators.retain(|it| it.name == "tcg" || it.name != accelerator.name);
                continue;
            }
            println!("{}: up and down in {took:.1} s ({kind})", self.way.name);
            self.assert_clean(bench, &copy);
            return;
        }
        panic!("{}: the disk does not boot", self.way.name);
    }

    fn command(&self, accelerator: Accelerator, disk: &Path) -> Command {
        let mut command = Command::new(self.qemu);
        command
            .args(["-accel", accelerator.name, "-cpu", accelerator.processor])
            .args(["-m", "1024", "-nographic"])
            .args(["-no-reboot", "-nic", "none", "-drive"])
            .arg(format!("file={},format=raw,if=virtio", disk.display()))
            .args(self.way.firmware);
        command
    }

    /// What has been booted, written to and shut down is clean.
    fn assert_clean(&self, bench: &Bench, disk: &Path) {
        let is_mbr = self.way.name.contains("MBR");
        let root = cut_out(bench, disk, if is_mbr { "1" } else { "root" });
        judge_ext4(&root);
        super::assert_holds(&root, "/written", "by the machine\n");
        if self.way.name.starts_with("UEFI") {
            judge_fat(&cut_out(bench, disk, "efi"));
        }
    }
}

/// After which nothing more comes: of the machine's kernel, and of QEMU where the host's cannot go on, which then waits.
const ENDS: [&str; 3] = ["Kernel panic", "KVM internal error", "emulation failure"];

/// The serial console of a machine that runs, and what QEMU itself says.
pub(super) struct Console {
    machine: Child,
    keyboard: ChildStdin,
    output: Receiver<Vec<u8>>,
    pub(super) seen: String,
    deadline: Instant,
}

impl Console {
    pub(super) fn start(mut command: Command, limit: Duration) -> Self {
        let mut machine = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let screen: Box<dyn Read + Send> = Box::new(machine.stdout.take().unwrap());
        let of_qemu: Box<dyn Read + Send> = Box::new(machine.stderr.take().unwrap());
        let (sender, output) = channel();
        for mut said in [screen, of_qemu] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = said.read(&mut buffer) {
                    if sender.send(buffer[..count].to_vec()).is_err() {
                        break;
                    }
                }
            });
        }
        Self {
            keyboard: machine.stdin.take().unwrap(),
            machine,
            output,
            seen: String::new(),
            deadline: Instant::now() + limit,
        }
    }

    /// Logs in, writes to the root file system, and turns the machine off; false if it does not get that far in time.
    fn session(&mut self) -> bool {
        self.wait_for("login: ")
            && self.enter("root", "# ")
            && self.enter("findmnt -no FSTYPE,OPTIONS /", "ext4 rw,")
            && self.enter("echo by the machine > /written; sync; echo do''ne", "done")
            && self.enter(
                "dmesg --level=emerg,alert,crit,err,warn | grep -i -e ext4 -e fat; echo do''ne",
                "done",
            )
            && self.enter("poweroff", "Power down")
            && self.wait_for_end()
    }

    /// Types a line, and waits for the answer.
    pub(super) fn enter(&mut self, line: &str, answer: &str) -> bool {
        self.keyboard
            .write_all(format!("{line}\n").as_bytes())
            .is_ok()
            && self.wait_for(answer)
    }

    /// Waits for a text that comes from now on.
    pub(super) fn wait_for(&mut self, text: &str) -> bool {
        let from = self.seen.len();
        while !self.seen[from..].contains(text) {
            let said = &self.seen[from..];
            if ENDS.iter().any(|end| said.contains(end)) || !self.receive() {
                return false;
            }
        }
        true
    }

    fn wait_for_end(&mut self) -> bool {
        while self.receive() {}
        Instant::now() < self.deadline && self.machine.wait().is_ok_and(|status| status.success())
    }

    /// Takes what the machine says next; false at its end, or the end of the time.
    fn receive(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.output.recv_timeout(left) {
            Ok(bytes) => {
                self.seen.push_str(&String::from_utf8_lossy(&bytes));
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Fails if the kernel complained of a file system.
    fn assert_content(&self) {
        let complaints: Vec<&str> = self
            .seen
            .lines()
            .filter(|line| is_complaint(line))
            .collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    pub(super) fn last_lines(&self) -> String {
        let lines: Vec<&str> = self.seen.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.machine.kill();
        let _ = self.machine.wait();
    }
}
