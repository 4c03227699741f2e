use runward_event::{Body, Event, ProcessExec};
use runward_tree::Tree;

use crate::once::Once;
use crate::programs::base_name;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "privileged-container",
    title: "A container was started that can take over the machine",
    severity: Severity::High,
    confidence: Confidence::High,
    needs: "processes",
    next: "Give the container only what it needs: a volume in place of the root folder, one capability in place of all. \
           If no step of the pipeline asks for it, somebody used it to become root.",
};

/// A container engine was asked for one, or one runs.
#[derive(Default)]
pub(crate) struct PrivilegedContainer {
    told: Once<String>,
}

/// Bytes of arguments that tell one request from another.
const MAX_KEY: usize = 1_024;
/// Arguments that are looked at.
const ARGS_MAX: usize = 200;

impl Detection for PrivilegedContainer {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let Body::ProcessExec(exec) = &event.body else {
            return;
        };
        if let Some(asked) = asked(exec) {
            let key = exec.args.join(" ");
            if self
                .told
                .is_new(key[..key.floor_char_boundary(MAX_KEY)].to_owned())
            {
                let who = actor(tree, Some(exec.process), exec.pid);
                let message = format!("{who} started a container with {}", quote(&asked.what));
                let mut finding = ABOUT.finding(event, Some(exec.process), message);
                finding.severity = asked.severity;
                findings.push(finding);
            }
        } else if let (true, Some(container)) = (exec.facts.privileged, &exec.container)
            && self
                .told
                .is_new(container[..container.floor_char_boundary(MAX_KEY)].to_owned())
        {
            let who = actor(tree, Some(exec.process), exec.pid);
            let id: String = container.chars().take(12).collect();
            let message = format!(
                "{who} runs in container {} and may administer the machine outside of it",
                quote(&id)
            );
            let mut finding = ABOUT.finding(event, Some(exec.process), message);
            finding.severity = Severity::Medium;
            findings.push(finding);
        }
    }
}

struct Asked {
    what: String,
    severity: Severity,
}

/// What a container engine's command line asks for that leads out of the container.
fn asked(exec: &ProcessExec) -> Option<Asked> {
    if !matches!(
        base_name(&exec.exe),
        "docker" | "podman" | "nerdctl" | "docker-compose"
    ) {
        return None;
    }
    let args = || exec.args.iter().skip(1).take(ARGS_MAX).map(String::as_str);
    let verb = args().any(|arg| matches!(arg, "run" | "create" | "exec"));
    if !verb {
        return None;
    }
    let next = exec.args.iter().skip(2).take(ARGS_MAX).map(String::as_str);
    let pairs = args().zip(next.map(Some).chain([None]));
    let mut found: Option<Asked> = None;
    for (arg, next) in pairs {
        let (option, value) = match arg.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (arg, next),
        };
        let Some(severity) = leads_out(arg, option, value.unwrap_or("")) else {
            continue;
        };
        let text = match (arg.contains('='), value) {
            (false, Some(value)) if option != "--privileged" => format!("{option} {value}"),
            _ => arg.to_owned(),
        };
        let what = match &found {
            Some(before) => format!("{}, {text}", before.what),
            None => text,
        };
        let severity = found.map_or(severity, |before| before.severity.max(severity));
        found = Some(Asked { what, severity });
    }
    found
}

fn leads_out(arg: &str, option: &str, value: &str) -> Option<Severity> {
    match option {
        "--privileged" => (arg != "--privileged=false").then_some(Severity::High),
        "--pid" | "--userns" | "--ipc" | "--uts" | "--cgroupns" => {
            (value == "host" && option != "--ipc").then_some(Severity::Medium)
        }
        "--cap-add" => {
            let name = value.to_ascii_uppercase();
            let name = name.trim_start_matches("CAP_");
            matches!(
                name,
                "ALL"
                    | "SYS_ADMIN"
                    | "SYS_PTRACE"
                    | "SYS_MODULE"
                    | "SYS_RAWIO"
                    | "DAC_READ_SEARCH"
                    | "BPF"
            )
            .then_some(Severity::High)
        }
        "-v" | "--volume" => of_source(value.split(':').next().unwrap_or("")),
        "--mount" => value
            .split(',')
            .filter_map(|part| {
                part.strip_prefix("source=")
                    .or_else(|| part.strip_prefix("src="))
            })
            .find_map(of_source),
        _ => None,
    }
}

/// A folder or socket of the machine that is as good as the machine.
fn of_source(source: &str) -> Option<Severity> {
    let path = match source.trim_end_matches('/') {
        "" if source.starts_with('/') => "/",
        path => path,
    };
    match path {
        "/" | "/etc" | "/root" | "/proc" | "/sys" | "/dev" | "/boot" | "/home" | "/var/lib" => {
            Some(Severity::High)
        }
        "/var/run/docker.sock"
        | "/run/docker.sock"
        | "/run/podman/podman.sock"
        | "/run/containerd/containerd.sock" => Some(Severity::Medium),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str]) -> Option<(String, Severity)> {
        let exec: ProcessExec = serde_json::from_value(serde_json::json!({
            "process": 1, "pid": 1, "ppid": 0, "exe": "/usr/bin/docker", "path": "docker", "args": args, "cwd": "/",
            "uid": 0, "gid": 0
        }))
        .unwrap();
        asked(&exec).map(|asked| (asked.what, asked.severity))
    }

    #[test]
    fn what_leads_out_of_a_container_is_named() {
        for (args, want) in [
            (
                &["docker", "run", "--privileged", "x"][..],
                Some(("--privileged", Severity::High)),
            ),
            (&["docker", "run", "--privileged=false", "x"], None),
            (&["docker", "build", "--privileged", "."], None),
            (
                &["docker", "run", "-v", "/:/host", "x"],
                Some(("-v /:/host", Severity::High)),
            ),
            (&["docker", "run", "-v", "/src:/src", "x"], None),
            (&["docker", "run", "--network", "host", "x"], None),
            (
                &[
                    "docker",
                    "run",
                    "-v",
                    "/var/run/docker.sock:/s",
                    "--pid=host",
                    "x",
                ],
                Some(("-v /var/run/docker.sock:/s, --pid=host", Severity::Medium)),
            ),
            (
                &["docker", "run", "--mount", "type=bind,src=/etc,dst=/e", "x"],
                Some(("--mount type=bind,src=/etc,dst=/e", Severity::High)),
            ),
            (&["docker", "run", "--cap-add", "NET_ADMIN", "x"], None),
            (
                &["docker", "run", "--cap-add=all", "x"],
                Some(("--cap-add=all", Severity::High)),
            ),
        ] {
            let found = check(args);
            let found = found
                .as_ref()
                .map(|(what, severity)| (what.as_str(), *severity));
            assert_eq!(found, want, "{args:?}");
        }
    }
}
