use std::net::IpAddr;

use runward_event::{
    Body, Connect, Event, ProcessExec, ProcessId, Status, Stream, StreamEnd, StreamName,
};
use runward_tree::{Parent, Tree};

use crate::once::Once;
use crate::programs::{base_name, is_relay, is_shell, parent_exe};
use crate::refusal::destination;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "reverse-shell",
    title: "A shell takes its commands from another machine",
    severity: Severity::High,
    confidence: Confidence::High,
    needs: "processes, with what their standard streams lead to; connections",
    next: "Somebody else typed commands on this machine. End the job, change every secret that it could reach, and look \
           at the process's dependency or action.",
};

/// A shell whose standard input is a connection, in the ways that this is done: directly (`/dev/tcp`, dup2, nc -e),
/// behind a relay or a terminal of its parent's, and in a circle through a pipe with a name.
#[derive(Default)]
pub(crate) struct ReverseShell {
    told: Once<ProcessId>,
    /// Programs whose output goes into a pipe with a name.
    into_pipe: Vec<IntoPipe>,
    /// Shells that run beside others, which may close such a circle.
    shells: Vec<ShellBeside>,
}

struct IntoPipe {
    process: ProcessId,
    parent: Option<ProcessId>,
    inode: Option<u64>,
    /// Where it is connected to.
    call: Option<(String, u64)>,
}

struct ShellBeside {
    process: ProcessId,
    pid: u32,
    parent: Option<ProcessId>,
    from_pipe: Option<u64>,
    seq: u64,
}

/// How many of each are remembered, the latest.
const REMEMBERED: usize = 128;

impl Detection for ReverseShell {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        match &event.body {
            Body::ProcessExec(exec) => self.exec(event, exec, tree, findings),
            Body::Connect(connect) => self.connect(event, connect, tree, findings),
            _ => {}
        }
    }
}

impl ReverseShell {
    fn exec(
        &mut self,
        event: &Event,
        exec: &ProcessExec,
        tree: &Tree,
        findings: &mut Vec<Finding>,
    ) {
        let shell = is_shell(&exec.exe);
        let parent = parent_exe(tree, exec.process);
        if let Some(how) = taken_over(exec, shell, parent) {
            self.tell(
                event,
                (exec.process, exec.pid),
                &how,
                Vec::new(),
                tree,
                findings,
            );
        }
        let parent = parent_of(tree, exec.process);
        let pipe = |name| stream(exec, name, StreamEnd::NamedPipe);
        if let Some(stdout) = pipe(StreamName::Stdout) {
            remember(
                &mut self.into_pipe,
                IntoPipe {
                    process: exec.process,
                    parent,
                    inode: stdout.inode,
                    call: None,
                },
            );
        }
        if shell && parent.is_some() {
            remember(
                &mut self.shells,
                ShellBeside {
                    process: exec.process,
                    pid: exec.pid,
                    parent,
                    from_pipe: pipe(StreamName::Stdin).and_then(|stdin| stdin.inode),
                    seq: event.seq,
                },
            );
        }
        self.close_circles(event, tree, findings);
    }

    fn connect(
        &mut self,
        event: &Event,
        connect: &Connect,
        tree: &Tree,
        findings: &mut Vec<Finding>,
    ) {
        // A question to DNS is how it finds the other end.
        if connect.status == Status::Blocked || connect.ip.is_loopback() || connect.port == 53 {
            return;
        }
        let caller = self
            .into_pipe
            .iter_mut()
            .rfind(|caller| caller.process == connect.process && caller.call.is_none());
        if let Some(caller) = caller {
            let name = connect.name.as_deref();
            let label = destination(name, connect.ip, connect.port, connect.protocol);
            caller.call = Some((label, event.seq));
            self.close_circles(event, tree, findings);
        }
    }

    /// A program is connected and writes into a pipe with a name; a shell reads that pipe, or stands in one pipeline with
    /// the program.
    fn close_circles(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let mut circles = Vec::new();
        for caller in &self.into_pipe {
            let Some((label, call)) = &caller.call else {
                continue;
            };
            let shell = self.shells.iter().rfind(|shell| {
                let same_pipe = shell.from_pipe.is_some() && shell.from_pipe == caller.inode;
                let pipeline = shell.parent.is_some() && shell.parent == caller.parent;
                shell.process != caller.process && (same_pipe || pipeline)
            });
            if let Some(shell) = shell {
                let name = tree
                    .image(caller.process)
                    .map_or("a program", |image| base_name(&image.exe));
                let how = format!(
                    "takes commands from {} through a pipe with a name and {}",
                    quote(label),
                    quote(name)
                );
                circles.push(((shell.process, shell.pid), how, vec![shell.seq, *call]));
            }
        }
        for (shell, how, mut evidence) in circles {
            evidence.retain(|seq| *seq != event.seq);
            evidence.sort_unstable();
            self.tell(event, shell, &how, evidence, tree, findings);
        }
    }

    fn tell(
        &mut self,
        event: &Event,
        (process, pid): (ProcessId, u32),
        how: &str,
        evidence: Vec<u64>,
        tree: &Tree,
        findings: &mut Vec<Finding>,
    ) {
        if !self.told.is_new(process) {
            return;
        }
        let who = actor(tree, Some(process), pid);
        let mut finding = ABOUT.finding(event, Some(process), format!("{who} {how}"));
        finding.evidence = evidence;
        findings.push(finding);
    }
}

/// How a program that starts takes its commands from elsewhere.
fn taken_over(exec: &ProcessExec, shell: bool, parent: Option<&str>) -> Option<String> {
    let below_shell = parent.is_some_and(is_shell);
    if let Some(peer) = remote(exec, StreamName::Stdin)
        && (shell || below_shell)
    {
        return Some(match shell {
            true => format!("takes commands from {peer}"),
            false => format!("reads what {peer} sends, for a shell"),
        });
    }
    if !shell {
        return None;
    }
    if let Some(peer) = remote(exec, StreamName::ParentStdin) {
        return Some(format!(
            "takes commands from {peer}, through the program that started it"
        ));
    }
    let relay = parent.filter(|parent| is_relay(parent))?;
    Some(format!(
        "takes commands through {}",
        quote(base_name(relay))
    ))
}

/// The other machine at the end of a stream.
fn remote(exec: &ProcessExec, name: StreamName) -> Option<String> {
    let stream =
        stream(exec, name, StreamEnd::Tcp).or_else(|| stream(exec, name, StreamEnd::Udp))?;
    let ip = stream.ip.filter(|ip| is_elsewhere(*ip))?;
    let port = stream.port.unwrap_or(0);
    Some(match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    })
}

fn is_elsewhere(ip: IpAddr) -> bool {
    !ip.is_loopback() && !ip.is_unspecified()
}

fn stream(exec: &ProcessExec, name: StreamName, end: StreamEnd) -> Option<&Stream> {
    let streams = &exec.facts.streams;
    streams
        .iter()
        .find(|stream| stream.stream == name && stream.to == end)
}

fn parent_of(tree: &Tree, id: ProcessId) -> Option<ProcessId> {
    match tree.process(id)?.parent {
        Parent::Known(parent) => Some(parent),
        Parent::Root | Parent::Unknown => None,
    }
}

fn remember<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= REMEMBERED {
        list.remove(0);
    }
    list.push(item);
}
