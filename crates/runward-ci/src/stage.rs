//! The stages of a GitLab job, by the scripts that GitLab Runner's shells read.
//!
//! With its shell executor the runner starts a shell for each stage of a job, one after the other: to prepare, to get the
//! sources, for the job's own script, to clean up. Before the first instruction of that shell all that is known of it is
//! the script that the runner has written for its input. What the runner itself has put there is found by reading the
//! quotes exactly as a shell does: nothing that a job's author writes into a variable or a command can take its place.

mod words;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::clean::Environment;
use words::{Statement, statements};

/// What stands before the job that containers are known by.
const CONTAINERS: &str = "container:";
/// What stands between a job and what its containers ask for.
const ASKS: char = '+';
/// Digits of the largest number of a job.
const NUMBER_MAX: usize = 20;

/// The file of a job that every one of its scripts names. No two jobs that run at once have it in one folder.
const JOB_FILE: &str = "/gitlab_runner_env";
/// The variable by which a script names it.
const JOB_FILE_VARIABLE: &str = "GITLAB_ENV=";
/// What the folder's name ends with; before it is the job's workspace.
const TEMPORARY: &str = ".tmp";
/// How the first script of a job greets.
const GREETING: &str = "Running on $(hostname)";
/// The longest path on Linux, in bytes.
const PATH_MAX: usize = 4096;

/// A stage of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The folder of the job's temporary files, as the script writes it: the same in every stage of a job, and another
    /// one for each job that runs at the same time.
    pub slot: String,
    /// Where in the job it is.
    pub place: StagePlace,
}

/// Where in its job a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StagePlace {
    /// A job begins.
    First,
    /// More follow.
    Middle,
    /// None follows.
    Last,
}

impl Stage {
    /// The stage that a script is of; `None` when GitLab Runner has not written it. `script` may be the beginning of one.
    ///
    /// ```
    /// use runward_ci::{Stage, StagePlace};
    ///
    /// let script = br#"(trap exit 1 TERM; eval $'export CI_JOB_ID=7
    /// export GITLAB_ENV=/builds/x1/0/app.tmp/gitlab_runner_env
    /// mkdir -p "/builds/x1/0/app.tmp"
    /// cd "/builds/x1/0/app"
    /// make
    /// ') < /dev/null
    /// "#;
    /// let stage = Stage::of_script(script).unwrap();
    /// assert_eq!(stage.slot, "/builds/x1/0/app.tmp");
    /// assert_eq!(stage.place, StagePlace::Middle);
    /// assert_eq!(stage.workspace(), Some("/builds/x1/0/app"));
    /// ```
    #[must_use]
    pub fn of_script(script: &[u8]) -> Option<Stage> {
        let outer = statements(script);
        // What is cut off stands in the last statement, and that is the script.
        let inner = outer.iter().find_map(evaluated)?;
        let mut inner = statements(inner);
        if inner.last().is_some_and(|last| last.is_cut) {
            inner.pop();
        }
        let greets = inner.first().is_some_and(greets);
        let own = inner
            .iter()
            .take_while(|statement| !statement.is("cd"))
            .find_map(removed_job_file);
        let (slot, place) = match (greets, exported_job_file(&inner), own) {
            (true, _, Some(own)) => (own, StagePlace::First),
            (false, Some(slot), Some(own)) if slot == own => (slot, StagePlace::Last),
            (false, Some(slot), _) => (slot, StagePlace::Middle),
            // Runners before 18 export nothing to clean up.
            (false, None, Some(own)) => (own, StagePlace::Last),
            _ => return None,
        };
        Some(Stage {
            slot: slot.to_owned(),
            place,
        })
    }

    /// The folder that the job's sources are in.
    #[must_use]
    pub fn workspace(&self) -> Option<&str> {
        workspace(&self.slot)
    }
}

/// The folder that the sources of a slot's job are in; `None` for one that is not written from the root.
#[must_use]
pub fn workspace(slot: &str) -> Option<&str> {
    slot.strip_suffix(TEMPORARY)
        .filter(|path| path.starts_with('/'))
}

