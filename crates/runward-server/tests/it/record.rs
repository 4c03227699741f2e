//! Records of runs, as agents write them.

use std::net::IpAddr;

use runward_event::{
    Body, Connect, ConnectionId, Event, FORMAT_VERSION, FileChange, JobContext, JobEnd,
    JobIdentity, JobStart, Mode, ProcessExec, ProcessId, Protocol, Provider, Reason, Status, Tier,
    Time, write_line,
};

/// A moment in August 2026, in nanoseconds.
const START: u64 = 1_785_576_612_000_000_000;

/// A run that goes to some destinations; the last one is refused.
pub(crate) struct Recorded {
    pub(crate) project: String,
    pub(crate) job: String,
    pub(crate) destinations: Vec<String>,
    /// Tells runs apart.
    pub(crate) number: u64,
    /// Who the job is; if nothing is said, one of GitLab's on a branch.
    pub(crate) identity: Option<JobIdentity>,
    /// Whether it is a stranger's request, of which nothing becomes normal: what is found is found in every run.
    pub(crate) fork: bool,
    /// Whether the last of the destinations is refused.
    pub(crate) refused: bool,
}

impl Default for Recorded {
    fn default() -> Recorded {
        Recorded {
            project: "group/app".to_owned(),
            job: "test".to_owned(),
            destinations: vec!["packages.example".to_owned(), "evil.example".to_owned()],
            number: 1,
            identity: None,
            fork: true,
            refused: true,
        }
    }
}

impl Recorded {
    pub(crate) fn events(&self) -> Vec<Event> {
        let process = ProcessId(1);
        let mut bodies = vec![self.start(), Body::ProcessExec(Box::new(exec(process)))];
        let last = self.destinations.len().saturating_sub(1);
        for (number, name) in self.destinations.iter().enumerate() {
            let refused = self.refused && number == last;
            bodies.push(Body::Connect(Connect {
                connection: ConnectionId(number as u64 + 1),
                process,
                pid: 100,
                protocol: Protocol::Tcp,
                ip: IpAddr::from([198, 51, 100, 7]),
                port: 443,
                name: Some(name.clone()),
                status: if refused {
                    Status::Blocked
                } else {
                    Status::Allowed
                },
                reason: refused.then_some(Reason::NotAllowed),
                rule: None,
                listed: None,
                v4_mapped: false,
            }));
        }
        bodies.push(Body::FileWrite(Box::new(FileChange {
            process: Some(process),
            pid: 100,
            path: "src/lib.rs".to_owned(),
            from: None,
            tracked: true,
            hash_before: Some("a".repeat(40)),
            hash_after: Some("b".repeat(40)),
            found_at_end: false,
            diff: None,
            no_diff: None,
            mount: None,
            raw: Default::default(),
        })));
        bodies.push(Body::JobEnd(JobEnd {
            exit_code: 0,
            signal: None,
            duration_ns: 5_000_000_000,
            still_running: 0,
            unrecorded_file_changes: 0,
            notes: Vec::new(),
        }));
        let events = (1..).zip(bodies).map(|(seq, body)| Event {
            seq,
            time: Time::from_unix_nanos(START + self.number * 1_000_000_000 + seq * 1_000_000),
            body,
        });
        events.collect()
    }

    fn start(&self) -> Body {
        Body::JobStart(Box::new(JobStart {
            format: FORMAT_VERSION,
            runward: "0.1.0".to_owned(),
            identity: self.identity.clone().unwrap_or_else(|| JobIdentity {
                provider: Provider::Gitlab,
                project: Some(self.project.clone()),
                pipeline: Some(".gitlab-ci.yml".to_owned()),
                job: Some(self.job.clone()),
                branch: Some("main".to_owned()),
                ..JobIdentity::default()
            }),
            context: JobContext {
                fork: Some(self.fork),
                ..JobContext::default()
            },
            args: vec!["make".to_owned(), "test".to_owned()],
            cwd: "/builds/app".to_owned(),
            workspace: "/builds/app".to_owned(),
            tracked_files: Some(10),
            files_watched: true,
            requested_mode: Mode::Block,
            effective_mode: Mode::Block,
            tier: Tier::B,
            kernel: "6.1.0".to_owned(),
            policy: Vec::new(),
            rules: None,
            lockdown: Vec::new(),
            block_lists: Vec::new(),
            resolvers: Vec::new(),
            notes: Vec::new(),
            raw: Default::default(),
        }))
    }

    /// The events from one number to another, as they are sent.
    pub(crate) fn packed(&self, first: usize, last: usize) -> Vec<u8> {
        let mut lines = Vec::new();
        for event in &self.events()[first - 1..last] {
            write_line(&mut lines, event).unwrap();
        }
        zstd::encode_all(lines.as_slice(), 1).unwrap()
    }

    pub(crate) fn len(&self) -> usize {
        self.events().len()
    }
}

fn exec(process: ProcessId) -> ProcessExec {
    ProcessExec {
        process,
        pid: 100,
        parent: None,
        ppid: 1,
        exe: "/usr/bin/make".to_owned(),
        path: "/usr/bin/make".to_owned(),
        args: vec!["make".to_owned(), "<script>alert(1)</script>".to_owned()],
        cwd: "/builds/app".to_owned(),
        uid: 1000,
        gid: 1000,
        cgroup: String::new(),
        container: None,
        env: Default::default(),
        facts: runward_event::ExecFacts::default(),
        truncated: Vec::new(),
        raw: Default::default(),
    }
}
