use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// A program that answers others until this is dropped.
#[derive(Debug)]
pub(super) struct Server(Child);

impl Server {
    /// Starts it; if this program is killed, the kernel ends it too. That it answers is for its first caller to wait
    /// for.
    pub(super) fn start(command: &Command) -> anyhow::Result<Server> {
        let mut tied = Command::new("setpriv");
        tied.args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args());
        let child = tied
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("can't start setpriv; `scripts/setup bench` installs what is missing")?;
        Ok(Server(child))
    }

    /// The most memory that it has had, in megabytes.
    pub(super) fn peak_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        Ok(kib.context("the kernel does not tell the server's memory")? * 1024.0 / 1e6)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
