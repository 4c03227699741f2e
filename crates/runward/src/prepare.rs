//! What has to be read, judged and opened before a job is watched, whoever starts it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use runward_agent::{Following, Job, JobOptions, Learns, ReportFolder, Upload, read_context};
use runward_detect::{Observer, Selection};
use runward_event::{JobContext, JobIdentity, Mode};
use runward_policy::{BlockList, Policy, SourcePolicy};
use runward_rules::Rules;
use runward_sensor::check_machine;

use crate::cli::WatchOptions;
use crate::invoker::Invoker;
use crate::{block_list, fail_on, policy, probe, rules, upload};

/// Everything that was read, and found right. Nothing is in force yet.
pub(crate) struct Plan {
    cwd: PathBuf,
    workspace: PathBuf,
    homes: Vec<PathBuf>,
    owner: Option<(u32, u32)>,
    diffs: bool,
    sources: Vec<SourcePolicy>,
    policy: Policy,
    learns: Learns,
    rules: Option<Rules>,
    fail_on: Selection,
    lockdown: Selection,
    block_list: BlockList,
    block_list_optional: bool,
    upload: Option<Upload>,
    folder: ReportFolder,
    identity: JobIdentity,
    context: JobContext,
    notes: Vec<String>,
}

/// How a job begins.
pub(crate) enum First {
    /// With a command that is started for it, here.
    Started { args: Vec<Vec<u8>>, cwd: PathBuf },
    /// With a process that runs already, whose command and folder these are.
    Adopted { args: Vec<Vec<u8>>, cwd: PathBuf },
}

/// A job that may begin.
pub(crate) struct Ready {
    pub(crate) job: Job,
    pub(crate) folder: ReportFolder,
    pub(crate) fail_on: Selection,
    /// What a fenced job must not reach; tried before it begins.
    pub(crate) probe: Option<SocketAddr>,
    /// The record's way to a control plane.
    pub(crate) sending: Option<Sending>,
    /// What the policy was joined from.
    pub(crate) sources: Vec<SourcePolicy>,
}

