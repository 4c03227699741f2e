//! A fenced job that is root and wants out: attempts to undo the fence, to end or steer the agent, and to have somebody
//! else act for it. Where the kernel can refuse (tier A), each is refused and told; elsewhere (tier B) each is told as
//! far as the table says. The fence stands afterwards in any case.

use std::collections::HashMap;
use std::os::unix::net::UnixListener;
use std::path::Path;

use runward_event::{Act, Body, Tamper, Tier};
use runward_lab::{actor, requires};
use serde_json::Value;

use crate::bed::{Bed, Recorded};

/// What tier B, which can only watch, knows of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// It is told.
    Told,
    /// It is told, and the process killed.
    Killed,
    /// It is refused, as on tier A.
    Prevented,
    /// No tracepoint shows it.
    Unseen,
}
use Watched::{Killed, Prevented, Told, Unseen};

/// Attempts that do no harm where nobody refuses them.
const ATTEMPTS: [(&str, Act, Watched); 62] = [
    ("bpf-load", Act::Bpf, Killed),
    ("bpf-load-tracepoint", Act::Bpf, Killed),
    ("bpf-open-pin", Act::Bpf, Killed),
    ("bpf-open-tasks", Act::Bpf, Killed),
    ("bpf-open-tasks-compat", Act::Bpf, Killed),
    ("bpf-next-map", Act::Bpf, Told),
    ("bpf-open-map", Act::Bpf, Killed),
    ("bpf-open-link", Act::Bpf, Killed),
    ("bpf-open-program", Act::Bpf, Unseen),
    ("bpf-introduce", Act::Bpf, Unseen),
    ("bpf-detach-link", Act::Bpf, Unseen),
    ("bpf-attach-root", Act::Bpf, Told),
    ("bpf-detach-root", Act::Bpf, Unseen),
    ("signal-kill", Act::Signal, Told),
    ("signal-thread", Act::Signal, Told),
    ("signal-queue", Act::Signal, Told),
    ("signal-pidfd", Act::Signal, Told),
    ("signal-group", Act::GroupSignal, Told),
    ("signal-init", Act::Signal, Told),
    ("signal-io", Act::Signal, Told),
    ("memory-seize", Act::Memory, Unseen),
    ("memory-file", Act::Memory, Unseen),
    ("memory-read", Act::Memory, Unseen),
    ("memory-descriptor", Act::Memory, Unseen),
    ("memory-stranger", Act::Memory, Unseen),
    ("limits-files", Act::Limits, Unseen),
    ("limits-processors", Act::Limits, Unseen),
    ("limits-priority", Act::Limits, Unseen),
    ("limits-disk-priority", Act::Limits, Unseen),
    ("limits-memory", Act::Limits, Unseen),
    ("pins-mode", Act::Pins, Unseen),
    ("pins-folder", Act::Pins, Unseen),
    ("report-append", Act::Report, Unseen),
    ("report-link", Act::Report, Unseen),
    ("module-load", Act::Module, Told),
    ("module-load-file", Act::Module, Told),
    ("module-remove", Act::Module, Told),
    ("memory-device", Act::RawMemory, Prevented),
    ("port-device", Act::RawMemory, Prevented),
    ("register-device", Act::RawMemory, Prevented),
    ("kernel-memory", Act::RawMemory, Unseen),
    ("disk-device", Act::RawDisk, Prevented),
    ("scsi-device", Act::RawDisk, Prevented),
    ("mapper-device", Act::RawDisk, Prevented),
    ("tunnel-device", Act::Tunnel, Prevented),
    ("set-core-pattern", Act::Setting, Prevented),
    ("set-modprobe", Act::Setting, Prevented),
    ("set-ftrace", Act::Setting, Prevented),
    ("set-bpf", Act::Setting, Prevented),
    ("set-sysrq", Act::Setting, Unseen),
    ("socket-packet", Act::Socket, Killed),
    ("socket-old-packet", Act::Socket, Killed),
    ("socket-vsock", Act::Socket, Killed),
    ("socket-xdp", Act::Socket, Killed),
    ("socket-key", Act::Socket, Killed),
    ("socket-compat", Act::Socket, Killed),
    ("socket-call-compat", Act::Socket, Killed),
    ("socket-uring", Act::Socket, Killed),
    ("service-docker", Act::Service, Prevented),
    ("service-renamed", Act::Service, Unseen),
    ("service-bus", Act::Service, Prevented),
    ("service-resolver", Act::Resolver, Prevented),
];

