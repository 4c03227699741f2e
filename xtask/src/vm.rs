//! Runs the tests that need a kernel inside virtual machines, one for each row of a table of kernels.
//!
//! QEMU emulates the processor in software, so this works without KVM and inside other virtual machines. Nothing
//! is installed: a kernel package is downloaded by apt and unpacked, and its root file system is an archive in
//! memory that holds the static binaries, busybox, and a few programs of this machine with their libraries.

mod binaries;
mod initramfs;
mod kernel;
mod machine;

use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::outcome::{Outcome, Report};
use crate::shell;
use binaries::Binaries;
use kernel::{KERNELS, Kernel, KernelFiles};
use machine::{Ended, Progress};

/// The crates whose tests run in the machines: all of their test binaries.
const PACKAGES: [&str; 3] = ["runward", "runward-agent", "runward-sensor"];

/// Ample for a run on an emulated processor; a machine that hangs is ended after it.
const LIMIT_SECONDS: u64 = 2400;

/// How often another machine does the rest after a fault of the emulator.
const FAULTS_MAX: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run on this kernel only; may be given more than once
    #[arg(long = "kernel", value_name = "NAME")]
    kernels: Vec<String>,
    /// Run the tests of this crate instead of the usual ones; may be given more than once
    #[arg(long = "package", value_name = "CRATE")]
    packages: Vec<String>,
    /// Run only tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run this line in the machine's shell before the tests, and show what it prints
    #[arg(long, value_name = "LINE")]
    first: Option<String>,
    /// End a machine that is not done after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT_SECONDS)]
    limit: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            kernels: Vec::new(),
            packages: Vec::new(),
            filter: None,
            first: None,
            limit: LIMIT_SECONDS,
        }
    }
}

/// Runs the tests on every kernel that was asked for. A broken machine is an outcome, not an error of this function.
pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let asked = |kernel: &&Kernel| {
        options.kernels.is_empty() || options.kernels.iter().any(|name| name == kernel.name)
    };
    let kernels: Vec<&Kernel> = KERNELS.iter().filter(asked).collect();
    anyhow::ensure!(
        !kernels.is_empty(),
        "no such kernel; there are: {}",
        KERNELS.map(|kernel| kernel.name).join(", ")
    );

    let mut report = Report::default();
    if let Some(reason) = why_not_here() {
        for kernel in kernels {
            report.add(
                format!("vm {}", kernel.name),
                Outcome::Skipped(reason.clone()),
            );
        }
        return Ok(report);
    }
    let usual = PACKAGES.map(str::to_owned);
    let packages = if options.packages.is_empty() {
        usual.as_slice()
    } else {
        &options.packages
    };
    let binaries = match Binaries::build(packages) {
        Ok(binaries) => binaries,
        Err(error) => {
            report.add("vm", Outcome::Failed(format!("{error:#}")));
            return Ok(report);
        }
    };
    run_all(kernels, &binaries, options, &mut report);
    Ok(report)
}

fn run_all(kernels: Vec<&Kernel>, binaries: &Binaries, options: &Options, report: &mut Report) {
    // One after the other: apt has a lock.
    let fetched: Vec<_> = kernels
        .into_iter()
        .map(|kernel| (kernel, kernel.fetch()))
        .collect();
    // All at once: each machine has one processor.
    let outcomes: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = fetched
            .iter()
            .map(|(kernel, folder)| {
                scope.spawn(move || match folder {
                    Ok(folder) => on_kernel(kernel, folder, binaries, options)
                        .unwrap_or_else(|error| Outcome::Failed(format!("{error:#}"))),
                    Err(error) => Outcome::Skipped(format!("{error:#}")),
                })
            })
            .collect();
        let ended = running.into_iter().map(|running| {
            let broken = |_| Outcome::Failed("the thread that ran it broke off".to_owned());
            running.join().unwrap_or_else(broken)
        });
        ended.collect()
    });
    for ((kernel, _), outcome) in fetched.iter().zip(outcomes) {
        report.add(format!("vm {}", kernel.name), outcome);
    }
}

fn on_kernel(
    kernel: &Kernel,
    folder: &Path,
    binaries: &Binaries,
    options: &Options,
) -> anyhow::Result<Outcome> {
    let files = KernelFiles::in_folder(folder)?;
    let mut progress = Progress::default();
    for _ in 0..=FAULTS_MAX {
        println!("-- {} ({}): {progress}", kernel.name, files.release);
        match boot(kernel, &files, binaries, options, &mut progress)? {
            Ended::Judged(outcome) => return Ok(outcome),
            Ended::EmulatorFault => {}
        }
    }
    Ok(Outcome::Failed(format!(
        "the emulator failed {FAULTS_MAX} machines and one more ({progress})"
    )))
}

/// Runs what is left in one machine.
fn boot(
    kernel: &Kernel,
    files: &KernelFiles,
    binaries: &Binaries,
    options: &Options,
    progress: &mut Progress,
) -> anyhow::Result<Ended> {
    let scratch = tempfile::Builder::new().prefix("runward-vm.").tempdir()?;
    let nonce = scratch
        .path()
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let plan = initramfs::Plan {
        kernel,
        files,
        binaries,
        filter: options.filter.as_deref(),
        first: options.first.as_deref(),
        progress,
        nonce: &nonce,
    };
    let archive = plan.pack(scratch.path())?;
    let log = shell::target_dir()
        .join("vm")
        .join(format!("{}.log", kernel.name));
    machine::Machine {
        name: kernel.name,
        vmlinuz: &files.vmlinuz,
        initramfs: &archive,
        command_line: kernel.command_line,
        nonce: &nonce,
        limit: Duration::from_secs(options.limit),
        log: &log,
        expected_binaries: binaries.tests.len(),
    }
    .run(progress)
}

/// The reason why no machine can run here, if there is one.
fn why_not_here() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("the table of kernels holds x86-64 kernels only".into());
    }
    [
        "qemu-system-x86_64",
        "busybox",
        "cpio",
        "apt-get",
        "apt-cache",
        "dpkg-deb",
    ]
    .into_iter()
    .find(|program| shell::find_program(program).is_none())
    .map(|program| format!("{program} is not installed"))
}
