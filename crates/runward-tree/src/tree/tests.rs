use proptest::prelude::*;
use runward_event::{
    AttributionVar, Connect, ConnectionId, JobContext, JobIdentity, JobStart, Mode, Protocol,
    Status, Tier,
};

use super::*;

/// Builds a record event by event; each is one second after the one before.
struct Record {
    tree: Tree,
    seq: u64,
}

impl Record {
    fn new() -> Record {
        Record::with_limits(Limits::default())
    }

    fn with_limits(limits: Limits) -> Record {
        let mut record = Record::headless(limits);
        record.push(Body::JobStart(Box::new(JobStart {
            format: 1,
            runward: "0.1.0".to_owned(),
            identity: JobIdentity::default(),
            context: JobContext::default(),
            args: vec!["make".to_owned()],
            cwd: "/app".to_owned(),
            workspace: "/app".to_owned(),
            tracked_files: None,
            files_watched: true,
            requested_mode: Mode::Audit,
            effective_mode: Mode::Audit,
            tier: Tier::B,
            kernel: "6.1.0".to_owned(),
            policy: Vec::new(),
            rules: None,
            lockdown: Vec::new(),
            block_lists: Vec::new(),
            resolvers: Vec::new(),
            notes: Vec::new(),
            raw: Default::default(),
        })));
        record
    }

    /// A record whose beginning was lost.
    fn headless(limits: Limits) -> Record {
        Record {
            tree: Tree::with_limits(limits),
            seq: 0,
        }
    }

    fn push(&mut self, body: Body) {
        self.seq += 1;
        self.tree.apply(&Event {
            seq: self.seq,
            time: Time::from_unix_nanos(self.seq * 1_000_000_000),
            body,
        });
    }

    fn fork(&mut self, process: u64, parent: Option<u64>) {
        self.push(Body::ProcessFork(ProcessFork {
            process: ProcessId(process),
            pid: pid(process),
            parent: parent.map(ProcessId),
            ppid: parent.map_or(0, pid),
        }));
    }

    fn exec(&mut self, process: u64, parent: Option<u64>, command: &str) {
        self.exec_in(process, parent, command, "/app", &[]);
    }

    fn exec_in(
        &mut self,
        process: u64,
        parent: Option<u64>,
        command: &str,
        cwd: &str,
        env: &[(&str, &str)],
    ) {
        let args: Vec<String> = command.split(' ').map(str::to_owned).collect();
        self.push(Body::ProcessExec(Box::new(ProcessExec {
            process: ProcessId(process),
            pid: pid(process),
            parent: parent.map(ProcessId),
            ppid: parent.map_or(0, pid),
            exe: args[0].clone(),
            path: args[0].clone(),
            args,
            cwd: cwd.to_owned(),
            uid: 1001,
            gid: 1001,
            cgroup: String::new(),
            container: None,
            env: env
                .iter()
                .map(|(name, value)| {
                    let var = AttributionVar::from_name(name.as_bytes()).unwrap();
                    (var, (*value).to_owned())
                })
                .collect(),
            facts: runward_event::ExecFacts::default(),
            truncated: Vec::new(),
            raw: Default::default(),
        })));
    }

    fn exit(&mut self, process: u64) {
        self.push(Body::ProcessExit(ProcessExit {
            process: ProcessId(process),
            pid: pid(process),
            code: Some(0),
            signal: None,
        }));
    }

    fn connect(&mut self, process: u64) {
        self.push(Body::Connect(Connect {
            connection: ConnectionId(self.seq),
            process: ProcessId(process),
            pid: pid(process),
            protocol: Protocol::Tcp,
            ip: [192, 0, 2, 1].into(),
            port: 443,
            name: None,
            status: Status::Allowed,
            reason: None,
            rule: None,
            listed: None,
            v4_mapped: false,
        }));
    }

