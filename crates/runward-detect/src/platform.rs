//! Programs of CI platforms: data, in `data/platform.txt`.

use std::sync::LazyLock;

use crate::programs::base_name;

static TABLE: LazyLock<Vec<PlatformProgram>> =
    LazyLock::new(|| parse(include_str!("../data/platform.txt")));

/// A program of a CI platform.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlatformProgram {
    name: &'static str,
    /// Whose it is.
    pub(crate) owner: &'static str,
    /// What it does.
    pub(crate) reason: &'static str,
}

/// The platform's program that a file of this name is. A job can call a file of its own so: this explains, and excuses
/// nothing that would be an attack by another program.
pub(crate) fn program(exe: &str) -> Option<&'static PlatformProgram> {
    let name = base_name(exe);
    TABLE.iter().find(|program| matches(program.name, name))
}

/// Whether the program runs the jobs themselves, and so has their secrets.
pub(crate) fn is_runner(exe: &str) -> bool {
    program(exe).is_some_and(|program| {
        ["runs one job", "takes jobs"]
            .iter()
            .any(|start| program.reason.starts_with(start))
    })
}

/// The names of the programs that run the jobs themselves, where those are whole names.
pub fn runner_names() -> impl Iterator<Item = &'static str> {
    TABLE
        .iter()
        .map(|program| program.name)
        .filter(|name| !name.ends_with('*') && is_runner(name))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn parse(text: &'static str) -> Vec<PlatformProgram> {
    text.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .filter_map(|line| {
            let (name, rest) = line.split_once(char::is_whitespace)?;
            let (owner, reason) = rest.trim().split_once(char::is_whitespace)?;
            Some(PlatformProgram {
                name,
                owner,
                reason: reason.trim(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("../data/platform.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(lines.count(), TABLE.len());
        assert_eq!(
            program("/opt/x/provjobd123").map(|p| p.owner),
            Some("GitHub")
        );
        assert!(is_runner("/home/runner/bin/Runner.Worker"));
        assert!(!is_runner("/usr/lib/snapd/snapd") && program("/usr/bin/node").is_none());
    }
}
