//! From what the sensor tells to the record and the report.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::sync::Arc;

use runward_detect::Observer;
use runward_event::{
    Body, DnsMessageKind, DnsTransport, Event, EventKind, JobStart, LossReason, Lost, ProcessId,
    Protocol, Reason, Refused, Time, write_line,
};
use runward_policy::{BlockList, Name};
use runward_report::ReportBuilder;
use runward_sensor::{Clock, Loss, SensorEvent};
use runward_tree::Tree;

use crate::Finished;
use crate::container_names::ContainerNames;
use crate::environment::{environment_of, names_a_job};
use crate::fence::JobGate;
use crate::findings::Findings;
use crate::folder::{EVENTS, FolderError, ReportFolder};
use crate::lockdown::Lockdown;
use crate::names::Names;
use crate::pids::Pids;
use crate::refusals::Refusals;

/// How the record calls the answer of the resolver to a question that it refuses.
const NO_SUCH_NAME: &str = "NXDOMAIN";

/// Who is asked who the job is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom {
    /// What this process itself starts.
    ChildrenOf(Option<ProcessId>),
    /// Every process of the job.
    All,
}

/// Numbers events, names connections, writes `events.jsonl` and folds the report, all in one pass.
pub(crate) struct Recorder {
    clock: Clock,
    job: u64,
    seq: u64,
    names: Names,
    pids: Pids,
    report: ReportBuilder,
    /// What the resolver of a fenced job answers by.
    gate: Option<Arc<JobGate>>,
    /// What no job reaches: names the entry of each refusal because of it.
    block_list: Arc<BlockList>,
    refusals: Refusals,
    findings: Findings,
    lockdown: Option<Lockdown>,
    container_names: ContainerNames,
    /// When the job began, once it has.
    began: Option<Time>,
    /// Who is to say in its environment who the job is, until one has.
    asks: Option<Whom>,
    /// What one of them has said.
    environment: Option<Box<[u8]>>,
    out: BufWriter<File>,
    /// Why nothing more is written, and how many events that has cost so far.
    write_failure: Option<(io::Error, u64)>,
}

impl Recorder {
    pub(crate) fn new(
        clock: Clock,
        job: u64,
        events: File,
        gate: Option<Arc<JobGate>>,
        block_list: Arc<BlockList>,
        lockdown: Option<Lockdown>,
    ) -> Recorder {
        Recorder {
            clock,
            job,
            seq: 0,
            names: Names::default(),
            pids: Pids::default(),
            report: ReportBuilder::new(),
            gate,
            block_list,
            refusals: Refusals::default(),
            findings: Findings::default(),
            lockdown,
            container_names: ContainerNames::default(),
            began: None,
            asks: None,
            environment: None,
            out: BufWriter::with_capacity(1 << 16, events),
            write_failure: None,
        }
    }

    /// Has the record looked at by rules of a user's own, too.
    pub(crate) fn look_with(&mut self, observer: Box<dyn Observer>) {
        self.report.look_with(observer);
    }

    /// Has the resolver of a job that was not fenced before told of what is refused from now on.
    pub(crate) fn fence(&mut self, gate: Arc<JobGate>) {
        self.gate = Some(gate);
    }

    /// Wants to know who the job is, from the environment of these processes.
    pub(crate) fn ask(&mut self, whom: Whom) {
        self.asks = Some(whom);
    }

    /// The environment that says who the job is, once.
    pub(crate) fn take_environment(&mut self) -> Option<Box<[u8]>> {
        self.environment.take()
    }

    /// Only the first that says so is believed: everything later may be the job's work.
    fn listen(&mut self, event: &SensorEvent) {
        let Some(whom) = self.asks else { return };
        let (Body::ProcessExec(exec), Some(environment)) = (&event.body, &event.environment) else {
            return;
        };
        if let Whom::ChildrenOf(root) = whom
            && (exec.parent.is_none() || exec.parent != root)
        {
            return;
        }
        // What the kernel side leaves out of a long one could be the policy. A process that is gone by now has brothers.
        let is_cut = exec.truncated.iter().any(|field| field == "env");
        let environment = match is_cut {
            true => environment_of(exec.pid).into(),
            false => environment.clone(),
        };
        if names_a_job(&environment) {
            self.environment = Some(environment);
            self.asks = None;
        }
    }

    /// Takes an event of the sensor.
    pub(crate) fn observe(&mut self, event: SensorEvent) {
        let ours = event.job == Some(self.job);
        if ours {
            self.listen(&event);
            if let Body::ProcessExec(exec) = &event.body {
                self.container_names.see(exec);
            }
        }
        if let Body::Dns(dns) = &event.body {
            self.names.learn(dns, ours.then_some(dns.process));
        }
        if ours {
            let time = self.clock.wall(event.boot_ns);
            let refused = self.refused_question(&event.body);
            self.record(time, event.body);
            if let Some(refused) = refused {
                self.record(time, Body::Refused(refused));
            }
        }
    }

