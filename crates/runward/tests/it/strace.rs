//! The list of programs against another observer's: strace, on the same deterministic command.

use runward_event::Lost;
use std::collections::BTreeMap;
use std::path::Path;

use runward_lab::{requires, run};

use crate::bed::{Bed, LIMIT};

/// Starts programs in many ways, the same ones every time. No scripts with an interpreter line: strace shows the
/// arguments that were asked for, Runward those that the program got, and there the two differ by design.
const SCRIPT: &str = r#"
for i in 1 2 3; do /bin/echo "$i" 'a b' "" > /dev/null; done
(cd / && /bin/ls > /dev/null) | /bin/cat | /bin/cat
/bin/sh -c '/bin/sh -c "/bin/true; exec /bin/true last"' &
wait
/bin/echo "$(/bin/echo in; /bin/echo side)" > /dev/null
env A=1 /bin/true via env
find . -maxdepth 1 -exec /bin/echo {} + > /dev/null
"#;

#[test]
fn the_same_programs_as_strace() {
    requires!(Root, Program("strace"), Program("find"), Program("env"));
    let bed = Bed::new();
    let log = bed.path().join("../strace-log").with_file_name(format!(
        "runward-strace-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let mut command = std::process::Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-e",
        "trace=execve",
        "-e",
        "signal=none",
        "-xx",
        "-s",
        "100000",
        "-o",
    ]);
    command
        .arg(&log)
        .args(["sh", "-c", SCRIPT])
        .current_dir(bed.path());
    let ran = run(&mut command, LIMIT).unwrap();
    assert!(ran.worked(), "{}", ran.stderr);
    let theirs = strace_list(&log);
    let _ = std::fs::remove_file(&log);

    let recorded = bed.record(["sh", "-c", SCRIPT]);
    assert_eq!(recorded.lost(), Vec::<&Lost>::new());
    let mut ours: BTreeMap<(String, Vec<String>), usize> = BTreeMap::new();
    for exec in recorded.execs() {
        *ours
            .entry((exec.path.clone(), exec.args.clone()))
            .or_default() += 1;
    }
    // The report folder that the first run made is not there for the second `find`, and the other way round.
    let without_find = |list: BTreeMap<(String, Vec<String>), usize>| -> BTreeMap<_, _> {
        list.into_iter()
            .filter(|((_, args), _)| !args.iter().any(|arg| arg == "."))
            .collect()
    };
    let (ours, theirs) = (without_find(ours), without_find(theirs));
    assert!(theirs.values().sum::<usize>() >= 16, "{theirs:?}");
    assert_eq!(ours, theirs);
}

/// The successful calls in strace's log: path and arguments, with how often.
fn strace_list(log: &Path) -> BTreeMap<(String, Vec<String>), usize> {
    let mut list: BTreeMap<(String, Vec<String>), usize> = BTreeMap::new();
    let mut unfinished: BTreeMap<String, String> = BTreeMap::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let (pid, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(pid.to_owned(), begun.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... execve resumed>") {
            Some(end) => unfinished.remove(pid).unwrap_or_default() + end,
            None => rest.to_owned(),
        };
        if !whole.starts_with("execve(") || !whole.trim_end().ends_with("= 0") {
            continue;
        }
        // Every string is hexadecimal (-xx), so quotes and commas are only strace's own.
        let strings: Vec<String> = whole.split('"').skip(1).step_by(2).map(unhex).collect();
        let (path, args) = strings.split_first().unwrap();
        *list.entry((path.clone(), args.to_vec())).or_default() += 1;
    }
    list
}

fn unhex(text: &str) -> String {
    let bytes = text
        .split("\\x")
        .skip(1)
        .map(|hex| u8::from_str_radix(hex, 16).unwrap())
        .collect();
    String::from_utf8(bytes).unwrap()
}
