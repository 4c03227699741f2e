use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{JobContext, JobIdentity, Mode, Tier, Time};

/// One record of what happened in a job.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Event {
    /// The place of this event in its job's record: starts at 1 and grows by 1.
    pub seq: u64,
    /// When it happened, by the kernel's clock at the hook.
    pub time: Time,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// Names one process of a job, for as long as the job lives.
///
/// Process ids of the kernel are used again; this number is not. It is given by the sensor when the process is
/// forked, stays the same over exec, and is shared by the threads of the process.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ProcessId(pub u64);

/// Names one connection (or one UDP peer of one socket) of a job; never used again inside the job.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ConnectionId(pub u64);

/// What happened; `kind` in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// The first event of a job.
    JobStart(Box<JobStart>),
    /// The last event of a job.
    JobEnd(JobEnd),
    /// A process made another. Threads are not recorded.
    ProcessFork(ProcessFork),
    /// A process began to run another program.
    ProcessExec(Box<ProcessExec>),
    /// A process ended: its last thread is gone.
    ProcessExit(ProcessExit),
    /// A DNS message left or reached a socket.
    Dns(Box<Dns>),
    /// A process asked for a connection, or sent its first datagram to a peer.
    Connect(Connect),
    /// A connection ended, or could not be made.
    ConnectClose(ConnectClose),
    /// The fence stopped something that was not a request for a connection: a question to DNS, or a packet.
    Refused(Refused),
    /// A fenced job tried something against the fence, the agent or the machine below both.
    Tamper(Box<Tamper>),
    /// A process reached into the memory of another one.
    MemoryAccess(Box<MemoryAccess>),
    /// A process read or changed a file at a place where attackers look, or from where programs are started again.
    SensitiveFile(Box<SensitiveFile>),
    /// A secret stands in what the job printed or left behind.
    SecretFound(Box<SecretFound>),
    /// A file came into being under a new name.
    FileCreate(Box<FileChange>),
    /// A file that was open for writing was closed, or was truncated, with its content possibly changed.
    FileWrite(Box<FileChange>),
    /// A file got another name; what had that name before is replaced.
    FileRename(Box<FileChange>),
    /// A name of a file was removed.
    FileDelete(Box<FileChange>),
    /// A process of the job was the first to be seen in a container, and this is what its engine calls that container.
    Container(Box<Container>),
    /// The job did what it was in lockdown for, and was killed.
    Lockdown(Lockdown),
    /// Events of one kind were lost.
    Lost(Lost),
    /// A kind that this version does not know. Never written.
    #[serde(skip)]
    Unknown(String),
}

impl Body {
    /// The kind, as it stands in JSON.
    pub fn kind(&self) -> &str {
        match self {
            Body::JobStart(_) => "job_start",
            Body::JobEnd(_) => "job_end",
            Body::ProcessFork(_) => "process_fork",
            Body::ProcessExec(_) => "process_exec",
            Body::ProcessExit(_) => "process_exit",
            Body::Dns(_) => "dns",
            Body::Connect(_) => "connect",
            Body::ConnectClose(_) => "connect_close",
            Body::Refused(_) => "refused",
            Body::Tamper(_) => "tamper",
            Body::MemoryAccess(_) => "memory_access",
            Body::SensitiveFile(_) => "sensitive_file",
            Body::SecretFound(_) => "secret_found",
            Body::FileCreate(_) => "file_create",
            Body::FileWrite(_) => "file_write",
            Body::FileRename(_) => "file_rename",
            Body::FileDelete(_) => "file_delete",
            Body::Container(_) => "container",
            Body::Lost(_) => "lost",
            Body::Lockdown(_) => "lockdown",
            Body::Unknown(kind) => kind,
        }
    }

