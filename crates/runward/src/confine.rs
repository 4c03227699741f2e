//! `--disable-sudo` and `--disable-sudo-and-containers`: the job stays the user that it is.
//!
//! Nothing of the machine is changed, so there is nothing to undo: the kernel's flag for a process that may gain no
//! privileges, which its children inherit and nobody can take back, makes sudo and every other set-user-id program run as
//! the caller. Daemons that start containers are reached through sockets that belong to a group; the job does not get
//! that group.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, bail};
use rustix::thread::{no_new_privs, set_no_new_privs};

use crate::invoker::Invoker;

/// Sockets of daemons that would start a container with the machine's root in it for whoever can connect.
const CONTAINER_SOCKETS: [&str; 9] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
    "/var/lib/incus/unix.socket",
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
];

/// What is taken from the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// sudo, and all that is like it.
    Sudo,
    /// That, and daemons that start containers.
    SudoAndContainers,
}

/// Prepares the user that the job runs as. An error when it is root, who needs no sudo.
pub(crate) fn prepare(confinement: Confinement, invoker: Option<&mut Invoker>) -> Result<()> {
    let Some(invoker) = invoker else {
        bail!(
            "--disable-sudo has no effect on a job that runs as root: start `sudo runward run …` as the user that the job should be"
        );
    };
    if confinement == Confinement::SudoAndContainers {
        let of_daemons: Vec<u32> = CONTAINER_SOCKETS
            .iter()
            .filter_map(|path| Some(std::fs::metadata(path).ok()?.gid()))
            .filter(|group| *group != invoker.gid)
            .collect();
        invoker.groups.retain(|group| !of_daemons.contains(group));
    }
    Ok(())
}

/// Takes effect on this process, which is the user's already, and on all that it becomes or starts. Looks whether it did.
pub(crate) fn apply(containers: bool) -> Result<()> {
    set_no_new_privs(true).context("cannot disable sudo")?;
    if !no_new_privs().context("cannot tell whether sudo is disabled")? {
        bail!("the kernel did not disable sudo");
    }
    if containers {
        for path in CONTAINER_SOCKETS {
            match UnixStream::connect(path) {
                Ok(_) => bail!(
                    "containers cannot be disabled: everybody may connect to {path}; restrict it to a group"
                ),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NotFound
                            | ErrorKind::PermissionDenied
                            | ErrorKind::ConnectionRefused
                            | ErrorKind::NotADirectory
                    ) => {}
                Err(error) => bail!("cannot tell whether {path} is out of reach: {error}"),
            }
        }
    }
    Ok(())
}