    /// A question that the resolver refuses, by the same policy as here: told when it is asked, or, where it is one of too
    /// many, when it is answered, because only then the resolver has judged it.
    fn refused_question(&self, body: &Body) -> Option<Refused> {
        let Body::Dns(dns) = body else { return None };
        let gate = self.gate.as_ref()?;
        let name = Name::parse(&dns.name).ok();
        let allowed = name.filter(|name| gate.matcher().is_name_allowed(name));
        let listed = self.block_list.name(&dns.name).is_some();
        let reason = match (&dns.message, allowed) {
            (DnsMessageKind::Query, _) if listed => Reason::BlockList,
            (DnsMessageKind::Answer, _) if listed => return None,
            (DnsMessageKind::Query, None) => Reason::NotAllowed,
            (DnsMessageKind::Answer, Some(name))
                if dns.rcode.as_deref() == Some(NO_SUCH_NAME) && gate.is_one_too_many(&name) =>
            {
                Reason::DnsTunnel
            }
            _ => return None,
        };
        Some(Refused {
            connection: None,
            process: dns.process,
            pid: dns.pid,
            protocol: match dns.transport {
                DnsTransport::Tcp => Protocol::Tcp,
                _ => Protocol::Udp,
            },
            ip: dns.ip,
            port: dns.port,
            name: Some(dns.name.clone()),
            reason,
            listed: None,
        })
    }

    /// Records what containers are called, as far as that was read by now.
    pub(crate) fn name_containers(&mut self) {
        for container in self.container_names.take() {
            self.record(self.clock.now(), Body::Container(Box::new(container)));
        }
    }

    /// The same for the last time.
    pub(crate) fn name_last_containers(&mut self) {
        for container in self.container_names.take_last() {
            self.record(self.clock.now(), Body::Container(Box::new(container)));
        }
    }

    /// The process tree so far.
    pub(crate) fn tree(&self) -> &Tree {
        self.report.tree()
    }

    /// What was refused since the last call, in sentences: each destination once.
    pub(crate) fn take_refusals(&mut self) -> Vec<String> {
        self.refusals.take()
    }

    /// What was found since the last call, in sentences.
    pub(crate) fn take_findings(&mut self) -> Vec<String> {
        self.findings.take()
    }

    /// Takes note of lost events.
    pub(crate) fn lose(&mut self, loss: Loss) {
        let Loss {
            kind,
            reason,
            count,
        } = loss;
        self.record(
            self.clock.now(),
            Body::Lost(Lost {
                lost: kind,
                count,
                reason,
            }),
        );
    }

    /// Records something.
    pub(crate) fn record(&mut self, time: Time, mut body: Body) {
        if let Body::Connect(connect) = &mut body {
            connect.name = self
                .names
                .name(connect.ip, connect.process)
                .map(str::to_owned);
        }
        self.name_entry(&mut body);
        if let Body::MemoryAccess(access) = &mut body {
            access.target = self.pids.process(access.target_pid, time);
        }
        self.refusals.observe(&body, self.report.tree());
        self.pids.observe(time, &body);
        if matches!(body, Body::JobStart(_)) {
            self.began = Some(time);
        }
        self.seq += 1;
        let event = Event {
            seq: self.seq,
            time,
            body,
        };
        self.report.apply(&event);
        self.findings.observe(self.report.detections());
        self.write(&event);
        self.look_for_lockdown(matches!(event.body, Body::JobEnd(_)));
    }

    /// Ends the job at once if the last event was what it is in lockdown for. `last`: nothing comes after that event in the
    /// record.
    fn look_for_lockdown(&mut self, last: bool) {
        let Some(lockdown) = &mut self.lockdown else {
            return;
        };
        let Some(finding) = lockdown.hit(self.report.latest()) else {
            return;
        };
        let found = (finding.detection.as_str(), finding.seq);
        let end = lockdown.end(Some(found), finding.time, self.clock);
        if !last {
            self.record(self.clock.now(), Body::Lockdown(end));
        }
    }

    /// What the job is in lockdown for.
    pub(crate) fn lockdown(&mut self) -> Option<&mut Lockdown> {
        self.lockdown.as_mut()
    }

    /// Ends a job that is in lockdown since now, if it did before what it must not: the same again would be no news.
    pub(crate) fn look_back_for_lockdown(&mut self) {
        let Some(lockdown) = &mut self.lockdown else {
            return;
        };
        let Some(found) = lockdown.hit_before(self.report.detections()) else {
            return;
        };
        let end = lockdown.end(Some((&found.detection, found.seq)), found.time, self.clock);
        self.record(self.clock.now(), Body::Lockdown(end));
    }

