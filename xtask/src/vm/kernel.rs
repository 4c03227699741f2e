use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::shell;

/// A kernel that the tests run on. Add a row to run them on another one.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) name: &'static str,
    /// A Debian package that is, or depends on, the kernel's image.
    package: &'static str,
    /// Added to the kernel's command line.
    pub(super) command_line: &'static str,
    /// What `runward doctor` must find there; handed to the tests as `RUNWARD_EXPECT_TIER`.
    pub(super) tier: &'static str,
}

/// Kernels of distributions that CI machines run, oldest first.
pub(super) const KERNELS: [Kernel; 2] = [
    Kernel {
        name: "debian-cloud",
        package: "linux-image-cloud-amd64",
        // As on most distributions: without `bpf`, so that only trampolines can prevent anything.
        command_line: "lsm=lockdown,capability,landlock,yama,apparmor",
        tier: "A",
    },
    Kernel {
        name: "debian-6.12-cloud",
        package: "linux-image-6.12-cloud-amd64",
        // Debian's own list, which has `bpf`.
        command_line: "",
        tier: "A",
    },
];

/// An unpacked kernel.
#[derive(Debug)]
pub(super) struct KernelFiles {
    pub(super) release: String,
    pub(super) vmlinuz: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// Downloads and unpacks the kernel to a folder, unless that has been done. An error means that this machine
    /// can't get it.
    pub(super) fn fetch(&self) -> anyhow::Result<PathBuf> {
        let package = self.resolve()?;
        let cache = shell::target_dir().join("vm-cache");
        let unpacked = cache.join(&package);
        if !unpacked.exists() {
            download(&package, &cache, &unpacked)?;
        }
        Ok(unpacked)
    }

    /// Follows the package that always names the newest image to that image.
    fn resolve(&self) -> anyhow::Result<String> {
        let unknown = || {
            let package = self.package;
            format!("the package sources of this machine do not offer {package}")
        };
        let mut apt = Command::new("apt-cache");
        apt.args(["depends", "--important", self.package]);
        let depends = shell::output(&mut apt).with_context(unknown)?;
        let image = depends
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .find(|name| name.starts_with("linux-image-"))
            .unwrap_or(self.package);
        ensure!(
            image
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b)),
            "apt-cache printed a strange package name: {image:?}"
        );
        // A package that only others mention exists for apt-cache, but can't be downloaded.
        ensure!(!depends.starts_with('<'), unknown());
        Ok(image.to_owned())
    }
}

/// Unpacks beside the final place and moves, so that a download cut short leaves nothing that looks whole.
fn download(package: &str, cache: &Path, unpacked: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(cache)?;
    let scratch = tempfile::Builder::new()
        .prefix("download.")
        .tempdir_in(cache)?;
    let mut apt = Command::new("apt-get");
    apt.current_dir(scratch.path())
        .args(["-q", "download", package]);
    if rustix::process::geteuid().is_root() {
        // Apt's own user may not enter this folder; apt would say so and go on as root all the same.
        apt.args(["-o", "APT::Sandbox::User=root"]);
    }
    shell::output(&mut apt).with_context(|| format!("can't download {package}"))?;
    let archive = fs::read_dir(scratch.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get brought no file for {package}"))?;
    let tree = scratch.path().join("tree");
    shell::output(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&tree))?;
    match fs::rename(&tree, unpacked) {
        // Another run was quicker.
        Err(_) if unpacked.exists() => Ok(()),
        done => done.context("can't move the unpacked kernel to its place"),
    }
}

impl KernelFiles {
    /// Finds its way in an unpacked package.
    pub(super) fn in_folder(folder: &Path) -> anyhow::Result<KernelFiles> {
        let boot = folder.join("boot");
        let entries =
            fs::read_dir(&boot).with_context(|| format!("can't read {}", boot.display()))?;
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(release) = name.strip_prefix("vmlinuz-") {
                // Debian is moving modules from /lib to /usr/lib.
                let modules = ["lib/modules", "usr/lib/modules"]
                    .map(|place| folder.join(place).join(release));
                let modules = modules.into_iter().find(|place| place.exists());
                return Ok(KernelFiles {
                    release: release.to_owned(),
                    vmlinuz: boot.join(&name),
                    modules: modules.unwrap_or_default(),
                });
            }
        }
        anyhow::bail!("{} holds no vmlinuz", boot.display())
    }

    /// Copies the named modules, and those that they need, to a folder as plain `.ko` files.
    /// Answers their names in the order in which they must be loaded. A module that the kernel lacks is left out:
    /// it is built in, or the tests that want it skip themselves.
    pub(super) fn copy_modules(&self, names: &[&str], to: &Path) -> anyhow::Result<Vec<String>> {
        let mut order = Vec::new();
        for name in names {
            self.copy_module(name, to, &mut order, 0)?;
        }
        Ok(order)
    }

    fn copy_module(
        &self,
        name: &str,
        to: &Path,
        order: &mut Vec<String>,
        depth: usize,
    ) -> anyhow::Result<()> {
        ensure!(
            depth < 16,
            "the modules of {} depend on each other in a circle",
            self.release
        );
        if order.iter().any(|done| done == name) {
            return Ok(());
        }
        let Some(source) = find_module(&self.modules.join("kernel"), name) else {
            return Ok(());
        };
        let copy = to.join(format!("{name}.ko"));
        if source
            .extension()
            .is_some_and(|extension| extension == "xz")
        {
            let output = Command::new("xz").arg("-dc").arg(&source).output();
            let output = output.context("can't start xz; `make setup` installs it")?;
            ensure!(output.status.success(), "can't unpack {}", source.display());
            fs::write(&copy, output.stdout)?;
        } else {
            fs::copy(&source, &copy)?;
        }
        for needed in needed_by(&fs::read(&copy)?) {
            self.copy_module(&needed, to, order, depth + 1)?;
        }
        order.push(name.to_owned());
        Ok(())
    }
}

fn find_module(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = entry.file_name().to_string_lossy().replace('-', "_");
            if file == format!("{name}.ko") || file == format!("{name}.ko.xz") {
                return Some(path);
            }
        }
    }
    None
}

/// The modules that a module needs, as it says itself in its `.modinfo` section: `depends=a,b`, ended by a zero.
fn needed_by(module: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(start) = module.windows(key.len()).position(|window| window == key) else {
        return Vec::new();
    };
    let list = module[start + key.len()..].split(|byte| *byte == 0).next();
    String::from_utf8_lossy(list.unwrap_or_default())
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_what_it_needs() {
        assert_eq!(
            needed_by(b"x\0depends=llc,stp\0name=bridge\0"),
            ["llc", "stp"]
        );
        assert_eq!(needed_by(b"x\0depends=\0name=loop\0"), [""; 0]);
        assert_eq!(needed_by(b"\0depends=nf-tables"), ["nf_tables"]);
        assert_eq!(needed_by(b""), [""; 0]);
    }
}