    /// The tree as text: one line a process, in the order of first sight.
    fn show(&self) -> String {
        let mut lines = String::new();
        for process in self.tree.processes() {
            let parent = match process.parent {
                Parent::Root => "root".to_owned(),
                Parent::Known(id) => format!("<{}", id.0),
                Parent::Unknown => "<?".to_owned(),
            };
            let images: Vec<&str> = process
                .images
                .iter()
                .map(|image| image.exe.as_str())
                .collect();
            let end = if process.exit.is_some() { " ended" } else { "" };
            lines += &format!("{} {parent} {images:?}{end}\n", process.id.0);
        }
        lines
    }

    fn image(&self, process: u64) -> Option<&str> {
        self.tree
            .image(ProcessId(process))
            .map(|image| image.exe.as_str())
    }

    fn lineage(&self, process: u64) -> Vec<u64> {
        self.tree
            .lineage(ProcessId(process))
            .iter()
            .map(|process| process.id.0)
            .collect()
    }

    fn step(&self, process: u64) -> Option<&str> {
        let process = self.tree.process(ProcessId(process))?;
        process.step.as_ref().map(|step| step.name.as_str())
    }

    fn dependencies(&self, process: u64) -> Vec<String> {
        let found = self.tree.dependencies(ProcessId(process));
        let phase = |d: &Dependency| d.phase.clone().unwrap_or_default();
        found
            .iter()
            .map(|d| format!("{} {}", d.name, phase(d)))
            .collect()
    }
}

fn pid(process: u64) -> u32 {
    u32::try_from(process).unwrap() + 1000
}

// === A whole record ===

