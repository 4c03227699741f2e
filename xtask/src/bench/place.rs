//! Two network namespaces with one wire between them: the job's side, and the internet's, with the servers that the
//! loads talk to. Nothing of it leaves the machine, and the machine's own list of devices never changes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::server::Server;
use crate::shell;

/// The internet's address: of the network that RFC 2544 keeps for measurements.
pub(super) const SINK: &str = "198.18.77.2";
/// Its name, which the place's name server knows.
pub(super) const SINK_NAME: &str = "sink.example";
/// Where it takes TCP connections and answers each with one byte.
pub(super) const CONNECT_PORT: u16 = 7001;
/// Where it takes bulk data.
pub(super) const BULK_PORT: u16 = 5201;

const JOB: &str = "198.18.77.1";
const PREFIX: &str = "/30";

/// Dropped before the namespaces, which end with their last process.
pub(super) struct Place {
    servers: Vec<Server>,
    job: Namespace,
    internet: Namespace,
}

impl Place {
    pub(super) fn new(scratch: &Path) -> anyhow::Result<Place> {
        let etc = scratch.join("etc");
        fs::create_dir(&etc)?;
        fs::write(etc.join("resolv.conf"), format!("nameserver {SINK}\n"))?;
        // The system's resolver daemon, which other words would ask, knows nothing of this place.
        fs::write(etc.join("nsswitch.conf"), "hosts: files dns\n")?;
        let mut place = Place {
            servers: Vec::new(),
            job: Namespace::new(Some(&etc))?,
            internet: Namespace::new(None)?,
        };
        place.wire()?;
        place.serve()?;
        Ok(place)
    }

    /// The program that stands before a command to run it on the job's side, in this folder, with its arguments.
    pub(super) fn enter(&self, folder: &Path) -> Command {
        let mut command = self.job.enter();
        command.arg("env").arg("--chdir").arg(folder);
        command
    }

    fn wire(&self) -> anyhow::Result<()> {
        let [job, internet] = [&self.job, &self.internet].map(|side| side.child.id().to_string());
        shell::run(Command::new("ip").args([
            "link", "add", "eth0", "netns", &job, "type", "veth", "peer", "name", "eth0", "netns",
            &internet,
        ]))?;
        for (side, own, route) in [(&self.job, JOB, Some(SINK)), (&self.internet, SINK, None)] {
            let ip = |arguments: &[&str]| shell::run(side.enter().arg("ip").args(arguments));
            ip(&["link", "set", "lo", "up"])?;
            ip(&["addr", "add", &format!("{own}{PREFIX}"), "dev", "eth0"])?;
            ip(&["link", "set", "eth0", "up"])?;
            if let Some(via) = route {
                ip(&["route", "add", "default", "via", via])?;
            }
        }
        Ok(())
    }

    fn serve(&mut self) -> anyhow::Result<()> {
        let own = std::env::current_exe().context("can't find myself")?;
        let port = CONNECT_PORT.to_string();
        self.server(|inside| inside.arg(&own).args(["load", "sink", SINK, &port]))?;
        let port = BULK_PORT.to_string();
        self.server(|inside| inside.args(["iperf3", "--server", "--bind", SINK, "--port", &port]))?;
        self.server(|inside| {
            // The group too: who changes it is no longer ended with this program.
            inside.args([
                "dnsmasq",
                "--keep-in-foreground",
                "--user=root",
                "--group=root",
            ]);
            inside.args(["--conf-file=/dev/null", "--no-resolv", "--no-hosts"]);
            inside.args(["--pid-file=", "--bind-interfaces", "--local-ttl=3600"]);
            inside.arg(format!("--listen-address={SINK}"));
            inside.arg(format!("--address=/{SINK_NAME}/{SINK}"))
        })?;
        self.await_servers(&[CONNECT_PORT, BULK_PORT, 53])
    }

    fn server(&mut self, with: impl Fn(&mut Command) -> &mut Command) -> anyhow::Result<()> {
        let mut command = self.internet.enter();
        let server = Server::start(with(&mut command))?;
        self.servers.push(server);
        Ok(())
    }

    /// Waits until every TCP port is listened on, as the kernel lists them.
    fn await_servers(&self, ports: &[u16]) -> anyhow::Result<()> {
        let table = format!("/proc/{}/net/tcp", self.internet.child.id());
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            let listed = fs::read_to_string(&table)?;
            let listens = |port: &u16| listed.contains(&format!(":{port:04X} 00000000:0000 0A"));
            if ports.iter().all(listens) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!(
            "the servers do not start; are iperf3 and dnsmasq installed? `scripts/setup bench` does it"
        )
    }
}

/// A network namespace, and a mount namespace with it, for as long as a process stays in it. That one ends when its
/// input does, so even if this program is killed nothing is left behind.
struct Namespace {
    child: Child,
    _input: ChildStdin,
}

impl Namespace {
    /// `etc`: files that stand there in place of the machine's own in `/etc`.
    fn new(etc: Option<&Path>) -> anyhow::Result<Namespace> {
        const SCRIPT: &str = r#"
            set -e
            for file in "$@"; do
              own="/etc/${file##*/}"
              [ ! -e "$own" ] || mount --bind "$file" "$own"
            done
            echo ready
            read -r end
        "#;
        let mut files = Vec::new();
        for entry in etc.into_iter().flat_map(Path::read_dir).flatten() {
            files.push(entry?.path());
        }
        let mut child = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", SCRIPT, "sh"])
            .args(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start unshare")?;
        let input = child.stdin.take().context("no stdin")?;
        let output = child.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line == "ready\n", "can't make a network namespace");
        Ok(Namespace {
            child,
            _input: input,
        })
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.child.id().to_string();
        command.args(["--target", &target, "--net", "--mount", "--"]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