    /// The process that it is about, if it is about one that is known.
    pub fn process(&self) -> Option<ProcessId> {
        match self {
            Body::ProcessFork(fork) => Some(fork.process),
            Body::ProcessExec(exec) => Some(exec.process),
            Body::ProcessExit(exit) => Some(exit.process),
            Body::Dns(dns) => Some(dns.process),
            Body::Connect(connect) => Some(connect.process),
            Body::ConnectClose(close) => Some(close.process),
            Body::Refused(refused) => Some(refused.process),
            Body::Tamper(tamper) => Some(tamper.process),
            Body::MemoryAccess(access) => Some(access.process),
            Body::SensitiveFile(file) => Some(file.process),
            Body::SecretFound(secret) => secret.process,
            Body::Container(container) => Some(container.process),
            Body::FileCreate(change)
            | Body::FileWrite(change)
            | Body::FileRename(change)
            | Body::FileDelete(change) => change.process,
            Body::JobStart(_)
            | Body::JobEnd(_)
            | Body::Lost(_)
            | Body::Lockdown(_)
            | Body::Unknown(_) => None,
        }
    }
}

/// A kind of event, without its content: the key of every loss counter.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// `process_fork`
    ProcessFork,
    /// `process_exec`
    ProcessExec,
    /// `process_exit`
    ProcessExit,
    /// `dns`
    Dns,
    /// `connect`
    Connect,
    /// `connect_close`
    ConnectClose,
    /// `refused`
    Refused,
    /// `tamper`
    Tamper,
    /// `memory_access`
    MemoryAccess,
    /// `sensitive_file`
    SensitiveFile,
    /// `secret_found`
    SecretFound,
    /// Any of `file_create`, `file_write`, `file_rename` and `file_delete`.
    File,
    /// Events that were seen but could not be written to `events.jsonl`.
    Written,
    /// A kind that a newer writer knows.
    #[serde(other)]
    Other,
}

impl EventKind {
    /// Every kind that this version can lose, in the order of reports.
    pub const ALL: [EventKind; 13] = [
        EventKind::ProcessFork,
        EventKind::ProcessExec,
        EventKind::ProcessExit,
        EventKind::Dns,
        EventKind::Connect,
        EventKind::ConnectClose,
        EventKind::Refused,
        EventKind::Tamper,
        EventKind::MemoryAccess,
        EventKind::SensitiveFile,
        EventKind::SecretFound,
        EventKind::File,
        EventKind::Written,
    ];

    /// The name as it stands in JSON.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::ProcessFork => "process_fork",
            EventKind::ProcessExec => "process_exec",
            EventKind::ProcessExit => "process_exit",
            EventKind::Dns => "dns",
            EventKind::Connect => "connect",
            EventKind::ConnectClose => "connect_close",
            EventKind::Refused => "refused",
            EventKind::Tamper => "tamper",
            EventKind::MemoryAccess => "memory_access",
            EventKind::SensitiveFile => "sensitive_file",
            EventKind::SecretFound => "secret_found",
            EventKind::File => "file",
            EventKind::Written => "written",
            EventKind::Other => "other",
        }
    }
}

/// The first event of a job: what is recorded, where, and in which mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobStart {
    /// [`crate::FORMAT_VERSION`] of the writer.
    pub format: u32,
    /// The version of Runward that wrote this.
    pub runward: String,
    /// Who the job is.
    pub identity: JobIdentity,
    /// What it was made with.
    #[serde(default, skip_serializing_if = "JobContext::is_empty")]
    pub context: JobContext,
    /// The command and its arguments.
    pub args: Vec<String>,
    /// The working directory that the command starts in.
    pub cwd: String,
    /// The folder whose files are watched.
    pub workspace: String,
    /// How many files git tracks in the workspace; missing when there is no git index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracked_files: Option<u64>,
    /// Whether file changes are recorded; the reason stands in `notes` when they are not.
    pub files_watched: bool,
    /// What was asked for.
    pub requested_mode: Mode,
    /// What is in force.
    pub effective_mode: Mode,
    /// What the kernel allows.
    pub tier: Tier,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// The rules in force, in the order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<PolicyRule>,
    /// The user's own rules in force, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RulesInForce>,
    /// The detections and least severities on which the job is killed; empty when it is not in lockdown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lockdown: Vec<String>,
    /// The block lists in force, in audit mode too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_lists: Vec<BlockListInForce>,
    /// The name servers of the machine when the job started: those that it asks itself, and those that its own resolver
    /// asks. Empty where they are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<IpAddr>,
    /// What a reader should know about this record, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Originals of texts that were not UTF-8; see [`crate::Texts`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, String>,
}

