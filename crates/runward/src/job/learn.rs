//! What of a job that the service holds is known only while it runs: who it is, what its pipeline asks for, and which
//! policy the control plane has for it.
//!
//! A runner's worker is stopped before its first instruction, and then nobody knows what it will run: the machine's
//! policy is in force. The first process that it starts has it in its environment. From there on all of it together is in
//! force, which is never less than before, and the record is sent.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use runward_agent::{Job, Learnt, PolicyStore, ReportFolder, Stored, variables};
use runward_detect::Selection;
use runward_event::{JobIdentity, Mode};
use runward_policy::{Source, SourcePolicy, parse_file};

use super::kept::Kept;
use super::wire;
use crate::policy::sources::{Failure, Inputs, MODE, VARIABLES};
use crate::prepare::{Sending, Sent, context};
use crate::{cli, output, policy};

/// Where the control plane's policies are kept for when it is away.
const POLICIES: &str = "/var/lib/runward/policies";
/// How long the control plane may take to tell its policy.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long after it is known who a job is its pipeline may hand over a policy. Then the record is sent, and what comes
/// later is refused.
const OPEN_FOR: Duration = Duration::from_secs(60);

/// A job that is not wholly known.
pub(super) struct Learner {
    /// What is said about the job, by whom ever, and what is in force.
    sources: Vec<SourcePolicy>,
    mode: Mode,
    /// Where it is written.
    written: Vec<String>,
    sending: Option<Sending>,
    state: State,
    /// Whether a process of the job has handed a policy over.
    handed: bool,
    /// For the next attendant, should this one be killed.
    kept: Kept,
}

enum State {
    /// Nobody knows whose job it is.
    Nameless,
    /// Who it is, is known; what the control plane says is not.
    Asked(Box<Asked>),
    /// All is known but what a process of the job may still hand over.
    Open { since: Instant },
    /// Nothing more is taken.
    Settled,
}

struct Asked {
    variables: HashMap<String, String>,
    identity: JobIdentity,
    /// What the pipeline says.
    sources: Vec<SourcePolicy>,
    answer: Option<(PolicyStore, Receiver<Stored>)>,
    since: Instant,
}

/// What came of a policy that a process of the job has handed over.
pub(super) enum Handed {
    InForce,
    /// It comes second, or too late.
    Refused,
    /// It is wrong, or asks for what can't be had.
    Wrong(String),
}

impl Learner {
    /// `sources`: what is in force, in which mode.
    pub(super) fn new(sources: Vec<SourcePolicy>, mode: Mode, sending: Option<Sending>) -> Learner {
        let policy = policy::joined(sources.clone());
        Learner {
            written: policy.map_or_else(|_| Vec::new(), |policy| policy::written_in(&policy)),
            sources,
            mode,
            sending,
            state: State::Nameless,
            handed: false,
            kept: Kept::default(),
        }
    }

