//! Files that are looked after, and who has business with them: data, in `data/places.txt`.

use std::collections::HashMap;
use std::sync::LazyLock;

use runward_event::{ProcessId, SensitiveClass};
use runward_tree::{Image, Tree};

use crate::programs::base_name;

static TABLE: LazyLock<Table> = LazyLock::new(|| parse(include_str!("../data/places.txt")));

/// The patterns of all places, in their order, with what is to be told of each.
pub fn sensitive_places() -> impl Iterator<Item = (SensitiveClass, &'static str)> {
    TABLE.list.iter().map(|place| {
        let class = match place.class {
            Class::Credential | Class::Project => SensitiveClass::Credential,
            Class::None => SensitiveClass::Other,
            _ => SensitiveClass::Persistence,
        };
        (class, place.pattern)
    })
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) class: Class,
    pub(crate) pattern: &'static str,
    programs: Vec<&'static str>,
    homes: Vec<&'static str>,
    /// What it is, or what becomes of it, in words.
    pub(crate) words: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    None,
    Credential,
    Project,
    Start,
    Profile,
    Account,
    Hook,
    Python,
    Action,
}

impl Class {
    fn parse(word: &str) -> Option<Class> {
        Some(match word {
            "none" => Class::None,
            "credential" => Class::Credential,
            "project" => Class::Project,
            "start" => Class::Start,
            "profile" => Class::Profile,
            "account" => Class::Account,
            "hook" => Class::Hook,
            "python" => Class::Python,
            "action" => Class::Action,
            _ => return None,
        })
    }
}

/// Why a process may do what others may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Business {
    /// The program is for that.
    Own,
    /// The program runs scripts, and scripts of all kinds do that by the way.
    AnyScript,
}

impl Listed {
    /// Whether this process has business there, and why. A package manager of the system has it for all that it starts.
    pub(crate) fn business(&self, tree: &Tree, process: ProcessId) -> Option<Business> {
        let image = tree.image(process)?;
        if !is_in_odd_place(&image.exe) {
            if self.is_for(script_names(image)) {
                return Some(Business::Own);
            }
            if self.is_for([base_name(&image.exe)]) {
                return Some(match is_interpreter(base_name(&image.exe)) {
                    true => Business::AnyScript,
                    false => Business::Own,
                });
            }
        }
        let above = tree.climb(process).skip(1).take(CLIMB);
        let packages = |image: &Image| {
            let name = base_name(&image.exe);
            TABLE.packages.iter().any(|program| fits(program, name))
        };
        let managed = above.filter_map(|above| tree.image(above.id)).any(packages);
        let for_packages = TABLE
            .packages
            .iter()
            .all(|program| self.programs.contains(program));
        (managed && for_packages).then_some(Business::Own)
    }

