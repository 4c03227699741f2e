//! The jobs of GitLab's runner, by their shape. With its shell executor, a shell for each stage, which reads a script that
//! the runner has written: the scripts have the form of the real runner's, version 19. With its docker executor, containers
//! that have the job's variables in their environment.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use runward_event::Body;
use runward_lab::requires;

use super::{FIRST, LAST, LATER, Machine, Record};
use crate::bypass::Ground;
use crate::image::Image;

/// Which of a job's stages runs its own commands.
const SCRIPT: usize = 2;

/// A job that the runner is given.
struct Job<'a> {
    /// The place among those that run at once.
    slot: usize,
    variables: Vec<(&'a str, String)>,
    /// Its own commands.
    script: &'a str,
    after: &'a str,
}

impl<'a> Job<'a> {
    fn new(slot: usize, name: &'a str, allowed: &[Ipv4Addr]) -> Job<'a> {
        let endpoints: Vec<String> = allowed.iter().map(|ip| format!("{ip}:4430")).collect();
        Job {
            slot,
            variables: vec![
                ("CI", "true".to_owned()),
                ("GITLAB_CI", "true".to_owned()),
                ("CI_SERVER_URL", "https://gitlab.example".to_owned()),
                ("CI_PROJECT_PATH", "group/app".to_owned()),
                ("CI_PIPELINE_ID", "4711".to_owned()),
                ("CI_JOB_ID", (100 + slot).to_string()),
                ("CI_JOB_NAME", name.to_owned()),
                ("CI_PROJECT_DIR", "/builds/group/app".to_owned()),
                ("CI_COMMIT_MESSAGE", "It's\na \"test\" of $HOME".to_owned()),
                ("RUNWARD_EGRESS_POLICY", "block".to_owned()),
                ("RUNWARD_ALLOWED_ENDPOINTS", endpoints.join(" ")),
            ],
            script: "",
            after: "",
        }
    }

    fn name(&self) -> &str {
        let name = self
            .variables
            .iter()
            .find(|(name, _)| *name == "CI_JOB_NAME");
        name.map_or("", |(_, name)| name)
    }

    fn temporary(&self) -> String {
        format!("@W@/builds/t3_x/{}/group/app.tmp", self.slot)
    }

    /// What every script but the first begins with.
    fn exports(&self) -> String {
        let temporary = self.temporary();
        let mut script = String::new();
        for (name, value) in &self.variables {
            let _ = writeln!(script, "export {name}={}", quoted(value));
        }
        script
            + &format!(
                "export GITLAB_ENV=\"{temporary}/gitlab_runner_env\"\nmkdir -p \"{temporary}\"\ntouch \"{temporary}/gitlab_runner_env\"\nwhile read -r line; do export \"$line\"; done < \"{temporary}/gitlab_runner_env\"\n"
            )
    }

    /// The scripts of its stages, in order.
    fn stages(&self) -> Vec<String> {
        let temporary = self.temporary();
        let project = temporary.trim_end_matches(".tmp");
        let remove = format!(
            "rm \"-f\" \"{temporary}/gitlab_runner_env\"\nrm \"-f\" \"{temporary}/masking.db\"\n"
        );
        let own = |commands: &str| format!("{}cd \"{project}\"\n{commands}\n", self.exports());
        let sources = format!("mkdir -p \"{project}\"\ngit init --quiet \"{project}\"\n");
        [
            format!("echo \"Running on $(hostname) via $(hostname)...\"\n{remove}"),
            self.exports() + &sources,
            own(self.script),
            own(self.after),
            self.exports() + &remove,
        ]
        .map(|inner| whole(&inner))
        .into()
    }
}

/// As the runner quotes for bash. What the test's own shell is to fill in stays.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "\\'");
    format!("$'{}'", text.replace('\n', "\\n"))
}

