//! What the service manager is told of the agent: sd_notify(3). Where nobody asks, nothing is told.

use std::io;
use std::time::Duration;

use sd_notify::{NotifyState, notify};

/// The service manager that has started this process, if it wants to be told.
#[derive(Debug)]
pub struct Supervisor {
    /// How often it is told that the agent is alive, if it wants to know.
    every: Option<Duration>,
    /// When it was told last, since boot.
    told: Option<Duration>,
}

impl Supervisor {
    /// Finds out from the environment that the service manager leaves.
    #[must_use]
    pub fn find() -> Supervisor {
        // Half of the time after which it would take the agent for dead, as sd_watchdog_enabled(3) recommends.
        let every = sd_notify::watchdog_enabled().map(|patience| patience / 2);
        Supervisor { every, told: None }
    }

    /// The agent is there for jobs.
    pub fn ready(&self) -> io::Result<()> {
        notify(&[NotifyState::Ready])
    }

    /// The agent's loop has come round, at this time since boot. To be called each time: tells it as often as is asked for.
    pub fn alive(&mut self, now: Duration) -> io::Result<()> {
        let Some(every) = self.every else {
            return Ok(());
        };
        if self
            .told
            .is_some_and(|told| now.saturating_sub(told) < every)
        {
            return Ok(());
        }
        notify(&[NotifyState::Watchdog])?;
        self.told = Some(now);
        Ok(())
    }

    /// The agent ends, because it was told to.
    pub fn stopping(&self) -> io::Result<()> {
        notify(&[NotifyState::Stopping])
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    use super::*;

    /// Marks the process that plays the agent.
    const PLAYS: &str = "RUNWARD_TEST_PLAYS_AGENT";

    /// Runs this test again, as a service with these variables, and gives what its manager is told.
    fn told(variables: &[(&str, &str)], listens: bool) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("notify");
        let socket = UnixDatagram::bind(&place).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let mut agent = Command::new(std::env::current_exe().unwrap());
        agent
            .args(["--exact", "supervisor::tests::the_service_manager_is_told"])
            .env(PLAYS, "1")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_PID")
            .env_remove("WATCHDOG_USEC")
            .envs(variables.iter().copied());
        if listens {
            agent.env("NOTIFY_SOCKET", &place);
        }
        let ended = agent.output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
        let mut told = Vec::new();
        let mut message = [0; 256];
        while let Ok(length) = socket.recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            told.push(text.trim_end().to_owned());
        }
        told
    }

    fn play() {
        let mut supervisor = Supervisor::find();
        supervisor.ready().unwrap();
        for seconds in [100, 101, 104, 105, 106, 120] {
            supervisor.alive(Duration::from_secs(seconds)).unwrap();
        }
        supervisor.stopping().unwrap();
    }

    #[test]
    fn the_service_manager_is_told() {
        if std::env::var_os(PLAYS).is_some() {
            return play();
        }
        let patience = ("WATCHDOG_USEC", "10000000");
        let alive = [
            "READY=1",
            "WATCHDOG=1",
            "WATCHDOG=1",
            "WATCHDOG=1",
            "STOPPING=1",
        ];
        assert_eq!(told(&[patience], true), alive);
        assert_eq!(told(&[], true), ["READY=1", "STOPPING=1"]);
        // The watchdog of another process, whose variables this one got from its parent.
        let of_another = [patience, ("WATCHDOG_PID", "1")];
        assert_eq!(told(&of_another, true), ["READY=1", "STOPPING=1"]);
        assert_eq!(told(&[patience], false), [""; 0]);
    }
}
