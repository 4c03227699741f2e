//! What kind of program an executable is, by its name.

use runward_event::ProcessId;
use runward_tree::{Parent, Tree};

/// The last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a program takes commands as text and runs them.
pub(crate) fn is_shell(exe: &str) -> bool {
    matches!(
        base_name(exe),
        "sh" | "bash"
            | "dash"
            | "zsh"
            | "ksh"
            | "ksh93"
            | "mksh"
            | "ash"
            | "fish"
            | "csh"
            | "tcsh"
            | "busybox"
            | "pwsh"
            | "rbash"
            | "yash"
    )
}

/// Whether a program passes bytes on between its own streams and a connection.
pub(crate) fn is_relay(exe: &str) -> bool {
    let name = base_name(exe);
    matches!(
        name,
        "nc" | "ncat" | "netcat" | "socat" | "telnet" | "cryptcat" | "websocat"
    ) || name.starts_with("nc.")
}

/// The program that the process's parent runs.
pub(crate) fn parent_exe(tree: &Tree, id: ProcessId) -> Option<&str> {
    let Parent::Known(parent) = tree.process(id)?.parent else {
        return None;
    };
    tree.image(parent).map(|image| image.exe.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_the_last_part_of_their_path() {
        assert!(is_shell("/usr/bin/dash") && is_shell("bash") && !is_shell("/bash/node"));
        assert!(is_relay("/usr/bin/nc.openbsd") && is_relay("/bin/socat") && !is_relay("ncdu"));
        assert_eq!(base_name(""), "");
    }
}