fn whole(inner: &str) -> String {
    format!(
        "#!/usr/bin/env bash\n\ntrap exit 1 TERM\n\ncase \"$(set -o)\" in *\"pipefail\"*) set -o pipefail;; esac; set -o errexit\nset +o noclobber\n(trap exit 1 TERM; eval {}) < /dev/null\nexit 0\n",
        quoted(inner)
    )
}

/// What the runner does for a stage: it starts a shell and hands it the script through a pipe.
fn stage(name: &str, script: &str) -> String {
    format!("bash -l <<'SCRIPT' >>$W/said 2>&1\n{script}SCRIPT\necho \"{name} $?\" >>$W/said\n")
}

/// What it does with a job. It has no programs of its own to run between the stages. `before_script`: before the job's own
/// commands.
fn run(name: &str, job: &Job<'_>, before_script: &str) -> String {
    let mut program = String::new();
    for (number, script) in job.stages().iter().enumerate() {
        if number == SCRIPT {
            program += before_script;
        }
        program += &stage(name, script);
    }
    written(name, &program)
}

fn written(name: &str, program: &str) -> String {
    format!("sed \"s#@W@#$W#g\" >$W/{name} <<'PROGRAM'\n{program}PROGRAM\n")
}

fn job_of(record: &Record) -> &str {
    record.report["job"]["job"].as_str().unwrap_or("nameless")
}

fn exit_code(record: &Record) -> Option<i32> {
    record.events.iter().find_map(|event| match &event.body {
        Body::JobEnd(end) => Some(end.exit_code),
        _ => None,
    })
}

/// How many shells the runner has started in a job.
fn stages(record: &Record) -> usize {
    let is_first = |body: &Body| matches!(body, Body::ProcessExec(exec) if exec.parent.is_none());
    let bodies = record.events.iter().map(|event| &event.body);
    bodies.filter(|body| is_first(body)).count()
}

#[test]
fn the_stages_of_a_gitlab_job_are_one_job_under_its_own_policy() {
    requires!(
        Root,
        Netns,
        Program("unshare"),
        Program("bash"),
        Program("git")
    );
    let ground = Ground::new();
    let (one, other) = (ground.allowed_v4(), ground.free(7));
    let calls = |name: &str| {
        format!(
            "for at in {one} {other}; do $A/net tcp $at 4430 >/dev/null 2>&1 && c=0 || c=$?; echo called {name} $at $c; done"
        )
    };
    let (build, test) = (calls("build"), calls("test"));
    let failing = format!("{build}\nexit 3");
    let mut first = Job::new(0, "build", &[one]);
    first.script = &failing;
    first.after = "$A/net tcp 198.51.100.71 4430 >/dev/null 2>&1 || echo after $?";
    let mut second = Job::new(1, "test", &[other]);
    second.script = &test;
    let mut machine = Machine::boot(
        &ground,
        &format!("allowed-endpoints: '{one}:4430 {other}:4430'\n"),
        &[],
        &format!(
            r#"
cp /bin/sh $W/gitlab-runner
{}{}
agent
$W/gitlab-runner $W/build & build=$!
$W/gitlab-runner $W/test
wait $build
records
kill $agent; wait $agent
"#,
            run("build", &first, ""),
            run("test", &second, ""),
        ),
    );
    machine.finish();
    let said = machine.text("said");
    let mut said: Vec<&str> = said
        .lines()
        .filter(|line| {
            ["called ", "after ", "build ", "test "]
                .iter()
                .any(|word| line.starts_with(word))
        })
        .collect();
    said.sort_unstable();
    let mut want = vec![
        "after 1".to_owned(),
        format!("called build {one} 0"),
        format!("called build {other} 1"),
        format!("called test {one} 1"),
        format!("called test {other} 0"),
    ];
    want.extend(["build 0"; 4].map(str::to_owned));
    want.push("build 3".to_owned());
    want.extend(["test 0"; 5].map(str::to_owned));
    want.sort();
    assert_eq!(said, want, "{}", machine.told());
    assert_eq!(ground.packets(FIRST), 0, "{}", machine.told());
    let records = machine.records();
    let mut rows: Vec<_> = records
        .iter()
        .map(|record| (job_of(record), stages(record), exit_code(record)))
        .collect();
    rows.sort_unstable();
    let want = [("build", 5, Some(3)), ("test", 5, Some(0))];
    assert_eq!(rows, want, "{}", machine.told());
    for record in &records {
        assert_eq!(record.report["effective_mode"], "block");
        assert_eq!(record.report["job"]["project"], "group/app");
        let refused = match job_of(record) {
            "build" => other,
            _ => one,
        };
        let blocked = record.report["blocked"].to_string();
        assert!(blocked.contains(&refused.to_string()), "{blocked}");
    }
}