/// A file of rules that a job was watched by. What they found is found again with the same file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesInForce {
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// The names of its rules.
    pub ids: Vec<String>,
}

/// The last event of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobEnd {
    /// The command's exit code, as a shell tells it: 128 + signal for a command that a signal ended.
    pub exit_code: i32,
    /// The signal that ended the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// From start to end, in nanoseconds.
    pub duration_ns: u64,
    /// Processes of the job that were still running.
    pub still_running: u64,
    /// Changes of files that git ignores, or that are git's own: seen, not recorded. The least number that there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unrecorded_file_changes: u64,
    /// What a reader should know about this record and could not be said at the start, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A process made another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessFork {
    /// The new process.
    pub process: ProcessId,
    /// Its process id, as the agent's pid namespace numbers it.
    pub pid: u32,
    /// The process that made it. Missing when that is not known (the event of its birth was lost).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ProcessId>,
    /// The process id of its parent.
    pub ppid: u32,
}

/// A process began to run another program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessExec {
    /// The process.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// The process that made this one; missing when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ProcessId>,
    /// The process id of its parent.
    pub ppid: u32,
    /// The program that runs, with symbolic links followed; for a script, its interpreter. As the process sees it.
    pub exe: String,
    /// The path that was handed to `execve`: for a script, the script.
    pub path: String,
    /// The arguments, read from the new image's own argument area.
    pub args: Vec<String>,
    /// The working directory, as the process sees it.
    pub cwd: String,
    /// The effective user id.
    pub uid: u32,
    /// The effective group id.
    pub gid: u32,
    /// The path of its control group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cgroup: String,
    /// The id of the container it runs in, from the control group's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The variables of its environment that tell its CI step and the dependency being installed, and no others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<AttributionVar, String>,
    /// What sets this start apart from most; missing for an ordinary one.
    #[serde(default, skip_serializing_if = "ExecFacts::is_ordinary")]
    pub facts: ExecFacts,
    /// The fields that are incomplete: `args`, `exe`, `path`, `cwd`, `cgroup`, `env`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<String>,
    /// Originals of texts that were not UTF-8; see [`crate::Texts`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, String>,
}

/// What the kernel knew of a program's start that few starts have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecFacts {
    /// The standard streams that lead to another machine or to a pipe with a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<Stream>,
    /// When the content or the rights of the program's file last changed, if that was while the job was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Time>,
    /// Whether the program's file has no name in any file system: it was deleted, or lies in memory alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlinked: bool,
    /// Whether the program ran already when the watch of its process began. Its start was not seen: what is told of it was
    /// read afterwards, and the process itself could have changed its arguments and its environment by then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Whether it is a container's first program and may administer the machine all the same (`CAP_SYS_ADMIN` outside of
    /// any user namespace).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
}

impl ExecFacts {
    /// Whether there is nothing to tell.
    pub fn is_ordinary(&self) -> bool {
        *self == ExecFacts::default()
    }
}

/// A standard stream of a program at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    /// Which one.
    pub stream: StreamName,
    /// What it leads to.
    pub to: StreamEnd,
    /// The peer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The peer's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The inode of a pipe with a name, to tell one from another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StreamName {
    /// Standard input.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Standard input of the process that made this one.
    ParentStdin,
    /// One that a newer writer knows.
    #[serde(other)]
    Other,
}

