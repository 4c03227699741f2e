//! `runward agent` on a machine of its own: process ids, mounts and network are the test's, and so are the only runners
//! that it sees.
//!
//! A runner is played by its shape: GitHub's is a listener that starts a worker for each job, which starts the steps and
//! says in their environment what they are. The programs have the names of the real ones and are shells.

mod gitlab;
mod power;
mod schedules;
mod service;
mod steps;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use runward_event::{Body, Event, parse_line};
use runward_lab::{actor, requires, skip, test_name};
use serde_json::Value;

use crate::bed::{LIMIT, binary, within};
use crate::bypass::Ground;
use crate::upload::Server;

/// Addresses that no policy of these tests names.
const FIRST: &str = "198.51.100.71";
const LATER: &str = "198.51.100.72";
const LAST: &str = "198.51.100.73";

/// Where the machine's own folders are, and what its scripts can say. `$R` is the program, `$A` the actors, `$W` a folder
/// that the test sees.
///
/// The machine ends when nothing else runs in it. Kernels before 6.9 stand still for good where the first process of a pid
/// namespace ends while another one of it takes a program off a kernel function.
const BOOT: &str = r#"
set -u
mount --make-rprivate /
mkdir -p /run/runward && mount -t tmpfs -o mode=755 tmpfs /run/runward
mount -t tmpfs tmpfs /var/lib
mount -t bpf bpf /sys/fs/bpf
pass() { echo >"$W/$1"; }
until_it() { left=2400; until "$@"; do sleep 0.05; left=$((left - 1)); [ $left != 0 ] || { echo "in vain: $*"; exit 9; }; done; }
stay() { until_it [ -e "$W/$1" ]; }
agent() { "$R" agent --config "$W/agent.yml" 2>>"$W/agent.log" & agent=$!; ready; }
is_ready() { kill -0 $agent || exit 9; "$R" agent status >"$W/status" 2>/dev/null; }
ready() { until_it is_ready; }
runner() { "$W/$1/bin/Runner.Listener" "$W/listen" "$W/$1" "$2"; }
state() { sed 's/.*) \(.\).*/\1/' "/proc/$1/stat"; }
worker() { for p in /proc/[0-9]*; do case "$(cat $p/comm 2>/dev/null)" in Runner.Worker) echo ${p#/proc/};; esac; done; }
is_held() { "$R" job status | grep -q ' mode, process '; }
is_idle() { ! is_held; }
workers_are() { [ "$(worker | wc -l)" = $1 ]; }
records() { until_it is_idle; mkdir -p "$W/records"; cp -r /var/lib/runward/spool/. "$W/records"; }
is_alone() { for p in /proc/[0-9]*; do [ $p != /proc/1 ] || continue; read -r stat 2>/dev/null <$p/stat || continue; case "${stat##*) }" in Z*) ;; *) return 1;; esac; done; }
end() { code=$?; trap - EXIT; kill -KILL -1; until_it is_alone; exit $code; }
trap end EXIT
"#;

/// What the listener does with a job: the worker runs it, and the listener waits.
const LISTEN: &str =
    r#""$1/bin/Runner.Worker" "$1/worker" "$1" "$2"; echo "worker $?" >>"$W/said""#;

/// The worker: its own first act comes before every step; then it says who the job is, as the real one does, and runs the
/// job's script as a step, or starts the steps that the test gives it.
const WORKER: &str = r#"
if [ -e "$1/first" ]; then . "$1/first"; fi
mkdir -p "$1/_work/app/app"
cd "$1/_work/app/app"
export GITHUB_ACTIONS=true GITHUB_REPOSITORY=example/app GITHUB_RUN_ID=4711 GITHUB_RUN_ATTEMPT=2 GITHUB_JOB=build
export GITHUB_WORKFLOW_REF=example/app/.github/workflows/ci.yml@refs/heads/main GITHUB_REF_NAME=main
export GITHUB_SERVER_URL=https://github.example GITHUB_EVENT_NAME=push GITHUB_ACTOR=octocat
export GITHUB_WORKSPACE=$PWD
if [ -e "$1/env" ]; then . "$1/env"; fi
if [ -e "$1/steps" ]; then . "$1/steps"; else GITHUB_ACTION=__run sh -e "$2"; fi
"#;

