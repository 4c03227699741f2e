//! A job in lockdown: it ends at once, all of it, wherever its processes have gone; and what it tried has no effect.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use runward_event::{Body, Lockdown, MemoryAccess};
use runward_lab::{actor, requires, run};

use crate::bed::{Bed, LIMIT, Recorded};

/// How `runward` ends when it has killed the job.
const KILLED: i32 = 87;

/// A process outside of every job, whose memory is worth reading.
struct Outside(Child);

impl Outside {
    fn start() -> Outside {
        let child = Command::new(actor("puppet"))
            .arg("secrets")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Outside(child)
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A control group below the root, gone on drop.
struct Group(PathBuf);

impl Group {
    fn new(name: &str) -> Group {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let root = mounts
            .lines()
            .find_map(|line| {
                let mut fields = line.split(' ').skip(1);
                let place = fields.next()?;
                (fields.next()? == "cgroup2").then(|| PathBuf::from(place))
            })
            .unwrap();
        let group = root.join(format!("runward-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&group).unwrap();
        Group(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Runs a script in lockdown. In it, `$0` is the puppet and `$1` this test's own folder, by which its processes are known.
fn locked(bed: &Bed, list: &str, script: &str) -> Recorded {
    let mut command = bed.runward([
        "run",
        "--quiet",
        "--lockdown",
        list,
        "--",
        "sh",
        "-c",
        script,
    ]);
    bed.finish(command.arg(actor("puppet")).arg(bed.path()))
}

/// The processes that have this folder among their arguments.
fn still_there(folder: &Path) -> Vec<String> {
    let wanted = folder.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .map(|arguments| String::from_utf8_lossy(&arguments).replace('\0', " "))
        .filter(|arguments| arguments.contains(wanted))
        .collect()
}

fn ends(recorded: &Recorded) -> Vec<&Lockdown> {
    recorded
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Lockdown(end) => Some(end),
            _ => None,
        })
        .collect()
}

fn accesses(recorded: &Recorded) -> Vec<&MemoryAccess> {
    recorded
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::MemoryAccess(access) => Some(&**access),
            _ => None,
        })
        .collect()
}

/// That the job was killed for this, that nothing of it is left, and that it was told once.
fn assert_killed(recorded: &Recorded, bed: &Bed, detection: &str) {
    let said = &recorded.ran.stderr;
    assert_eq!(recorded.ran.code(), KILLED, "{said}");
    assert_eq!(still_there(bed.path()), Vec::<String>::new());
    assert!(!bed.path().join("marker").exists(), "it went on");
    let ends = ends(recorded);
    let [end] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!(end.detection.as_deref(), Some(detection));
    assert_eq!(end.left, 0);
    assert_eq!(
        said.matches(&format!("lockdown: found {detection}"))
            .count(),
        1,
        "{said}"
    );
}

#[test]
fn every_process_of_the_job_ends_whatever_it_has_moved_to() {
    requires!(Root);
    let outside = Outside::start();
    let group = Group::new("lockdown");
    let procs = actor("procs");
    let elsewhere = format!("{} cgroup {} \"$0\"", procs.display(), group.0.display());
    for (way, program) in [
        ("daemon", "\"$0\""),
        ("deaf", "\"$0\""),
        ("stopped", "\"$0\""),
        ("busy", "\"$0\""),
        ("leaderless", "\"$0\""),
        ("namespace", "\"$0\""),
        ("elsewhere", &elsewhere),
    ] {
        let bed = Bed::new();
        let script = format!(
            "{program} hide {way} \"$1\"; \"$0\" memory {} ; sleep 2; echo > marker",
            outside.id()
        );
        let recorded = locked(&bed, "runner-memory-read", &script);
        assert_killed(&recorded, &bed, "runner-memory-read");
        // The reader, and whoever then made or started something, ended in the kernel; who is hidden did neither.
        assert!(ends(&recorded)[0].killed >= 1, "{way}");
    }
}

#[test]
fn processes_that_only_make_others_do_not_survive() {
    requires!(Root);
    let outside = Outside::start();
    for bomb in ["bomb 500", "moving-bomb 50000"] {
        let bed = Bed::new();
        // It has a moment to become many.
        let script = format!(
            "\"$0\" {bomb} \"$1\"; sleep 0.1; \"$0\" memory {}; sleep 2; echo > marker",
            outside.id()
        );
        let recorded = locked(&bed, "runner-memory-read", &script);
        assert_killed(&recorded, &bed, "runner-memory-read");
        assert!(recorded.forks().len() > 10, "{bomb}");
    }
}

#[test]
fn what_reads_another_process_sees_no_byte() {
    requires!(Root);
    let outside = Outside::start();
    for way in ["memory", "vm-read", "environ"] {
        let bed = Bed::new();
        // Without lockdown it works, so that what follows says something.
        let script = format!("\"$0\" leak {way} {} seen", outside.id());
        let puppet = actor("puppet");
        let recorded = bed.record(["sh", "-c", &script, puppet.to_str().unwrap()]);
        assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
        let seen = bed.path().join("seen");
        assert!(std::fs::metadata(&seen).unwrap().len() > 0, "{way}");
        std::fs::remove_file(&seen).unwrap();

        let recorded = locked(&bed, "medium", &script);
        assert_killed(&recorded, &bed, "runner-memory-read");
        let len = std::fs::metadata(&seen).map_or(0, |seen| seen.len());
        assert_eq!(len, 0, "{way}: it saw something");
        let told = accesses(&recorded);
        let [access] = &told[..] else {
            panic!("{told:?}")
        };
        let refused = recorded.report["tier"] == "A";
        assert_eq!((access.prevented, access.killed), (refused, !refused));
        let said = "tried to ";
        assert!(
            recorded.ran.stderr.contains(said),
            "{}",
            recorded.ran.stderr
        );
    }
}

#[test]
fn a_program_without_a_file_does_not_come_to_its_first_instruction() {
    requires!(Root);
    let bed = Bed::new();
    let script = "\"$0\" from-memory-leave left; sleep 2; echo > marker";
    let recorded = bed.record(["sh", "-c", script, actor("puppet").to_str().unwrap()]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
    let left = bed.path().join("left");
    std::fs::remove_file(&left).unwrap();
    std::fs::remove_file(bed.path().join("marker")).unwrap();
    let recorded = locked(&bed, "fileless-execution", script);
    assert_killed(&recorded, &bed, "fileless-execution");
    assert!(!left.exists());
}

/// A debugger on what it started, also over somebody who has ended; those that list processes; and a build's many small
/// programs.
#[test]
fn what_harms_nobody_is_let_alone() {
    requires!(Root);
    let bed = Bed::new();
    let script = "for tool in 'ps -ef' 'pgrep .'; do command -v ${tool%% *} >/dev/null && $tool >/dev/null; done; \
        \"$0\" leak-own && n=0 && while [ $n -lt 200 ]; do /bin/true; n=$((n + 1)); done; exit 7";
    let recorded = locked(&bed, "any", script);
    let said = &recorded.ran.stderr;
    assert_eq!(recorded.ran.code(), 7, "{said}");
    assert_eq!(ends(&recorded), Vec::<&Lockdown>::new());
    assert_eq!(recorded.report["exit_code"], 7);
    assert_eq!(recorded.report["lockdown_list"], serde_json::json!(["any"]));
    assert!(recorded.report.get("lockdown").is_none());
}

#[test]
fn a_job_of_which_only_info_is_found_goes_on() {
    requires!(Root, Program("ps"));
    let outside = Outside::start();
    let bed = Bed::new();
    let script = format!(
        "ps -p {} -o pid,comm >/dev/null; ps -e >/dev/null",
        outside.id()
    );
    let recorded = locked(&bed, "any,runner-memory-read", &script);
    assert_eq!(recorded.ran.code(), 0, "{}", recorded.ran.stderr);
}

#[test]
fn the_report_says_that_the_job_was_killed_and_for_what() {
    requires!(Root);
    let outside = Outside::start();
    let bed = Bed::new();
    let script = format!("\"$0\" memory {}; sleep 2; echo > marker", outside.id());
    let mut command = bed.runward(["run", "--lockdown", "high", "--", "sh", "-c", &script]);
    command.arg(actor("puppet")).env("GITHUB_ACTIONS", "true");
    let recorded = bed.finish(&mut command);
    assert_killed(&recorded, &bed, "runner-memory-read");
    let report = &recorded.report;
    assert_eq!(
        (&report["exit_code"], &report["signal"]),
        (&137.into(), &9.into())
    );
    assert_eq!(report["lockdown"]["detection"], "runner-memory-read");
    let found = report["detections"][0]["seq"].as_u64();
    assert!(found.is_some() && report["lockdown"]["act"].as_u64() == found);
    let seconds = report["lockdown"]["seconds"].as_f64().unwrap();
    assert!(seconds > 0.0 && seconds < 1.0, "{seconds}");
    let sentence = "Killed by lockdown for runner-memory-read";
    for file in ["summary.md", "report.html", "report.sarif"] {
        let text = std::fs::read_to_string(recorded.folder.join(file)).unwrap();
        assert!(text.contains(sentence), "{file}");
    }
    let page = &recorded.ran.stderr;
    assert!(
        page.contains("exit 137 (signal 9), killed by lockdown"),
        "{page}"
    );
    let commands = &recorded.ran.stdout;
    let annotation = format!("::error title=Runward lockdown::{sentence}");
    assert!(
        commands.contains(&annotation) || page.contains(&annotation),
        "{commands}{page}"
    );
    // What the person is to do next.
    assert!(page.contains("Change all of them"), "{page}");
}

#[test]
fn a_name_that_means_nothing_is_told_before_the_command_starts() {
    let bed = Bed::new();
    let mut command = bed.runward([
        "run",
        "--lockdown",
        "high,revers-shell",
        "--",
        "touch",
        "marker",
    ]);
    let ran = run(&mut command, LIMIT).unwrap();
    assert_eq!(ran.code(), 125);
    let said = "--lockdown names `revers-shell`, which is neither a severity nor a detection";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(!bed.path().join("marker").exists());
}

/// What the kernel does not stop by itself: the agent does, soon after.
#[test]
fn a_finding_that_only_the_agent_can_make_ends_the_job() {
    requires!(Root, Program("git"));
    let bed = Bed::new();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        assert!(
            git.args(arguments)
                .current_dir(bed.path())
                .status()
                .unwrap()
                .success()
        );
    };
    std::fs::write(bed.path().join("main.c"), "int main;").unwrap();
    git(&["init", "-q"]);
    git(&["add", "main.c"]);
    let script = "echo other > main.c; sleep 2; echo > marker";
    let recorded = locked(&bed, "source-code-overwritten", script);
    assert_killed(&recorded, &bed, "source-code-overwritten");
}