    /// What is in force.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn written(&self) -> &[String] {
        &self.written
    }

    /// Goes on learning. Returns the record on its way to the control plane when there is nothing more to learn.
    ///
    /// After an error the job must not go on.
    pub(super) fn look(&mut self, job: &mut Job, folder: &ReportFolder) -> Result<Option<Sent>> {
        if let Some(environment) = job.take_environment()
            && matches!(self.state, State::Nameless)
        {
            self.state = State::Asked(Box::new(self.ask(variables(&environment))?));
        }
        match &self.state {
            State::Nameless | State::Settled => Ok(None),
            State::Open { since } if !self.handed && since.elapsed() < OPEN_FOR => Ok(None),
            State::Open { .. } => {
                self.state = State::Settled;
                self.send(job)
            }
            State::Asked(asked) => {
                let Some(stored) = asked.answer() else {
                    return Ok(None);
                };
                let State::Asked(asked) = std::mem::replace(&mut self.state, State::Settled) else {
                    return Ok(None);
                };
                self.conclude(*asked, stored, job, folder)?;
                self.state = State::Open {
                    since: Instant::now(),
                };
                Ok(None)
            }
        }
    }

    /// Sends the record of a job, whoever it is.
    pub(super) fn send(&mut self, job: &Job) -> Result<Option<Sent>> {
        let sending = self.sending.take();
        sending.map(|sending| sending.follow(job)).transpose()
    }

    /// Takes the policy that a process of the job hands over, once.
    ///
    /// After an error the job must not go on.
    pub(super) fn take(
        &mut self,
        policy: &wire::Policy,
        lockdown: &Selection,
        job: &mut Job,
        folder: &ReportFolder,
    ) -> Result<Handed> {
        if self.handed || matches!(self.state, State::Settled) {
            return Ok(Handed::Refused);
        }
        if !policy.others.is_empty() {
            return Ok(Handed::Wrong(format!(
                "the service of this machine holds the job, and it is too late for {}: its settings can say so for all jobs",
                policy.others.join(", ")
            )));
        }
        let sources = match read_handed(policy) {
            Ok(sources) => sources,
            Err(error) => return Ok(Handed::Wrong(format!("{error:#}"))),
        };
        let before = self.sources.len();
        self.sources.extend(sources);
        if let Err(error) = policy::joined(self.sources.clone()) {
            self.sources.truncate(before);
            return Ok(Handed::Wrong(format!("{error:#}")));
        }
        self.kept.handed = Some(policy.clone());
        let in_force = job
            .lock_down(lockdown)
            .map_err(anyhow::Error::from)
            .and_then(|()| self.put_in_force(Vec::new(), job, folder));
        match in_force {
            Ok(()) => {
                self.handed = true;
                Ok(Handed::InForce)
            }
            // What stands now is neither what was nor what was asked for.
            Err(error) if job.is_fenced() => Err(error),
            Err(error) => {
                self.sources.truncate(before);
                self.kept.handed = None;
                Ok(Handed::Wrong(format!("{error:#}")))
            }
        }
    }

    /// Goes on with what an attendant had learnt of the job that was killed.
    ///
    /// After an error the job must not go on.
    pub(super) fn resume(
        &mut self,
        kept: Kept,
        lockdown: &Selection,
        job: &mut Job,
        folder: &ReportFolder,
    ) -> Result<()> {
        self.sources.extend(of_pipeline(&kept.pipeline, self.mode)?);
        if let Some(handed) = &kept.handed {
            self.sources.extend(read_handed(handed)?);
            self.handed = true;
        }
        if let Some((name, text)) = &kept.stored {
            self.sources.push(read_stored(name, text)?);
        }
        if kept.known.is_some() {
            // Whether a policy may still be handed over is not known: none is.
            self.handed = true;
            self.state = State::Open {
                since: Instant::now(),
            };
        }
        self.kept = kept;
        job.lock_down(lockdown)?;
        self.put_in_force(Vec::new(), job, folder)
    }

    /// Keeps what was learnt for the next attendant.
    pub(super) fn keep(&self, job: &Job) {
        if self.kept == Kept::default() {
            return;
        }
        // Without it the next one knows less than this one, and the machine's policy holds all the same.
        if let Err(error) = self.kept.keep(job.root_pids()) {
            output::say(format_args!(
                "should the process that holds this job be killed, the next one knows the machine's policy only: {error:#}"
            ));
        }
    }

    fn ask(&self, variables: HashMap<String, String>) -> Result<Asked> {
        let identity = runward_ci::identify(&|name| variables.get(name).cloned());
        let sources = of_pipeline(&variables, self.mode)?;
        let answer = self.sending.as_ref().map(|sending| {
            let store = PolicyStore::new(sending.upload.clone(), PathBuf::from(POLICIES));
            let asked = identity.clone();
            let (tell, told) = channel();
            let asking = store.clone();
            let started = thread::Builder::new()
                .name("policy".to_owned())
                .spawn(move || tell.send(asking.ask(&asked)));
            // Without the thread nobody answers, which is taken for what it is.
            drop(started);
            (store, told)
        });
        Ok(Asked {
            variables,
            identity,
            sources,
            answer,
            since: Instant::now(),
        })
    }

    fn conclude(
        &mut self,
        asked: Asked,
        stored: Stored,
        job: &mut Job,
        folder: &ReportFolder,
    ) -> Result<()> {
        self.sources.extend(asked.sources);
        if let Some((name, text)) = &stored.policy {
            self.sources.push(read_stored(name, text)?);
        }
        let variable = |name: &str| asked.variables.get(name).cloned();
        let workspace = variable("GITHUB_WORKSPACE").or_else(|| variable("CI_PROJECT_DIR"));
        let workspace = workspace.map_or_else(PathBuf::new, PathBuf::from);
        let context = context(&asked.identity, &workspace, &variable);
        let said = VARIABLES.map(|name| Some((name.to_owned(), variable(name)?)));
        self.kept.pipeline = said.into_iter().flatten().collect();
        self.kept.stored = stored.policy;
        self.kept.known = Some((asked.identity, context));
        self.put_in_force(stored.note.into_iter().collect(), job, folder)
    }

    fn put_in_force(
        &mut self,
        notes: Vec<String>,
        job: &mut Job,
        folder: &ReportFolder,
    ) -> Result<()> {
        let policy = policy::joined(self.sources.clone())?;
        let (mode, written) = (policy.mode(), policy::written_in(&policy));
        let (identity, context) = self.kept.known.clone().unwrap_or_default();
        let (project, name) = (identity.project.clone(), identity.job.clone());
        job.learn(
            Learnt {
                identity,
                context,
                policy,
                notes,
            },
            folder,
        )?;
        self.mode = mode;
        self.written = written;
        self.keep(job);
        output::say(format_args!(
            "process {} is {} of {}: {} mode; policy: {}",
            job.root_pids().last().unwrap_or(0),
            shown(name.as_deref().unwrap_or("a job")),
            shown(project.as_deref().unwrap_or("a project")),
            mode.name(),
            self.written.join(", "),
        ));
        Ok(())
    }
}

