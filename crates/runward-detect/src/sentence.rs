//! Words for findings. Whatever a job can influence is quoted harmlessly: shortened, without control characters.

use runward_event::ProcessId;
use runward_tree::{Dependency, Ecosystem, Process, Tree};

/// How much of one text a sentence quotes, in characters.
const MAX_QUOTE: usize = 160;

/// How far up the lineage a sentence looks for who started a process.
const MAX_CLIMB: usize = 64;

/// A text of the job as a sentence may quote it.
pub fn quote(text: &str) -> String {
    let harmless = |c: char| if is_harmful(c) { '\u{FFFD}' } else { c };
    let length = text.chars().count();
    if length <= MAX_QUOTE {
        return text.chars().map(harmless).collect();
    }
    // The end of a path says more than its middle.
    let half = MAX_QUOTE / 2;
    let start = text.chars().take(half);
    let end = text.chars().skip(length - half);
    start.chain(['…']).chain(end).map(harmless).collect()
}

/// Characters that do something instead of being seen: those that move the cursor, that make text read in another order
/// than it is written, and those without width, which make two names look alike. The reports escape the same ones, by this function.
pub fn is_harmful(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Who did something: `/usr/bin/sed (pid 12), started by make, during postinstall of the npm package foo@1.2.3`.
pub fn actor(tree: &Tree, id: Option<ProcessId>, pid: u32) -> String {
    let Some(process) = id.and_then(|id| tree.process(id)) else {
        return match pid {
            0 => "a process that is not known".to_owned(),
            pid => format!("a process that is not known (pid {pid})"),
        };
    };
    let exe = tree.image(process.id).map(|image| image.exe.as_str());
    let mut words = match exe {
        Some(exe) => format!("{} (pid {})", quote(exe), process.pid),
        None => format!("a program that is not known (pid {})", process.pid),
    };
    if let Some(starter) = starter(tree, process, exe) {
        words += &format!(", started by {}", quote(starter));
    }
    if let Some(dependency) = &process.dependency {
        words += &format!(", {}", during(dependency));
    }
    words
}

/// The name of the nearest program above that is another one: a process that was forked off to work for its own
/// program was not started by that in any sense that helps a reader.
fn starter<'a>(tree: &'a Tree, process: &Process, own: Option<&str>) -> Option<&'a str> {
    let above = tree.climb(process.id).skip(1).take(MAX_CLIMB);
    let exe = above
        .filter_map(|ancestor| tree.image(ancestor.id))
        .map(|image| image.exe.as_str())
        .find(|exe| Some(*exe) != own)?;
    exe.rsplit('/').next().filter(|name| !name.is_empty())
}

fn during(dependency: &Dependency) -> String {
    let kind = match dependency.ecosystem {
        Ecosystem::Npm => "npm package",
        Ecosystem::Pip => "Python package",
        Ecosystem::Cargo => "crate",
        Ecosystem::Go => "Go module",
        Ecosystem::Maven => "Maven artifact",
    };
    let name = quote(&dependency.name);
    let version = dependency
        .version
        .as_ref()
        .map(|version| format!("@{}", quote(version)))
        .unwrap_or_default();
    match &dependency.phase {
        Some(phase) => format!("during {} of the {kind} {name}{version}", quote(phase)),
        None => format!("during the build of the {kind} {name}{version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_short_and_harmless() {
        assert_eq!(quote("src/main.rs"), "src/main.rs");
        assert_eq!(
            quote("a\x1b[2J\nb\u{202E}c\u{200B}"),
            "a\u{FFFD}[2J\u{FFFD}b\u{FFFD}c\u{FFFD}"
        );
        let long = format!("/start/{}/end.rs", "é".repeat(4_000));
        let quoted = quote(&long);
        assert_eq!(quoted.chars().count(), MAX_QUOTE + 1);
        assert!(quoted.starts_with("/start/é") && quoted.ends_with("é/end.rs"));
    }
}