/// What a standard stream leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StreamEnd {
    /// A TCP socket.
    Tcp,
    /// A UDP socket.
    Udp,
    /// A pipe with a name in a file system.
    NamedPipe,
    /// Something that a newer writer knows.
    #[serde(other)]
    Other,
}

/// A process reached into the memory of another one. Each way from one process to another is told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryAccess {
    /// The process that did it.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// Whose memory it was; missing when that is not a process of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ProcessId>,
    /// That one's process id; 0 when it is not known.
    pub target_pid: u32,
    /// The last part of the path of that one's program, its first 63 bytes; empty when not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target_exe: String,
    /// How.
    pub way: MemoryWay,
    /// Whether it was refused, because the job is in lockdown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prevented: bool,
    /// Whether its process was killed before it had read anything, because the job is in lockdown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub killed: bool,
    /// Originals of texts that were not UTF-8; see [`crate::Texts`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, String>,
}

/// How a process reached into the memory of another one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MemoryWay {
    /// Through `/proc/PID/mem`.
    Mem,
    /// Through `/proc/PID/environ`: the variables that it started with.
    Environ,
    /// With `ptrace`.
    Ptrace,
    /// With `process_vm_readv` or `process_vm_writev`.
    ProcessVm,
    /// With `pidfd_getfd`: a copy of one of its descriptors.
    Descriptor,
    /// A way that a newer writer knows.
    #[serde(other)]
    Other,
}

/// What an engine calls a container that the job has. Told at most once for each container, and for none of which nothing
/// could be read. Where the job could have started the engine, these are its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Container {
    /// The process of the job that was seen first in it.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// The container's id, as in [`ProcessExec::container`].
    pub container: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The image that it was made from, as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// A secret stands in what the job printed or left behind. The secret itself is nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretFound {
    /// The process that ran when it was printed: it, or one below it, printed it. Missing when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
    /// Its process id; 0 when not known.
    #[serde(default, skip_serializing_if = "is_no_pid")]
    pub pid: u32,
    /// Where it stands.
    pub place: OutputPlace,
    /// The file, for [`OutputPlace::File`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line of the output or the file, from 1.
    pub line: u64,
    /// The rule that knows it: what it looks like, or `environment-variable`.
    pub rule: String,
    /// The variable whose value it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// How it was written.
    pub encoding: Encoding,
    /// Whether it carries a checksum of itself, which is right.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    /// A keyed hash of the secret. The same secret has the same hash as long as the key is the same.
    pub hash: String,
    /// Originals of texts that were not UTF-8; see [`crate::Texts`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_no_pid(pid: &u32) -> bool {
    *pid == 0
}

/// Where a job can show a secret.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutputPlace {
    /// The job's standard output.
    Stdout,
    /// Its standard error.
    Stderr,
    /// Both, where they are the same.
    Output,
    /// A file that is kept after the job: an artifact, or the summary of a step.
    File,
    /// Something that a newer writer knows.
    #[serde(other)]
    Other,
}

/// How a secret was written.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// As it is.
    Plain,
    /// In base64.
    Base64,
    /// In base64 of base64.
    Base64Twice,
    /// In a way that a newer writer knows.
    #[serde(other)]
    Other,
}

/// A process of the job read a file that holds credentials, or changed one that makes programs start again later. Told
/// once for each process, file and act; files are told by themselves, whatever name they were reached by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SensitiveFile {
    /// The process that did it.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// What it did.
    pub act: FileAct,
    /// The file, as an absolute path on the machine.
    pub path: String,
    /// For a rename, the path before, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Why this file is looked after.
    pub class: SensitiveClass,
    /// The pattern of the list of such places that the file belongs to, as the writer's list has it
    /// (`~/.aws/credentials`).
    pub place: String,
    /// For a `.pth` file of Python's that was changed: whether a line of it is code, which every start of Python then
    /// runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_code: Option<bool>,
    /// Originals of texts that were not UTF-8; see [`crate::Texts`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, String>,
}

