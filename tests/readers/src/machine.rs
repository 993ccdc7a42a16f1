//! A kernel with drivers that this machine's may not have, in a virtual machine. What is done there is a test of the same
//! program, which runs as the first process:
//!
//! ```text
//!     a test ──> initramfs: this program, its libraries, busybox, drivers ──> qemu ──> another test of it ──> the disks
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use cellblock_judges::{Judge, judge, skipped, text};

use crate::Temporary;

/// Where the drivers are, for the first process.
const DRIVERS: &str = "/drivers";
const BUSYBOX: &str = "/bin/busybox";
/// How long a machine may take that the processor runs, and one that is emulated.
const LIMITS: [Duration; 2] = [Duration::from_secs(120), Duration::from_secs(900)];

/// What it takes to have a virtual machine with a kernel of Debian's.
pub struct Machine {
    qemu: Judge,
    kernel: PathBuf,
    initramfs: Temporary,
    test: &'static str,
}

impl Machine {
    /// One whose first process runs the ignored `test` of this program; none, with a word, where it cannot be had.
    pub fn running(test: &'static str) -> Option<Self> {
        let qemu = judge("qemu-system-x86_64")?;
        let busybox = judge("busybox")?;
        let peers = std::env::var_os("CELLBLOCK_PEERS").map(PathBuf::from);
        let folder = peers.map(|peers| peers.join("kernel"));
        let Some(folder) = folder.filter(|folder| folder.join("vmlinuz").is_file()) else {
            skipped(
                "a kernel with exFAT",
                "tests/judges/build-peers FOLDER kernel gets one, and CELLBLOCK_PEERS=FOLDER names it",
            );
            return None;
        };
        let initramfs = Temporary::new("cpio");
        fs::write(&initramfs.0, archive(&busybox, &folder.join("drivers"))).unwrap();
        Some(Self {
            qemu,
            kernel: folder.join("vmlinuz"),
            initramfs,
            test,
        })
    }

    /// Boots it with the disks that `prepare` makes, of which the last is for its report: what it has written there. What
    /// emulates the machine may not be up to it, so that there are several attempts.
    pub fn report(&self, prepare: &dyn Fn() -> Vec<PathBuf>) -> String {
        let kvm = File::options().read(true).write(true).open("/dev/kvm");
        let kvm = kvm.is_ok().then_some(("kvm", "host", LIMITS[0]));
        // Emulated processors are steadier without the compare-and-exchange of 16 bytes.
        let emulated = [("tcg", "qemu64,-cx16", LIMITS[1]); 3];
        let mut said = String::new();
        for (accelerator, processor, limit) in kvm.into_iter().chain(emulated) {
            let disks = prepare();
            let mut command = self.qemu.command();
            command
                .args(["-accel", accelerator, "-cpu", processor, "-m", "1024"])
                .args(["-display", "none", "-serial", "stdio", "-monitor", "none"])
                .args(["-no-reboot", "-nodefaults"])
                .arg("-kernel")
                .arg(&self.kernel)
                .arg("-initrd")
                .arg(&self.initramfs.0)
                .arg("-append")
                // The first process ends, and then the kernel does.
                .arg(format!(
                    "console=ttyS0 quiet panic=-1 rdinit=/init -- {} --exact --ignored --nocapture --test-threads=1",
                    self.test
                ));
            for disk in &disks {
                let disk = disk.display();
                let drive = format!("file={disk},format=raw,if=virtio,cache=unsafe");
                command.args(["-drive", &drive]);
            }
            said = console(command, limit);
            let report = fs::read(disks.last().unwrap()).unwrap();
            let end = report.iter().position(|byte| *byte == 0).unwrap();
            let report = String::from_utf8(report[..end].to_vec()).unwrap();
            if let Some(report) = report.strip_suffix("complete\n") {
                for line in said.lines().filter(|line| line.starts_with("disk ")) {
                    println!("{line}");
                }
                return report.to_owned();
            }
            println!("no report under {accelerator}");
        }
        panic!("the machine does not report: {said}");
    }
}

/// What a machine says until it ends, or `limit` is over.
fn console(mut command: Command, limit: Duration) -> String {
    let mut machine = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = machine.stdout.take().unwrap();
    let (end, ended) = channel();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        let _ = output.read_to_end(&mut said);
        let _ = end.send(());
        String::from_utf8_lossy(&said).into_owned()
    });
    let _ = ended.recv_timeout(limit);
    let _ = machine.kill();
    let _ = machine.wait();
    reader.join().unwrap()
}

/// What the kernel unpacks before it starts the first process.
fn archive(busybox: &Judge, drivers: &Path) -> Vec<u8> {
    let own = std::env::current_exe().unwrap();
    let mut archive = Archive::default();
    archive.add("/init", 0o100_755, (0, 0), &fs::read(&own).unwrap());
    for program in [&own, busybox.program()] {
        for library in libraries(program) {
            let content = fs::read(&library).unwrap();
            archive.add(library.to_str().unwrap(), 0o100_755, (0, 0), &content);
        }
    }
    let content = fs::read(busybox.program()).unwrap();
    archive.add(BUSYBOX, 0o100_755, (0, 0), &content);
    for driver in sorted(drivers) {
        let name = driver.file_name().unwrap().to_str().unwrap();
        let content = fs::read(&driver).unwrap();
        archive.add(&format!("{DRIVERS}/{name}"), 0o100_644, (0, 0), &content);
    }
    archive.add("/dev/console", 0o020_600, (5, 1), b"");
    archive.add("/dev/null", 0o020_666, (1, 3), b"");
    archive.add("/tmp/.keep", 0o100_644, (0, 0), b"");
    archive.add("/mnt/.keep", 0o100_644, (0, 0), b"");
    archive.finish()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// What a program is linked to, and what links it.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let said = text(&output);
    let words = said.split_whitespace();
    words
        .filter(|word| word.starts_with('/') && Path::new(word).is_file())
        .map(PathBuf::from)
        .collect()
}

/// A cpio archive, as the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst` has it.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    names: BTreeSet<String>,
}

impl Archive {
    /// Adds what has this path from the root on, and the folders on the way.
    fn add(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        let name = path.trim_start_matches('/');
        for (at, _) in name.match_indices('/') {
            self.member(&name[..at], 0o040_755, (0, 0), b"");
        }
        self.member(name, mode, device, content);
    }

    fn member(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        if !self.names.insert(name.to_owned()) {
            return;
        }
        let length = u32::try_from(content.len()).unwrap();
        let name_length = u32::try_from(name.len() + 1).unwrap();
        self.bytes.extend(b"070701");
        for field in [
            0,
            mode,
            0,
            0,
            1,
            0,
            length,
            0,
            0,
            major,
            minor,
            name_length,
            0,
        ] {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.member("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }
}

/// Whether this is the first process of a machine.
pub fn is_first_process() -> bool {
    std::process::id() == 1
}

/// Begins a machine's life: loads its drivers, and finds its disks.
pub fn begin() {
    busybox(&["mount", "-t", "devtmpfs", "none", "/dev"]);
    for driver in sorted(Path::new(DRIVERS)) {
        busybox(&["insmod", driver.to_str().unwrap()]);
    }
}

/// Runs a command of busybox, which must succeed.
pub fn busybox(arguments: &[&str]) {
    let output = Command::new(BUSYBOX).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
}