#[test]
fn an_agent_that_follows_finds_a_gitlab_job_between_two_stages() {
    requires!(
        Root,
        Netns,
        Program("unshare"),
        Program("bash"),
        Program("git")
    );
    let ground = Ground::new();
    let one = ground.allowed_v4();
    let script = format!(
        "$A/net tcp {one} 4430 >/dev/null; echo one $?; $A/net tcp {LATER} 4430 2>/dev/null || echo later $?"
    );
    let mut job = Job::new(0, "build", &[one]);
    job.script = &script;
    let mut machine = Machine::boot(
        &ground,
        "",
        &[],
        &format!(
            r#"
cp /bin/sh $W/gitlab-runner
mkfifo $W/go
{}
agent
$W/gitlab-runner $W/build & build=$!
stay between
kill -KILL $agent; wait $agent
agent
echo >$W/go
wait $build
records
kill $agent; wait $agent
"#,
            run("build", &job, "echo >$W/between; read go <$W/go\n"),
        ),
    );
    machine.finish();
    let said = machine.text("said");
    for line in ["one 0", "later 1"] {
        assert!(
            said.lines().any(|said| said == line),
            "{line}: {}",
            machine.told()
        );
    }
    assert_eq!(ground.packets(LATER), 0, "{}", machine.told());
    let records = machine.records();
    let rows: Vec<_> = records
        .iter()
        .map(|record| (job_of(record), stages(record), record.has_ended()))
        .collect();
    assert_eq!(rows, [("build", 5, true)], "{}", machine.told());
}

/// A job of the same runner, and one of another runner, have the folder of a job that runs.
#[test]
fn no_gitlab_job_gets_into_another_one_whose_place_it_claims() {
    requires!(
        Root,
        Netns,
        Program("unshare"),
        Program("bash"),
        Program("git")
    );
    let ground = Ground::new();
    let one = ground.allowed_v4();
    let own = format!(
        "echo >$W/inside; until [ -e $W/go ]; do sleep 0.05; done; $A/net tcp {one} 4430 >/dev/null; echo own $?"
    );
    let mut build = Job::new(0, "build", &[one]);
    build.script = &own;
    let mut same = Job::new(0, "same", &[one]);
    let call = format!("$A/net tcp {LATER} 4430 2>/dev/null || echo same $?");
    same.script = &call;
    let mut other = Job::new(0, "other", &[one]);
    let call = format!("$A/net tcp {LAST} 4430 2>/dev/null || echo other $?");
    other.script = &call;
    let [first, sources, script, rest @ ..] = &build.stages()[..] else {
        panic!("too few stages");
    };
    let mut program = stage("build", first) + &stage("build", sources);
    program += &stage("build", script).replacen("2>&1\n", "2>&1 &\n", 1);
    program += "read go <$W/claim\n";
    program.extend(same.stages().iter().map(|script| stage("same", script)));
    program += "echo >$W/go; wait\n";
    program.extend(rest.iter().map(|script| stage("build", script)));
    let mut machine = Machine::boot(
        &ground,
        &format!("egress-policy: block\nallowed-endpoints: '{one}:4430'\n"),
        &[],
        &format!(
            r#"
cp /bin/sh $W/gitlab-runner
mkfifo $W/claim
{}{}
agent
$W/gitlab-runner $W/build & build=$!
stay inside
$W/gitlab-runner $W/other
echo >$W/claim
wait $build
records
kill $agent; wait $agent
"#,
            written("build", &program),
            run("other", &other, ""),
        ),
    );
    machine.finish();
    let said = machine.text("said");
    for line in ["own 0", "same 1", "other 1"] {
        assert!(
            said.lines().any(|said| said == line),
            "{line}: {}",
            machine.told()
        );
    }
    let log = machine.text("agent.log");
    assert!(
        log.contains("of which another one still runs"),
        "{}",
        machine.told()
    );
    assert_eq!(ground.packets(LATER) + ground.packets(LAST), 0);
    let records = machine.records();
    let with_call = |address: &str| -> Vec<&str> {
        let blocked = |record: &&Record| record.report["blocked"].to_string().contains(address);
        records.iter().filter(blocked).map(job_of).collect()
    };
    assert_eq!(with_call(LATER), ["same"], "{}", machine.told());
    assert_eq!(with_call(LAST), ["other"], "{}", machine.told());
    let of_other = records.iter().find(|record| job_of(record) == "other");
    assert_eq!(of_other.map(stages), Some(5), "{}", machine.told());
    assert!(records.iter().all(Record::has_ended), "{}", machine.told());
}