/// What a process did with a file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileAct {
    /// It read it, or had it open for reading, as one that maps it has.
    Read,
    /// It made it, or gave it this name as a further one.
    Create,
    /// It changed its content.
    Write,
    /// It gave it this name; what had that name before is replaced.
    Rename,
    /// It removed this name.
    Delete,
    /// Something that a newer writer knows.
    #[serde(other)]
    Other,
}

/// Why a file is looked after.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SensitiveClass {
    /// It holds keys, tokens or passwords: reading it is told.
    Credential,
    /// What is in it is run again later, by others: changing it is told.
    Persistence,
    /// A reason that a newer writer knows.
    #[serde(other)]
    Other,
}

/// A variable of a process's environment that an event may carry. Anything else never leaves the sensor.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the serialised name is the variable's own")]
pub enum AttributionVar {
    #[serde(rename = "GITHUB_ACTION")]
    GithubAction,
    #[serde(rename = "GITHUB_STEP_SUMMARY")]
    GithubStepSummary,
    #[serde(rename = "GITHUB_JOB")]
    GithubJob,
    #[serde(rename = "CI_JOB_ID")]
    CiJobId,
    #[serde(rename = "CI_JOB_STAGE")]
    CiJobStage,
    #[serde(rename = "CI_JOB_NAME")]
    CiJobName,
    #[serde(rename = "npm_package_name")]
    NpmPackageName,
    #[serde(rename = "npm_package_version")]
    NpmPackageVersion,
    #[serde(rename = "npm_lifecycle_event")]
    NpmLifecycleEvent,
    #[serde(rename = "npm_package_json")]
    NpmPackageJson,
    #[serde(rename = "CARGO_PKG_NAME")]
    CargoPkgName,
    #[serde(rename = "CARGO_PKG_VERSION")]
    CargoPkgVersion,
    #[serde(rename = "CARGO_MANIFEST_DIR")]
    CargoManifestDir,
    #[serde(rename = "PIP_BUILD_TRACKER")]
    PipBuildTracker,
    #[serde(rename = "PEP517_BUILD_BACKEND")]
    Pep517BuildBackend,
    #[serde(rename = "MAVEN_PROJECTBASEDIR")]
    MavenProjectbasedir,
    /// A name that a newer writer knows.
    #[serde(other)]
    Unknown,
}

impl AttributionVar {
    /// Every variable that the sensor keeps, with its name.
    pub const NAMES: [(&'static str, AttributionVar); 16] = [
        ("GITHUB_ACTION", AttributionVar::GithubAction),
        ("GITHUB_STEP_SUMMARY", AttributionVar::GithubStepSummary),
        ("GITHUB_JOB", AttributionVar::GithubJob),
        ("CI_JOB_ID", AttributionVar::CiJobId),
        ("CI_JOB_STAGE", AttributionVar::CiJobStage),
        ("CI_JOB_NAME", AttributionVar::CiJobName),
        ("npm_package_name", AttributionVar::NpmPackageName),
        ("npm_package_version", AttributionVar::NpmPackageVersion),
        ("npm_lifecycle_event", AttributionVar::NpmLifecycleEvent),
        ("npm_package_json", AttributionVar::NpmPackageJson),
        ("CARGO_PKG_NAME", AttributionVar::CargoPkgName),
        ("CARGO_PKG_VERSION", AttributionVar::CargoPkgVersion),
        ("CARGO_MANIFEST_DIR", AttributionVar::CargoManifestDir),
        ("PIP_BUILD_TRACKER", AttributionVar::PipBuildTracker),
        ("PEP517_BUILD_BACKEND", AttributionVar::Pep517BuildBackend),
        ("MAVEN_PROJECTBASEDIR", AttributionVar::MavenProjectbasedir),
    ];

    /// The variable called `name`, if events may carry it.
    pub fn from_name(name: &[u8]) -> Option<AttributionVar> {
        AttributionVar::NAMES
            .iter()
            .find(|(n, _)| n.as_bytes() == name)
            .map(|(_, var)| *var)
    }
}

/// A process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessExit {
    /// The process.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// What it returned; missing when a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

/// A DNS message that a socket of the job sent or received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dns {
    /// The process that owns the socket.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// Question or answer.
    pub message: DnsMessageKind,
    /// How it travelled.
    pub transport: DnsTransport,
    /// The server's address.
    pub ip: IpAddr,
    /// The server's port.
    pub port: u16,
    /// The message's transaction id.
    pub id: u16,
    /// The name asked for, in lower case, without the last dot. Bytes outside printable ASCII show as `\DDD`.
    pub name: String,
    /// The type of record asked for (`A`, `AAAA`, `TXT`).
    #[serde(rename = "type")]
    pub record_type: String,
    /// The server's verdict (`NOERROR`, `NXDOMAIN`); missing in a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// The records that came as the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<DnsAnswer>,
    /// The fields that are incomplete: `answers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<String>,
}

