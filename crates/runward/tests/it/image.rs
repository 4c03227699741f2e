//! The smallest image that runs a shell, and podman told to run it without touching what this machine has of its own.

use std::ffi::OsStr;
use std::process::Command;

use runward_lab::run;

use crate::bed::{Bed, LIMIT};

/// An image of busybox, with all that podman keeps beside it.
pub(crate) struct Image(tempfile::TempDir);

impl Image {
    pub(crate) fn new() -> Image {
        let image = Image(tempfile::tempdir().unwrap());
        for folder in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            std::fs::create_dir_all(image.place(&format!("root/{folder}"))).unwrap();
        }
        let busybox = run(Command::new("sh").args(["-c", "command -v busybox"]), LIMIT).unwrap();
        std::fs::copy(busybox.stdout.trim(), image.place("root/bin/sh")).unwrap();
        std::fs::write(
            image.place("containers.conf"),
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\nlog_driver = \"none\"\n\
             [engine]\nevents_logger = \"none\"\ncgroup_manager = \"cgroupfs\"\nruntime = \"runc\"\n",
        )
        .unwrap();
        image
    }

    /// The path of something below.
    pub(crate) fn place(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// `podman run` under watch, without its last arguments: `--rootfs`, the root folder and the command.
    pub(crate) fn run(&self, bed: &Bed, podman: impl AsRef<OsStr>) -> Command {
        let mut command = bed.runward(["run", "--quiet", "--"]);
        command.arg(podman);
        self.kept_apart(&mut command);
        command.args(["run", "--rm", "--network", "none"]);
        command
    }

    /// Tells the podman that a command ends with to keep everything here.
    pub(crate) fn kept_apart(&self, command: &mut Command) {
        command.env("CONTAINERS_CONF", self.place("containers.conf"));
        for (option, folder) in [
            ("--root", "store"),
            ("--runroot", "run"),
            ("--tmpdir", "tmp"),
        ] {
            command.args([option, &self.place(folder)]);
        }
    }
}
