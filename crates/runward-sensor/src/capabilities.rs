use std::ffi::CStr;
use std::path::Path;

use runward_event::Tier;
use rustix::process::geteuid;

use crate::SensorError;
use crate::load::{self, MemorySight};

/// What this machine lets Runward do, each found by trying it. An `Err` holds the kernel's word.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Whether this process is root.
    pub root: bool,
    /// Whether the kernel describes its types.
    pub btf: bool,
    /// Whether cgroup version 2 is mounted.
    pub cgroup2: bool,
    /// BPF on tracepoints with types: processes.
    pub tracepoints: Result<(), String>,
    /// State that travels with a task: attribution.
    pub task_storage: Result<(), String>,
    /// BPF on cgroups: connections.
    pub cgroup: Result<(), String>,
    /// Task storage in cgroup programs: attribution of sockets without trampolines.
    pub cgroup_task_storage: Result<(), String>,
    /// BPF trampolines that watch.
    pub fentry: Result<(), String>,
    /// BPF trampolines that refuse.
    pub fmod_ret: Result<(), String>,
    /// The trampolines that keep a fenced job from the agent: all of them, or block mode does not start on tier A.
    pub guards: Result<(), String>,
    /// What stands in for trampolines that refuse, in the order of [`WATCHES`].
    pub watches: Vec<Result<(), String>>,
    /// The lock of an address space as a tracepoint: memory of other processes, without trampolines.
    pub memory: Result<(), String>,
    /// The making of a mount's counters as a tracepoint: who mounts something over the workspace.
    pub mounts: Result<(), String>,
    /// BPF as a security module; useful only where the kernel's list of modules names `bpf`.
    pub lsm: Result<(), String>,
}

impl Capabilities {
    /// Tries everything. Takes some tens of milliseconds; leaves nothing behind.
    pub fn probe() -> Capabilities {
        let fmod_ret = load::probe(c"probe_fmod_ret", true);
        Capabilities {
            root: geteuid().is_root(),
            btf: btf_exists(),
            cgroup2: load::cgroup2_mount().is_ok(),
            tracepoints: load::probe(c"probe_tracepoint", true),
            task_storage: load::probe(c"probe_task_storage", false),
            cgroup: load::probe(c"probe_cgroup", false),
            cgroup_task_storage: load::probe(c"probe_cgroup_task_storage", false),
            fentry: load::probe(c"probe_fentry", true),
            guards: fmod_ret.clone().and_then(|()| load::guards()),
            fmod_ret,
            watches: WATCHES
                .iter()
                .map(|watch| load::probe(watch.probe, watch.attach))
                .collect(),
            memory: load::probe(MEMORY_PROBE, true),
            mounts: mounts(),
            lsm: lsm(),
        }
    }

    /// The tier that these make. Meaningless when [`check_machine`] fails.
    pub fn tier(&self) -> Tier {
        if self.fentry.is_ok() && self.fmod_ret.is_ok() {
            Tier::A
        } else {
            Tier::B
        }
    }
}

const MEMORY_PROBE: &CStr = c"probe_lock";

/// A program that tells of tampering, or refuses it, where trampolines cannot.
#[derive(Debug)]
pub struct Watch {
    /// What it sees.
    pub name: &'static str,
    /// What its lack costs, where trampolines do not work either.
    pub cost: &'static str,
    /// The program of the sensor.
    pub(crate) program: &'static str,
    probe: &'static CStr,
    attach: bool,
}

/// All of these programs.
pub const WATCHES: [Watch; 6] = [
    Watch {
        name: "tampering: signals",
        cost: "signals to the agent are not recorded",
        program: "watch_signal",
        probe: c"probe_signal",
        attach: true,
    },
    Watch {
        name: "tampering: rights asked for",
        cost: "BPF, kernel modules and packet sockets of a fenced job are neither recorded nor ended",
        program: "watch_capable",
        probe: c"probe_capable",
        attach: true,
    },
    Watch {
        name: "tampering: sockets through io_uring",
        cost: "packet sockets that a fenced job makes through io_uring are neither recorded nor ended",
        program: "watch_uring",
        probe: c"probe_uring",
        attach: true,
    },
    Watch {
        name: "tampering: devices",
        cost: "raw memory and disks are not refused to a fenced job",
        program: "watch_device",
        probe: c"probe_device",
        attach: false,
    },
    Watch {
        name: "tampering: settings of the kernel",
        cost: "settings by which the kernel runs programs are not refused to a fenced job",
        program: "watch_setting",
        probe: c"probe_setting",
        attach: false,
    },
    Watch {
        name: "tampering: daemons",
        cost: "daemons that would act for a fenced job are not refused to it",
        program: "watch_unix_connect",
        probe: c"probe_unix_connect",
        attach: false,
    },
];

/// The programs of [`WATCHES`] that this kernel takes.
pub(crate) fn watches() -> Vec<&'static str> {
    WATCHES
        .iter()
        .filter(|watch| load::probe(watch.probe, watch.attach).is_ok())
        .map(|watch| watch.program)
        .collect()
}

/// The tier of this machine: as [`Capabilities::tier`], without trying what does not matter for it.
pub(crate) fn tier() -> Tier {
    let prevents =
        load::probe(c"probe_fentry", true).and_then(|()| load::probe(c"probe_fmod_ret", true));
    if prevents.is_ok() { Tier::A } else { Tier::B }
}

/// What sees here that a job reaches into other processes.
pub(crate) fn memory(tier: Tier) -> MemorySight {
    match tier {
        Tier::A => MemorySight::Trampolines,
        Tier::B if load::probe(MEMORY_PROBE, true).is_ok() => MemorySight::Lock,
        Tier::B => MemorySight::Nothing,
    }
}

/// Whether the kernel tells who mounts something.
pub(crate) fn mounts() -> Result<(), String> {
    load::probe(c"probe_mounts", true)
}

/// Whether cgroup programs may read task storage here.
pub(crate) fn task_storage_in_cgroup_hooks() -> bool {
    load::probe(c"probe_cgroup_task_storage", false).is_ok()
}

/// Whether the sensor can work here at all, as far as that can be told without loading anything.
pub fn check_machine() -> Result<(), SensorError> {
    if !geteuid().is_root() {
        return Err(SensorError::NotRoot);
    }
    if !btf_exists() {
        return Err(SensorError::NoBtf);
    }
    load::cgroup2_mount().map(drop)
}

fn btf_exists() -> bool {
    Path::new("/sys/kernel/btf/vmlinux").exists()
}

fn lsm() -> Result<(), String> {
    load::probe(c"probe_lsm", true)?;
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    if modules.trim().split(',').any(|module| module == "bpf") {
        Ok(())
    } else {
        Err("the kernel's list of security modules does not name bpf".to_owned())
    }
}