/// One record of a DNS answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsAnswer {
    /// The owner of the record, written as in [`Dns::name`].
    pub name: String,
    /// The record's type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// Its content as text: an address, a name, or the presentation form of the type.
    pub data: String,
}

/// Question or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DnsMessageKind {
    /// A question to a server.
    Query,
    /// A server's answer.
    Answer,
}

/// How a DNS message travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DnsTransport {
    /// In a datagram.
    Udp,
    /// In a stream, with a length before each message.
    Tcp,
}

/// Which way a packet goes, seen from the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Away from the job.
    Egress,
    /// To the job.
    Ingress,
}

/// A process asked for a connection, or sent its first datagram to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connect {
    /// Names the connection in its later events.
    pub connection: ConnectionId,
    /// The process that asked.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The peer's address. A v4-mapped IPv6 address is written as the IPv4 address that it is.
    pub ip: IpAddr,
    /// The peer's port; 0 for protocols without ports.
    pub port: u16,
    /// The name that the job looked up to get this address, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was decided.
    pub status: Status,
    /// Why it was stopped, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The rule of [`JobStart::policy`] that allowed it, if one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// The entry of a block list that stopped it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<Box<BlockListEntry>>,
    /// Whether an IPv6 socket was used for an IPv4 address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub v4_mapped: bool,
}

/// A transport protocol.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
    /// SCTP.
    Sctp,
    /// A raw IP socket of another protocol.
    Raw,
    /// Anything else.
    #[serde(other)]
    Other,
}

/// What was decided about a connection.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It went ahead.
    Allowed,
    /// It was stopped.
    Blocked,
    /// It went ahead, and is new for this job.
    Anomalous,
}

/// Why the fence stopped something.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// No line of the policy allows it.
    NotAllowed,
    /// A line of the policy denies it.
    Denied,
    /// A name that is allowed stood for this address, but its time to live is over.
    Expired,
    /// A raw or packet socket, or a protocol that the fence does not follow.
    Protocol,
    /// A service on this machine that the job did not start itself.
    LocalService,
    /// The fence has no room to follow this peer.
    NoRoom,
    /// The packet could not be read.
    Unreadable,
    /// The connection was made by somebody outside of the job.
    Inbound,
    /// The first bytes of a TLS stream say a name that is not allowed.
    SniMismatch,
    /// A TLS stream says no name, to an address that is allowed by name only.
    NoSni,
    /// A TLS stream hides its name.
    EncryptedClientHello,
    /// A request of HTTP is for a host that is not allowed.
    HostMismatch,
    /// A request of HTTP that could be read in more than one way, or names no host.
    HttpUnclear,
    /// HTTP/2 without TLS, or a change to another protocol: what follows could not be judged.
    HttpUpgrade,
    /// The beginning of the stream is broken.
    FirstBytes,
    /// A pattern of the policy allows the name, but so many others were asked for below it that it could be a tunnel.
    DnsTunnel,
    /// It is on a block list, which is enforced in audit mode too.
    BlockList,
    /// A reason that a newer writer knows.
    #[serde(other)]
    Other,
}

