//! The place that servers stand in and that clients are run in.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

use crate::actor::actor;
use crate::authority::Authority;
use crate::dns::{self, Dns};
use crate::error::LabError;
use crate::netns::{self, Namespaces};
use crate::service::{Answer, Service};
use crate::tcp::{self, Tcp};
use crate::tls::{self, Tls};
use crate::udp::{self, Udp};
use crate::wire::Wire;

/// The start of the lab's folder's name in the system's folder for temporary files; the pid and a random part follow.
const FOLDER_PREFIX: &str = "runward-lab-";

/// A lab holds its /24 of the loopback network by listening on this port of its last address.
const CLAIM_PORT: u16 = 28_877;

/// A small internet. Everything in it stops and is removed on drop.
///
/// Servers are bound to any address of the lab; [`Lab::v4`] and [`Lab::v6`] give some that no other lab uses.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: the servers' thread leaves the namespace before that is removed.
    internet: Internet,
    place: Place,
    authority: Authority,
    folder: TempDir,
}

#[derive(Debug)]
enum Place {
    /// A /24 of 127.0.0.0/8, for as long as the listener holds it.
    Loopback {
        network: [u8; 3],
        _claim: TcpListener,
    },
    Netns(Namespaces),
}

impl Lab {
    /// A lab on the loopback addresses of the current network namespace. This needs nothing but `lo`, and no root
    /// for ports from 1024 up.
    pub fn loopback() -> Result<Self, LabError> {
        let (network, claim) = claim_network()?;
        Lab::new(
            Place::Loopback {
                network,
                _claim: claim,
            },
            None,
        )
    }

    /// A lab in two network namespaces of its own. The far side owns 192.0.2.0/24, 198.51.100.0/24,
    /// 203.0.113.128/25 and 2001:db8::/33; the client is 203.0.113.2 and 2001:db8:ffff::2, with its default routes to
    /// the far side. 198.18.0.0/15 and 2001:db8:fffe::/48 are unreachable.
    pub fn netns() -> Result<Self, LabError> {
        let namespaces = Namespaces::new()?;
        let internet = namespaces.internet_file();
        Lab::new(Place::Netns(namespaces), Some(&internet))
    }

    /// An address of this lab's own, for a server.
    #[must_use]
    pub fn v4(&self, host: u8) -> Ipv4Addr {
        match &self.place {
            Place::Loopback {
                network: [a, b, c], ..
            } => Ipv4Addr::new(*a, *b, *c, host),
            Place::Netns(_) => Ipv4Addr::new(198, 51, 100, host),
        }
    }

    /// An IPv6 address of this lab, for a server. The loopback network has only one, whatever the number.
    #[must_use]
    pub fn v6(&self, host: u16) -> Ipv6Addr {
        match &self.place {
            Place::Loopback { .. } => Ipv6Addr::LOCALHOST,
            Place::Netns(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host),
        }
    }

    /// The address that servers see IPv4 clients come from, if the lab has one that is the client's alone.
    #[must_use]
    pub fn client_v4(&self) -> Option<Ipv4Addr> {
        match &self.place {
            Place::Loopback { .. } => None,
            Place::Netns(_) => Some(netns::CLIENT_V4),
        }
    }

    /// As [`Lab::client_v4`], for IPv6.
    #[must_use]
    pub fn client_v6(&self) -> Option<Ipv6Addr> {
        match &self.place {
            Place::Loopback { .. } => None,
            Place::Netns(_) => Some(netns::CLIENT_V6),
        }
    }

    /// The client namespace's name, for `ip netns exec`. Prefer [`Lab::command`], which leaves /sys alone.
    #[must_use]
    pub fn client_namespace(&self) -> Option<&str> {
        match &self.place {
            Place::Loopback { .. } => None,
            Place::Netns(namespaces) => Some(namespaces.client_name()),
        }
    }

