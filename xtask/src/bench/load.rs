mod connect;
mod slow_dns;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};

/// Work that is nothing but what Runward watches: the dearest case there is. And the servers that it talks to.
#[derive(Debug, Args)]
pub(crate) struct Load {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Runs /bin/true, one after the other.
    Execs { count: u32, folder: PathBuf },
    /// Writes a small file, renames it and deletes it.
    Files { count: u32, folder: PathBuf },
    /// Connects new UDP sockets, and prints how long connect() took.
    ConnectUdp { ip: IpAddr, port: u16, count: usize },
    /// Makes TCP connections, and prints how long connect() took.
    ConnectTcp { ip: IpAddr, port: u16, count: usize },
    /// Takes TCP connections, and greets each with one byte.
    Sink { ip: IpAddr, port: u16 },
    /// Answers every question after so many milliseconds.
    SlowDns {
        ip: IpAddr,
        port: u16,
        milliseconds: u64,
    },
}

impl Load {
    /// Does the work. Written here and not as a shell script, whose own cost would hide what is measured.
    pub(crate) fn play(&self) -> anyhow::Result<()> {
        match &self.kind {
            Kind::Execs { count, .. } => (0..*count).try_for_each(|_| exec()),
            Kind::Files { count, folder } => (0..*count).try_for_each(|round| file(round, folder)),
            Kind::ConnectUdp { ip, port, count } => {
                connect::udp(SocketAddr::new(*ip, *port), *count)
            }
            Kind::ConnectTcp { ip, port, count } => {
                connect::tcp(SocketAddr::new(*ip, *port), *count)
            }
            Kind::Sink { ip, port } => connect::sink(SocketAddr::new(*ip, *port)),
            Kind::SlowDns {
                ip,
                port,
                milliseconds,
            } => slow_dns::serve(
                SocketAddr::new(*ip, *port),
                Duration::from_millis(*milliseconds),
            ),
        }
    }
}

fn exec() -> anyhow::Result<()> {
    let status = Command::new("/bin/true")
        .status()
        .context("can't run /bin/true")?;
    ensure!(status.success(), "/bin/true ended with {status}");
    Ok(())
}

fn file(round: u32, folder: &Path) -> anyhow::Result<()> {
    let first = folder.join(format!("file-{}", round % 100));
    let second = folder.join(format!("renamed-{}", round % 100));
    fs::write(&first, b"one line of text\n")?;
    fs::rename(&first, &second)?;
    fs::remove_file(&second)?;
    Ok(())
}