/// The fence stopped something that was not a request for a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// The connection that the packet belonged to, if it was requested inside of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The process that used the socket last.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The peer's address; for a question to DNS, the server that was asked.
    pub ip: IpAddr,
    /// The peer's port.
    pub port: u16,
    /// The name that was asked for, or that the stream said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why.
    pub reason: Reason,
    /// The entry of a block list that stopped it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<Box<BlockListEntry>>,
}

/// A fenced job tried something against the fence, the agent or the machine below both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tamper {
    /// The process that tried it.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// What it tried.
    pub act: Act,
    /// What it was aimed at or done with: a path below its file system (`bpf:/runward/…`), a socket's name, a command, a
    /// signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether it was refused. If not, it may have had its effect.
    pub prevented: bool,
    /// Whether the process was killed for it, because it was too late to refuse it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub killed: bool,
    /// Originals of texts that were not UTF-8; see [`crate::Texts`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, String>,
}

/// What a fenced job tried beside the network.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Act {
    /// To use BPF: load, attach, detach or open it.
    Bpf,
    /// To signal the agent, or the machine's first process.
    Signal,
    /// To reach into the memory of a process outside of the job.
    Memory,
    /// To change the agent's limits, priority or other settings.
    Limits,
    /// To change what the fence is pinned to.
    Pins,
    /// To change the record.
    Report,
    /// To mount or unmount where the pins are.
    Mount,
    /// To load or remove a kernel module.
    Module,
    /// To start another kernel.
    Kexec,
    /// To reach the machine's memory, ports or registers.
    RawMemory,
    /// To reach a disk below its file system.
    RawDisk,
    /// To make a network device whose packets come from no socket.
    Tunnel,
    /// To change a setting of the kernel that makes it run programs, or that the fence stands on.
    Setting,
    /// To steer the control group that the agent is in.
    Cgroup,
    /// To make a socket of a family that the fence can't follow.
    Socket,
    /// To give its job another policy than the one that was taken when it began.
    Policy,
    /// To have a daemon outside of the job act for it.
    Service,
    /// To have a daemon outside of the job look up a name; C libraries do this by themselves.
    Resolver,
    /// To signal a whole process group that the agent is in; scripts end what they started so.
    GroupSignal,
    /// Something that a newer writer knows.
    #[serde(other)]
    Other,
}

/// One rule of the policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRule {
    /// Its number; what [`Connect::rule`] says.
    pub rule: u32,
    /// The rule, as it was written.
    pub text: String,
    /// Where it was written: a file and line, a flag, a variable.
    pub source: String,
    /// Whether it denies; deny wins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub denies: bool,
}

/// One block list in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockListInForce {
    /// The file that it was read from; `built-in` for the list that comes with Runward.
    pub source: String,
    /// How many names, patterns, addresses and networks it has.
    pub entries: u64,
}

/// One entry of a block list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockListEntry {
    /// The name, `*.name`, address or network.
    pub entry: String,
    /// Where it was written: the list and its line.
    pub source: String,
    /// Why it is listed, if the list says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A connection ended, or could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectClose {
    /// The connection that [`Connect`] named.
    pub connection: ConnectionId,
    /// The process that owned it.
    pub process: ProcessId,
    /// What became of it.
    pub outcome: ConnectOutcome,
    /// Payload that the job sent, in bytes, retransmissions not counted.
    pub bytes_sent: u64,
    /// Payload that the job received, in bytes.
    pub bytes_received: u64,
    /// From the request to the end, in nanoseconds.
    pub duration_ns: u64,
    /// Whether it was allowed by a name, but spoke neither TLS nor HTTP, so that only its address was judged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opaque: bool,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectOutcome {
    /// It was made, and has ended.
    Established,
    /// It was never made: refused, unreachable, or given up.
    Failed,
    /// It has no handshake (UDP, ICMP): datagrams went, whether anyone listened or not.
    Datagrams,
}

