use std::io;
use std::path::PathBuf;

/// Why the sensor cannot work on this machine. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    /// Loading BPF needs privileges.
    #[error("Runward needs root to watch a job: run it with sudo (it runs the command as you)")]
    NotRoot,
    /// The kernel does not describe its own types.
    #[error(
        "this kernel has no type information (/sys/kernel/btf/vmlinux): use a kernel built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf,
    /// Nothing to attach the network programs to.
    #[error(
        "cgroup version 2 is not mounted: mount it, for instance with `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    NoCgroup2,
    /// The mount point of cgroup2 could not be opened.
    #[error("cannot open the cgroup2 folder {path}: {source}")]
    Cgroup {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused the programs. The verifier's word is part of the message.
    #[error(
        "the kernel refused to load the sensor: {source}; `runward doctor` tells what it lacks{log}"
    )]
    Load {
        /// What the library says.
        source: libbpf_rs::Error,
        /// What the verifier printed, on lines of its own; empty when it printed nothing.
        log: String,
    },
    /// A program could not be attached.
    #[error(
        "the kernel refused to attach the sensor's program {program}: {source}; `runward doctor` tells what it lacks"
    )]
    Attach {
        /// The program.
        program: String,
        /// Why.
        source: libbpf_rs::Error,
    },
    /// The object that this binary carries is not the one that it was built with.
    #[error("this build of Runward is broken: its BPF object has no {0}; build it again")]
    Object(&'static str),
    /// The ring buffer could not be read.
    #[error("cannot read the events of the kernel: {0}")]
    Ring(#[source] libbpf_rs::Error),
    /// A map could not be read or written.
    #[error("cannot use the kernel's map {map}: {source}")]
    Map {
        /// The map.
        map: &'static str,
        /// Why.
        source: libbpf_rs::Error,
    },
    /// The fence could not be made to outlive this process.
    #[error(
        "cannot pin the fence to {path}: {source}; the BPF file system must be mounted and writable there"
    )]
    Pin {
        /// The pin.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Sockets that are open already could not be looked for.
    #[error("cannot look through the open sockets of the job: {source}")]
    OpenSockets {
        /// Why.
        source: io::Error,
    },
    /// The kernel side could not be told who the agent is.
    #[error(
        "cannot protect this process from the job: {0}; `runward doctor` tells what this kernel lacks"
    )]
    Introduce(#[source] libbpf_rs::Error),
    /// A folder that the job must leave alone could not be opened.
    #[error("cannot protect {path} from the job: {source}")]
    Protect {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The fence does not take the policy.
    #[error("cannot fence the job: {0}")]
    Fence(#[from] crate::FenceError),
    /// The processes of a job in lockdown could not be looked for.
    #[error("cannot look for the processes of the job in lockdown: {source}")]
    Lockdown {
        /// Why.
        source: io::Error,
    },
    /// The processes that a job begins with could not all be put into it.
    #[error("cannot begin to watch all processes of the job: {source}")]
    Adopt {
        /// Why.
        source: io::Error,
    },
    /// A process could not be put into a job.
    #[error("cannot begin to watch process {pid}: {source}")]
    Track {
        /// The process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
}
