//! The service's unit: what the agent does, it can do with what the unit leaves it, and it needs all of that.
//!
//! Rights are taken away as systemd does it, by setpriv; that works in virtual machines as well. What else the unit says
//! is tried under a real systemd, where there is one. What runs there is `runward run`, and so the limits hold for the
//! job as well; what only the job needs is given back, each with its reason.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use runward_lab::{Lab, Ran, actor, requires, run, skip, test_name};
use serde_json::Value;
use tempfile::TempDir;

use crate::bed::{LIMIT, binary, mount_bpffs};
use crate::bypass::Ground;

const UNIT: &str = include_str!("../../../../integrations/systemd/runward-agent.service");
const BOOT: &str = include_str!("service/boot.sh");
pub(crate) const SYSTEMD: &str = "/lib/systemd/systemd";

/// Where fences are pinned.
const PINS: &str = "/sys/fs/bpf/runward";

/// What the job does, as a user of its own: alters source, reads a key, calls out, and asks for a name in a network that
/// it made itself.
const JOB: &str = "
echo altered >workspace/tracked
cat home/.ssh/id_rsa
./net tcp 198.51.100.66 4430
# The agent raises the loopback device there when it is told of the network.
unshare --user --map-root-user --net sh -c 'for i in $(seq 20); do
    ./net dns-udp {ns} 53 allowed.example && break
    sleep 0.1
done'
true
";

/// A job that only waits when the agent comes to end it: nothing that the kernel side stops.
const JOB_THAT_WAITS: &str = "
sleep 5 &
sleep 0.5
cat home/.ssh/id_rsa
wait
";

/// The same for a systemd in a process namespace of its own: there, processes have other numbers than in the machine's
/// `/proc`, and nobody finds the network of one. So the name is asked for in the network that all share.
const JOB_OF_UNIT: &str = "
echo altered >workspace/tracked
./net tcp 198.51.100.66 4430
./net dns-udp {ns} 53 allowed.example
true
";

/// What came of a job.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// How `runward` ended.
    code: i32,
    findings: Vec<String>,
    /// The name was looked up.
    answered: bool,
    /// In lockdown, nobody was left.
    ended: bool,
    /// The fence's pins were removed.
    clean: bool,
}

#[test]
fn the_units_capabilities_are_enough_for_another_users_fenced_job() {
    requires!(
        Root,
        Netns,
        Program("setpriv"),
        Program("unshare"),
        Program("git")
    );
    let all: Vec<&str> = capabilities().collect();
    let found = [
        "credential-access",
        "outbound-call-blocked",
        "source-code-overwritten",
    ];
    let whole = Outcome {
        code: 0,
        findings: found.map(str::to_owned).into(),
        answered: true,
        ended: true,
        clean: true,
    };
    let (outcome, said) = with(&all, "");
    assert_eq!(outcome, whole, "{said}");
    let (outcome, said) = with(&all, "credential-access");
    assert!(outcome.code == 87 && outcome.ended, "{said}");
}

/// Two are not in the table, `CAP_BPF` and `CAP_PERFMON`: kernels still take `CAP_SYS_ADMIN` for both.
#[test]
fn the_unit_gives_the_agent_no_capability_that_it_does_not_use() {
    requires!(
        Root,
        Netns,
        Program("setpriv"),
        Program("unshare"),
        Program("git")
    );
    type Missed = fn(&Outcome) -> bool;
    let table: [(&str, &str, Missed); 7] = [
        ("CAP_CHOWN", "", |outcome| outcome.code == 125),
        ("CAP_DAC_OVERRIDE", "", |outcome| !outcome.clean),
        ("CAP_DAC_READ_SEARCH", "", |outcome| {
            outcome.findings.len() < 3
        }),
        ("CAP_KILL", "credential-access", |outcome| !outcome.ended),
        ("CAP_NET_ADMIN", "", |outcome| !outcome.answered),
        ("CAP_SYS_ADMIN", "", |outcome| outcome.findings.len() < 3),
        ("CAP_SYS_PTRACE", "", |outcome| !outcome.answered),
    ];
    let implied = ["CAP_BPF", "CAP_PERFMON"];
    let needed: Vec<&str> = capabilities()
        .filter(|name| !implied.contains(name))
        .collect();
    assert_eq!(needed, table.map(|(name, _, _)| name));
    for (dropped, lockdown, missed) in table {
        let left: Vec<&str> = capabilities().filter(|name| *name != dropped).collect();
        let (outcome, said) = with(&left, lockdown);
        assert!(missed(&outcome), "without {dropped}: {outcome:?}\n{said}");
    }
}