/// A change of a file in the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileChange {
    /// The process that did it; missing when it is not one of the job's or not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
    /// Its process id; 0 when not known.
    pub pid: u32,
    /// The file, relative to the workspace, with `/` between parts.
    pub path: String,
    /// For a rename, the name before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whether git tracked this path when the job started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tracked: bool,
    /// For a tracked file, the hash of its content when the job started, as `git hash-object` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_before: Option<String>,
    /// For a tracked file, the hash of its content now; missing when it is gone or could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_after: Option<String>,
    /// Whether this was found by comparing at the end of the job, because no event told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found_at_end: bool,
    /// For a tracked file, what differs between the content at the job's start and now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<FileDiff>,
    /// Why a tracked file with other content has no `diff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_diff: Option<NoDiff>,
    /// For a tracked file that did not change itself: the mount through which its path shows other content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<MountOver>,
    /// Originals of texts that were not UTF-8; see [`crate::Texts`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, String>,
}

/// What differs between two versions of a small text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDiff {
    /// A unified diff without its first two lines, at most 16 KiB of it. The lines are the file's own, with whatever the
    /// job wrote into them; who shows them must make them harmless. Long ones end with `…`.
    pub text: String,
    /// How many lines are new.
    pub added: u64,
    /// How many lines are gone.
    pub removed: u64,
    /// Whether `text` lacks lines, or parts of lines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Why there is no diff.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoDiff {
    /// One of the two versions is too large.
    Large,
    /// One of the two versions is not text in UTF-8.
    Binary,
    /// Git's objects do not have the content at the job's start, or hold something else by now, or it has over 1 MiB.
    NoOriginal,
    /// There were as many diffs already as one job may have.
    TooMany,
    /// Diffs are switched off.
    Off,
    /// A reason that a newer writer knows.
    #[serde(other)]
    Other,
}

/// A mount that hides tracked files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MountOver {
    /// Where it lies, relative to the workspace; empty when it hides all of it.
    pub point: String,
    /// The kind of file system that shows there now.
    pub file_system: String,
    /// How many tracked files lie below it.
    pub hides: u64,
    /// Whether only processes in a mount namespace of their own see it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// Whether what shows there could be read and compared. If not, `hash_after` is missing for that reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compared: bool,
}

/// The job did what it was in lockdown for, and all of it was killed. At most once in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lockdown {
    /// The detection that found it. Missing when the kernel side stopped an act and the event that tells of it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection: Option<String>,
    /// The `seq` of the event that the detection found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<u64>,
    /// How many processes the agent killed. Those that ended in the kernel, at the act or at the next thing that they did,
    /// are not among them.
    pub killed: u64,
    /// How many had not ended when the agent gave up waiting: in the middle of a request to a disk, for instance. They can
    /// neither make a process nor start a program any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left: u64,
    /// From the act until no process of the job was left, in nanoseconds.
    pub duration_ns: u64,
}

/// Events of one kind were lost between the last loss marker of that kind and this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// The kind of the events.
    pub lost: EventKind,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: LossReason,
}

/// Why events were lost.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LossReason {
    /// The ring buffer was full.
    RingFull,
    /// The kernel or the sensor could not keep the state that the event needs.
    NoMemory,
    /// The kernel ran out of places for file events; `count` is the number of times that it said so.
    QueueOverflow,
    /// The record could not be written: disk full or another error.
    WriteFailed,
    /// The event was malformed.
    Malformed,
    /// The kernel skipped a program because it was already running on that processor.
    Recursion,
    /// There were more than are told.
    Limit,
    /// A reason that a newer writer knows.
    #[serde(other)]
    Other,
}
