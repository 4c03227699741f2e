use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::binaries::Binaries;
use super::kernel::{Kernel, KernelFiles};
use super::machine::Progress;
use crate::shell;

/// Programs of this machine that tests call, in place of busybox's own: a test that names the program of each
/// process must see the same names as on a real machine. One that is missing here is left to busybox.
const PROGRAMS: [&str; 45] = [
    "bash",
    "cat",
    "chmod",
    "cp",
    "dash",
    "date",
    "dd",
    "echo",
    "env",
    "false",
    "find",
    "git",
    "git-upload-pack",
    "grep",
    "head",
    "id",
    "ip",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mke2fs",
    "mount",
    "mv",
    "nsenter",
    "printf",
    "readlink",
    "rm",
    "sed",
    "seq",
    "setpriv",
    "setsid",
    "sleep",
    "sort",
    "stat",
    "strace",
    "tail",
    "tee",
    "timeout",
    "touch",
    "true",
    "truncate",
    "umount",
    "unshare",
    "xargs",
];

/// Modules that the tests' networks and file systems need where the kernel has not got them built in.
const MODULES: [&str; 5] = ["loop", "overlay", "tcp_diag", "tun", "veth"];

/// What goes into the root file system of one machine.
pub(super) struct Plan<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) files: &'a KernelFiles,
    pub(super) binaries: &'a Binaries,
    pub(super) filter: Option<&'a str>,
    pub(super) first: Option<&'a str>,
    /// What need not be done again.
    pub(super) progress: &'a Progress,
    /// Stands in every line by which the machine talks to us, so that no test can print such a line.
    pub(super) nonce: &'a str,
}