#[test]
fn a_job_is_fenced_under_all_that_the_unit_forbids() {
    requires!(
        Root,
        Netns,
        Program("unshare"),
        Program("nsenter"),
        Program("git")
    );
    if !Path::new(SYSTEMD).exists() {
        skip(test_name!(), "needs systemd");
        return;
    }
    let ground = Ground::new();
    let place = Place::new(&ground, JOB_OF_UNIT);
    let report = place.boot(&ground);
    let said = place.read("said");
    // The unit is in force: these are the service's own limits.
    for limit in [
        "Seccomp:\t2",
        "NoNewPrivs:\t1",
        "/etc/refused': Read-only file system",
    ] {
        assert!(said.contains(limit), "no {limit}: {said}");
    }
    assert!(said.contains("a network was entered"), "{said}");
    assert_eq!(place.read("code").trim(), "0", "{said}");
    assert_eq!(report["effective_mode"], "block", "{said}");
    assert_eq!(report["files_watched"], true, "{said}");
    assert_eq!(report["file_events"][0]["path"], "tracked", "{said}");
    assert_eq!(names_of(&report), ["outbound-call-blocked"], "{said}");
    assert!(said.contains(&ground.shared().to_string()), "{said}");
    assert_eq!(place.read("left").trim(), "", "{said}");
}

/// The names in the unit's set, in order.
pub(crate) fn capabilities() -> impl Iterator<Item = &'static str> {
    let sets = UNIT
        .lines()
        .filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let mut names: Vec<&str> = sets.flat_map(str::split_whitespace).collect();
    names.sort_unstable();
    names.into_iter()
}

/// Fences a job with these capabilities. Answers also what was said.
fn with(capabilities: &[&str], lockdown: &str) -> (Outcome, String) {
    mount_bpffs();
    let ground = Ground::new();
    let place = Place::new(
        &ground,
        if lockdown.is_empty() {
            JOB
        } else {
            JOB_THAT_WAITS
        },
    );
    // Here the agent also starts the job, which becomes another user.
    let set = capabilities.iter().chain(&["CAP_SETUID", "CAP_SETGID"]);
    let set: String = set
        .map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    let mut command = ground.lab.command("setpriv");
    command
        .args(["--no-new-privs", "--inh-caps=-all"])
        .arg(format!("--bounding-set=-all{set}"))
        .arg(binary())
        .args([
            "run",
            "--workspace",
            "workspace",
            "--egress-policy",
            "block",
        ])
        .args(["--allowed-endpoints", &ground.policy()]);
    if !lockdown.is_empty() {
        command.args(["--lockdown", lockdown]);
    }
    let before = pins();
    let home = place.folder.path().join("home");
    command
        .args(["--", "setpriv", "--reuid=65534", "--regid=65534"])
        .args(["--clear-groups", "sh", "./job"])
        .current_dir(place.folder.path())
        .env("HOME", home)
        .env("RUNWARD_LAB_PATIENCE", "1");
    let ran = run(&mut command, LIMIT).expect("runward ends in time");
    let own = format!("{}-", ran.pid);
    let left: Vec<String> = pins()
        .into_iter()
        .filter(|pin| !before.contains(pin) && pin.starts_with(&own))
        .collect();
    for pin in &left {
        clean_away(pin);
    }
    let report = place.report();
    let outcome = Outcome {
        code: ran.code(),
        findings: names_of(&report),
        answered: ran.stdout.contains(&ground.shared().to_string()),
        ended: !ran.stderr.contains("had not ended"),
        clean: left.is_empty(),
    };
    (outcome, format!("{}{}\n{report}", ran.stdout, ran.stderr))
}

