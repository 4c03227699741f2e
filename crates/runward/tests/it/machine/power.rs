//! What a power cut leaves: the agent, its attendants and the control plane are killed again and again, at any moment, while
//! jobs run. `RUNWARD_CUTS` says how often.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use runward_lab::{requires, skip, test_name};
use serde_json::Value;

use super::schedules::Dice;
use super::{LATER, Machine, settings};
use crate::bed::binary;
use crate::bypass::Ground;

/// How often, unless somebody says otherwise.
const CUTS: usize = 12;
/// Runs on one page of the control plane.
const PAGE: usize = 100;

/// What the machine's script needs beside what every machine has.
const POWER: &str = r#"
serve() { "$S" --data "$W/data" --listen 127.0.0.1:9180 serve >>"$W/server.log" 2>&1 & server=$!; until_it is_served; }
is_served() { curl --silent --fail http://127.0.0.1:9180/readyz >/dev/null; }
attendants() { for p in /proc/[0-9]*; do case "$(cat $p/cmdline 2>/dev/null | tr '\0' ' ')" in *' __attend '*) echo ${p#/proc/};; esac; done; }
cut_all() { kill -KILL $server $agent $(attendants) 2>/dev/null; wait $server $agent; serve; agent; }
cut_agent() { kill -KILL $agent; wait $agent; agent; }
cut_server() { kill -KILL $server; wait $server; serve; }
cut_attendants() { kill -KILL $(attendants) 2>/dev/null || true; }
has_sent() { "$R" agent status --json | grep -q '"waiting": 0'; }
is_empty() { [ -z "$(ls /var/lib/runward/spool)" ]; }
"#;

#[test]
fn nothing_is_lost_doubled_or_unfenced_however_often_the_power_is_cut() {
    requires!(
        Root,
        Netns,
        OwnProcessor,
        Program("unshare"),
        Program("curl")
    );
    if !binary().with_file_name("runward-server").exists() {
        let lacking = "needs runward-server beside runward: cargo build -p runward-server";
        return skip(test_name!(), lacking);
    }
    let cuts = std::env::var("RUNWARD_CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    let seed: u64 = std::process::id().into();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d ^ seed);
    let ground = Ground::new();
    let allowed = ground.allowed_v4();
    let mut script = POWER.to_owned();
    write!(
        script,
        r#"
cat >$W/step <<'STEP'
echo begins >>$W/jobs
for i in 1 2 3; do
    $A/net udp-sendto {LATER} 4430 >/dev/null 2>&1 && echo out >>$W/jobs
    $A/net tcp {allowed} 4430 >/dev/null 2>&1 || echo stopped >>$W/jobs
    sleep 0.1
done
echo ends >>$W/jobs
STEP
"$S" --data "$W/data" admin key --name test --scope admin >$W/key
sed -i "s|KEY|$W/key|" $W/agent.yml
serve
agent
for n in one two; do
    (while [ ! -e $W/over ]; do runner $n $W/step; done) & eval $n=$!
done
"#
    )
    .unwrap();
    for _ in 0..cuts {
        let what = ["all", "all", "agent", "server", "attendants"][dice.below(5)];
        writeln!(script, "sleep 0.{:03}; cut_{what}", dice.below(600)).unwrap();
    }
    script += r#"
pass over
wait $one $two
until_it is_idle
until_it has_sent
until_it is_empty
pass idle
stay read
kill $agent $server; wait $agent
"#;
    let text = settings(&ground) + "server: http://127.0.0.1:9180\nkey-file: KEY\n";
    let mut machine = Machine::boot(&ground, &text, &["one", "two"], &script);
    machine.wait_for("idle");
    let runs = runs(&ground, &machine);
    fs::write(machine.path("read"), "").unwrap();
    machine.finish();

    let told = format!("seed {seed}: {}", machine.told());
    let jobs = machine.text("jobs");
    let count = |word: &str| jobs.lines().filter(|line| *line == word).count();
    assert!(count("begins") > 1, "{told}");
    assert!(!machine.text("said").contains("worker 137"), "{told}");
    assert_eq!(
        count("begins"),
        count("ends"),
        "every job comes to its end: {told}"
    );
    assert_eq!(count("out") + ground.packets(LATER), 0, "{told}");
    let log = machine.text("agent.log");
    let mut named = BTreeSet::new();
    for line in log.lines() {
        let page = [
            "this run on the server: ",
            "a record that waited was sent: ",
        ]
        .iter()
        .find_map(|words| line.split_once(words));
        let Some((_, page)) = page else { continue };
        let (page, events) = page.split_once(" (").unwrap_or((page, ""));
        let run = page.rsplit('/').next().unwrap().to_owned();
        let there = runs
            .get(&run)
            .unwrap_or_else(|| panic!("{run} is lost: {told}"));
        // What was acknowledged is there, once.
        if let Some((events, _)) = events.split_once(' ') {
            let events: u64 = events.replace(',', "").parse().unwrap();
            assert_eq!(*there, events, "{run}: {told}");
        }
        named.insert(run);
    }
    let known: BTreeSet<String> = runs.into_keys().collect();
    assert_eq!(
        known, named,
        "every run on the server is one of ours: {told}"
    );
    println!(
        "{cuts} cuts, {} jobs, {} records, {} with another attendant",
        count("begins"),
        known.len(),
        log.matches("another one follows").count()
    );
}

/// All runs that the control plane has, and how many events of each without a gap.
fn runs(ground: &Ground, machine: &Machine) -> BTreeMap<String, u64> {
    let key = machine.text("key");
    let mut runs = BTreeMap::new();
    let mut next = String::new();
    loop {
        let address = format!("http://127.0.0.1:9180/api/v1/runs?limit={PAGE}{next}");
        let mut command: Command = ground.lab.command("curl");
        command
            .args(["--silent", "--show-error", "--fail", "--header"])
            .arg(format!("authorization: Bearer {}", key.trim()))
            .arg(address);
        let answer = command.output().unwrap();
        assert!(answer.status.success(), "{answer:?} {}", machine.told());
        let page: Value = serde_json::from_slice(&answer.stdout).unwrap();
        for run in page["runs"].as_array().unwrap() {
            let id = run["id"].as_str().unwrap().to_owned();
            let before = runs.insert(id, run["events"].as_u64().unwrap());
            assert_eq!(before, None, "a run is there twice");
        }
        match page["next"].as_str() {
            Some(cursor) => next = format!("&after={cursor}"),
            None => return runs,
        }
    }
}
