//! Jobs that somebody else started: `runward job` from inside of them, and the attendant that holds them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use runward_event::{Act, Body, Event, parse_line};
use runward_lab::{actor, requires};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bed::{LIMIT, binary, mount_bpffs, within};
use crate::bypass::Ground;

/// Addresses that no policy of these tests names, and what sends to each.
const OLD_THREAD: &str = "198.51.100.66";
const OLD_CHILD: &str = "198.51.100.67";
const NEW_CHILD: &str = "198.51.100.68";
/// Where fences are pinned.
const PINS: &str = "/sys/fs/bpf/runward";
/// How soon a job must be watched, in a build that is not optimised and on a machine that others use.
const SOON: Duration = Duration::from_secs(10);

/// A script that runs as somebody's job, and a folder for what it says.
pub(crate) struct Script {
    folder: tempfile::TempDir,
    pub(crate) shell: Child,
}

impl Script {
    /// `$R` is the program, `$A` the actors, `$W` the folder. `pass NAME` tells the test that the script has come so far,
    /// `stay NAME` waits until the test lets it go on.
    pub(crate) fn start(mut shell: Command, text: &str) -> Script {
        mount_bpffs();
        let folder = tempfile::TempDir::new().unwrap();
        let actors = actor("net").parent().unwrap().to_path_buf();
        let head = format!(
            "R={} A={} W={}\nexport R A W RUNWARD_LAB_PATIENCE=1\npass() {{ echo >$W/$1; }}\nstay() {{ while [ ! -e $W/$1 ]; do sleep 0.05; done; }}\n",
            binary().display(),
            actors.display(),
            folder.path().display()
        );
        let path = folder.path().join("script");
        fs::write(&path, head + text).unwrap();
        let said = fs::File::create(folder.path().join("said")).unwrap();
        shell
            .arg(&path)
            .current_dir(folder.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        for name in ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "SUDO_UID", "SUDO_GID"] {
            shell.env_remove(name);
        }
        Script {
            shell: shell.spawn().unwrap(),
            folder,
        }
    }

    fn here(text: &str) -> Script {
        Script::start(Command::new("sh"), text)
    }

    pub(crate) fn in_lab(ground: &Ground, text: &str) -> Script {
        Script::start(ground.lab.command("sh"), text)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    pub(crate) fn wait_for(&self, name: &str) {
        let there = within(LIMIT, || self.path(name).exists());
        assert!(there, "the script comes to {name}: {}", self.said());
    }

    pub(crate) fn let_go(&self, name: &str) {
        fs::write(self.path(name), "").unwrap();
    }

    /// How many lines a file of the script has.
    fn lines(&self, name: &str) -> usize {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().count()
    }

    fn wait_for_more(&self, name: &str, more: usize) {
        let wanted = self.lines(name) + more;
        let come = within(LIMIT, || self.lines(name) >= wanted);
        assert!(come, "the script goes on with {name}: {}", self.said());
    }

    /// Waits for the script's end, and until its attendant has ended too.
    fn finish(&mut self) -> i32 {
        let status = self.shell.wait().unwrap();
        if let Some(attendant) = self.attendant() {
            let gone = || !PathBuf::from(format!("/proc/{attendant}")).exists();
            assert!(within(LIMIT, gone), "the attendant ends: {}", self.said());
        }
        status.code().unwrap_or(-1)
    }

    /// The attendant's process id, which is the job's name.
    fn attendant(&self) -> Option<u32> {
        let said = self.said();
        let (_, rest) = said.split_once("runward: job ")?;
        rest.split_whitespace().next()?.parse().ok()
    }

    fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(self.path("report/events.jsonl")).unwrap();
        text.lines().map(|line| parse_line(line).unwrap()).collect()
    }

    fn report(&self) -> Value {
        let text = fs::read(self.path("report/report.json"))
            .unwrap_or_else(|error| panic!("no report ({error}): {}", self.said()));
        serde_json::from_slice(&text).unwrap()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Whatever the test found, the script must come to its end.
        for name in ["go", "leave", "stop"] {
            let _ = fs::write(self.path(name), "");
        }
        let ended = || matches!(self.shell.try_wait(), Ok(Some(_)));
        if !within(Duration::from_secs(20), ended) {
            let _ = self.shell.kill();
            let _ = self.shell.wait();
        }
    }
}

