//! A job that makes events faster than they can be taken in, to hide one bad act among them.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use runward_event::{Event, EventKind, Lost, Status};
use runward_lab::{Answer, Lab, actor, requires, run};

use crate::bed::{Bed, LIMIT, Recorded};

/// How long a flood lasts, in milliseconds; the acts come in its middle.
const FLOOD_MS: &str = "3000";
/// As many as have kept two processors busy.
const WORKERS: &str = "2";
/// The flood is in the background; then somebody reads the runner's memory, runs a program that lies in memory alone,
/// overwrites a source file, and gives a shell away.
const JOB: &str = r#"
    "$FLOOD" "$KIND" "$MS" "$WORKERS" &
    sleep 1
    "$PUPPET" memory "$RUNNER" , from-memory , write src.c 'int main(void) { return 1; }' , shell "$SHELL_AT" 4444
    wait
"#;

/// What the job is after: a process outside of it that holds secrets.
struct Runner(Child);

impl Runner {
    fn start() -> Runner {
        let child = Command::new(actor("puppet"))
            .arg("secrets")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Runner(child)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A workspace with one source file that git tracks; without git, none is tracked.
fn bed() -> (Bed, bool) {
    let bed = Bed::new();
    std::fs::write(
        bed.path().join("src.c"),
        "int main(void) { return 0; }\n".repeat(9),
    )
    .unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(bed.path());
        run(&mut git, LIMIT).is_ok_and(|ran| ran.worked())
    };
    let tracked = git(&["init", "-q"]) && git(&["add", "src.c"]);
    (bed, tracked)
}

/// Records the job with a flood of this kind around its acts.
fn flooded(bed: &Bed, kind: &str) -> Recorded {
    let lab = Lab::netns().unwrap();
    let listener = lab
        .tcp((lab.v4(68), 4444).into(), Answer::Fixed(b"exit\n".to_vec()))
        .unwrap();
    let runner = Runner::start();
    let mut command = bed.runward_in(&lab, ["run", "--quiet", "--", "sh", "-c", JOB]);
    command
        .env("FLOOD", actor("flood"))
        .env("KIND", kind)
        .env("MS", FLOOD_MS)
        .env("WORKERS", WORKERS)
        .env("PUPPET", actor("puppet"))
        .env("RUNNER", runner.0.id().to_string())
        .env("SHELL_AT", listener.at().ip().to_string());
    let recorded = bed.finish(&mut command);
    assert!(
        recorded.ran.worked(),
        "{kind}: {} {}",
        recorded.ran.stdout,
        recorded.ran.stderr
    );
    recorded
}

fn found<'a>(recorded: &'a Recorded, id: &str) -> Option<&'a str> {
    recorded.report["detections"]
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["detection"] == id)
        .and_then(|found| found["message"].as_str())
}

/// How many events of the flood the record accounts for, whether they were taken in or lost.
fn accounted(recorded: &Recorded, kind: &str) -> u64 {
    let (seen, lost) = match kind {
        "processes" | "programs" => (recorded.forks().len(), EventKind::ProcessFork),
        "connects" => (recorded.connects().len(), EventKind::Connect),
        "lookups" => (recorded.dns().len(), EventKind::Dns),
        // The kernel says that it lost some, not how many.
        _ => return u64::MAX,
    };
    u64::try_from(seen).unwrap() + recorded.lost_of(lost)
}

#[test]
fn no_flood_hides_an_act_and_what_it_cost_is_a_finding() {
    requires!(Root, Netns, OwnProcessor);
    let mut told = String::new();
    for kind in ["processes", "programs", "connects", "lookups", "files"] {
        let (bed, tracked) = bed();
        let recorded = flooded(&bed, kind);
        let done = recorded.ran.number("done").unwrap();
        let lost: Vec<&Lost> = recorded.lost();
        let sum: u64 = lost.iter().map(|lost| lost.count).sum();
        told += &format!(
            "flood of {kind}: {done} made, {} events recorded, {sum} lost\n",
            recorded.events.len()
        );
        let mut acts = vec!["runner-memory-read", "reverse-shell", "fileless-execution"];
        acts.extend(tracked.then_some("source-code-overwritten"));
        for act in acts {
            assert!(
                found(&recorded, act).is_some(),
                "{act} drowned in {kind}: {told}"
            );
        }
        assert_eq!(
            found(&recorded, "events-lost").is_some(),
            sum > 0,
            "{kind}: {told}"
        );
        assert!(accounted(&recorded, kind) >= done, "{kind}: {told}");
        is_whole(&recorded.events);
    }
    // Past the harness, which would hide it: how hard it was on this machine.
    let _ = std::io::stderr().write_all(told.as_bytes());
}

/// The record itself has no gap.
fn is_whole(events: &[Event]) {
    for (number, event) in (1..).zip(events) {
        assert_eq!(event.seq, number);
    }
}

#[test]
fn a_flooded_fence_stands_and_tells() {
    requires!(Root, Netns, OwnProcessor);
    let lab = Lab::netns().unwrap();
    let _dns = lab.dns((lab.v4(53), 53).into()).unwrap();
    lab.set_nameservers(&[lab.v4(53).into()]).unwrap();
    let sink = lab.tcp((lab.v4(69), 443).into(), Answer::Echo).unwrap();
    let bed = Bed::new();
    let script = r#"
        "$FLOOD" connects 2000 2 &
        sleep 0.7
        "$PUPPET" call "$AT" 443 2>/dev/null
        wait
    "#;
    let mut command = bed.runward_in(
        &lab,
        [
            "run",
            "--quiet",
            "--egress-policy",
            "block",
            "--allowed-endpoints",
            "allowed.example:443",
        ],
    );
    command
        .args(["--", "sh", "-c", script])
        .env("FLOOD", actor("flood"))
        .env("PUPPET", actor("puppet"))
        .env("AT", sink.at().ip().to_string());
    let recorded = bed.finish(&mut command);
    let refused = recorded
        .connects()
        .into_iter()
        .any(|connect| connect.ip == sink.at().ip() && connect.status == Status::Blocked);
    // A refusal has room in the ring that is kept from what is let through.
    let told = &recorded.ran.stderr;
    assert!(refused, "{told}");
    assert!(
        found(&recorded, "outbound-call-blocked").is_some(),
        "{told}"
    );
    assert_eq!(
        found(&recorded, "events-lost").is_some(),
        !recorded.lost().is_empty(),
        "{told}"
    );
    assert_eq!(sink.received().len(), 0, "something went through");
}