impl Plan<'_> {
    /// Builds the tree below `scratch` and packs it into an archive there. Not compressed: unpacking it on an
    /// emulated processor would take longer than reading it.
    pub(super) fn pack(&self, scratch: &Path) -> anyhow::Result<PathBuf> {
        let root = scratch.join("root");
        let tree = Tree { root: &root };
        tree.lay_out()?;
        tree.add_busybox()?;
        for name in PROGRAMS {
            if let Some(path) = shell::find_program(name) {
                tree.add_with_libraries(&path)?;
            }
        }
        // Busybox's shell plays many programs inside of itself, where real shells start processes.
        if shell::find_program("dash").is_some() {
            tree.link("dash", Path::new("/usr/bin/sh"))?;
        }
        let modules_folder = tree.folder("/modules")?;
        let modules = self.files.copy_modules(&MODULES, &modules_folder)?;
        if let Some(runward) = &self.binaries.runward {
            tree.add_binary(runward, "/usr/bin/runward")?;
            // Tests know the binary by the place where cargo built it.
            tree.link("/usr/bin/runward", runward)?;
        }
        if let Some(actors) = &self.binaries.actors {
            tree.add_folder(actors, Path::new("/usr/lib/runward-lab/actors"))?;
            tree.link("/usr/lib/runward-lab/actors", actors)?;
        }
        for test in &self.binaries.tests {
            tree.add_binary(&test.path, &format!("/tests/{}", test.name))?;
            // Fixtures and snapshots, at the path by which the compiled test knows them.
            tree.add_folder(&test.folder, &test.folder)?;
        }
        tree.script("/init", &self.init(&modules))?;
        tree.script("/run-tests", &self.run_tests())?;
        tree.archive(scratch)
    }

    fn init(&self, modules: &[String]) -> String {
        let mut insert = String::new();
        for module in modules {
            let _ = writeln!(insert, "insmod /modules/{module}.ko");
        }
        format!(
            r#"#!/bin/busybox sh
export PATH=/usr/bin:/usr/sbin HOME=/root USER=root LANG=C.UTF-8 TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
# The workspace may lie below a folder that gets a file system of its own here.
mkdir /workspace && mount --bind {workspace} /workspace
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
mount -t tracefs tracefs /sys/kernel/tracing
chmod 1777 /tmp /dev/shm
mkdir -p {workspace} && mount --bind /workspace {workspace}
ln -s /proc/self/fd /dev/fd
ip link set lo up
{insert}
# A file system as real machines have it, for what memory file systems can't show.
truncate -s 256M /run/disk.img && /usr/bin/mke2fs -q -t ext4 /run/disk.img && mount -o loop /run/disk.img /var/tmp
chmod 1777 /var/tmp
# For tests that limit a job.
echo +cpu +memory +pids > /sys/fs/cgroup/cgroup.subtree_control
# The job control of a shell, and tests about terminals, want a session of their own.
/usr/bin/setsid --wait /bin/sh /run-tests </dev/null
printf '\n@@{nonce} end\n'
sync
poweroff -f
"#,
            workspace = quoted(&shell::workspace().to_string_lossy()),
            nonce = self.nonce
        )
    }

    fn run_tests(&self) -> String {
        let mut script = format!(
            r#"export RUST_BACKTRACE=1 INSTA_UPDATE=no INSTA_WORKSPACE_ROOT={workspace}
export RUNWARD_BIN=/usr/bin/runward RUNWARD_LAB_ACTORS=/usr/lib/runward-lab/actors
export RUNWARD_EXPECT_TIER={tier} RUNWARD_VM={name}
"#,
            workspace = quoted(&shell::workspace().to_string_lossy()),
            tier = self.kernel.tier,
            name = self.kernel.name,
        );
        if let Some(line) = self.first {
            let _ = write!(
                script,
                r#"printf '\n@@{nonce} show\n'
({line}
) 2>&1 | cat
"#,
                nonce = self.nonce,
            );
        }
        // Through a pipe, as in CI: the console would count as a terminal.
        for test in &self.binaries.tests {
            if self.progress.has_ended(&test.name) {
                continue;
            }
            let chosen = self.chosen(&test.name);
            let folder = quoted(&test.folder.to_string_lossy());
            let _ = write!(
                script,
                r#"cd {folder}
export CARGO_MANIFEST_DIR={folder}
printf '\n@@{nonce} run %s\n' {name}
{{ /tests/{name} --test-threads=2 {chosen}; echo $? > /run/code; }} 2>&1 | cat
printf '\n@@{nonce} exit %s %s\n' "$(cat /run/code)" {name}
"#,
                nonce = self.nonce,
                name = test.name,
            );
        }
        script
    }

    /// The words that choose among the tests of a binary. Names are compared whole or in part, never some so and some
    /// so: where the tests were chosen by a part of their names, all of them run again.
    fn chosen(&self, binary: &str) -> String {
        if let Some(filter) = self.filter {
            return quoted(filter);
        }
        let mut words = String::from("--exact");
        for test in self.progress.passed(binary) {
            let _ = write!(words, " --skip {}", quoted(test));
        }
        words
    }
}

/// A root file system in the making.
struct Tree<'a> {
    root: &'a Path,
}