/// Attempts for machines that are thrown away afterwards; in them, harmless signals become deadly ones.
const ROUGH_ATTEMPTS: [(&str, Act, Watched); 14] = [
    ("pins-unlink", Act::Pins, Unseen),
    ("pins-rename", Act::Pins, Unseen),
    ("report-unlink", Act::Report, Unseen),
    ("report-truncate", Act::Report, Unseen),
    ("report-overlay", Act::Report, Unseen),
    ("report-move", Act::Report, Unseen),
    ("mount-over", Act::Mount, Unseen),
    ("mount-above", Act::Mount, Unseen),
    ("mount-away", Act::Mount, Unseen),
    ("mount-from-namespace", Act::Mount, Unseen),
    ("set-tracing", Act::Setting, Unseen),
    ("kexec", Act::Kexec, Unseen),
    ("cgroup-move", Act::Cgroup, Killed),
    ("cgroup-kill", Act::Cgroup, Unseen),
];

/// What a build may do, and what container runtimes do in it.
const PERMITTED: [&str; 11] = [
    "may-load-device-program",
    "may-try-attaching",
    "may-make-map",
    "may-ask-for-agent",
    "may-trace-own",
    "may-open-null",
    "may-set-limit",
    "may-use-netlink",
    "may-freeze-own-group",
    "may-reach-own-service",
    "may-reach-unknown-service",
];

/// An address for documentation (RFC 5737), which no policy here allows.
const REFUSED: (&str, &str) = ("203.0.113.9", "9");

/// Daemons outside of the job.
fn daemons(folder: &Path) -> Vec<UnixListener> {
    std::fs::create_dir_all(folder.join("dbus")).unwrap();
    let names = [
        "docker.sock",
        "dbus/system_bus_socket",
        "io.systemd.Resolve",
        "agent.4711",
    ];
    names
        .map(|name| UnixListener::bind(folder.join(name)).unwrap())
        .into()
}

/// Makes a fenced job try all of this, one after the other, and then a connection that the policy does not allow.
fn attack(bed: &Bed, rough: bool, acts: &[&str]) -> Recorded {
    let folder = bed.path().join("attack");
    std::fs::create_dir_all(&folder).unwrap();
    // Where daemons have their sockets.
    let run = tempfile::Builder::new()
        .prefix("runward-test.")
        .tempdir_in("/run");
    let run = run.unwrap();
    let _daemons = daemons(run.path());
    let mut command = bed.runward(["run", "--quiet", "--egress-policy", "block", "--"]);
    // The shell's parent is the agent.
    let script = r#"net="$1"; tamper="$2"; folder="$3"; run="$4"; shift 4; "$tamper" $ROUGH $PPID "$folder" "$run" "$@"; exec "$net" tcp "$HOST" "$PORT" 1"#;
    command
        .args(["sh", "-c", script, "sh"])
        .args([actor("net"), actor("tamper"), folder, run.path().to_owned()])
        .args(acts)
        .env("ROUGH", if rough { "--rough" } else { "" })
        .env("HOST", REFUSED.0)
        .env("PORT", REFUSED.1);
    bed.finish(&mut command)
}

fn tier(recorded: &Recorded) -> Tier {
    let start = recorded.events.first().map(|event| &event.body);
    let Some(Body::JobStart(start)) = start else {
        panic!("{start:?}")
    };
    start.tier
}

/// What was told, by the process that tried it.
fn told(recorded: &Recorded) -> HashMap<u64, Vec<&Tamper>> {
    let mut told: HashMap<_, Vec<_>> = HashMap::new();
    for event in &recorded.events {
        if let Body::Tamper(tamper) = &event.body {
            told.entry(u64::from(tamper.pid))
                .or_default()
                .push(&**tamper);
        }
    }
    told
}

fn outcome<'a>(recorded: &'a Recorded, act: &str) -> &'a Value {
    let line = recorded.ran.lines.iter().find(|line| line["act"] == act);
    line.unwrap_or_else(|| panic!("{act} was not tried: {}", recorded.ran.stdout))
}