impl Asked {
    /// What the control plane says, when it has, or when it takes too long.
    fn answer(&self) -> Option<Stored> {
        let Some((store, answer)) = &self.answer else {
            return Some(Stored::default());
        };
        match answer.try_recv() {
            Ok(stored) => Some(stored),
            Err(TryRecvError::Empty) if self.since.elapsed() < PATIENCE => None,
            // Or its thread broke off.
            Err(_) => Some(store.last(&self.identity, "it takes too long")),
        }
    }
}

fn read_stored(name: &str, text: &str) -> Result<SourcePolicy> {
    let read = parse_file(text, Source::Store(name.to_owned()));
    read.map_err(|errors| {
        policy::tell_errors(&errors);
        anyhow::anyhow!("the control plane's policy {name} can't be read")
    })
}

/// A word of the job's on one line.
fn shown(word: &str) -> String {
    word.escape_debug().take(100).collect()
}

/// Reads what was handed over, as the options and the file that it was.
fn read_handed(policy: &wire::Policy) -> Result<Vec<SourcePolicy>> {
    let read = policy::sources::read(&Inputs {
        flags: &cli::PolicySources {
            allowed_endpoints: policy.allowed_endpoints.clone(),
            denied_endpoints: policy.denied_endpoints.clone(),
            egress_policy: policy.egress_policy.clone(),
        },
        file: None,
        workspace: None,
        variable: None,
    });
    let file = policy
        .file
        .as_ref()
        .map(|(name, text)| parse_file(text, Source::File(name.clone())).map_err(Failure::Policy))
        .transpose();
    let read = read.and_then(|mut read| {
        read.extend(file?);
        Ok(read)
    });
    read.map_err(|failure| match failure {
        Failure::Input(error) => error,
        Failure::Policy(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the policy has errors: {}", errors.join("; "))
        }
    })
}

/// What a pipeline says in the variables of its jobs. Where they are wrong, nobody knows what they meant: the job may go
/// on only where traffic would be recorded and nothing else.
fn of_pipeline(variables: &HashMap<String, String>, mode: Mode) -> Result<Vec<SourcePolicy>> {
    let read = policy::sources::read(&Inputs {
        flags: &cli::PolicySources {
            allowed_endpoints: None,
            denied_endpoints: None,
            egress_policy: None,
        },
        file: None,
        workspace: None,
        variable: Some(&|name| variables.get(name).map(OsString::from)),
    });
    match read {
        Ok(sources) => Ok(sources),
        Err(failure) => {
            policy::refuse(&failure, false);
            let asked = variables.get(MODE).map(|mode| mode.trim());
            if mode == Mode::Audit && matches!(asked, None | Some("" | "audit")) {
                return Ok(Vec::new());
            }
            match failure {
                Failure::Input(error) => Err(error),
                Failure::Policy(_) => bail!("the policy in the job's variables has errors"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_wrong_let_a_job_go_on_only_in_audit_mode() {
        const ALLOWED: &str = "RUNWARD_ALLOWED_ENDPOINTS";
        type Set = &'static [(&'static str, &'static str)];
        let table: [(Set, Mode, Option<usize>); 8] = [
            (&[], Mode::Block, Some(0)),
            (&[(MODE, "block")], Mode::Audit, Some(1)),
            (&[(MODE, "blok")], Mode::Audit, None),
            (&[(MODE, "blok")], Mode::Block, None),
            (&[(ALLOWED, "a.example")], Mode::Audit, Some(1)),
            (&[(ALLOWED, "a..example")], Mode::Audit, Some(0)),
            (&[(ALLOWED, "a..example")], Mode::Block, None),
            (
                &[(ALLOWED, "a..example"), (MODE, "block")],
                Mode::Audit,
                None,
            ),
        ];
        for (set, mode, want) in table {
            let variables = set
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let got = of_pipeline(&variables, mode).ok().map(|read| read.len());
            assert_eq!(got, want, "{set:?} {mode:?}");
        }
    }
}