/// Removes what was left behind, when the last process that needed it has ended.
fn clean_away(pin: &str) {
    let deadline = Instant::now() + LIMIT;
    while pins().iter().any(|left| left == pin) {
        assert!(Instant::now() < deadline, "{pin} stays");
        // Other tests may have fences that have to stay, which it complains about.
        let clean = Command::new(binary()).args(["doctor", "--clean"]).output();
        assert!(clean.is_ok());
        thread::sleep(Duration::from_millis(50));
    }
}

fn pins() -> Vec<String> {
    let entries = fs::read_dir(PINS).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}

/// The kinds of what was found, each once.
fn names_of(report: &Value) -> Vec<String> {
    let found = report["detections"].as_array().into_iter().flatten();
    let names = found.filter_map(|found| Some(found["detection"].as_str()?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

/// A folder in which a job of any user finds what it needs.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(ground: &Ground, job: &str) -> Place {
        let folder = TempDir::new().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["workspace", "home/.ssh"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("workspace/tracked"), "as it was\n").unwrap();
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "tracked"],
            &["commit", "--quiet", "--message", "As it was"],
        ] {
            let git = Command::new("git")
                .args(["-c", "user.name=test", "-c", "user.email=test@example.com"])
                .args(arguments)
                .current_dir(at("workspace"))
                .output();
            assert!(git.is_ok_and(|git| git.status.success()), "{arguments:?}");
        }
        fs::write(at("home/.ssh/id_rsa"), "no key\n").unwrap();
        for path in ["", "workspace", "workspace/tracked"] {
            fs::set_permissions(at(path), fs::Permissions::from_mode(0o777)).unwrap();
        }
        fs::copy(actor("net"), at("net")).unwrap();
        let nameserver = ground.nameserver().to_string();
        fs::write(at("job"), job.replace("{ns}", &nameserver)).unwrap();
        Place { folder }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn report(&self) -> Value {
        serde_json::from_str(&self.read("runward-report/report.json")).unwrap_or_default()
    }

    /// Starts the unit under a systemd of its own, and gives the job's report.
    fn boot(&self, ground: &Ground) -> Value {
        mount_bpffs();
        let folder = self.folder.path();
        let shown = folder.display();
        let start = format!(
            "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status\n\
             touch /etc/refused\n\
             nsenter --net=/proc/self/ns/net echo a network was entered\n\
             (\n\
             exec sh -c 'echo $$ >own; exec runward run --workspace workspace --egress-policy block \
             --allowed-endpoints \"{}\" -- sh ./job'\n\
             )\n\
             echo $? >code\n\
             ls -d {PINS}/$(cat own)-* >left\n",
            ground.policy()
        );
        let settings = format!(
            "[Unit]\n\
             DefaultDependencies=no\n\
             After=\n\
             SuccessAction=exit-force\n\
             FailureAction=exit-force\n\
             [Service]\n\
             Type=oneshot\n\
             Restart=no\n\
             WatchdogSec=0\n\
             ExecStart=\n\
             ExecStart=/bin/sh {shown}/start\n\
             WorkingDirectory={shown}\n\
             StandardOutput=append:{shown}/said\n\
             StandardError=append:{shown}/said\n\
             Environment=RUNWARD_LAB_PATIENCE=3\n\
             # The job is a child of this service: it runs programs, and writes to its workspace.\n\
             NoExecPaths=\n\
             ExecPaths=\n\
             ReadWritePaths={shown}\n"
        );
        let files = [
            ("start", start.as_str()),
            ("units/runward-agent.service.d/test.conf", &settings),
            ("units/runward-agent.service", UNIT),
        ];
        fs::create_dir_all(folder.join("units/runward-agent.service.d")).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        let ran = boot(&ground.lab, folder, "runward-agent.service");
        let report = self.report();
        assert!(report.is_object(), "{}{}", self.read("said"), ran.stderr);
        report
    }
}

/// Runs a systemd with the units of a folder, until the one that is named has ended.
pub(crate) fn boot(lab: &Lab, folder: &Path, unit: &str) -> Ran {
    fs::write(folder.join("boot.sh"), BOOT).unwrap();
    fs::copy(binary(), folder.join("runward")).unwrap();
    let mut systemd = lab.command("sh");
    systemd.arg(folder.join("boot.sh")).arg(folder).arg(unit);
    run(&mut systemd, LIMIT).expect("systemd ends in time")
}