    /// A command that runs as a client: in the client's namespace, with the client's /etc/resolv.conf.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(actor("enter"));
        if let Place::Netns(namespaces) = &self.place {
            command.arg("--net").arg(namespaces.client_file());
        }
        let resolv = self.resolv_conf();
        if resolv.exists() {
            command.arg("--resolv").arg(resolv);
        }
        command.arg("--").arg(program);
        command
    }

    /// A command that runs on the internet's side, where the servers are: somebody else's machine.
    #[must_use]
    pub fn internet_command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(actor("enter"));
        if let Place::Netns(namespaces) = &self.place {
            command.arg("--net").arg(namespaces.internet_file());
        }
        command.arg("--").arg(program);
        command
    }

    /// The client namespace's file, which a process enters the namespace by.
    #[must_use]
    pub fn client_file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Loopback { .. } => None,
            Place::Netns(namespaces) => Some(namespaces.client_file()),
        }
    }

    /// Starts to watch what comes in on the internet's side from the client's. Only a lab with namespaces has such a
    /// wire.
    pub fn wire(&self) -> Result<Wire, LabError> {
        let mut witness = self.internet_command(actor("wire"));
        witness.arg("eth0");
        Wire::start(witness)
    }

    /// Runs `work` on a thread of its own where clients are. A panic in it, such as a failed assertion, is passed on.
    pub fn in_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        match &self.place {
            Place::Loopback { .. } => Ok(work()),
            Place::Netns(namespaces) => netns::in_namespace(&namespaces.client_file(), work),
        }
    }

    /// Sets the DNS servers that clients ask, on port 53. Commands that run already see the change. On the loopback
    /// network this takes root, to show each command a resolv.conf of its own; without a call the system's stands.
    pub fn set_nameservers(&self, servers: &[IpAddr]) -> Result<(), LabError> {
        match &self.place {
            Place::Loopback { .. } => netns::write_resolv_conf(&self.resolv_conf(), servers),
            Place::Netns(namespaces) => namespaces.set_nameservers(servers),
        }
    }

    /// A folder of the lab's own, readable by all, removed with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The lab's certificate authority.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The authority's certificate as a PEM file, for `SSL_CERT_FILE`, `CURL_CA_BUNDLE` and so on.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }

    /// Starts a DNS server on UDP and TCP. Port 0 takes any port that is free on both.
    pub fn dns(&self, at: SocketAddr) -> Result<Dns, LabError> {
        dns::start(&self.internet, at)
    }

    /// Starts a TCP server: a sink that answers as told, or an HTTP server if `service` is a [`crate::Site`].
    pub fn tcp(&self, at: SocketAddr, service: impl Into<Service>) -> Result<Tcp, LabError> {
        tcp::start(&self.internet, at, service.into())
    }

    /// Starts a TLS server with a certificate for each of `names` (`*.name` is allowed). Clients that name no host, or
    /// another one, get the first's.
    pub fn tls(
        &self,
        at: SocketAddr,
        names: &[&str],
        service: impl Into<Service>,
    ) -> Result<Tls, LabError> {
        tls::start(&self.internet, at, &self.authority, names, service.into())
    }

    /// Starts a UDP sink.
    pub fn udp(&self, at: SocketAddr, answer: Answer) -> Result<Udp, LabError> {
        udp::start(&self.internet, at, answer)
    }

    fn new(place: Place, namespace: Option<&Path>) -> Result<Self, LabError> {
        remove_left_over_folders();
        let internet = Internet::start(namespace.map(Path::to_owned))?;
        let authority = Authority::new()?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("{FOLDER_PREFIX}{}-", process::id()))
            // Jobs may run as another user.
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .map_err(|source| LabError::File {
                path: "the lab's folder".to_owned(),
                source,
            })?;
        let lab = Lab {
            internet,
            place,
            authority,
            folder,
        };
        let ca_file = lab.ca_file();
        fs::write(&ca_file, lab.authority.pem()).map_err(|source| LabError::File {
            path: ca_file.display().to_string(),
            source,
        })?;
        Ok(lab)
    }

    fn resolv_conf(&self) -> PathBuf {
        match &self.place {
            Place::Loopback { .. } => self.folder().join("resolv.conf"),
            Place::Netns(namespaces) => namespaces.resolv_conf(),
        }
    }
}

/// The thread that all servers of a lab run on, inside the lab's network.
#[derive(Debug)]
pub(crate) struct Internet {
    runtime: Handle,
    /// Its drop ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Internet {
    fn start(namespace: Option<PathBuf>) -> Result<Self, LabError> {
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let body = move || {
            let entered = namespace.as_deref().map_or(Ok(()), netns::enter);
            let made =
                entered.and_then(|()| runtime::Builder::new_current_thread().enable_all().build());
            match made {
                Ok(runtime) => {
                    let _ = ready.send(Ok(runtime.handle().clone()));
                    // Either answer, a message or the sender's drop, means the end.
                    let _ = runtime.block_on(stopped);
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        };
        let thread = thread::Builder::new()
            .name("lab-internet".to_owned())
            .spawn(body)
            .map_err(LabError::Thread)?;
        let runtime = started
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("it ended at once")))
            .map_err(LabError::Thread)?;
        Ok(Internet {
            runtime,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Runs something short on the lab's thread, such as opening a socket, and returns its result.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, LabError> {
        let (sender, result) = mpsc::channel();
        self.runtime.spawn(async move {
            let _ = sender.send(work.await);
        });
        result
            .recv()
            .map_err(|_| LabError::Thread(io::Error::other("it has ended")))
    }

    /// Keeps a server running until what this returns is dropped.
    pub(crate) fn serve(&self, server: impl Future<Output = ()> + Send + 'static) -> Running {
        Running {
            task: self.runtime.spawn(server),
        }
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on the lab's thread has been printed already, and a drop must not add another.
            let _ = thread.join();
        }
    }
}

/// A server that runs. Dropping it stops it, and its address is free again afterwards.
#[derive(Debug)]
pub(crate) struct Running {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        let deadline = Instant::now() + Duration::from_secs(1);
        while !self.task.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Finds a /24 of 127.64.0.0/10 that no other lab on this machine holds.
fn claim_network() -> Result<([u8; 3], TcpListener), LabError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = process::id().wrapping_mul(16);
    let mut tries = 0;
    loop {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let [_, _, high, low] = number.to_be_bytes();
        let network = [127, 64 | (high & 63), low];
        let at = SocketAddr::from(([network[0], network[1], network[2], 254], CLAIM_PORT));
        match TcpListener::bind(at) {
            Ok(claim) => return Ok((network, claim)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < 4096 => tries += 1,
            Err(source) => return Err(LabError::Listen { at, source }),
        }
    }
}

/// Removes the folders of test runs that crashed.
fn remove_left_over_folders() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some((pid, _)) = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX))
            .and_then(|rest| rest.split_once('-'))
        else {
            continue;
        };
        let dead = pid
            .parse::<u32>()
            .is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if dead {
            // Another process may be doing the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