fn pins_of(pid: u32) -> usize {
    let folders = fs::read_dir(PINS).into_iter().flatten().flatten();
    let own = format!("{pid}-");
    folders
        .filter(|folder| folder.file_name().to_string_lossy().starts_with(&own))
        .count()
}

fn findings(report: &Value) -> Vec<String> {
    let found = report["detections"].as_array().unwrap().iter();
    found
        .map(|found| found["detection"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_ran_before_a_job_is_fenced_with_it() {
    requires!(Root, Netns);
    let ground = Ground::new();
    let policy = ground.policy();
    let allowed = ground.allowed_v4();
    let mut job = Script::in_lab(
        &ground,
        &format!(
            "
$A/evade udp-headless {OLD_THREAD} 4430 200 >/dev/null &
headless=$!
(while [ ! -e $W/stop ]; do
    $A/net udp-sendto {OLD_CHILD} 4430
    $A/net tcp {allowed} 4430
    echo >>$W/rounds
    sleep 0.1
done) >/dev/null 2>&1 &
loop=$!
stay go
$R job start --report $W/report --egress-policy block --allowed-endpoints '{policy}' || exit
pass started
stay leave
$A/net udp-sendto {NEW_CHILD} 4430; echo new $?
sh -c '$A/net udp-sendto {NEW_CHILD} 4430; echo newer $?'
$A/net tcp {allowed} 4430; echo allowed $?
$A/net tcp allowed.example 4430; echo named $?
$R job end; echo end $?
pass ended
stay stop
wait $loop
kill $headless
"
        ),
    );
    job.wait_for_more("rounds", 3);
    let gets_out = || ground.packets(OLD_THREAD) > 3 && ground.packets(OLD_CHILD) > 1;
    assert!(within(LIMIT, gets_out), "before, it gets out");
    job.let_go("go");
    job.wait_for("started");
    // What was on its way.
    thread::sleep(Duration::from_millis(500));
    let before = (ground.packets(OLD_THREAD), ground.packets(OLD_CHILD));
    let allowed_before = ground.bytes_at(allowed.into());
    job.wait_for_more("rounds", 5);
    job.let_go("leave");
    job.wait_for("ended");
    let after = (ground.packets(OLD_THREAD), ground.packets(OLD_CHILD));
    assert_eq!(after, before, "who ran before sends nothing more");
    assert_eq!(ground.packets(NEW_CHILD), 0, "who came later neither");
    assert!(
        ground.bytes_at(allowed.into()) > allowed_before,
        "what is allowed passes"
    );
    let said = job.said();
    for line in ["new 1", "newer 1", "allowed 0", "end 0"] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    let early = job.report();
    assert_eq!(early["effective_mode"], "block");
    assert_eq!(early["complete"], true);

    job.let_go("stop");
    assert_eq!(job.finish(), 0, "{}", job.said());
    let events = job.events();
    assert!(matches!(
        events.last().map(|event| &event.body),
        Some(Body::JobEnd(_))
    ));
    let adopted: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.body {
            Body::ProcessExec(exec) if exec.facts.adopted => Some(exec.exe.clone()),
            _ => None,
        })
        .collect();
    // The script's shell, the one of the loop, and the actor without its first thread.
    assert!(adopted.len() >= 3, "{adopted:?}");
    assert!(
        adopted.iter().any(|exe| exe.ends_with("/evade")),
        "{adopted:?}"
    );
    let ours = |event: &&Event| match &event.body {
        Body::ProcessExec(exec) => exec.args.iter().any(|arg| arg == "__attend"),
        _ => false,
    };
    assert_eq!(events.iter().find(ours), None, "the attendant is outside");
    let blocked = job.report()["blocked"].to_string();
    for address in [OLD_THREAD, OLD_CHILD, NEW_CHILD] {
        assert!(blocked.contains(address), "{address}: {blocked}");
    }
}

#[test]
fn two_jobs_at_once_have_each_its_own_policy() {
    requires!(Root, Netns);
    let ground = Ground::new();
    let (one, other) = (ground.allowed_v4(), ground.free(7));
    let script = |mine: IpAddr| {
        format!(
            "
$R job start --report $W/report --egress-policy block --allowed-endpoints '{mine}:4430' || exit
pass started
stay go
for at in {one} {other}; do $A/net tcp $at 4430; echo $at $?; done
$R job status
$R job end --quiet
"
        )
    };
    let mut jobs = [one, other].map(|mine| Script::in_lab(&ground, &script(mine.into())));
    for job in &jobs {
        job.wait_for("started");
    }
    for job in &jobs {
        job.let_go("go");
    }
    for (job, (mine, others)) in jobs.iter_mut().zip([(one, other), (other, one)]) {
        assert_eq!(job.finish(), 0, "{}", job.said());
        let said = job.said();
        assert!(said.contains(&format!("{mine} 0")), "{said}");
        assert!(said.contains(&format!("{others} 1")), "{said}");
        let statuses = said.lines().filter(|line| line.contains(" mode, process "));
        assert_eq!(statuses.count(), 1, "each knows of its own job: {said}");
        let report = job.report();
        let blocked = report["blocked"].to_string();
        assert!(blocked.contains(&others.to_string()), "{blocked}");
        assert!(!blocked.contains(&mine.to_string()), "{blocked}");
    }
}

#[test]
fn a_second_policy_is_refused_and_told() {
    requires!(Root);
    let mut job = Script::here(
        "
$R job start --report $W/report --fail-on agent-tampered || exit
$R job start --report $W/other --egress-policy block; echo second $?
sh -c 'for i in 1 2 3; do $R job start --report $W/other --egress-policy audit; done'
$R job status
$R job end; echo end $?
",
    );
    assert_eq!(job.finish(), 0, "{}", job.said());
    let said = job.said();
    assert!(said.contains("second 125"), "{said}");
    assert!(said.contains("another one is refused"), "{said}");
    assert!(said.contains("audit mode, process"), "{said}");
    assert!(said.contains("end 86"), "--fail-on: {said}");
    assert!(!job.path("other").exists(), "nothing of it began");
    let refused = job.events();
    let refused = refused.iter().filter(
        |event| matches!(&event.body, Body::Tamper(tamper) if tamper.act == Act::Policy && tamper.prevented),
    );
    assert_eq!(refused.count(), 4);
    assert!(
        findings(&job.report()).contains(&"agent-tampered".to_owned()),
        "{}",
        job.report()
    );
}

#[test]
fn a_fence_outlives_its_attendant() {
    requires!(Root, Netns);
    let ground = Ground::new();
    let allowed = ground.allowed_v4();
    let mut job = Script::in_lab(
        &ground,
        &format!(
            "
$R job start --report $W/report --egress-policy block --allowed-endpoints '{allowed}:4430' || exit
pass started
stay go
$A/net udp-sendto {NEW_CHILD} 4430; echo new $?
$A/net tcp {allowed} 4430; echo allowed $?
$R job end; echo end $?
"
        ),
    );
    job.wait_for("started");
    let attendant = job.attendant().unwrap();
    assert_eq!(pins_of(attendant), 1);
    let pid = Pid::from_raw(i32::try_from(attendant).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    job.let_go("go");
    job.shell.wait().unwrap();
    let said = job.said();
    assert!(said.contains("new 1"), "{said}");
    assert!(said.contains("allowed 0"), "{said}");
    assert!(said.contains("end 1"), "there is nobody to ask: {said}");
    assert_eq!(ground.packets(NEW_CHILD), 0);
    let cleaned = within(LIMIT, || {
        let clean = Command::new(binary()).args(["doctor", "--clean"]).output();
        clean.is_ok() && pins_of(attendant) == 0
    });
    assert!(cleaned, "nobody needs it any more");
    let socket = format!("/run/runward/jobs/{attendant}.sock");
    // A killed one removes nothing itself.
    let mut next = Script::here("$R job start --report $W/report\n");
    assert_eq!(next.finish(), 0, "{}", next.said());
    assert!(!Path::new(&socket).exists(), "the next one does");
}

#[test]
fn a_job_that_cannot_be_fenced_is_left_as_it_was() {
    requires!(Root, Netns, Program("unshare"));
    let ground = Ground::new();
    for (what, setup, options, reason) in [
        (
            "a packet socket of a process from before",
            format!(
                "$A/borrowed hold packet {NEW_CHILD} 4430 9 sleep 600 & kept=$!\nuntil [ \"$(cat /proc/$kept/comm)\" = sleep ]; do sleep 0.05; done"
            ),
            "--allowed-endpoints allowed.example:443",
            "socket of family 17",
        ),
        (
            "a policy with an error",
            String::new(),
            "--allowed-endpoints allowed.example:99999",
            "99999",
        ),
        (
            "the first process of the machine",
            String::new(),
            "--root 1",
            "whole machine",
        ),
        (
            "a process that is gone",
            String::new(),
            "--root 4194304",
            "has ended",
        ),
    ] {
        let mut job = Script::in_lab(
            &ground,
            &format!(
                "
kept=
{setup}
$R job start --report $W/report --egress-policy block {options}; echo start $?
$A/net udp-sendto {NEW_CHILD} 4430; echo sent $?
# Root may end the jobs of other tests, too: not to be seen here.
unshare --mount sh -c 'mount -t tmpfs none /run/runward && $R job end'; echo end $?
[ -z \"$kept\" ] || kill $kept
"
            ),
        );
        job.finish();
        let said = job.said();
        assert!(said.contains("start 125"), "{what}: {said}");
        assert!(said.contains(reason), "{what}: {said}");
        assert!(said.contains("sent 0"), "{what}: nothing is fenced: {said}");
        assert!(said.contains("end 1"), "{what}: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
}

#[test]
fn who_is_no_ancestor_is_no_root_for_a_user_behind_sudo() {
    requires!(Root);
    let mut job = Script::here(
        "
sleep 600 & stranger=$!
SUDO_UID=0 SUDO_GID=0 $R job start --report $W/report --root $stranger; echo start $?
kill $stranger
",
    );
    job.finish();
    let said = job.said();
    assert!(said.contains("start 125"), "{said}");
    assert!(said.contains("has not started this one"), "{said}");
}

#[test]
fn the_root_of_a_job_is_the_worker_of_the_runner() {
    requires!(Root);
    // The listener starts the worker, the worker the shell of each step.
    let mut job = Script::here(
        "
cp \"$(command -v sh)\" $W/Runner.Listener
cp \"$(command -v sh)\" $W/Runner.Worker
cp \"$(command -v sh)\" $W/sudo
echo 'env -i PATH=\"$PATH\" $R job start --report $W/report; exit' >$W/become
cat >$W/worker <<'STEPS'
GITHUB_ACTIONS=true GITHUB_REPOSITORY=acme/app sh -c '$W/sudo $W/become; echo start $?; exit'
sh -c 'true in-a-later-step; /bin/true later; exit'
echo worker $$
sh -c '$R job end --quiet; echo end $?; exit'
STEPS
$W/Runner.Listener -c '$W/Runner.Worker $W/worker; true'
/bin/true outside-of-the-job
",
    );
    assert_eq!(job.finish(), 0, "{}", job.said());
    let said = job.said();
    let root = job.report()["processes"][0]["pid"].to_string();
    assert!(said.contains(&format!("worker {root}")), "{root}: {said}");
    let events = job.events();
    let project = events.iter().find_map(|event| match &event.body {
        Body::JobStart(start) => start.identity.project.clone(),
        _ => None,
    });
    assert_eq!(
        project.as_deref(),
        Some("acme/app"),
        "sudo keeps none of it"
    );
    let ran = |word: &str| {
        events.iter().any(|event| match &event.body {
            Body::ProcessExec(exec) => exec.args.iter().any(|arg| arg == word),
            _ => false,
        })
    };
    assert!(ran("later"), "a later step is of the job");
    assert!(
        !ran("outside-of-the-job"),
        "what the listener does is not of it"
    );
}

#[test]
fn a_job_that_ends_without_a_word_has_its_reports() {
    requires!(Root);
    let mut job = Script::here(
        "exec 9>$W/open\n$R job start --report $W/report || exit\npass started\nstay go\nexit 7\n",
    );
    job.wait_for("started");
    // Somebody may wait for the end of what the script has open.
    let open = |pid: u32| {
        let numbers = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let targets = numbers.filter_map(|number| fs::read_link(number.path()).ok());
        targets
            .filter(|target| target.starts_with(job.folder.path()))
            .collect::<Vec<_>>()
    };
    assert!(open(job.shell.id()).contains(&job.path("open")));
    let kept = open(job.attendant().unwrap());
    assert!(!kept.contains(&job.path("open")), "{kept:?}");
    job.let_go("go");
    assert_eq!(job.finish(), 7);
    let report = job.report();
    assert_eq!(report["exit_code"], 7);
    assert_eq!(report["complete"], true);
    for name in ["report.html", "summary.md", "report.sarif"] {
        assert!(job.path("report").join(name).exists(), "{name}");
    }
    let socket = format!("/run/runward/jobs/{}.sock", job.attendant().unwrap());
    assert!(!Path::new(&socket).exists(), "nothing is left behind");
}

#[test]
fn a_job_in_lockdown_that_was_adopted_is_killed() {
    requires!(Root);
    let mut job = Script::here(
        "
(stay go; $A/procs memfd; sleep 1; pass survived) &
$R job start --report $W/report --lockdown fileless-execution || exit
pass go
sleep 60
",
    );
    assert_eq!(job.finish(), -1, "a signal ended it: {}", job.said());
    assert!(!job.path("survived").exists(), "{}", job.said());
    let report = job.report();
    assert!(
        findings(&report).contains(&"fileless-execution".to_owned()),
        "{report}"
    );
    let killed = job.events();
    let killed = killed
        .iter()
        .filter(|event| matches!(event.body, Body::Lockdown(_)));
    assert_eq!(killed.count(), 1);
}

#[test]
fn clients_that_stall_or_flood_an_attendant_harm_nobody() {
    requires!(Root, Program("setpriv"));
    let mut job = Script::here(
        "
$R job start --report $W/report || exit
pass started
stay go
$R job end --quiet; echo end $?
setpriv --reuid 65534 --regid 65534 --clear-groups $R job end --quiet; echo unprivileged $?
",
    );
    job.wait_for("started");
    let attendant = job.attendant().unwrap();
    let socket = PathBuf::from(format!("/run/runward/jobs/{attendant}.sock"));
    let connect = || {
        let stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    };
    let answer_to = |said: &[u8]| {
        let mut stream = connect();
        // It may have been sent away before it has said all.
        let _ = stream.write_all(said);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    // The test itself is root, and in no job.
    assert!(answer_to(b"{\"request\":\"status\"}\n").contains("\"answer\":\"status\""));
    assert!(
        answer_to(
            b"{\"request\":\"begin\",\"policy\":{\"fail_on\":[],\"lockdown\":[],\"others\":[]}}\n"
        )
        .contains("not_yours")
    );
    for nonsense in [
        &b"\n"[..],
        b"{\"request\":\"end\"}\n",
        b"\xff\xfe\n",
        &[b'x'; 10_000],
    ] {
        let answer = answer_to(nonsense);
        assert!(
            answer.is_empty() || answer.contains("malformed"),
            "{answer}"
        );
    }
    let stalled: Vec<UnixStream> = (0..64)
        .map(|_| {
            let mut stream = connect();
            stream.write_all(b"{\"request\":").unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    assert!(answer_to(b"{\"request\":\"status\"}\n").contains("\"answer\":\"status\""));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    job.let_go("go");
    assert_eq!(job.finish(), 0, "{}", job.said());
    drop(stalled);
    let said = job.said();
    assert!(said.contains("end 0"), "{said}");
    assert!(said.contains("unprivileged 0"), "it is of the job: {said}");
}

#[test]
fn who_is_in_another_job_has_no_business_with_this_one() {
    requires!(Root);
    let mut job = Script::here(
        "
$R job start --report $W/report || exit
pass started
stay leave
",
    );
    job.wait_for("started");
    let id = job.attendant().unwrap();
    let mut other = Script::here(&format!(
        "
$R job start --report $W/report || exit
$R job end --job {id}; echo end $?
$R job end --quiet; echo own $?
"
    ));
    assert_eq!(other.finish(), 0, "{}", other.said());
    let said = other.said();
    assert!(said.contains("end 1"), "{said}");
    assert!(said.contains("not yours"), "{said}");
    assert!(said.contains("own 0"), "{said}");
    assert!(!job.path("report/report.json").exists());
    job.let_go("leave");
    job.finish();
}