/// A machine that runs one script and ends with it.
struct Machine {
    folder: tempfile::TempDir,
    init: Child,
}

impl Machine {
    fn boot(ground: &Ground, settings: &str, runners: &[&str], script: &str) -> Machine {
        Machine::of(ground.lab.command("unshare"), settings, runners, script)
    }

    /// `init` becomes `unshare` in the network that the machine is in.
    fn of(mut init: Command, settings: &str, runners: &[&str], script: &str) -> Machine {
        let folder = tempfile::TempDir::new().unwrap();
        let place = folder.path();
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(place.join("agent.yml"), settings).unwrap();
        fs::write(place.join("listen"), LISTEN).unwrap();
        for runner in runners {
            let runner = place.join(runner);
            fs::create_dir_all(runner.join("bin")).unwrap();
            for name in ["Runner.Listener", "Runner.Worker"] {
                fs::copy("/bin/sh", runner.join("bin").join(name)).unwrap();
            }
            fs::write(runner.join("worker"), WORKER).unwrap();
            let settings = "\u{feff}{\n  \"agentName\": \"one\",\n  \"workFolder\": \"_work\"\n}";
            fs::write(runner.join(".runner"), settings).unwrap();
        }
        fs::write(place.join("script"), format!("{BOOT}{script}")).unwrap();
        let said = fs::File::options()
            .create(true)
            .append(true)
            .open(place.join("said"))
            .unwrap();
        let actors = actor("net").parent().unwrap().to_path_buf();
        init.args([
            "--pid",
            "--fork",
            "--kill-child",
            "--mount",
            "--mount-proc",
            "sh",
        ])
        .arg(place.join("script"))
        .env("R", binary())
        .env("S", binary().with_file_name("runward-server"))
        .env("A", actors)
        .env("W", place)
        .env("NO_COLOR", "1")
        .env("RUNWARD_LAB_PATIENCE", "1")
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said);
        for name in ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "SUDO_UID", "SUDO_GID"] {
            init.env_remove(name);
        }
        Machine {
            init: init.spawn().unwrap(),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// All that was said, for a test that fails.
    fn told(&self) -> String {
        format!(
            "{}\n--- agent\n{}",
            self.text("said"),
            self.text("agent.log")
        )
    }

    fn wait_for(&mut self, name: &str) {
        let is_over = |init: &mut Child| matches!(init.try_wait(), Ok(Some(_)));
        let path = self.path(name);
        within(LIMIT, || path.exists() || is_over(&mut self.init));
        let there = path.exists();
        assert!(there, "the script comes to {name}: {}", self.told());
    }

    fn finish(&mut self) {
        let ended = within(LIMIT, || matches!(self.init.try_wait(), Ok(Some(_))));
        assert!(ended, "the machine ends: {}", self.told());
        let code = self.init.wait().unwrap().code();
        assert_eq!(code, Some(0), "{}", self.told());
    }

    /// The records that were left, oldest first.
    fn records(&self) -> Vec<Record> {
        let mut folders: Vec<PathBuf> = fs::read_dir(self.path("records"))
            .unwrap_or_else(|error| panic!("no records ({error}): {}", self.told()))
            .map(|entry| entry.unwrap().path())
            .collect();
        folders.sort();
        folders.iter().map(|folder| Record::read(folder)).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

/// What the agent wrote of a job.
struct Record {
    events: Vec<Event>,
    /// `Null` when it broke off.
    report: Value,
}

impl Record {
    fn read(folder: &Path) -> Record {
        let text = fs::read_to_string(folder.join("events.jsonl")).unwrap();
        let report = fs::read(folder.join("report.json")).unwrap_or_default();
        Record {
            events: text.lines().map(|line| parse_line(line).unwrap()).collect(),
            report: serde_json::from_slice(&report).unwrap_or_default(),
        }
    }

    fn has_ended(&self) -> bool {
        let last = self.events.last().map(|event| &event.body);
        matches!(last, Some(Body::JobEnd(_)))
    }

    fn findings(&self) -> Vec<&str> {
        let found = self.report["detections"].as_array().unwrap().iter();
        found
            .map(|found| found["detection"].as_str().unwrap())
            .collect()
    }
}

fn settings(ground: &Ground) -> String {
    format!(
        "egress-policy: block\nallowed-endpoints: '{}'\n",
        ground.policy()
    )
}

#[test]
fn a_runners_job_is_fenced_and_recorded_from_its_first_instruction() {
    requires!(Root, Netns, Program("unshare"), Program("git"));
    let ground = Ground::new();
    let allowed = ground.allowed_v4();
    let mut machine = Machine::boot(
        &ground,
        &settings(&ground),
        &["one"],
        &format!(
            r#"
echo '$A/net udp-sendto {FIRST} 4430; echo first $? >>$W/said' >$W/one/first
cat >$W/step <<'STEP'
git init -q . && echo one >source && git add source && git -c user.name=x -c user.email=x@example.com commit -q -m one
sh -c 'echo other >source'
$A/net tcp {allowed} 4430; echo allowed $?
$A/net tcp {LATER} 4430 || echo refused
$R job status
$R agent status || echo closed
STEP
agent
runner one $W/step
records
$R agent status >$W/status
kill $agent; wait $agent; echo agent $?
ls /sys/fs/bpf/runward
runner one $W/step
"#
        ),
    );
    machine.finish();
    let said = machine.text("said");
    for line in [
        "first 1",
        "allowed 0",
        "refused",
        "closed",
        "worker 0",
        "agent 0",
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "{line}: {}",
            machine.told()
        );
    }
    assert_eq!(ground.packets(FIRST), 1, "only when the agent has ended");
    let records = machine.records();
    let [job] = records.as_slice() else {
        panic!("{} records: {}", records.len(), machine.told());
    };
    assert!(job.has_ended());
    assert_eq!(job.report["effective_mode"], "block");
    let blocked = job.report["blocked"].to_string();
    assert!(
        blocked.contains(FIRST) && blocked.contains(LATER),
        "{blocked}"
    );
    let found = job.findings();
    assert!(found.contains(&"source-code-overwritten"), "{found:?}");
    let first = &job.events[0].body;
    let Body::JobStart(start) = first else {
        panic!("{first:?}");
    };
    assert!(start.workspace.ends_with("/one"), "{}", start.workspace);
    assert!(
        job.report.to_string().contains("\"__run\""),
        "{}",
        job.report
    );
    assert!(
        machine
            .text("agent.log")
            .contains("jobs of this machine are watched, in block mode"),
        "{}",
        machine.told()
    );
}

#[test]
fn a_job_that_begins_while_the_agent_is_gone_waits_for_it() {
    requires!(Root, Netns, Program("unshare"));
    let ground = Ground::new();
    let mut machine = Machine::boot(
        &ground,
        &settings(&ground),
        &["one", "two"],
        &format!(
            r#"
cat >$W/step-one <<'STEP'
echo >$W/one-runs
for i in $(seq 1200); do [ ! -e $W/go ] || break; sleep 0.05; done
$A/net udp-sendto {LATER} 4430 || echo one refused
STEP
echo '$A/net udp-sendto {LAST} 4430 || echo two refused' >$W/step-two
agent
runner one $W/step-one & one=$!
stay one-runs
kill -KILL $agent; wait $agent
runner two $W/step-two & two=$!
until_it workers_are 2
sleep 1
for p in $(worker); do echo "state $(state $p)"; done
$R job status | sed 's/.* \(.*\) mode.*/job in \1/'
agent
wait $two
pass go
wait $one
records
kill $agent; wait $agent
"#
        ),
    );
    machine.finish();
    let said = machine.text("said");
    let count = |line: &str| said.lines().filter(|said| *said == line).count();
    // The first one goes on; the second has not run an instruction.
    assert_eq!(count("state T"), 1, "{}", machine.told());
    assert_eq!(count("job in block"), 1, "{}", machine.told());
    assert_eq!(count("one refused"), 1, "{}", machine.told());
    assert_eq!(count("two refused"), 1, "{}", machine.told());
    assert_eq!(count("worker 0"), 2, "{}", machine.told());
    assert_eq!(ground.packets(LATER) + ground.packets(LAST), 0);
    let records = machine.records();
    assert_eq!(records.len(), 2, "{}", machine.told());
    for (record, address) in records.iter().zip([LATER, LAST]) {
        assert!(record.has_ended(), "{}", machine.told());
        let blocked = record.report["blocked"].to_string();
        assert!(blocked.contains(address), "{blocked}");
    }
}

#[test]
fn a_job_whose_attendant_is_gone_stays_fenced_and_gets_another_one() {
    requires!(Root, Netns, Program("unshare"));
    let ground = Ground::new();
    let ns = ground.nameserver();
    let mut machine = Machine::boot(
        &ground,
        &settings(&ground),
        &["one"],
        &format!(
            r#"
cat >$W/step <<'STEP'
$A/net dns-udp {ns} 53 allowed.example; echo named $?
# Nobody's child by the time when the second attendant looks.
(setsid sh -c 'until [ -e $W/go ]; do sleep 0.05; done; $A/net udp-sendto {LAST} 4430; echo stray $?; echo >$W/stray' &)
echo >$W/runs
for i in $(seq 1200); do [ ! -e $W/go ] || break; $A/net udp-sendto {LATER} 4430 || sleep 0.05; done
$A/net dns-udp {ns} 53 allowed.example; echo named again $?
until [ -e $W/stray ]; do sleep 0.05; done
STEP
agent
runner one $W/step & one=$!
stay runs
attendant=$($R job status --json | sed -n 's/.*"attendant": \([0-9]*\),/\1/p')
kill -KILL $attendant
new_one() {{ is_held && [ "$(ls /sys/fs/bpf/runward | grep -vc arrivals)" = 1 ]; }}
until_it new_one
pass go
wait $one
records
ls /sys/fs/bpf/runward | grep -vc arrivals
kill $agent; wait $agent
"#
        ),
    );
    machine.finish();
    let said = machine.text("said");
    for line in ["named 0", "named again 0", "stray 1", "worker 0", "0"] {
        assert!(
            said.lines().any(|said| said == line),
            "{line}: {}",
            machine.told()
        );
    }
    assert_eq!(ground.packets(LATER) + ground.packets(LAST), 0);
    let records = machine.records();
    assert_eq!(records.len(), 2, "{}", machine.told());
    let blocked = records[1].report["blocked"].to_string();
    assert!(blocked.contains(LAST), "{blocked}");
    assert!(!records[0].has_ended(), "it broke off");
    assert!(records[1].has_ended(), "{}", machine.told());
    let notes = records[1].report["notes"].to_string();
    assert!(notes.contains("had an attendant before"), "{notes}");
}

#[test]
fn what_a_pipeline_asked_for_stays_in_force_when_all_who_knew_are_gone() {
    requires!(Root, Netns, Program("unshare"), Program("setsid"));
    let ground = Ground::new();
    let (one, other) = (ground.allowed_v4(), ground.free(7));
    let mut machine = Machine::boot(
        &ground,
        &format!("allowed-endpoints: '{one}:4430 {other}:4430'\n"),
        &["one"],
        &format!(
            r#"
echo "export RUNWARD_EGRESS_POLICY=block RUNWARD_ALLOWED_ENDPOINTS='{one}:4430'" >$W/one/env
cat >$W/step <<'STEP'
for i in $(seq 1200); do $A/net tcp {other} 4430 >/dev/null 2>&1 || break; sleep 0.05; done
# From here on, nothing that runs says whose it is.
bare() {{ exec env -i A=$A W=$W PATH=$PATH sh -c 'until [ -e $W/go ]; do sleep 0.05; done; '"$1"; }}
(bare '$A/net udp-sendto {LATER} 4430; echo stray $?; echo >$W/stray' &)
echo >$W/runs
bare '$A/net udp-sendto {LAST} 4430; echo again $?; $A/net tcp {one} 4430 >/dev/null; echo one $?; until [ -e $W/stray ]; do sleep 0.05; done'
STEP
agent
runner one $W/step & one=$!
stay runs
attendant=$($R job status --json | sed -n 's/.*"attendant": \([0-9]*\),/\1/p')
kill -KILL $agent $attendant; wait $agent
agent
new_one() {{ is_held && [ "$(ls /sys/fs/bpf/runward | grep -vc arrivals)" = 1 ]; }}
until_it new_one
pass go
wait $one
records
kill $agent; wait $agent
"#
        ),
    );
    machine.finish();
    let said = machine.text("said");
    for line in ["again 1", "stray 1", "one 0", "worker 0"] {
        assert!(
            said.lines().any(|said| said == line),
            "{line}: {}",
            machine.told()
        );
    }
    assert_eq!(ground.packets(LATER) + ground.packets(LAST), 0);
    let records = machine.records();
    let [before, after] = records.as_slice() else {
        panic!("{} records: {}", records.len(), machine.told());
    };
    assert!(!before.has_ended(), "it broke off");
    assert!(after.has_ended(), "{}", machine.told());
    assert_eq!(after.report["effective_mode"], "block");
    assert_eq!(after.report["job"]["project"], "example/app");
}

#[test]
fn a_pipelines_variables_tighten_what_the_machine_says() {
    requires!(Root, Netns, Program("unshare"));
    let ground = Ground::new();
    let (one, other) = (ground.allowed_v4(), ground.free(7));
    let mut machine = Machine::boot(
        &ground,
        &format!("allowed-endpoints: '{one}:4430 {other}:4430'\n"),
        &["one", "two", "three"],
        &format!(
            r#"
echo "export RUNWARD_EGRESS_POLICY=block RUNWARD_ALLOWED_ENDPOINTS='{one}:4430 {LATER}:4430'" >$W/one/env
echo "export RUNWARD_EGRESS_POLICY=blok" >$W/three/env
# More than the kernel side keeps, before the policy.
echo "export AAA=\$(head -c 60000 /dev/zero | tr '\\0' a)" | cat - $W/one/env >$W/long && mv $W/long $W/one/env
cat >$W/step <<'STEP'
n=$(basename ${{GITHUB_WORKSPACE%%/_work*}})
sleep 1
for at in {one} {other} {LATER}; do $A/net tcp $at 4430 >/dev/null 2>&1 && c=0 || c=$?; echo $n $at $c; done
sh -c 'RUNWARD_EGRESS_POLICY=audit GITHUB_REPOSITORY=other/app sleep 0.1'
$R job status
until [ -e $W/seen ]; do sleep 0.05; done
STEP
shows_both() {{ modes=$($R agent status | grep -o '[a-z]* mode, process' | sort -u | wc -l); [ $modes = 2 ]; }}
agent
for n in one two three; do runner $n $W/step & eval $n=$!; done
until_it shows_both
pass seen
wait $one $two $three
records
kill $agent; wait $agent
"#
        ),
    );
    machine.finish();
    let said = machine.text("said");
    let table = [
        ("one", one.to_string(), 0),
        ("one", other.to_string(), 1),
        ("one", LATER.to_owned(), 1),
        ("two", one.to_string(), 0),
        ("two", other.to_string(), 0),
    ];
    for (job, address, code) in table {
        let line = format!("{job} {address} {code}");
        assert!(
            said.lines().any(|said| said == line),
            "{line}: {}",
            machine.told()
        );
    }
    // Nobody knows what it wanted.
    assert!(!said.contains("three "), "{}", machine.told());
    assert!(said.contains("worker 137"), "{}", machine.told());
    let records = machine.records();
    let mut modes: Vec<String> = Vec::new();
    for record in &records {
        assert!(record.has_ended(), "{}", machine.told());
        let report = &record.report;
        modes.push(report["effective_mode"].as_str().unwrap().to_owned());
        if report["exit_code"] != 0 {
            continue;
        }
        assert_eq!(report["job"]["project"], "example/app", "{}", report["job"]);
        assert_eq!(report["job"]["pipeline"], ".github/workflows/ci.yml");
        assert_eq!(report["job"]["run"], "4711");
        assert_eq!(report["job"]["attempt"], 2);
        let Body::JobStart(start) = &record.events[0].body else {
            panic!("{:?}", record.events[0]);
        };
        assert_eq!(start.identity.job.as_deref(), Some("build"));
        for (event, number) in record.events.iter().zip(1..) {
            assert_eq!(event.seq, number);
        }
    }
    modes.sort_unstable();
    assert_eq!(modes, ["audit", "audit", "block"], "{}", machine.told());
}

#[test]
fn a_job_hands_its_policy_over_once() {
    requires!(Root, Netns, Program("unshare"));
    let ground = Ground::new();
    let (one, other) = (ground.allowed_v4(), ground.free(7));
    let mut machine = Machine::boot(
        &ground,
        "egress-policy: audit\n",
        &["one"],
        &format!(
            r#"
echo 'egress-policy: audit' >$W/second.yml
cat >$W/step <<'STEP'
call() {{ $A/net tcp $1 4430 >/dev/null 2>&1 && c=0 || c=$?; echo call $1 $c; }}
start() {{ $R job start "$@" && c=0 || c=$?; echo start $c; }}
call {other}
start --no-diff
start --lockdown no-such-detection
start --egress-policy blok
start --egress-policy block --allowed-endpoints '{one}:4430' --fail-on agent-tampered
sleep 1
call {one}
call {other}
start --policy $W/second.yml
call {other}
$R job status | grep -o '[a-z]* mode'
$R job end --quiet --summary $W/summary.md && c=0 || c=$?
echo end $c
STEP
agent
runner one $W/step
records
kill $agent; wait $agent
"#
        ),
    );
    machine.finish();
    let said = machine.text("said");
    let told: Vec<String> = said
        .lines()
        .filter(|line| {
            ["call ", "start ", "end ", "block "]
                .iter()
                .any(|word| line.starts_with(word))
        })
        .map(|line| {
            line.replace(&one.to_string(), "one")
                .replace(&other.to_string(), "other")
        })
        .collect();
    let want = [
        "call other 0",
        "start 125",
        "start 125",
        "start 125",
        "start 0",
        "call one 0",
        "call other 1",
        "start 125",
        "call other 1",
        "block mode",
        "end 86",
    ];
    assert_eq!(told, want, "{}", machine.told());
    for reason in [
        "too late for --no-diff",
        "no-such-detection",
        "not an egress policy",
        "another one is refused",
    ] {
        assert!(said.contains(reason), "{reason}: {}", machine.told());
    }
    assert!(machine.text("summary.md").contains("agent-tampered"));
    let records = machine.records();
    let [job] = records.as_slice() else {
        panic!("{} records: {}", records.len(), machine.told());
    };
    assert_eq!(job.report["effective_mode"], "block");
    assert!(job.findings().contains(&"agent-tampered"));
    let Body::JobStart(start) = &job.events[0].body else {
        panic!("{:?}", job.events[0]);
    };
    assert_eq!(start.identity.project.as_deref(), Some("example/app"));
    assert_eq!(start.policy.len(), 1);
}

#[test]
fn a_lockdown_that_a_job_hands_over_ends_it_for_what_it_does_and_has_done() {
    requires!(Root, Program("unshare"), Program("setsid"));
    for (done_before, told) in [
        (false, &["start 0", "worker 137"][..]),
        (true, &["before 0", "worker 137"]),
    ] {
        let before = match done_before {
            true => "$A/procs memfd; echo before $?",
            false => "",
        };
        let mut machine = Machine::of(
            Command::new("unshare"),
            "egress-policy: audit\nlockdown: reverse-shell\n",
            &["one"],
            &format!(
                r#"
cat >$W/step <<'STEP'
{before}
setsid sh -c 'sleep 30; echo survived' &
$R job start --lockdown fileless-execution; echo start $?
$A/procs memfd; echo after $?
STEP
agent
runner one $W/step
records
kill $agent; wait $agent
"#
            ),
        );
        machine.finish();
        let said = machine.text("said");
        let is_ours = |line: &&str| {
            let words = ["before ", "start ", "after ", "survived", "worker "];
            words.iter().any(|word| line.starts_with(word))
        };
        let lines: Vec<&str> = said.lines().filter(is_ours).collect();
        assert_eq!(lines, told, "{}", machine.told());
        let records = machine.records();
        let [job] = records.as_slice() else {
            panic!("{} records: {}", records.len(), machine.told());
        };
        let report = &job.report;
        assert_eq!(
            report["lockdown_list"],
            serde_json::json!(["reverse-shell", "fileless-execution"])
        );
        assert_eq!(report["lockdown"]["detection"], "fileless-execution");
        assert_eq!(report["lockdown"]["left"], 0);
        let Body::JobStart(start) = &job.events[0].body else {
            panic!("{:?}", job.events[0]);
        };
        let strengths = start.notes.iter();
        let strengths: Vec<&String> = strengths
            .filter(|note| note.starts_with("In lockdown"))
            .collect();
        let [strength] = strengths.as_slice() else {
            panic!("{strengths:?}");
        };
        assert!(
            strength.contains("reverse-shell, fileless-execution"),
            "{strength}"
        );
    }
}

#[test]
fn the_control_plane_has_a_policy_and_every_record_though_it_was_away() {
    requires!(Root, Program("unshare"));
    let mut server = match Server::find() {
        Ok(server) => server,
        Err(lacking) => return skip(test_name!(), lacking),
    };
    server.start();
    let key = server.key("admin");
    let policy =
        r#"{"name":"strict","text":"egress-policy: block\nallowed-endpoints: [192.0.2.1]\n"}"#;
    let made = server.send("POST", "/api/v1/policies", &key, policy);
    assert!(made.contains(" 201 "), "{made}");
    let attached = server.send("POST", "/api/v1/policies/1/attachments", &key, "{}");
    assert!(attached.contains(" 201 "), "{attached}");
    let mut machine = Machine::of(
        Command::new("unshare"),
        &format!("server: http://127.0.0.1:{}\nkey-file: KEY\n", server.port),
        &["one"],
        r#"
until_it [ -e $W/key ]
sed -i "s|KEY|$W/key|" $W/agent.yml
echo 'sleep 2; $R job status | grep -o "[a-z]* mode"' >$W/step
has_sent() { "$R" agent status --json | grep -q '"waiting": 0'; }
agent
runner one $W/step
until_it is_idle
until_it has_sent
pass first
stay away
runner one $W/step
until_it is_idle
$R agent status --json | grep '"waiting"'
kill -KILL $agent; wait $agent
pass second
stay back
agent
until_it has_sent
ls /var/lib/runward/spool | wc -l
kill $agent; wait $agent
"#,
    );
    fs::write(machine.path("key"), &key).unwrap();
    machine.wait_for("first");
    server.stop();
    fs::write(machine.path("away"), "").unwrap();
    machine.wait_for("second");
    server.start();
    fs::write(machine.path("back"), "").unwrap();
    machine.finish();
    let said = machine.text("said");
    let count = |line: &str| said.lines().filter(|said| said.trim() == line).count();
    assert_eq!(count("block mode"), 2, "{}", machine.told());
    assert_eq!(count("\"waiting\": 1,"), 1, "{}", machine.told());
    assert_eq!(count("0"), 1, "{}", machine.told());
    let mut runs = Vec::new();
    let finished = within(LIMIT, || {
        let answer = server.ask("/api/v1/runs", &key);
        let (_, answer) = answer.split_once("\r\n\r\n").unwrap();
        let answer: Value = serde_json::from_str(answer).unwrap();
        runs.clone_from(answer["runs"].as_array().unwrap());
        runs.iter().all(|run| run["state"] == "finished")
    });
    assert!(finished, "{runs:?}");
    assert_eq!(runs.len(), 2, "{runs:?}");
    for run in &runs {
        assert_eq!(run["effective_mode"], "block", "{run}");
    }
}

/// A process that outlives its job takes a worker's name, and says that it is somebody else's job.
#[test]
fn what_a_job_leaves_behind_begins_no_other() {
    requires!(Root, Netns, Program("unshare"), Program("setsid"));
    let ground = Ground::new();
    let mut machine = Machine::boot(
        &ground,
        &settings(&ground),
        &["one"],
        &format!(
            r#"
cat >$W/fake <<'FAKE'
export GITHUB_ACTIONS=true GITHUB_REPOSITORY=other/app GITHUB_JOB=release
sh -c true
$A/net udp-sendto {LATER} 4430 || echo fake refused
echo >$W/done
FAKE
cat >$W/left <<'LEFT'
for i in $(seq 1200); do [ ! -e $W/over ] || break; sleep 0.05; done
exec $W/one/bin/Runner.Worker $W/fake
LEFT
echo 'setsid sh $W/left &' >$W/step
agent
runner one $W/step
until_it is_idle
pass over
until_it [ -e $W/done ]
records
kill $agent; wait $agent
"#
        ),
    );
    machine.finish();
    assert!(
        machine.text("said").contains("fake refused"),
        "{}",
        machine.told()
    );
    assert_eq!(ground.packets(LATER), 0, "{}", machine.told());
    let records = machine.records();
    let [job] = records.as_slice() else {
        panic!("{} records: {}", records.len(), machine.told());
    };
    assert_eq!(job.report["job"]["project"], "example/app");
}

/// A control plane that takes connections and never says a word is worse than one that is away.
#[test]
fn a_control_plane_that_never_answers_changes_nothing_for_a_job() {
    requires!(Root, Program("unshare"));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut machine = Machine::of(
        Command::new("unshare"),
        &format!("server: http://127.0.0.1:{port}\nkey-file: KEY\n"),
        &["one"],
        r#"
echo no-key >$W/key
sed -i "s|KEY|$W/key|" $W/agent.yml
echo 'echo it runs' >$W/step
agent
for i in 1 2 3; do runner one $W/step; done
$R agent status --json | grep -c '"root"'
kill -KILL $agent
"#,
    );
    machine.finish();
    let said = machine.text("said");
    let count = |line: &str| said.lines().filter(|said| *said == line).count();
    assert_eq!(count("it runs"), 3, "{}", machine.told());
    assert_eq!(count("worker 0"), 3, "{}", machine.told());
    // The jobs are over; their attendants still try to send.
    assert_eq!(count("3"), 1, "{}", machine.told());
}

#[test]
fn a_job_that_cannot_be_fenced_does_not_run() {
    requires!(Root, Netns, Program("unshare"));
    let ground = Ground::new();
    let script = r#"
echo 'echo it runs' >$W/step
agent
mount -t tmpfs -o ro tmpfs /var/lib/runward
runner one $W/step
kill $agent; wait $agent
"#;
    for (mode, ran) in [("block", false), ("audit", true)] {
        let settings = format!("egress-policy: {mode}\n");
        let mut machine = Machine::boot(&ground, &settings, &["one"], script);
        machine.finish();
        let said = machine.text("said");
        assert_eq!(said.contains("it runs"), ran, "{mode}: {}", machine.told());
        let log = machine.text("agent.log");
        let told = match ran {
            true => "effective mode: none",
            false => "can't be fenced, and was ended",
        };
        assert!(log.contains(told), "{mode}: {log}");
    }
}

#[test]
fn settings_that_are_wrong_are_told_and_nothing_begins() {
    requires!(Root);
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("agent.yml");
    for (settings, told) in [
        (
            "egress-policy: blok\n",
            "agent.yml:1:16: write `audit` or `block`",
        ),
        ("allowed-endpoints: 'a..example'\n", "has errors"),
        ("policy: /nowhere/policy.yml\n", "/nowhere/policy.yml"),
        ("lockdown: no-such-detection\n", "no-such-detection"),
        (
            "server: https://runward.example\nkey-file: /nowhere/key\n",
            "/nowhere/key",
        ),
        ("server: https://runward.example\n", "no key for it"),
    ] {
        fs::write(&path, settings).unwrap();
        let mut command = Command::new(binary());
        command.arg("agent").arg("--config").arg(&path);
        let ran = command.env_remove("RUNWARD_API_KEY").output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(125), "{settings}: {said}");
        assert!(said.contains(told), "{settings}: {said}");
    }
}