impl Tree<'_> {
    fn lay_out(&self) -> anyhow::Result<()> {
        let folders = [
            "/dev",
            "/etc",
            "/home/runner",
            "/proc",
            "/root",
            "/run",
            "/sys",
            "/tests",
            "/tmp",
            "/usr/bin",
            "/usr/lib",
            "/usr/lib64",
            "/usr/sbin",
            "/var/tmp",
        ];
        for folder in folders {
            self.folder(folder)?;
        }
        // As distributions lay it out, so that programs and libraries are found under both names.
        for name in ["bin", "lib", "lib64", "sbin"] {
            symlink(format!("usr/{name}"), self.root.join(name))?;
        }
        let files = [
            (
                "/etc/passwd",
                "root:x:0:0:root:/root:/bin/sh\n\
                 runner:x:1000:1000:runner:/home/runner:/bin/sh\n\
                 nobody:x:65534:65534:nobody:/:/bin/sh\n",
            ),
            (
                "/etc/group",
                "root:x:0:\nrunner:x:1000:\nnogroup:x:65534:\n",
            ),
            ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
            (
                "/etc/nsswitch.conf",
                "passwd: files\ngroup: files\nhosts: files dns\n",
            ),
            ("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
            ("/etc/hostname", "vm\n"),
        ];
        for (path, text) in files {
            fs::write(self.inside(Path::new(path)), text)?;
        }
        // Without it, mke2fs does not know what an ext4 is made of.
        let mke2fs = Path::new("/etc/mke2fs.conf");
        if mke2fs.exists() {
            fs::copy(mke2fs, self.inside(mke2fs))?;
        }
        Ok(())
    }

    /// Busybox, and a link to it for each program that it plays. What is added later replaces the link.
    fn add_busybox(&self) -> anyhow::Result<()> {
        let busybox = shell::find_program("busybox").context("busybox is not installed")?;
        let place = self.inside(Path::new("/usr/bin/busybox"));
        self.add_libraries_of(&busybox)?;
        fs::copy(&busybox, &place)?;
        let list = shell::output(Command::new(&busybox).arg("--list"))?;
        for name in list
            .lines()
            .filter(|name| !name.contains('/') && *name != "busybox")
        {
            symlink("busybox", self.inside(Path::new("/usr/bin")).join(name))?;
        }
        Ok(())
    }

    fn add_with_libraries(&self, program: &Path) -> anyhow::Result<()> {
        self.add_libraries_of(program)?;
        let name = program.file_name().context("a program without a name")?;
        // In one folder, whichever of the two it came from: /usr/bin is searched first.
        let place = self.inside(Path::new("/usr/bin")).join(name);
        remove_if_there(&place)?;
        fs::copy(program, place)?;
        Ok(())
    }

    /// What `ldd` lists, each at its own path. A static program has nothing to list.
    fn add_libraries_of(&self, program: &Path) -> anyhow::Result<()> {
        let Ok(list) = shell::output(Command::new("ldd").arg(program)) else {
            return Ok(());
        };
        let libraries: BTreeSet<PathBuf> = list
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
            .map(PathBuf::from)
            .collect();
        for library in libraries {
            let place = self.inside(&library);
            if place.exists() {
                continue;
            }
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::copy(&library, &place)
                .with_context(|| format!("can't copy {}", library.display()))?;
        }
        Ok(())
    }

    /// A static binary of ours, without what only debuggers read: it would fill the machine's memory.
    fn add_binary(&self, binary: &Path, to: &str) -> anyhow::Result<()> {
        let place = self.inside(Path::new(to));
        let mut strip = Command::new("llvm-strip");
        strip.arg("--strip-debug").arg("-o").arg(&place).arg(binary);
        if shell::output(&mut strip).is_err() {
            fs::copy(binary, &place)?;
        }
        Ok(())
    }

    fn add_folder(&self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let place = self.inside(to);
        fs::create_dir_all(&place)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let name = entry.file_name();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.add_folder(&entry.path(), &to.join(name))?;
            } else if kind.is_file() {
                fs::copy(entry.path(), place.join(name))?;
            }
        }
        Ok(())
    }

    fn link(&self, target: &str, at: &Path) -> anyhow::Result<()> {
        let place = self.inside(at);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        remove_if_there(&place)?;
        symlink(target, place)?;
        Ok(())
    }

    fn script(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let place = self.inside(Path::new(path));
        fs::write(&place, text)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn folder(&self, path: &str) -> anyhow::Result<PathBuf> {
        let place = self.inside(Path::new(path));
        fs::create_dir_all(&place)?;
        Ok(place)
    }

    fn archive(&self, scratch: &Path) -> anyhow::Result<PathBuf> {
        let archive = scratch.join("initramfs.cpio");
        let pack = "set -o pipefail; cd \"$1\" && find . -print0 | \
                    cpio --quiet --null --create --format=newc --owner=0:0 > \"$2\"";
        let mut bash = Command::new("bash");
        bash.args(["-c", pack, "bash"]).arg(self.root).arg(&archive);
        shell::output(&mut bash).context("can't pack the root file system")?;
        let size = fs::metadata(&archive)?.len();
        ensure!(
            size < 1 << 30,
            "the machine's root file system has {} MB, more than its memory holds",
            size >> 20
        );
        Ok(archive)
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_word() {
        for text in ["", "plain", "two words", "it's", "$(reboot)", "'; reboot '"] {
            let printed = shell::output(
                Command::new("sh")
                    .arg("-c")
                    .arg(format!("printf %s {}", quoted(text))),
            );
            assert_eq!(printed.unwrap(), text);
        }
    }
}
