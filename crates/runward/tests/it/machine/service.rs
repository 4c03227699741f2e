//! The agent as its unit starts it, under a real systemd: ready when it says so, restarted when it is killed, and no end of
//! a job that runs.

use std::fs;
use std::path::Path;

use runward_lab::{actor, requires, skip, test_name};
use tempfile::TempDir;

use super::{LATER, Record, settings};
use crate::bed::mount_bpffs;
use crate::bypass::Ground;
use crate::service::{SYSTEMD, boot};

const UNIT: &str = include_str!("../../../../../integrations/systemd/runward-agent.service");
/// What the test changes of the unit: the key of this machine is none of its business, and it must not wait for a boot
/// that never comes.
const DROP_IN: &str =
    "[Unit]\nDefaultDependencies=no\nAfter=\n[Service]\nStandardError=append:FOLDER/agent.log\n";
/// Runs jobs beside it, as a runner would that is another service.
const RUNNER: &str = "[Unit]
DefaultDependencies=no
Wants=runward-agent.service
After=runward-agent.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/sh FOLDER/jobs
StandardOutput=append:FOLDER/said
StandardError=append:FOLDER/said
";
const JOBS: &str = r#"
cd FOLDER
mkdir bin
cp /bin/sh bin/Runner.Worker
cat >job <<'STEP'
echo runs >>runs
for i in $(seq 400); do [ ! -e go ] || break; sleep 0.05; done
./net udp-sendto LATER 4430 || echo refused
STEP
await() { for i in $(seq 400); do "$@" && return; sleep 0.05; done; echo "in vain: $*"; exit 1; }
is_other() { new=$(systemctl show --property MainPID --value runward-agent); [ "$new" != 0 ] && [ "$new" != "$old" ] && runward agent status >/dev/null 2>&1; }
is_idle() { ! runward job status | grep -q ' mode, process '; }
systemctl is-active runward-agent
runward agent status | head -1 | cut -d, -f2
bin/Runner.Worker job & job=$!
await [ -e runs ]
for how in 'kill --signal=KILL --kill-whom=main' restart; do
    old=$(systemctl show --property MainPID --value runward-agent)
    systemctl $how runward-agent
    await is_other
    runward job status | grep -o '[a-z]* mode'
done
touch go
wait $job
echo "job $?"
await is_idle
cp -r /var/lib/runward/spool records
"#;

#[test]
fn the_unit_runs_the_agent_and_an_update_of_it_ends_no_watch() {
    requires!(Root, Netns, Program("unshare"), Program("systemctl"));
    if !Path::new(SYSTEMD).exists() {
        skip(test_name!(), "needs systemd");
        return;
    }
    mount_bpffs();
    let ground = Ground::new();
    let folder = TempDir::new().unwrap();
    let shown = folder.path().display().to_string();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("units/runward-agent.service.d")).unwrap();
    fs::copy(actor("net"), at("net")).unwrap();
    fs::write(at("agent.yml"), settings(&ground)).unwrap();
    let config = UNIT.replace(
        "ExecStart=/usr/bin/runward agent",
        &format!("ExecStart=/usr/bin/runward agent --config {shown}/agent.yml"),
    );
    for (name, text) in [
        ("units/runward-agent.service", config.as_str()),
        ("units/runward-agent.service.d/test.conf", DROP_IN),
        ("units/jobs.service", RUNNER),
        ("jobs", JOBS),
    ] {
        let text = text.replace("FOLDER", &shown).replace("LATER", LATER);
        fs::write(at(name), text).unwrap();
    }
    let ran = boot(&ground.lab, folder.path(), "jobs.service");
    let read = |name: &str| fs::read_to_string(at(name)).unwrap_or_default();
    let said = read("said");
    let told = format!(
        "{said}\n--- agent\n{}\n--- systemd\n{}",
        read("agent.log"),
        ran.stderr
    );
    let mut lines = said.lines();
    for line in ["active", "block mode", "block mode", "refused", "job 0"] {
        assert!(lines.any(|said| said.contains(line)), "{line}: {told}");
    }
    assert_eq!(ground.packets(LATER), 0, "{told}");
    let records: Vec<Record> = fs::read_dir(at("records"))
        .unwrap_or_else(|error| panic!("{error}: {told}"))
        .map(|entry| Record::read(&entry.unwrap().path()))
        .collect();
    let [job] = records.as_slice() else {
        panic!("one record from beginning to end: {told}");
    };
    assert!(job.has_ended(), "{told}");
}
