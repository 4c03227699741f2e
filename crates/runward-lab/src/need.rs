//! What a test needs of the machine, and skipping it by name where that is missing.

use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::{env, io};

use crate::netns;

/// Something that a test needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The test runs as root.
    Root,
    /// Network namespaces joined by veth can be made, which takes root, iproute2 and a kernel with both.
    Netns,
    /// The loopback device has `::1`.
    Ipv6,
    /// This program is on the PATH.
    Program(&'static str),
    /// Git has this command, which may be a program beside it.
    GitCommand(&'static str),
    /// The processor is not emulated. For what is the same on every kernel, and takes minutes there.
    OwnProcessor,
}

/// Why the machine does not meet `need`, if it doesn't. It is found by trying, once per process.
#[must_use]
pub fn missing(need: Need) -> Option<String> {
    match need {
        Need::Root => (!is_root()).then(|| "needs root".to_owned()),
        Need::Netns => {
            static NETNS: OnceLock<Option<String>> = OnceLock::new();
            NETNS.get_or_init(why_no_netns).clone()
        }
        Need::Ipv6 => UdpSocket::bind("[::1]:0")
            .err()
            .map(|error| format!("needs IPv6 on the loopback device ({error})")),
        Need::Program(name) => {
            let path = env::var_os("PATH").unwrap_or_default();
            let found = env::split_paths(&path).any(|folder| is_file(&folder.join(name)));
            (!found).then(|| format!("needs the program {name}"))
        }
        Need::GitCommand(name) => {
            let listed = Command::new("git").arg("--list-cmds=main,others").output();
            let listed = listed.map(|output| output.stdout).unwrap_or_default();
            let found = listed
                .split(|byte| *byte == b'\n')
                .any(|command| command == name.as_bytes());
            (!found).then(|| format!("needs git {name}"))
        }
        Need::OwnProcessor => env::var_os("RUNWARD_VM").map(|_| {
            "is the same on every kernel, and takes minutes under an emulated processor".to_owned()
        }),
    }
}

/// Says on stderr that a test was skipped. It is written past the test harness's capture, which would hide it.
pub fn skip(test: &str, reason: &str) {
    // Nothing can be done about a closed stderr.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {reason}");
}

/// As [`skip`], for one part of a test whose other parts ran.
pub fn skip_part(test: &str, part: &str, reason: &str) {
    skip(&format!("{test} ({part})"), reason);
}

/// Returns from a test that this machine can't run, and says so by name: `requires!(Root, Program("git"));`.
#[macro_export]
macro_rules! requires {
    ($($need:ident $(($argument:expr))?),+ $(,)?) => {$(
        if let Some(reason) = $crate::missing($crate::Need::$need $(($argument))?) {
            $crate::skip($crate::test_name!(), &reason);
            return;
        }
    )+};
}

/// The path of the function that this is written in. The thread's name won't do: tests may share one.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        let path = std::any::type_name_of_val(&here);
        path.strip_suffix("::here").unwrap_or(path)
    }};
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file())
}

fn why_no_netns() -> Option<String> {
    if !is_root() {
        return Some("needs root, to make network namespaces".to_owned());
    }
    netns::Namespaces::new()
        .err()
        .map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_on_the_path() {
        assert_eq!(missing(Need::Program("sh")), None);
        let reason = missing(Need::Program("no-such-program"));
        assert_eq!(reason.as_deref(), Some("needs the program no-such-program"));
    }

    #[test]
    fn a_test_knows_its_name() {
        assert!(
            test_name!().ends_with("need::tests::a_test_knows_its_name"),
            "{}",
            test_name!()
        );
    }
}