    /// Ends the job if the kernel side stopped an act of it whose event never came.
    pub(crate) fn look_for_unheard(&mut self) {
        if let Some(lockdown) = &mut self.lockdown
            && let Some(act) = lockdown.unheard(self.clock)
        {
            let end = lockdown.end(None, act, self.clock);
            self.record(self.clock.now(), Body::Lockdown(end));
        }
    }

    /// Ends whoever of a job that was ended is still there.
    pub(crate) fn end_stragglers(&self) {
        if let Some(lockdown) = &self.lockdown {
            lockdown.end_stragglers();
        }
    }

    /// How lockdown ended the job, once, in a sentence.
    pub(crate) fn take_lockdown(&mut self) -> Option<String> {
        self.lockdown.as_mut().and_then(Lockdown::take)
    }

    /// Says which entry of a block list stopped something. The kernel has the same entries, and tells only that one did.
    fn name_entry(&self, body: &mut Body) {
        let (reason, name, ip, listed) = match body {
            Body::Connect(connect) => (connect.reason, None, connect.ip, &mut connect.listed),
            Body::Refused(refused) => (
                Some(refused.reason),
                refused.name.as_deref(),
                refused.ip,
                &mut refused.listed,
            ),
            _ => return,
        };
        if reason == Some(Reason::BlockList) {
            let by_name = name.and_then(|name| self.block_list.name(name));
            *listed = by_name
                .or_else(|| self.block_list.address(ip))
                .map(Box::new);
        }
    }

    /// Writes the record again with another beginning, because only now is known who the job is. To be called before
    /// anybody else reads the record.
    pub(crate) fn begin_again(
        &mut self,
        start: &JobStart,
        folder: &ReportFolder,
    ) -> Result<(), FolderError> {
        let Some(time) = self.began else {
            return Ok(());
        };
        let event = Event {
            seq: 1,
            time,
            body: Body::JobStart(Box::new(start.clone())),
        };
        self.report.begin_again(&event);
        self.flush();
        if self.write_failure.is_some() {
            // Told at the end.
            return Ok(());
        }
        let written = self.out.get_mut();
        let file = folder.replace_file(EVENTS, |out| {
            written.rewind()?;
            let mut lines = BufReader::with_capacity(1 << 16, &mut *written);
            lines.skip_until(b'\n')?;
            write_line(&mut &mut *out, &event)?;
            io::copy(&mut lines, out).map(drop)
        });
        match file {
            Ok(file) => {
                self.out = BufWriter::with_capacity(1 << 16, file);
                Ok(())
            }
            Err(error) => {
                // The record goes on where it was.
                if let Err(error) = written.seek(SeekFrom::End(0)) {
                    self.write_failure = Some((error, 1));
                }
                Err(error)
            }
        }
    }

    fn write(&mut self, event: &Event) {
        if let Some((_, unwritten)) = &mut self.write_failure {
            *unwritten += 1;
        } else if let Err(error) = write_line(&mut self.out, event) {
            self.write_failure = Some((error, 1));
        }
    }

    /// How much of the file holds whole events; the rest may still be on its way.
    pub(crate) fn written(&mut self) -> u64 {
        self.flush();
        self.out.get_ref().stream_position().unwrap_or(0)
    }

    /// Whether lockdown has ended the job.
    pub(crate) fn is_killed(&self) -> bool {
        self.lockdown.as_ref().is_some_and(Lockdown::is_over)
    }

    /// Hands what was recorded to the kernel, so that `events.jsonl` can be followed.
    pub(crate) fn flush(&mut self) {
        if self.write_failure.is_none()
            && let Err(error) = self.out.flush()
        {
            // How many of the buffered events arrived is not known: at least one is incomplete.
            self.write_failure = Some((error, 1));
        }
    }

    /// The file, for another reader. Places in it are shared, so it must say where it reads.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.out.get_ref().try_clone()
    }

    /// The process of the job that a process id means.
    pub(crate) fn process(&self, pid: u32) -> Option<ProcessId> {
        self.pids.process(pid, self.clock.now())
    }

    pub(crate) fn alive(&self) -> u64 {
        self.pids.alive()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Ends the record.
    pub(crate) fn finish(mut self, end: Body) -> Finished {
        if let Some((_, unwritten)) = self.write_failure {
            // Counted in the report; the file cannot take it.
            self.lose(Loss {
                kind: EventKind::Written,
                reason: LossReason::WriteFailed,
                count: unwritten,
            });
        }
        self.record(self.clock.now(), end);
        self.flush();
        let failure = self.write_failure.map(|(error, _)| error);
        // What is still buffered could not be written; into_parts does not try again, as dropping would.
        let (events, _) = self.out.into_parts();
        Finished {
            report: self.report.finish(),
            events,
            write_failure: failure,
            lockdown: self.lockdown.as_mut().and_then(Lockdown::take),
            killed: self.lockdown.is_some_and(|lockdown| lockdown.is_over()),
        }
    }
}