impl Plan {
    /// Reads what the options name, and opens the folder of the report. `variable` is the job's environment.
    pub(crate) fn of(
        options: &WatchOptions,
        invoker: Option<&Invoker>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Plan> {
        let rules = options.rules.as_deref().map(rules::of_job).transpose()?;
        let abouts = rules.as_ref().map_or(&[][..], Observer::abouts);
        let fail_on = fail_on::parse("--fail-on", &options.fail_on, abouts)?;
        let lockdown = fail_on::parse("--lockdown", &options.lockdown, abouts)?;
        let cwd = std::env::current_dir().context("cannot tell the current folder")?;
        let workspace = workspace(options, &cwd)?;
        let sources = policy::of_job(&options.sources, options.policy.as_deref(), &workspace)?;
        let policy = policy::joined(sources.clone())?;
        let mut notes = Vec::new();
        if policy.mode() == Mode::Audit && !policy.rules().is_empty() {
            notes.push("A policy was given; in audit mode it stops nothing.".to_owned());
        }
        let block_list = block_list::of_job(&options.block_list, !options.no_builtin_block_list)?;
        if options.no_builtin_block_list {
            notes.push(
                "The built-in block list was turned off (--no-builtin-block-list).".to_owned(),
            );
        }
        let upload = options
            .server
            .as_deref()
            .map(upload::to_server)
            .transpose()?;
        // Before the folder is made: nobody wants an empty one.
        check_machine()?;
        let owner = invoker.map(|invoker| (invoker.uid, invoker.gid));
        let folder = ReportFolder::create(&options.report, owner)?;
        let identity = runward_ci::identify(variable);
        Ok(Plan {
            context: context(&identity, &workspace, variable),
            cwd,
            workspace,
            homes: invoker
                .iter()
                .map(|invoker| invoker.home())
                .chain(std::env::var_os("HOME").map(PathBuf::from))
                .chain(variable("HOME").map(PathBuf::from))
                .collect(),
            owner,
            diffs: !options.no_diff,
            sources,
            policy,
            learns: Learns::Nothing,
            rules,
            fail_on,
            lockdown,
            block_list,
            block_list_optional: options.block_list.is_empty(),
            upload,
            folder,
            identity,
            notes,
        })
    }

    pub(crate) fn cwd(&self) -> &Path {
        &self.cwd
    }

    pub(crate) fn identity(&self) -> &JobIdentity {
        &self.identity
    }

    /// What is done about traffic that the policy does not allow.
    pub(crate) fn mode(&self) -> Mode {
        self.policy.mode()
    }

    /// Where the policy was written, each place once.
    pub(crate) fn policy_sources(&self) -> Vec<String> {
        policy::written_in(&self.policy)
    }

    /// Who gets the files of the report.
    pub(crate) fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    /// Has a reader of the record told this.
    pub(crate) fn note(&mut self, notes: &[String]) {
        self.notes.extend_from_slice(notes);
    }

    /// Who the job is, and what more its policy says, is learnt while it runs.
    pub(crate) fn learn(&mut self, from: Learns) {
        self.learns = from;
    }

    /// Makes everything ready: nothing but the job itself is missing then.
    pub(crate) fn carry_out(self, first: First) -> Result<Ready> {
        let adopts = matches!(first, First::Adopted { .. });
        let (First::Started { args, cwd } | First::Adopted { args, cwd }) = first;
        let mode = self.policy.mode();
        let probe = (mode == Mode::Block)
            .then(|| probe::refused_address(&self.policy))
            .flatten();
        let mut job = Job::prepare(
            JobOptions {
                context: self.context,
                identity: self.identity,
                args,
                cwd,
                workspace: self.workspace,
                homes: self.homes,
                diffs: self.diffs,
                requested_mode: mode,
                policy: self.policy,
                lockdown: self.lockdown,
                block_list: self.block_list.into(),
                block_list_optional: self.block_list_optional,
                adopts,
                learns: self.learns,
                notes: self.notes,
            },
            &self.folder,
        )?;
        if let Some(rules) = self.rules {
            let in_force = rules.in_force();
            job.watch_by(Box::new(rules), in_force);
        }
        Ok(Ready {
            job,
            folder: self.folder,
            fail_on: self.fail_on,
            probe,
            sending: self.upload.map(|upload| Sending {
                page: upload.page(""),
                upload,
            }),
            sources: self.sources,
        })
    }
}

/// A record's way to a control plane, and where its pages are.
pub(crate) struct Sending {
    pub(crate) upload: Upload,
    pub(crate) page: String,
}

/// A record on its way.
pub(crate) struct Sent {
    pub(crate) following: Following,
    pub(crate) page: String,
}

impl Sending {
    /// Begins to send the record, which grows.
    pub(crate) fn follow(self, job: &Job) -> Result<Sent> {
        let following = job.record().and_then(|record| self.upload.follow(record));
        Ok(Sent {
            following: following.context("cannot send the record while it grows")?,
            page: self.page,
        })
    }
}

/// A variable of this process.
pub(crate) fn own_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the job was made with, by its variables and by the files that lie there before it starts.
pub(crate) fn context(
    identity: &JobIdentity,
    workspace: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> JobContext {
    let event = variable("GITHUB_EVENT_PATH").map(PathBuf::from);
    let known = runward_ci::context(identity, variable);
    read_context(known, identity, workspace, event.as_deref())
}

fn workspace(options: &WatchOptions, cwd: &Path) -> Result<PathBuf> {
    let wanted = options.workspace.as_deref().unwrap_or(cwd);
    let workspace = wanted
        .canonicalize()
        .and_then(|path| std::fs::read_dir(&path).map(|_| path));
    workspace.with_context(|| {
        format!(
            "cannot read the workspace {}: name a readable folder with --workspace",
            wanted.display()
        )
    })
}
