use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// A program that answers others until this is dropped.
#[derive(Debug)]
pub(super) struct Server(Child);

impl Server {
    /// Starts it. That it answers is for its first caller to wait for.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Server> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| {
                format!("can't start {command:?}; `scripts/setup bench` installs what is missing")
            })?;
        Ok(Server(child))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