/// Checks each attempt; returns how many were refused and told.
fn check(recorded: &Recorded, attempts: &[(&str, Act, Watched)]) -> usize {
    let mut refused = 0;
    let tier = tier(recorded);
    let told = told(recorded);
    for (act, kind, watched) in attempts {
        let line = outcome(recorded, act);
        if let Some(lacking) = line["lacking"].as_str() {
            runward_lab::skip_part(runward_lab::test_name!(), act, lacking);
            continue;
        }
        let of_act = told.get(&line["pid"].as_u64().unwrap());
        let event = of_act.and_then(|of_act| of_act.iter().find(|tamper| tamper.act == *kind));
        // The kernel sends the first signal long after the call that asked for it, the second one to other processes as
        // well: nothing can fail. And the agent's move to another control group can only be answered.
        let late = ["signal-io", "signal-group", "cgroup-move"].contains(act);
        refused += usize::from(event.is_some_and(|tamper| tamper.prevented));
        match (tier, watched) {
            (Tier::A, _) => {
                let event = event.unwrap_or_else(|| panic!("{act} was not told: {line}"));
                assert_eq!(event.prevented, *act != "cgroup-move", "{act}: {event:?}");
                assert!(late || line["ok"] == false, "{act} was not refused: {line}");
            }
            // Whether a kernel has the family at all shows only where nobody refuses it before.
            (Tier::B, Killed) if line["error"] == "EAFNOSUPPORT" => {
                runward_lab::skip_part(runward_lab::test_name!(), act, "the kernel lacks it");
            }
            (Tier::B, Told | Killed | Prevented) => {
                let event = event.unwrap_or_else(|| panic!("{act} was not told: {line}"));
                assert_eq!(event.prevented, *watched == Prevented, "{act}: {event:?}");
                assert_eq!(event.killed, *watched == Killed, "{act}: {event:?}");
                assert_eq!(line["killed"].as_u64().is_some(), event.killed, "{act}");
                assert!(!event.prevented || line["ok"] == false, "{act}: {line}");
            }
            (Tier::B, Unseen) => assert!(event.is_none(), "{act} is told after all: {event:?}"),
        }
    }
    refused
}

fn fence_stands(recorded: &Recorded) {
    let line = recorded.ran.lines.last().unwrap();
    assert_eq!(line["act"], "tcp", "{}", recorded.ran.stdout);
    assert_eq!(line["error"], "EPERM", "{line}");
    let refused = recorded.connects();
    assert!(
        refused
            .iter()
            .any(|connect| connect.ip.to_string() == REFUSED.0 && connect.reason.is_some()),
        "{refused:?}"
    );
}

fn names(attempts: &[(&'static str, Act, Watched)]) -> Vec<&'static str> {
    attempts.iter().map(|(name, _, _)| *name).collect()
}

#[test]
fn every_attempt_at_tampering_is_refused_or_told() {
    requires!(Root);
    let bed = Bed::new();
    let recorded = attack(&bed, false, &names(&ATTEMPTS));
    let refused = check(&recorded, &ATTEMPTS);
    // Whatever this machine lacks, what is left must be worth the name.
    let least = if tier(&recorded) == Tier::A { 40 } else { 10 };
    assert!(refused >= least, "only {refused} were refused");
    fence_stands(&recorded);
    // Where it is not refused either: who runs it must not become the agent.
    let introduced = outcome(&recorded, "bpf-introduce");
    assert_eq!(introduced["ok"], false, "{introduced}");
    assert_eq!(introduced["error"], "EPERM", "{introduced}");
    let found = recorded.report["detections"].to_string();
    assert!(
        tier(&recorded) == Tier::B || found.contains("agent-tampered"),
        "{found}"
    );
}

#[test]
fn rough_attempts_end_in_nothing() {
    requires!(Root);
    if std::env::var_os("RUNWARD_VM").is_none() {
        runward_lab::skip(
            runward_lab::test_name!(),
            "would harm this machine if it were not refused; runs in virtual machines",
        );
        return;
    }
    let bed = Bed::new();
    let signals: Vec<_> = ATTEMPTS
        .into_iter()
        .filter(|(name, _, _)| name.starts_with("signal-"))
        .collect();
    let acts = [names(&signals), names(&ROUGH_ATTEMPTS)].concat();
    let recorded = attack(&bed, true, &acts);
    check(&recorded, &signals);
    check(&recorded, &ROUGH_ATTEMPTS);
    fence_stands(&recorded);
    assert_eq!(recorded.ran.code(), 1, "{}", recorded.ran.stderr);
}

#[test]
fn what_a_build_needs_is_left_alone() {
    requires!(Root);
    let bed = Bed::new();
    let recorded = attack(&bed, false, &PERMITTED);
    let told = told(&recorded);
    for act in PERMITTED {
        let line = outcome(&recorded, act);
        // Machines without this hierarchy, this device or this kind of program say so themselves.
        let lacks = ["ENOENT", "ENODEV", "ENXIO", "EINVAL"];
        let error = line["error"].as_str().unwrap_or_default();
        assert!(
            line["ok"] == true || lacks.contains(&error),
            "{act}: {line}"
        );
        let of_act = told.get(&line["pid"].as_u64().unwrap());
        assert!(of_act.is_none(), "{act}: {of_act:?}");
    }
    fence_stands(&recorded);
}
