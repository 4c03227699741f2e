//! The steps of a job in the shapes in which GitHub's worker starts them: node for an action, bash for a script, and the
//! command line of docker for a container, here in front of podman.

use std::fs;

use runward_lab::requires;
use serde_json::Value;

use super::{FIRST, LAST, LATER, Machine, settings};
use crate::bypass::Ground;
use crate::image::Image;

/// What an action of node's does: it calls by itself, and has a program call.
const ACTION: &str = r"
const { spawnSync } = require('node:child_process');
const [allowed, own, other] = process.argv.slice(2);
console.log('node', spawnSync(`${process.env.A}/net`, ['tcp', allowed, '4430']).status);
console.log('node', spawnSync(`${process.env.A}/net`, ['tcp', other, '4430']).status);
require('node:net').connect(4430, own)
    .on('connect', () => { console.log('node connected'); process.exit(); })
    .on('error', error => console.log('node', error.code));
";

#[test]
fn each_step_is_told_whether_node_bash_or_a_container_runs_it() {
    requires!(
        Root,
        Netns,
        Program("unshare"),
        Program("node"),
        Program("bash"),
        Program("podman"),
        Program("runc"),
        Program("busybox")
    );
    let ground = Ground::new();
    let allowed = ground.allowed_v4();
    let image = Image::new();
    fs::create_dir(image.place("root/actors")).unwrap();
    let mut machine = Machine::boot(
        &ground,
        &settings(&ground),
        &["one"],
        &format!(
            r#"
mkdir $W/path
cat >$W/path/docker <<'DOCKER'
#!/bin/sh
exec env CONTAINERS_CONF={conf} podman --root {store} --runroot {run} --tmpdir {tmp} "$@"
DOCKER
chmod 755 $W/path/docker
cat >$W/action.js <<'ACTION'{ACTION}ACTION
cat >$W/build.sh <<'BUILD'
$A/net tcp {allowed} 4430 >/dev/null; echo bash $?
(set +e; $A/net tcp {LATER} 4430 2>/dev/null; echo bash $?)
BUILD
cat >$W/inside <<'INSIDE'
/actors/net tcp {allowed} 4430 >/dev/null; echo container $?
/actors/net tcp {LAST} 4430 2>/dev/null; echo container $?
INSIDE
cat >$W/one/steps <<'STEPS'
PATH=$W/path:$PATH
GITHUB_ACTION=__actions_checkout node $W/action.js {allowed} {FIRST} {FIRST}
GITHUB_ACTION=build bash --noprofile --norc -e -o pipefail $W/build.sh
GITHUB_ACTION=scan docker run --name scan --rm --workdir /tmp -e GITHUB_ACTION --network host --volume $A:/actors:ro --volume $W/inside:/inside:ro --rootfs {root} /bin/sh /inside
STEPS
agent
runner one nothing
records
kill $agent; wait $agent
"#,
            conf = image.place("containers.conf"),
            store = image.place("store"),
            run = image.place("run"),
            tmp = image.place("tmp"),
            root = image.place("root"),
        ),
    );
    machine.finish();
    let said = machine.text("said");
    let told: Vec<&str> = said
        .lines()
        .filter(|line| {
            ["node ", "bash ", "container ", "worker "]
                .iter()
                .any(|who| line.starts_with(who))
        })
        .collect();
    assert_eq!(
        told,
        [
            "node 0",
            "node 1",
            "node EPERM",
            "bash 0",
            "bash 1",
            "container 0",
            "container 1",
            "worker 0"
        ],
        "{}",
        machine.told()
    );
    let records = machine.records();
    let [job] = records.as_slice() else {
        panic!("{} records: {}", records.len(), machine.told());
    };
    assert_eq!(job.report["job"]["job"], "build", "{}", job.report["job"]);
    let rows = |list: &str| job.report[list].as_array().unwrap().clone();
    let of = |row: &Value, address: &str| row.to_string().contains(address);
    for (address, step) in [
        (FIRST, "__actions_checkout"),
        (LATER, "build"),
        (LAST, "scan"),
    ] {
        let row = rows("blocked").into_iter().find(|row| of(row, address));
        let row = row.unwrap_or_else(|| panic!("{address}: {}", job.report["blocked"]));
        assert_eq!(row["steps"], serde_json::json!([step]), "{row}");
    }
    let allowed = allowed.to_string();
    let row = rows("destinations")
        .into_iter()
        .find(|row| of(row, &allowed));
    let row = row.unwrap_or_else(|| panic!("{}", job.report["destinations"]));
    assert_eq!(
        row["steps"],
        serde_json::json!(["__actions_checkout", "build", "scan"]),
        "{row}"
    );
}
