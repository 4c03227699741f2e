//! Rules about the sources that no lint knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{self, workspace};

/// The one crate that may write `unsafe`.
const MAY_BE_UNSAFE: &str = "runward-sensor";

#[test]
fn only_the_sensor_is_unsafe() {
    let sensor = workspace().join("crates").join(MAY_BE_UNSAFE);
    let mut wrong = Vec::new();
    for file in rust_files() {
        if file.starts_with(&sensor) {
            continue;
        }
        for (number, line) in code_lines(&read(&file)) {
            if has_word(&line, "unsafe") {
                wrong.push(format!("{}:{number}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "unsafe outside of {MAY_BE_UNSAFE}:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let root = read(&workspace().join("Cargo.toml"));
    let expected = lint_tables(&root, "workspace.lints");
    assert!(expected.contains("rust: unsafe_code = \"forbid\""));
    for manifest in crate_folders().map(|folder| folder.join("Cargo.toml")) {
        let text = read(&manifest);
        if text.contains("\n[lints]\nworkspace = true\n") {
            continue;
        }
        // Cargo has no way to take a table and change one line of it, so the sensor repeats the table.
        let sensor = manifest
            .parent()
            .is_some_and(|dir| dir.ends_with(MAY_BE_UNSAFE));
        assert!(
            sensor,
            "{} must say [lints] workspace = true",
            manifest.display()
        );
        let own = lint_tables(&text, "lints");
        let differing: Vec<_> = expected
            .symmetric_difference(&own)
            .filter(|line| !line.starts_with("rust: unsafe_code") && !line.contains("unsafe"))
            .collect();
        assert!(
            differing.is_empty(),
            "{}: {differing:?}",
            manifest.display()
        );
    }
}

#[test]
fn every_crate_says_what_it_is_and_its_invariant() {
    for folder in crate_folders() {
        let front = ["src/lib.rs", "src/main.rs"].map(|file| folder.join(file));
        let front = front.iter().find(|file| file.exists());
        let front = front.unwrap_or_else(|| panic!("{} has no front page", folder.display()));
        let text = read(front);
        let docs: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        assert!(
            docs.len() > 2,
            "{} must open with what the crate is",
            front.display()
        );
        assert!(
            docs.iter()
                .any(|line| line.contains("Architecture invariant")),
            "{} must name its `Architecture invariant`",
            front.display()
        );
    }
}

/// `SPECIFICATION.md` ties each promise to a test, written as `` `test:name` ``.
#[test]
fn every_promise_names_a_test_that_exists() {
    let named = shell::named_in_specification("test");
    assert!(!named.is_empty());
    let sources: String = rust_files().iter().map(|file| read(file)).collect();
    let missing: Vec<_> = named
        .into_iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .collect();
    assert!(
        missing.is_empty(),
        "SPECIFICATION.md names tests that are not there: {missing:?}"
    );
}

fn crate_folders() -> impl Iterator<Item = PathBuf> {
    let crates = fs::read_dir(workspace().join("crates")).unwrap();
    crates
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .chain([workspace().join("xtask")])
}

fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = crate_folders().collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a Rust source with their numbers, comments and the insides of simple strings left out.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    let strip = |line: &str| {
        let mut code = String::new();
        let mut in_string = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if in_string => {
                    chars.next();
                }
                '"' => in_string = !in_string,
                '/' if !in_string && chars.peek() == Some(&'/') => break,
                c if !in_string => code.push(c),
                _ => {}
            }
        }
        code
    };
    (1..).zip(text.lines().map(strip)).collect()
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|found| found == word)
}

/// The lines of `[PREFIX.rust]` and `[PREFIX.clippy]`, each with the name of its table before it.
fn lint_tables(manifest: &str, prefix: &str) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let mut table = None;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let name = header.trim_end_matches(']');
            table = name
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('.'));
        } else if let Some(table) = table
            && !line.is_empty()
            && !line.starts_with('#')
        {
            lines.insert(format!("{table}: {line}"));
        }
    }
    lines
}

#[test]
fn words_are_found_in_code_only() {
    let found = |text: &str| {
        code_lines(text)
            .iter()
            .any(|(_, code)| has_word(code, "unsafe"))
    };
    assert!(found("let x = unsafe { y };"));
    assert!(found("unsafe impl Send for X {}"));
    assert!(found("let a = \"/\"; unsafe {}"));
    assert!(!found("// unsafe"));
    assert!(!found("let x = \"unsafe\";"));
    assert!(!found("unsafe_code"));
}