/// What the containers of a job in GitLab's docker executor are known by: the server and the number of the job, which all of
/// them have in their environment, and what they ask for there, by the variables in `asks`.
///
/// Whoever gives a container the number of another job is in that job only if it asks for the same.
pub fn container_slot(env: &dyn Fn(&str) -> Option<String>, asks: &[&str]) -> Option<String> {
    let env_of = env;
    let env = Environment::new(env);
    let job = env.text("CI_JOB_ID")?;
    let is_number = job.len() <= NUMBER_MAX && job.bytes().all(|byte| byte.is_ascii_digit());
    let server = env.text("CI_SERVER_URL").unwrap_or_default();
    let asked: Vec<_> = asks.iter().map(|name| env_of(name)).collect();
    let asked = match asked.iter().any(Option::is_some) {
        true => format!("{ASKS}{}", digest(&asked)),
        false => String::new(),
    };
    (env.is_on("GITLAB_CI") && is_number).then(|| format!("{CONTAINERS}{server}#{job}{asked}"))
}

/// A number for values, different ones for different values.
fn digest(values: &[Option<String>]) -> String {
    let mut hash = Sha256::new();
    for value in values {
        let value = value.as_deref();
        // Neither an end nor a missing value is what a value can be.
        let size = value.map_or(u64::MAX, |value| value.len() as u64);
        hash.update(size.to_le_bytes());
        hash.update(value.unwrap_or_default());
    }
    let hash = hash.finalize();
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether what is known by `slot` is of the job that is known by `job`. A container that asks for nothing, as one of a
/// service may, is of a job that does.
#[must_use]
pub fn is_of_job(slot: &str, job: &str) -> bool {
    let rest = job.strip_prefix(slot);
    rest.is_some_and(|rest| rest.is_empty() || is_of_containers(slot) && rest.starts_with(ASKS))
}

/// Whether this is what the containers of a job are known by, of which several run at the same time.
#[must_use]
pub fn is_of_containers(slot: &str) -> bool {
    slot.starts_with(CONTAINERS)
}

fn evaluated(statement: &Statement) -> Option<&[u8]> {
    match statement.words.as_slice() {
        [eval, script] if eval == b"eval" => Some(script),
        _ => None,
    }
}

fn greets(statement: &Statement) -> bool {
    let greeting = statement.words.get(1);
    statement.is("echo") && greeting.is_some_and(|word| word.starts_with(GREETING.as_bytes()))
}

/// A script exports the job's variables first, whatever their names, and then its own: the last one of that name is its own.
/// `None` where the last one may be missing, because the script is cut off before something else begins.
fn exported_job_file(statements: &[Statement]) -> Option<&str> {
    let end = statements.iter().position(|statement| {
        !["export", "mkdir", "printf"]
            .iter()
            .any(|command| statement.is(command))
    })?;
    let (variables, _) = statements.split_at_checked(end)?;
    let own = variables
        .iter()
        .rev()
        .find_map(|statement| match statement.words.as_slice() {
            [export, variable] if export == b"export" => {
                variable.strip_prefix(JOB_FILE_VARIABLE.as_bytes())
            }
            _ => None,
        });
    own.and_then(folder)
}

fn removed_job_file(statement: &Statement) -> Option<&str> {
    match statement.words.as_slice() {
        [rm, force, path] if rm == b"rm" && force == b"-f" => folder(path),
        _ => None,
    }
}

/// The folder of a job's file.
fn folder(path: &[u8]) -> Option<&str> {
    let path = str::from_utf8(path).ok()?;
    let folder = path.strip_suffix(JOB_FILE)?;
    let is_sound = path.len() <= PATH_MAX && !folder.is_empty() && !path.contains(char::is_control);
    is_sound.then_some(folder)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLOT: &str = "/home/gitlab-runner/builds/t3_x/0/group/app.tmp";
    const OTHER: &str = "/home/gitlab-runner/builds/t3_x/1/group/other.tmp";

    /// As the runner quotes for bash.
    fn bash(text: &str) -> String {
        let mut quoted = String::from("$'");
        for byte in text.bytes() {
            match byte {
                b'\n' => quoted.push_str("\\n"),
                b'\t' => quoted.push_str("\\t"),
                b'\\' | b'\'' => quoted.extend(['\\', char::from(byte)]),
                b' '..=b'~' => quoted.push(char::from(byte)),
                _ => quoted.push_str(&format!("\\x{byte:02X}")),
            }
        }
        quoted + "'"
    }

    /// As it quotes for other shells.
    fn posix(text: &str) -> String {
        let mut quoted = String::from("\"");
        for char in text.chars() {
            if matches!(char, '"' | '$' | '\\' | '`') {
                quoted.push('\\');
            }
            quoted.push(char);
        }
        quoted + "\""
    }

    type Quote = fn(&str) -> String;

    fn variables(quote: Quote, variables: &[(&str, &str)], slot: &str) -> String {
        let mut script = String::new();
        for (name, value) in variables {
            script += &format!("export {}={}\n", quote(name), quote(value));
        }
        script += &format!(
            "export GITLAB_ENV={}\n",
            quote(&format!("{slot}{JOB_FILE}"))
        );
        script += &format!("mkdir -p \"{slot}\"\ntouch \"{slot}{JOB_FILE}\"\n");
        script + &format!("while read -r line; do export \"$line\"; done < \"{slot}{JOB_FILE}\"\n")
    }

    fn removal(slot: &str) -> String {
        format!("rm \"-f\" \"{slot}{JOB_FILE}\"\nrm \"-f\" \"{slot}/masking.db\"\n")
    }

    fn whole(quote: Quote, inner: &str) -> Vec<u8> {
        format!(
            "#!/usr/bin/env bash\n\ntrap exit 1 TERM\n\ncase \"$(set -o)\" in *\"pipefail\"*) set -o pipefail;; esac; set -o errexit\nset +o noclobber\n(trap exit 1 TERM; eval {}) < /dev/null\nexit 0\n",
            quote(inner)
        )
        .into_bytes()
    }

    #[test]
    fn the_stages_of_a_job_name_its_folder() {
        for quote in [bash as Quote, posix] {
            let own = |more: &str| {
                variables(quote, &[("CI", "true"), ("A B", "it's \"x\"\n")], SLOT) + more
            };
            let prepare = format!(
                "echo \"Running on $(hostname) via host...\"\n{}",
                removal(SLOT)
            );
            let table = [
                (prepare.clone(), Some(StagePlace::First)),
                (
                    own("export GIT_TERMINAL_PROMPT=0\ngit fetch\n"),
                    Some(StagePlace::Middle),
                ),
                (
                    own("cd \"/x\"\nrm -f /y/gitlab_runner_env\n"),
                    Some(StagePlace::Middle),
                ),
                (own(&removal(SLOT)), Some(StagePlace::Last)),
                (removal(SLOT), Some(StagePlace::Last)),
                (own(&removal(OTHER)), Some(StagePlace::Middle)),
                ("echo hello\n".to_owned(), None),
                (String::new(), None),
            ];
            for (inner, place) in table {
                let stage = Stage::of_script(&whole(quote, &inner));
                let want = place.map(|place| Stage {
                    slot: SLOT.to_owned(),
                    place,
                });
                assert_eq!(stage, want, "{inner}");
            }
            let older = format!("set -eo pipefail\n: | eval {}\nexit 0\n", quote(&prepare));
            let stage = Stage::of_script(older.as_bytes()).unwrap();
            assert_eq!(
                (stage.slot.as_str(), stage.place),
                (SLOT, StagePlace::First)
            );
        }
    }

    #[test]
    fn no_word_of_the_jobs_stands_for_the_runners() {
        let forged = [
            format!("{OTHER}{JOB_FILE}"),
            format!("\nexport GITLAB_ENV={OTHER}{JOB_FILE}\n"),
            format!("'\nexport GITLAB_ENV={OTHER}{JOB_FILE}\ntouch x\n'"),
            format!("\\'\\nexport GITLAB_ENV={OTHER}{JOB_FILE}\\n$'"),
            format!("\"; export GITLAB_ENV={OTHER}{JOB_FILE}; : \""),
        ];
        for quote in [bash as Quote, posix] {
            for value in &forged {
                for name in ["A", "GITLAB_ENV", value] {
                    let script = variables(quote, &[(name, value)], SLOT);
                    let script = format!(
                        "{script}cd \"/x\"\necho {value}\nexport GITLAB_ENV={OTHER}{JOB_FILE}\n"
                    );
                    let stage = Stage::of_script(&whole(quote, &script)).unwrap();
                    assert_eq!(stage.slot, SLOT, "{script}");
                }
            }
        }
    }

    #[test]
    fn a_script_that_is_cut_is_read_as_far_as_it_goes() {
        let (file, long) = (format!("{OTHER}{JOB_FILE}"), "x".repeat(1000));
        let job = [("GITLAB_ENV", file.as_str()), ("A", &long)];
        let script = variables(bash, &job, SLOT) + &"make\n".repeat(100);
        let script = whole(bash, &script);
        let mut known = false;
        for end in 0..script.len() {
            let stage = Stage::of_script(&script[..end]);
            assert!(stage.is_some() || !known, "{end}");
            known = stage.is_some();
            assert!(stage.is_none_or(|stage| stage.slot == SLOT), "{end}");
        }
        assert!(known);
    }

    #[test]
    fn a_workspace_is_written_from_the_root() {
        for (slot, want) in [
            ("/b/app.tmp", Some("/b/app")),
            ("$PWD/b/app.tmp", None),
            ("/b/app", None),
            ("", None),
        ] {
            assert_eq!(workspace(slot), want, "{slot}");
        }
    }

    #[test]
    fn containers_are_known_by_server_and_job() {
        type Set = &'static [(&'static str, &'static str)];
        let table: [(Set, Option<&str>); 5] = [
            (
                &[
                    ("GITLAB_CI", "true"),
                    ("CI_JOB_ID", "7"),
                    ("CI_SERVER_URL", "https://a.example"),
                ],
                Some("container:https://a.example#7"),
            ),
            (
                &[("GITLAB_CI", "true"), ("CI_JOB_ID", "7")],
                Some("container:#7"),
            ),
            (&[("GITLAB_CI", "true"), ("CI_JOB_ID", "7#8")], None),
            (&[("GITLAB_CI", "true")], None),
            (&[("CI_JOB_ID", "7")], None),
        ];
        for (set, want) in table {
            let slot = container_slot(&|name| value(set, name), &ASKED);
            assert_eq!(slot.as_deref(), want, "{set:?}");
            assert!(slot.is_none_or(|slot| is_of_containers(&slot) && workspace(&slot).is_none()));
        }
    }

    const ASKED: [&str; 2] = ["MODE", "ALLOWED"];

    fn value(set: &[(&str, &str)], name: &str) -> Option<String> {
        let found = set.iter().find(|(known, _)| *known == name)?;
        Some(found.1.to_owned())
    }

    #[test]
    fn a_container_is_of_the_job_whose_number_it_has_if_it_asks_for_no_more() {
        let of = |asked: &[(&str, &str)]| {
            let set = [&[("GITLAB_CI", "true"), ("CI_JOB_ID", "7")], asked].concat();
            container_slot(&|name| value(&set, name), &ASKED).unwrap()
        };
        let block = of(&[("MODE", "block")]);
        let table: [(&[_], bool); 6] = [
            (&[("MODE", "block")], true),
            (&[], true),
            (&[("MODE", "audit")], false),
            (&[("MODE", "block"), ("ALLOWED", "")], false),
            (&[("ALLOWED", "block")], false),
            (&[("MODE", "bloc"), ("ALLOWED", "k")], false),
        ];
        for (asked, want) in table {
            assert_eq!(is_of_job(&of(asked), &block), want, "{asked:?}");
        }
        assert!(!is_of_job(&block, &of(&[])));
        assert!(!is_of_job("4:/b/1", "4:/b/1+2"));
    }

    proptest! {
        #[test]
        fn no_script_makes_it_panic(script: Vec<u8>) {
            let _ = Stage::of_script(&script);
        }

        #[test]
        fn no_variable_moves_a_job(name in "[ -~\n]{1,40}", value in "\\PC*|[\\\\'\"$`;\n(){}<>&| a-z/_=]{0,60}") {
            for quote in [bash as Quote, posix] {
                let script = whole(quote, &variables(quote, &[(&name, &value)], SLOT));
                let stage = Stage::of_script(&script).unwrap();
                prop_assert_eq!((stage.slot.as_str(), stage.place), (SLOT, StagePlace::Middle));
            }
        }
    }
}