#[test]
fn no_stage_follows_in_a_gitlab_job_that_was_ended() {
    requires!(
        Root,
        Netns,
        Program("unshare"),
        Program("bash"),
        Program("git")
    );
    let ground = Ground::new();
    let mut job = Job::new(0, "build", &[ground.allowed_v4()]);
    job.variables
        .push(("RUNWARD_EGRESS_POLICY", "blok".to_owned()));
    job.script = "echo ran >>$W/said";
    job.after = "echo ran >>$W/said";
    let mut machine = Machine::boot(
        &ground,
        "",
        &[],
        &format!(
            r#"
cp /bin/sh $W/gitlab-runner
{}
agent
$W/gitlab-runner $W/build
records
kill $agent; wait $agent
"#,
            run("build", &job, ""),
        ),
    );
    machine.finish();
    let said = machine.text("said");
    assert!(!said.contains("ran\n"), "{}", machine.told());
    let killed = said.lines().filter(|line| *line == "build 137").count();
    assert!(killed >= 3, "{}", machine.told());
    let log = machine.text("agent.log");
    assert!(
        log.contains("begins a stage of a job that was ended"),
        "{}",
        machine.told()
    );
    let records = machine.records();
    let rows: Vec<_> = records
        .iter()
        .map(|record| (record.has_ended(), record.findings().len()))
        .collect();
    assert_eq!(rows.len(), 1, "{}", machine.told());
    assert!(rows[0].0, "{}", machine.told());
}

