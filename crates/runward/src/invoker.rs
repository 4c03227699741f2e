//! Who the command runs as: the person behind sudo, not root.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The user who called sudo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invoker {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    name: OsString,
    home: OsString,
}

/// Variables that sudo sets for its child; the command is not that child.
const SUDO_VARIABLES: [&str; 5] = [
    "SUDO_USER",
    "SUDO_UID",
    "SUDO_GID",
    "SUDO_COMMAND",
    "SUDO_HOME",
];

impl Invoker {
    /// Finds out from the environment that sudo leaves. `None` when root called directly.
    pub(crate) fn find() -> Result<Option<Invoker>> {
        let number = |name: &str| -> Option<u32> { std::env::var(name).ok()?.parse().ok() };
        let (Some(uid), Some(gid)) = (number("SUDO_UID"), number("SUDO_GID")) else {
            return Ok(None);
        };
        if uid == 0 || !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        // Asked of the system's own tools, because users may come from a directory service, which a static binary
        // cannot ask by itself.
        let entry = ask("getent", &["passwd", &uid.to_string()])?;
        let fields: Vec<&str> = entry.trim_end().split(':').collect();
        let [name, _, _, _, _, home, ..] = fields[..] else {
            bail!("user {uid}, who called sudo, has no entry in the user database");
        };
        let groups = ask("id", &["-G", "--", name])?;
        let groups = groups
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .context("the groups of the user who called sudo are not numbers")?;
        Ok(Some(Invoker {
            uid,
            gid,
            groups,
            name: name.into(),
            home: home.into(),
        }))
    }

    /// Where this user is at home.
    pub(crate) fn home(&self) -> PathBuf {
        PathBuf::from(&self.home)
    }

    /// Gives `command` the environment of this user.
    pub(crate) fn dress(&self, command: &mut Command) {
        for name in SUDO_VARIABLES {
            command.env_remove(name);
        }
        command
            .env("HOME", &self.home)
            .env("USER", &self.name)
            .env("LOGNAME", &self.name);
    }
}

fn ask(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot find out who called sudo: {program} does not run"))?;
    if !output.status.success() {
        bail!(
            "cannot find out who called sudo: {program} {} failed",
            arguments.join(" ")
        );
    }
    String::from_utf8(output.stdout).context("the user database holds a name that is not UTF-8")
}