#[test]
fn a_record_without_gaps() {
    let mut job = Record::new();
    job.fork(1, None);
    job.exec(1, None, "make");
    job.fork(2, Some(1));
    job.exec(2, Some(1), "sh -c cc");
    job.exec(2, Some(1), "cc");
    job.fork(3, Some(2));
    job.exit(3);
    job.exit(2);
    insta::assert_snapshot!(job.show(), @r#"
    1 root ["make"]
    2 <1 ["sh", "cc"] ended
    3 <2 [] ended
    "#);
    assert_eq!(job.lineage(3), [3, 2, 1]);
    assert!(job.lineage(9).is_empty());
    assert_eq!(
        job.tree.process(ProcessId(1)).unwrap().children,
        [ProcessId(2)]
    );
    let exit = job.tree.process(ProcessId(2)).unwrap().exit.unwrap();
    assert_eq!(
        (exit.code, exit.signal, exit.time.unix_nanos()),
        (Some(0), None, 9_000_000_000)
    );
    assert!(job.tree.dropped().is_empty());
}

#[test]
fn a_fork_without_exec_runs_what_its_ancestor_ran_at_that_moment() {
    let mut job = Record::new();
    job.exec(1, None, "sh");
    job.fork(2, Some(1));
    job.fork(3, Some(2));
    // The parents go on to other programs; the children don't.
    job.exec(1, None, "python");
    job.exec(2, Some(1), "perl");
    assert_eq!(job.image(3), Some("sh"));
    assert_eq!(job.image(2), Some("perl"));
    job.fork(4, Some(2));
    assert_eq!(job.image(4), Some("perl"));
    assert_eq!(job.image(9), None);
}

#[test]
fn a_daemon_keeps_its_lineage_after_its_parents_ended() {
    let mut job = Record::new();
    job.exec(1, None, "sh");
    job.fork(2, Some(1));
    job.fork(3, Some(2));
    job.exit(2);
    job.exit(1);
    job.exec(3, Some(2), "daemon");
    assert_eq!(job.lineage(3), [3, 2, 1]);
}

// === Lost events ===

#[test]
fn a_process_whose_birth_was_lost_has_an_unknown_parent() {
    let mut job = Record::new();
    job.exec(1, None, "make");
    job.exec(5, None, "curl");
    job.connect(6);
    job.exit(7);
    // The exec knows the parent although the fork was lost; the parent of that one is not known.
    job.exec(8, Some(9), "wget");
    insta::assert_snapshot!(job.show(), @r#"
    1 root ["make"]
    5 <? ["curl"]
    6 <? []
    7 <? [] ended
    9 <? []
    8 <9 ["wget"]
    "#);
    assert_eq!(job.tree.process(ProcessId(9)).unwrap().pid, pid(9));
    assert_eq!(job.image(6), None);
}

#[test]
fn what_a_later_event_knows_of_a_parent_is_taken() {
    let mut job = Record::new();
    job.exec_in(1, None, "make", "/app", &[("GITHUB_ACTION", "__run")]);
    job.connect(5);
    assert_eq!(job.lineage(5), [5]);
    job.exec(5, Some(1), "curl");
    assert_eq!(job.lineage(5), [5, 1]);
    assert_eq!(job.step(5), Some("__run"));
    assert_eq!(
        job.tree.process(ProcessId(1)).unwrap().children,
        [ProcessId(5)]
    );
    // The event of its birth comes late, or a second time.
    job.fork(5, Some(1));
    assert_eq!(
        job.tree.process(ProcessId(1)).unwrap().children,
        [ProcessId(5)]
    );
}

#[test]
fn without_the_beginning_nobody_is_the_first_process() {
    let mut job = Record::headless(Limits::default());
    job.exec(1, None, "make");
    job.fork(2, Some(1));
    insta::assert_snapshot!(job.show(), @r#"
    1 <? ["make"]
    2 <1 []
    "#);

    let mut job = Record::new();
    job.connect(4);
    job.exec(1, None, "make");
    insta::assert_snapshot!(job.show(), @r#"
    4 <? []
    1 <? ["make"]
    "#);
}

#[test]
fn records_that_contradict_themselves_end() {
    let mut job = Record::new();
    job.exec(1, Some(1), "own-parent");
    assert_eq!(job.lineage(1), [1]);
    job.fork(3, Some(2));
    job.fork(4, Some(3));
    // Process 2 would be its own great-grandparent.
    job.exec(2, Some(4), "loop");
    assert_eq!(job.lineage(2), [2]);
    assert_eq!(job.lineage(4), [4, 3, 2]);
    job.exec(3, Some(1), "another-parent");
    assert_eq!(job.lineage(3), [3, 2]);
    job.exit(3);
    job.exit(3);
}

// === Steps and dependencies ===

const BUFFERUTIL: &[(&str, &str)] = &[
    (
        "npm_package_json",
        "/app/node_modules/bufferutil/package.json",
    ),
    ("npm_package_name", "bufferutil"),
    ("npm_package_version", "4.0.8"),
    ("npm_lifecycle_event", "install"),
];
const RING: &[(&str, &str)] = &[
    (
        "CARGO_MANIFEST_DIR",
        "/root/.cargo/registry/src/registry.example-1949/ring-0.17.14",
    ),
    ("CARGO_PKG_NAME", "ring"),
    ("CARGO_PKG_VERSION", "0.17.14"),
];
const RING_DIR: &str = "/root/.cargo/registry/src/registry.example-1949/ring-0.17.14";

#[test]
fn steps_are_inherited_until_an_environment_says_otherwise() {
    let mut job = Record::new();
    job.exec(1, None, "runner");
    job.fork(2, Some(1));
    job.exec_in(2, Some(1), "bash", "/app", &[("GITHUB_ACTION", "__run")]);
    job.fork(3, Some(2));
    job.exec(3, Some(2), "make");
    job.fork(4, Some(1));
    job.exec_in(4, Some(1), "bash", "/app", &[("GITHUB_ACTION", "__run_2")]);
    job.fork(5, Some(4));
    let steps: Vec<_> = (1..=5).map(|process| job.step(process)).collect();
    let (one, two) = (Some("__run"), Some("__run_2"));
    assert_eq!(steps, [None, one, one, two, two]);
}

#[test]
fn one_step_is_kept_once() {
    let mut job = Record::new();
    let env = &[("GITHUB_ACTION", "__run")];
    job.exec_in(1, None, "bash", "/app", env);
    job.fork(2, Some(1));
    job.exec_in(2, Some(1), "make", "/app", env);
    let step = |id| {
        job.tree
            .process(ProcessId(id))
            .unwrap()
            .step
            .clone()
            .unwrap()
    };
    assert!(Arc::ptr_eq(&step(1), &step(2)));
}

#[test]
fn what_a_build_script_starts_is_the_build_scripts() {
    let mut job = Record::new();
    job.exec(1, None, "cargo build");
    job.fork(2, Some(1));
    assert_eq!(job.dependencies(2), [""; 0]);
    job.exec_in(
        2,
        Some(1),
        "/app/target/debug/build/ring-8785/build-script-build",
        RING_DIR,
        RING,
    );
    job.fork(3, Some(2));
    assert_eq!(job.dependencies(3), ["ring build-script"]);
    job.exec_in(3, Some(2), "/usr/bin/rustc --version", RING_DIR, RING);
    assert_eq!(job.dependencies(3), ["ring build-script"]);
    job.fork(4, Some(1));
    job.exec_in(
        4,
        Some(1),
        "/usr/bin/rustc --crate-name ring",
        RING_DIR,
        RING,
    );
    assert_eq!(job.dependencies(4), ["ring compile"]);
    assert_eq!(job.dependencies(1), [""; 0]);
}

#[test]
fn nested_package_managers_are_told_apart_by_who_is_inside() {
    let mut job = Record::new();
    job.exec(1, None, "npm install");
    job.fork(2, Some(1));
    job.exec_in(
        2,
        Some(1),
        "sh -c build",
        "/app/node_modules/bufferutil",
        BUFFERUTIL,
    );
    // The package's script builds a crate. npm's variables are still there, and cargo's are nearer.
    job.fork(3, Some(2));
    let both = [BUFFERUTIL, RING].concat();
    job.exec_in(3, Some(2), "/usr/bin/rustc", RING_DIR, &both);
    assert_eq!(job.dependencies(3), ["ring compile", "bufferutil install"]);
    // What speaks of the outer package alone, deeper inside, is left over from it.
    job.fork(4, Some(3));
    job.exec_in(4, Some(3), "/usr/bin/ld", "/tmp", BUFFERUTIL);
    assert_eq!(job.dependencies(4), ["ring compile", "bufferutil install"]);

    // The other way round, with a crate's build script that installs packages.
    let mut job = Record::new();
    job.exec_in(
        1,
        None,
        "/t/build/ring-1/build-script-build",
        RING_DIR,
        RING,
    );
    job.fork(2, Some(1));
    job.exec_in(2, Some(1), "sh -c x", "/app/node_modules/bufferutil", &both);
    job.fork(3, Some(2));
    job.exec_in(3, Some(2), "node x.js", "/tmp", &both);
    assert_eq!(
        job.dependencies(3),
        ["bufferutil install", "ring build-script"]
    );
}

#[test]
fn a_script_that_poses_as_another_package_is_found_inside_its_own() {
    let mut job = Record::new();
    job.exec(1, None, "npm install");
    job.fork(2, Some(1));
    job.exec_in(
        2,
        Some(1),
        "sh -c x",
        "/app/node_modules/bufferutil",
        BUFFERUTIL,
    );
    job.fork(3, Some(2));
    let posing = &[
        (
            "npm_package_json",
            "/app/node_modules/left-pad/package.json",
        ),
        ("npm_package_name", "left-pad"),
    ];
    job.exec_in(3, Some(2), "curl", "/", posing);
    assert_eq!(job.dependencies(3), ["left-pad ", "bufferutil install"]);
}

// === Limits ===

fn limits(processes: usize, text_bytes: usize) -> Limits {
    Limits {
        processes,
        text_bytes,
        images_per_process: 4,
    }
}

#[test]
fn finished_processes_are_folded_and_counted() {
    let mut job = Record::with_limits(limits(64, 1 << 20));
    job.exec(1, None, "make");
    for process in 2..=1000 {
        job.fork(process, Some(1));
        job.exec(process, Some(1), "cc");
        job.exit(process);
    }
    assert!(job.tree.len() <= 64);
    assert_eq!(job.tree.processes().count(), job.tree.len());
    let root = job.tree.process(ProcessId(1)).unwrap();
    assert_eq!(root.folded, job.tree.dropped().folded);
    assert_eq!(
        root.folded + u64::try_from(root.children.len()).unwrap(),
        999
    );
    assert!(
        root.children
            .iter()
            .all(|child| job.tree.process(*child).is_some())
    );
    // The newest are the ones that are still there.
    assert_eq!(job.lineage(1000), [1000, 1]);
    assert_eq!(job.image(1000), Some("cc"));
    assert!(job.lineage(2).is_empty());
}

#[test]
fn the_lineage_of_what_lives_or_spoke_outlasts_folding() {
    let mut job = Record::with_limits(limits(64, 1 << 20));
    job.exec(1, None, "make");
    for process in 2..=5 {
        job.fork(process, Some(process - 1));
        job.exec(process, Some(process - 1), "sh");
    }
    // Only the deepest lives on; its parents have ended. One that spoke on the network has ended too.
    for process in 2..=4 {
        job.exit(process);
    }
    job.fork(6, Some(1));
    job.connect(6);
    job.exit(6);
    for process in 10..=1000 {
        job.fork(process, Some(1));
        job.exit(process);
    }
    assert_eq!(job.lineage(5), [5, 4, 3, 2, 1]);
    assert_eq!(job.lineage(6), [6, 1]);
    // When the deepest ends, its whole branch may go, and counts for the first process.
    job.exit(5);
    for process in 1001..=3000 {
        job.fork(process, Some(1));
        job.exit(process);
    }
    assert!(job.lineage(5).is_empty());
    let root = job.tree.process(ProcessId(1)).unwrap();
    assert_eq!(root.folded, job.tree.dropped().folded);
}

#[test]
fn living_processes_beyond_the_limit_are_refused_and_counted() {
    let mut job = Record::with_limits(limits(8, 1 << 20));
    job.exec(1, None, "bomb");
    for process in 2..=20 {
        job.fork(process, Some(1));
        job.exec(process, Some(1), "bomb");
    }
    assert_eq!(job.tree.len(), 8);
    // A fork and an exec each, for twelve processes.
    assert_eq!(job.tree.dropped().refused, 24);
    assert_eq!(job.lineage(8), [8, 1]);
    // A process without a place is nobody's known parent.
    job.exit(8);
    job.fork(21, Some(20));
    assert!(job.tree.processes().all(|process| match process.parent {
        Parent::Known(parent) => job.tree.process(parent).is_some(),
        Parent::Root | Parent::Unknown => true,
    }));
}

#[test]
fn a_process_that_runs_many_programs_keeps_the_first_and_the_last() {
    let mut job = Record::with_limits(limits(64, 1 << 20));
    for program in 0..100 {
        job.exec(1, None, &format!("p{program}"));
    }
    insta::assert_snapshot!(job.show(), @r#"1 root ["p0", "p1", "p98", "p99"]"#);
    assert_eq!(job.tree.dropped().images, 96);
}

#[test]
fn long_arguments_of_finished_processes_are_shortened() {
    let long = format!("cc {}", "x".repeat(4_000));
    let mut job = Record::with_limits(limits(1_000, 20_000));
    job.exec(1, None, "make");
    for process in 2..=20 {
        job.fork(process, Some(1));
        job.exec(process, Some(1), &long);
        job.exit(process);
    }
    assert_eq!(
        job.tree.len(),
        20,
        "shortening is enough: nothing is folded"
    );
    assert!(job.tree.text_bytes <= 20_000);
    let first = &job.tree.process(ProcessId(2)).unwrap().images[0];
    assert_eq!(first.args.get(0), Some("cc"));
    assert!(first.args.get(1).unwrap().len() < 300);
    assert_eq!(first.truncated, ["args"]);
    let last = &job.tree.process(ProcessId(20)).unwrap().images[0];
    assert_eq!(last.args.get(1).unwrap().len(), 4_000);
    assert!(job.tree.dropped().shortened >= 14);
}

#[test]
fn a_job_that_fills_memory_on_purpose_does_not() {
    let mut job = Record::with_limits(limits(100, 50_000));
    let path = format!("/{}", "é".repeat(2_000));
    for process in 1..=100 {
        for _ in 0..10 {
            job.exec_in(
                process,
                None,
                &format!("{path} {}", "a ".repeat(3_000)),
                &path,
                &[],
            );
        }
    }
    // Twice the budget, and the shortest form of one program for each process that lives.
    assert!(
        job.tree.text_bytes < 2 * 50_000 + 100 * 2_000,
        "{}",
        job.tree.text_bytes
    );
    assert!(job.tree.dropped().images > 0 && job.tree.dropped().shortened > 0);
    let real: usize = job
        .tree
        .processes()
        .flat_map(|p| &p.images)
        .map(Image::weight)
        .sum();
    assert_eq!(real, job.tree.text_bytes);
}

// === Anything ===

#[derive(Clone, Debug)]
enum Act {
    Fork(u64, Option<u64>),
    Exec(u64, Option<u64>, usize),
    Exit(u64),
    Connect(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let id = 0..24_u64;
    let parent = proptest::option::of(0..24_u64);
    prop_oneof![
        (id.clone(), parent.clone()).prop_map(|(id, parent)| Act::Fork(id, parent)),
        (id.clone(), parent, 0..2_000_usize).prop_map(|(id, parent, n)| Act::Exec(id, parent, n)),
        id.clone().prop_map(Act::Exit),
        id.prop_map(Act::Connect),
    ]
}

proptest! {
    // Each case checks the whole tree after every event.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_record_makes_a_sound_tree(
        acts in proptest::collection::vec(act(), 0..200),
        processes in 1..30_usize,
        text_bytes in 0..20_000_usize,
    ) {
        let mut job = Record::with_limits(limits(processes, text_bytes));
        for act in acts {
            match act {
                Act::Fork(id, parent) => job.fork(id, parent),
                Act::Exec(id, parent, n) => job.exec(id, parent, &format!("x {}", "y ".repeat(n))),
                Act::Exit(id) => job.exit(id),
                Act::Connect(id) => job.connect(id),
            }
            let tree = &job.tree;
            prop_assert!(tree.len() <= processes);
            prop_assert_eq!(tree.processes().count(), tree.len());
            let mut links = 0;
            for process in tree.processes() {
                prop_assert!(tree.process(process.id).is_some_and(|found| std::ptr::eq(found, process)));
                // Ends, and never meets a process twice.
                prop_assert!(tree.lineage(process.id).len() <= tree.len());
                if let Parent::Known(parent) = process.parent {
                    let parent = tree.process(parent);
                    prop_assert!(parent.is_some_and(|parent| parent.children.contains(&process.id)));
                    links += 1;
                }
            }
            let children: usize = tree.processes().map(|process| process.children.len()).sum();
            prop_assert_eq!(children, links);
            let text: usize = tree.processes().flat_map(|p| &p.images).map(Image::weight).sum();
            prop_assert_eq!(text, tree.text_bytes);
        }
    }
}