/// What the runner does with docker: it has no part in the containers but that it asked for them. `contain JOB
/// PROGRAM ARGUMENT` runs one of a job.
fn docker(image: &Image, jobs: &[&Job<'_>]) -> String {
    let mut script = String::new();
    for job in jobs {
        let _ = writeln!(script, "cat >$W/{}.env <<'VARIABLES'", job.name());
        for (name, value) in &job.variables {
            let _ = writeln!(script, "{name}={}", value.replace('\n', " "));
        }
        script += "VARIABLES\n";
    }
    script
        + &format!(
            "contain() {{ env CONTAINERS_CONF={} podman --root {} --runroot {} --tmpdir {} run --rm --network host --env-file $W/$1.env --volume $A:/actors:ro --volume $W:/w --volume $W/builds:/builds --rootfs {} $2 ${{3+\"$3\"}} >>$W/said 2>&1; }}\n",
            image.place("containers.conf"),
            image.place("store"),
            image.place("run"),
            image.place("tmp"),
            image.place("root"),
        )
}

#[test]
fn the_containers_of_a_gitlab_job_are_one_job_under_its_own_policy() {
    requires!(
        Root,
        Netns,
        Program("unshare"),
        Program("podman"),
        Program("runc"),
        Program("busybox")
    );
    let ground = Ground::new();
    let image = Image::new();
    for folder in ["actors", "w", "builds"] {
        fs::create_dir(image.place(&format!("root/{folder}"))).unwrap();
    }
    let (one, other) = (ground.allowed_v4(), ground.free(7));
    let named = image.place("root/gitlab-runner");
    fs::write(
        &named,
        format!("#!/bin/sh\n/actors/net udp-sendto {LAST} 4430 >/dev/null || echo named $?\n"),
    )
    .unwrap();
    fs::set_permissions(&named, Permissions::from_mode(0o755)).unwrap();
    let jobs = [Job::new(0, "build", &[one]), Job::new(1, "test", &[other])];
    let calls = |name: &str| {
        format!(
            "for at in {one} {other}; do /actors/net tcp $at 4430 >/dev/null 2>&1 && c=0 || c=$?; echo called {name} $at $c; done"
        )
    };
    let mut machine = Machine::boot(
        &ground,
        &format!("allowed-endpoints: '{one}:4430 {other}:4430'\n"),
        &[],
        &format!(
            r#"
{docker}
# A container of the job is held by another attendant than before.
is_followed() {{ [ "$(grep -c ' is build of ' $W/agent.log)" = 2 ]; }}
agent
mkdir $W/builds
contain build '/bin/sh -c' '/actors/net tcp {other} 4430 >/dev/null 2>&1 || echo first $?; mkdir -p /builds/group/app; : >/builds/group/app/new'
contain build '/bin/sh -c' 'until [ -e /w/over ]; do sleep 0.05; done; /actors/net udp-sendto {LATER} 4430 >/dev/null || echo service $?' & service=$!
contain build '/bin/sh -c' 'until [ -e /w/over ]; do sleep 0.05; done; /actors/net udp-sendto {LAST} 4430 >/dev/null || echo other service $?' & other=$!
# A name that only the runner itself has.
contain build /gitlab-runner
contain test '/bin/sh -c' '{test}'
contain build '/bin/sh -c' '{build}; exit 3' || echo build $?
# Nobody is left who knows that the two that run are of one job.
kill -KILL $agent $($R job status --json | sed -n 's/.*"attendant": \([0-9]*\),/\1/p'); wait $agent
agent
until_it is_followed
pass over
wait $service $other
records
kill $agent; wait $agent
"#,
            docker = docker(&image, &[&jobs[0], &jobs[1]]),
            build = calls("build"),
            test = calls("test"),
        ),
    );
    machine.finish();
    let said = machine.text("said");
    for line in [
        "first 1".to_owned(),
        "service 1".to_owned(),
        "other service 1".to_owned(),
        "named 1".to_owned(),
        "build 3".to_owned(),
        format!("called build {one} 0"),
        format!("called build {other} 1"),
        format!("called test {one} 1"),
        format!("called test {other} 0"),
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "{line}: {}",
            machine.told()
        );
    }
    let packets = ground.packets(LATER) + ground.packets(LAST);
    assert_eq!(packets, 0, "{}", machine.told());
    let records = machine.records();
    let mut rows: Vec<_> = records
        .iter()
        .map(|record| {
            let Some(Body::JobStart(start)) = record.events.first().map(|event| &event.body) else {
                panic!("no beginning: {}", machine.told());
            };
            (
                start.identity.job.clone().unwrap_or_default(),
                record.has_ended(),
                stages(record),
            )
        })
        .collect();
    rows.sort();
    let row = |job: &str, has_ended, containers| (job.to_owned(), has_ended, containers);
    let want = [
        row("build", false, 5),
        row("build", true, 2),
        row("test", false, 1),
    ];
    assert_eq!(rows, want, "{}", machine.told());
    let mut bodies = records.iter().flat_map(|record| &record.events);
    let is_new =
        |body: &Body| matches!(body, Body::FileCreate(file) if file.path == "group/app/new");
    assert!(
        bodies.any(|event| is_new(&event.body)),
        "{}",
        machine.told()
    );
}