    /// Whether one of these names is a program's that has business there.
    pub(crate) fn is_for<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        names
            .into_iter()
            .any(|name| self.programs.iter().any(|program| fits(program, name)))
    }

    /// Whether what is in the file is sent there by nature.
    pub(crate) fn is_home(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.homes.iter().any(|home| {
            name.strip_suffix(home)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

/// The place with this pattern; none when another version's list had it.
pub(crate) fn place(pattern: &str) -> Option<&'static Listed> {
    let at = TABLE.by_pattern.get(pattern)?;
    TABLE.list.get(*at)
}

/// How far up a package manager is looked for.
const CLIMB: usize = 16;
/// How many arguments are looked at to find the script of an interpreter.
const ARGS: usize = 32;
/// How much of an argument is looked at.
const ARG_BYTES: usize = 4_096;
/// Folders that anybody may write to: no tool is installed there.
const ODD: [&str; 4] = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/"];
const INTERPRETERS: [&str; 13] = [
    "python", "pypy", "node", "nodejs", "deno", "bun", "ruby", "perl", "php", "java", "sh", "bash",
    "dash",
];

fn is_in_odd_place(exe: &str) -> bool {
    ODD.iter().any(|folder| exe.starts_with(folder))
}

fn is_interpreter(name: &str) -> bool {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&name)
}

/// What the script of an interpreter may be known by: its name, that of the package that it belongs to, and for Java the
/// build tool whose classes are started. Nothing for a program that is no interpreter.
pub(crate) fn script_names(image: &Image) -> Vec<&str> {
    let exe = base_name(&image.exe);
    if !is_interpreter(exe) {
        return Vec::new();
    }
    let args = image.args.iter().skip(1).take(ARGS).map(|arg| {
        let end = arg.floor_char_boundary(ARG_BYTES);
        arg.get(..end).unwrap_or_default()
    });
    if exe == "java" {
        let starts = [
            ("org.codehaus.plexus.classworlds", "mvn"),
            ("org.mvndaemon", "mvn"),
            ("org.gradle", "gradle"),
            ("gradle-wrapper", "gradle"),
            ("sbt-launch", "sbt"),
            ("xsbt.boot", "sbt"),
            ("coursier", "coursier"),
            ("agent.jar", "jenkins"),
        ];
        return args
            .flat_map(|arg| starts.iter().filter(move |(part, _)| arg.contains(part)))
            .map(|(_, name)| *name)
            .collect();
    }
    let mut names = Vec::new();
    let (mut module, mut value) = (false, false);
    for arg in args {
        if std::mem::take(&mut value) {
            continue;
        }
        if module || !arg.starts_with('-') {
            // `azure`, of `python -m azure.cli`.
            names.extend(names_of(arg));
            names.extend(arg.split('.').next().filter(|_| module));
            break;
        }
        // `-c` and `-e` bring the script itself; pip is started so by ensurepip.
        let flags = arg.trim_start_matches('-');
        if matches!(flags, "eval" | "print")
            || (flags.ends_with(['c', 'e', 'p']) && !arg.starts_with("--"))
        {
            let starts_pip = image
                .args
                .iter()
                .take(ARGS)
                .any(|arg| arg.contains("run_module(\"pip\""));
            names.extend(starts_pip.then_some("pip"));
            break;
        }
        module = flags.ends_with('m') && !arg.starts_with("--");
        // Options of Python's whose value is an argument of its own.
        value = matches!(arg, "-W" | "-X");
    }
    names
}

/// `pip` and `__pip-runner__` for `…/pip/__pip-runner__.py`, `npm-cli` and `npm` for `node_modules/npm/bin/npm-cli.js`.
fn names_of(script: &str) -> Vec<&str> {
    let name = base_name(script);
    let mut names = vec![name];
    for end in [".py", ".js", ".cjs", ".mjs", ".phar", ".rb", ".pl", ".pyz"] {
        names.extend(name.strip_suffix(end));
    }
    let package = script
        .rsplit_once("/node_modules/")
        .and_then(|(_, rest)| rest.split('/').next());
    names.extend(package);
    names
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[derive(Debug, Default)]
struct Table {
    list: Vec<Listed>,
    by_pattern: HashMap<&'static str, usize>,
    /// The system's package managers.
    packages: Vec<&'static str>,
}

fn parse(text: &'static str) -> Table {
    let mut groups: HashMap<&str, Vec<&'static str>> = HashMap::new();
    let mut table = Table::default();
    for line in text.lines() {
        let mut rest = line;
        let mut word = || {
            let (word, after) = rest
                .trim_start()
                .split_once(char::is_whitespace)
                .unwrap_or((rest.trim(), ""));
            rest = after;
            word
        };
        let first = word();
        if first == "group" {
            let name = word();
            groups.insert(name, word().split(',').collect());
            continue;
        }
        let Some(class) = Class::parse(first) else {
            continue;
        };
        let (pattern, programs, homes) = (word(), word(), word());
        let list = |words: &'static str| words.split(',').filter(|word| *word != "-");
        let programs = list(programs).flat_map(|program| match program.strip_prefix('@') {
            Some(group) => groups.get(group).cloned().unwrap_or_default(),
            None => vec![program],
        });
        let listed = Listed {
            class,
            pattern,
            programs: programs.collect(),
            homes: list(homes).collect(),
            words: rest.trim(),
        };
        table.by_pattern.entry(pattern).or_insert(table.list.len());
        table.list.push(listed);
    }
    table.packages = groups.remove("packages").unwrap_or_default();
    table
}

#[cfg(test)]
mod tests {
    use runward_event::{Body, Event, ProcessExec, Time, parse_line};

    use super::*;

    #[test]
    fn every_line_of_the_list_is_read_and_whole() {
        let text = include_str!("../data/places.txt");
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("group"))
            .count();
        assert_eq!(lines, TABLE.list.len());
        assert_eq!(lines, TABLE.by_pattern.len(), "a pattern stands twice");
        for place in &TABLE.list {
            assert!(!place.words.is_empty(), "{place:?}");
            assert!(!place.words.starts_with('-'), "{place:?}");
            assert!(
                ["/", "~/", "./", "**/"]
                    .iter()
                    .any(|start| place.pattern.starts_with(start)),
                "{place:?}"
            );
            for program in &place.programs {
                assert!(
                    !program.is_empty() && !program.starts_with('@'),
                    "{place:?}"
                );
            }
        }
        assert!(!TABLE.packages.is_empty());
    }

    /// Who a program with these arguments is taken for, at this place.
    fn business(pattern: &str, args: &[&str]) -> Option<Business> {
        let line = r#"{"seq":1,"time":"2026-11-22T00:00:00Z","kind":"process_exec","process":1,"pid":1,"ppid":0,
            "exe":"","path":"","args":[],"cwd":"/","uid":0,"gid":0}"#;
        let Ok(Event {
            body: Body::ProcessExec(exec),
            ..
        }) = parse_line(line)
        else {
            panic!("an exec")
        };
        let exec = ProcessExec {
            exe: args[0].to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..*exec
        };
        let mut tree = Tree::default();
        let event = Event {
            seq: 1,
            time: Time::from_unix_nanos(1),
            body: Body::ProcessExec(Box::new(exec)),
        };
        tree.apply(&event);
        place(pattern).unwrap().business(&tree, ProcessId(1))
    }

    #[test]
    fn programs_and_scripts_are_known_by_their_names() {
        let own = Some(Business::Own);
        for (pattern, args, expected) in [
            (
                "~/.npmrc",
                &["/usr/bin/node", "/usr/bin/npm", "ci"][..],
                own,
            ),
            (
                "~/.npmrc",
                &["/usr/bin/node", "/usr/lib/node_modules/npm/bin/npm-cli.js"],
                own,
            ),
            ("~/.npmrc", &["/usr/bin/node", "steal.js"], None),
            ("~/.npmrc", &["/usr/bin/node", "-e", "npm"], None),
            ("~/.npmrc", &["/usr/bin/cat", "npm"], None),
            ("~/.aws/credentials", &["/usr/local/bin/aws", "s3"], own),
            (
                "~/.aws/credentials",
                &["/usr/bin/python3.11", "-W", "ignore", "/usr/bin/aws", "s3"],
                own,
            ),
            (
                "~/.aws/credentials",
                &["/usr/bin/python3.11", "/usr/bin/aws", "s3"],
                own,
            ),
            ("~/.aws/credentials", &["/tmp/x/aws", "s3"], None),
            (
                "~/.azure/accessTokens.json",
                &["/usr/bin/python3", "-Im", "azure.cli"],
                own,
            ),
            (
                "~/.m2/settings.xml",
                &[
                    "/usr/bin/java",
                    "-classpath",
                    "x",
                    "org.codehaus.plexus.classworlds.launcher.Launcher",
                ],
                own,
            ),
            (
                "~/.m2/settings.xml",
                &["/usr/bin/java", "-jar", "x.jar"],
                None,
            ),
            (
                "~/.netrc",
                &["/usr/bin/python3", "upload.py"],
                Some(Business::AnyScript),
            ),
            (
                "**/site-packages/distutils-precedence.pth",
                &[
                    "/usr/bin/python3",
                    "-W",
                    "x",
                    "-c",
                    "import runpy; runpy.run_module(\"pip\", run_name=\"__main__\")",
                ],
                own,
            ),
            (
                "**/site-packages/distutils-precedence.pth",
                &[
                    "/usr/bin/python3",
                    "/usr/lib/python3/dist-packages/pip/__pip-runner__.py",
                ],
                own,
            ),
            ("/etc/cron.d/*", &["/usr/bin/dpkg", "--configure"], own),
            ("/etc/ld.so.preload", &["/usr/bin/dpkg"], None),
            ("~/.ssh/id_*", &["/usr/bin/ssh", "host"], own),
        ] {
            assert_eq!(business(pattern, args), expected, "{pattern} {args:?}");
        }
    }

    #[test]
    fn credentials_have_homes() {
        let npm = place("~/.npmrc").unwrap();
        assert!(npm.is_home("registry.npmjs.org.") && npm.is_home("x.npmjs.com"));
        assert!(!npm.is_home("evilnpmjs.com") && !npm.is_home("api.github.com"));
    }
}
