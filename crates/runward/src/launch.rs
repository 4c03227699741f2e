//! The moment between fork and exec, as a program of its own.
//!
//! A process must be in its job before it runs the job's first instruction. So `run` starts this, which stops itself;
//! `run` puts it into the job and lets it go on; it gives up root, if it had it through sudo, and becomes the command.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use runward_agent::Outputs;
use rustix::process::{Gid, Uid};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_parent_process_death_signal, waitpid,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::cli::{self, LaunchOptions};
use crate::confine::{self, Confinement};
use crate::invoker::Invoker;
use crate::{exit, inherited, output, upload};

/// Starts the launcher for `command` and waits until it has stopped itself.
///
/// With `probe`, it tries to reach that address as soon as it is let go on, and stops once more when it could not.
pub(crate) fn start(
    command: &[std::ffi::OsString],
    invoker: Option<&Invoker>,
    probe: Option<SocketAddr>,
    confinement: Option<Confinement>,
    outputs: &mut Outputs,
) -> Result<Child> {
    let mut launcher = Command::new("/proc/self/exe");
    launcher.arg0("runward").arg(cli::launch_name());
    if let Some(invoker) = invoker {
        let groups: Vec<String> = invoker.groups.iter().map(u32::to_string).collect();
        launcher
            .arg(format!("--uid={}", invoker.uid))
            .arg(format!("--gid={}", invoker.gid));
        launcher.arg(format!("--groups={}", groups.join(",")));
        invoker.dress(&mut launcher);
    }
    // The key of the control plane is Runward's, and no affair of the job.
    launcher.env_remove(upload::KEY);
    if confinement.is_some() {
        launcher.arg("--no-privileges");
    }
    if confinement == Some(Confinement::SudoAndContainers) {
        launcher.arg("--no-containers");
    }
    if let Some(probe) = probe {
        launcher.arg(format!("--probe={probe}"));
    }
    outputs.lead(&mut launcher);
    let child = launcher
        .arg("--")
        .args(command)
        .spawn()
        .context("cannot start a process")?;
    let pid = Pid::from_child(&child);
    match waitpid(Some(pid), WaitOptions::UNTRACED)
        .context("cannot wait for the command's process")?
    {
        Some((_, status)) if status.stopped() => Ok(child),
        _ => bail!("the command's process ended before it began"),
    }
}

/// Lets a stopped launcher go on.
pub(crate) fn release(child: &Child) -> Result<()> {
    kill_process(Pid::from_child(child), Signal::CONT)
        .context("cannot let the command's process go on")
}

/// Lets a stopped launcher prove that the fence stands, and waits until it has.
pub(crate) fn prove(child: &Child) -> Result<()> {
    release(child)?;
    let pid = Pid::from_child(child);
    match waitpid(Some(pid), WaitOptions::UNTRACED)
        .context("cannot wait for the command's process")?
    {
        Some((_, status)) if status.stopped() => Ok(()),
        _ => bail!("the fence did not stop a connection that the policy does not allow"),
    }
}

/// The launcher itself.
pub(crate) fn launch(options: &LaunchOptions) -> ExitCode {
    let [program, arguments @ ..] = &options.command[..] else {
        return ExitCode::from(exit::RUNWARD);
    };
    let ready = options
        .probe
        .map_or(Ok(()), |_| inherited::check())
        .and_then(|()| wait_to_be_watched())
        .and_then(|()| options.probe.map_or(Ok(()), probe))
        .and_then(|()| drop_privileges(options))
        .and_then(|()| match options.no_privileges {
            true => confine::apply(options.no_containers),
            false => Ok(()),
        });
    if let Err(error) = ready {
        output::say(format_args!("{error:#}"));
        return ExitCode::from(exit::RUNWARD);
    }
    let error = Command::new(program).args(arguments).exec();
    let name = program.to_string_lossy();
    if error.kind() == std::io::ErrorKind::NotFound {
        output::say(format_args!("cannot find the command `{name}`"));
        ExitCode::from(exit::NOT_FOUND)
    } else {
        output::say(format_args!("cannot run the command `{name}`: {error}"));
        ExitCode::from(exit::NOT_EXECUTABLE)
    }
}

fn wait_to_be_watched() -> Result<()> {
    // Should `run` die now, nobody would ever continue this process.
    set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot prepare the command's process")?;
    kill_process(getpid(), Signal::STOP).context("cannot wait to be watched")?;
    set_parent_process_death_signal(None).context("cannot prepare the command's process")
}

/// Sends one byte that must be refused, to an address that nobody has.
fn probe(address: SocketAddr) -> Result<()> {
    let any: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let tried = UdpSocket::bind(any).and_then(|socket| socket.send_to(&[0], address));
    match tried {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
        Err(error) => bail!("cannot tell whether the fence stands: {error}"),
        Ok(_) => bail!("the fence does not stand: {address} can be reached"),
    }
    kill_process(getpid(), Signal::STOP).context("cannot wait to be let go on")
}

fn drop_privileges(options: &LaunchOptions) -> Result<()> {
    let (Some(uid), Some(gid)) = (options.uid, options.gid) else {
        return Ok(());
    };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let groups: Vec<Gid> = options
        .groups
        .iter()
        .map(|group| Gid::from_raw(*group))
        .collect();
    // This process has one thread, so a thread's identity is the process's.
    set_thread_groups(&groups).context("cannot take the groups of the user who called sudo")?;
    set_thread_res_gid(gid, gid, gid)
        .context("cannot take the group of the user who called sudo")?;
    set_thread_res_uid(uid, uid, uid).context("cannot become the user who called sudo")
}
