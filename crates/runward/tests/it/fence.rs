//! The fence's life: it outlives the agent, leaves nothing behind, and goes up whole or not at all.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use runward_lab::{Ran, actor, requires, run, skip_part, test_name};
use rustix::process::{Pid, Signal, kill_process};

use crate::bed::{Bed, LIMIT, binary, within};
use crate::bypass::{Fence, Ground, runward_arguments};

/// An address that no policy of these tests names, and a name that none does.
const REFUSED: &str = "198.51.100.66";
const REFUSED_NAME: &str = "gone.refused.example";

/// Where fences are pinned.
const PINS: &str = "/sys/fs/bpf/runward";

/// A job that tries the same again and again, until the file `stop` is there. Each round adds a line to `rounds`.
const RESTLESS: &str = "
while [ ! -e $W/stop ]; do
    $A/net udp-sendto 198.51.100.66 4430
    $A/net tcp 198.51.100.66 4430
    $A/net udp {ns} 53
    $A/net dns-tcp {ns} 53 gone.refused.example
    $A/net tcp {allowed4} 4430
    echo >>$W/rounds
    sleep 0.1
done >$W/said 2>&1
echo >$W/done
";

/// A job in a lab, which the test watches from outside.
struct Restless {
    ground: Ground,
    bed: Bed,
    runward: Child,
}

impl Restless {
    fn start(fence: Fence) -> Restless {
        let ground = Ground::new();
        let bed = Bed::new();
        let script = bed.path().join("script");
        fs::write(&script, filled(RESTLESS, &ground, bed.path())).unwrap();
        let runward = ground
            .lab
            .command(binary())
            .args(runward_arguments(fence, &ground, bed.path()))
            .args(["--", "sh"])
            .arg(&script)
            .current_dir(bed.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let job = Restless {
            ground,
            bed,
            runward,
        };
        job.wait_for_rounds(2);
        job
    }

    fn rounds(&self) -> usize {
        fs::read(self.bed.path().join("rounds")).map_or(0, |text| text.len())
    }

    /// Waits until the job has done so many more rounds.
    fn wait_for_rounds(&self, more: usize) {
        let wanted = self.rounds() + more;
        let come = || self.rounds() >= wanted;
        assert!(within(LIMIT, come), "the job goes on");
    }

    fn pid(&self) -> u32 {
        self.runward.id()
    }

    fn kill(&mut self) {
        kill_process(Pid::from_child(&self.runward), Signal::KILL).unwrap();
        self.runward.wait().unwrap();
    }

    fn stop(&mut self) {
        fs::write(self.bed.path().join("stop"), "").unwrap();
        let done = self.bed.path().join("done");
        assert!(within(LIMIT, || done.exists()), "the job ends");
    }

    fn got_out(&self) -> usize {
        let refused: IpAddr = REFUSED.parse().unwrap();
        let packets = self.ground.wire.to(refused).unwrap().len();
        packets + usize::try_from(self.ground.asked(REFUSED_NAME)).unwrap()
    }

    fn allowed_bytes(&self) -> u64 {
        self.ground.bytes_at(self.ground.allowed_v4().into())
    }

    fn pins(&self) -> Vec<PathBuf> {
        pins_of(self.pid())
    }
}

impl Drop for Restless {
    fn drop(&mut self) {
        // Also after a failed assertion, nothing of this may go on.
        let _ = fs::write(self.bed.path().join("stop"), "");
        let _ = self.runward.kill();
        let _ = self.runward.wait();
        let done = self.bed.path().join("done");
        within(Duration::from_secs(20), || done.exists());
        let _ = clean();
    }
}

fn filled(text: &str, ground: &Ground, folder: &Path) -> String {
    let actors = actor("net");
    let actors = actors.parent().unwrap_or(Path::new("/"));
    format!(
        "A={} W={}\nexport RUNWARD_LAB_PATIENCE=1\n{}",
        actors.display(),
        folder.display(),
        text.replace("{ns}", &ground.nameserver().to_string())
            .replace("{allowed4}", &ground.allowed_v4().to_string())
    )
}

fn pins_of(pid: u32) -> Vec<PathBuf> {
    let folders = fs::read_dir(PINS).into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path())
        .filter(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&format!("{pid}-"))
        })
        .collect()
}

fn clean() -> Ran {
    run(Command::new(binary()).args(["doctor", "--clean"]), LIMIT).unwrap()
}

#[test]
fn the_fence_outlives_a_runward_that_is_killed() {
    requires!(Root, Netns);
    let mut open = Restless::start(Fence::Down);
    assert!(open.got_out() > 0, "without the fence it gets out");
    open.stop();

    let mut job = Restless::start(Fence::Up);
    assert_ne!(
        job.pins(),
        Vec::<PathBuf>::new(),
        "there is something to outlive"
    );
    job.kill();
    let before = job.allowed_bytes();
    job.wait_for_rounds(5);
    assert_eq!(job.got_out(), 0, "nothing gets out when nobody watches");
    assert!(job.allowed_bytes() > before, "what is allowed goes on");

    // As long as the job runs, its fence is no leftover.
    let ran = clean();
    assert!(
        !ran.worked() && ran.stderr.contains("processes that still run"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert_ne!(job.pins(), Vec::<PathBuf>::new(), "its pins stay");
    job.wait_for_rounds(5);
    assert_eq!(job.got_out(), 0, "the job that still runs stays fenced");

    job.stop();
    assert!(
        // Whether it has worked says something of other tests' fences, too.
        within(Duration::from_secs(10), || {
            clean();
            job.pins().is_empty()
        }),
        "{:?}",
        job.pins()
    );
    assert_eq!(job.got_out(), 0);
    // The lab's namespace had no sockets before; the resolver was in it.
    assert_eq!(listeners(&job.ground), Vec::<String>::new());
}

#[test]
fn a_job_that_has_ended_leaves_nothing_behind() {
    requires!(Root, Netns);
    let groups = control_groups();
    let mut job = Restless::start(Fence::Up);
    assert_ne!(job.pins(), Vec::<PathBuf>::new());
    assert_ne!(
        listeners(&job.ground),
        Vec::<String>::new(),
        "the resolver listens"
    );
    job.stop();
    assert!(job.runward.wait().unwrap().success());
    assert_eq!(job.got_out(), 0);
    assert_eq!(job.pins(), Vec::<PathBuf>::new());
    assert_eq!(listeners(&job.ground), Vec::<String>::new());
    assert_eq!(control_groups(), groups);
}

#[test]
fn a_process_that_outlives_the_command_is_fenced_to_its_end() {
    requires!(Root, Netns, Program("setsid"));
    let ground = Ground::new();
    let bed = Bed::new();
    let rounds = bed.path().join("rounds");
    let act = format!(
        "setsid {} udp-headless {REFUSED} 4430 4 >{} 2>&1 </dev/null &",
        actor("evade").display(),
        rounds.display()
    );
    let mut command = ground.lab.command(binary());
    command
        .args(runward_arguments(Fence::Up, &ground, bed.path()))
        .args(["--", "sh", "-c", &act])
        .current_dir(bed.path());
    let ran = run(&mut command, LIMIT).unwrap();
    assert!(ran.worked(), "{}", ran.stderr);
    assert!(ran.stderr.contains("stay fenced"), "{}", ran.stderr);
    let pins = || pins_of(ran.pid);
    assert_ne!(pins(), Vec::<PathBuf>::new(), "what still runs is fenced");
    // Its last act is to say what it did.
    let ended = || fs::read_to_string(&rounds).is_ok_and(|said| said.contains("udp-headless"));
    assert!(within(LIMIT, ended), "it goes on to its end");
    assert!(
        within(LIMIT, || pins().is_empty()),
        "nobody has to remove {:?}",
        pins()
    );
    assert_eq!(ground.wire.to(REFUSED.parse().unwrap()).unwrap(), []);
}

/// Sockets in the client's namespace that wait for somebody: TCP listeners, and datagram sockets without a peer.
fn listeners(ground: &Ground) -> Vec<String> {
    let read = || {
        ["tcp", "tcp6", "udp", "udp6"].map(|kind| {
            fs::read_to_string(format!("/proc/thread-self/net/{kind}")).unwrap_or_default()
        })
    };
    let tables = ground.lab.in_client(read).unwrap();
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    // The fourth field is the state, see proc(5): 0A for a listener, 07 for a datagram socket without a peer.
    lines
        .filter(|line| matches!(line.split_whitespace().nth(3), Some("0A" | "07")))
        .map(str::to_owned)
        .collect()
}

/// Control groups of version 2 with Runward's name.
fn control_groups() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts
        .lines()
        .find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let place = fields.next()?;
            (fields.next()? == "cgroup2").then_some(place)
        })
        .unwrap();
    let mut names: Vec<String> = fs::read_dir(mount)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("runward") && !name.contains("runward-lab"))
        .collect();
    names.sort();
    names
}

/// What is done to Runward so that it can't go into block mode.
struct Obstacle {
    name: &'static str,
    /// Runs in the client's namespace before; `exec "$@"` at its end becomes Runward.
    setup: String,
    /// Options of `runward run` in place of the usual ones.
    options: Option<Vec<String>>,
    /// What the reason must say.
    reason: String,
}

fn obstacle(name: &'static str, setup: &str, reason: &str) -> Obstacle {
    Obstacle {
        name,
        setup: format!("{setup}\nexec \"$@\""),
        options: None,
        reason: reason.to_owned(),
    }
}

fn policy(name: &'static str, endpoints: &str, reason: &str) -> Obstacle {
    Obstacle {
        options: Some(vec!["--allowed-endpoints".to_owned(), endpoints.to_owned()]),
        ..obstacle(name, "", reason)
    }
}

/// Tries to start a fenced job, and asserts that no job started, with this reason.
fn must_not_start(ground: &Ground, obstacle: &Obstacle) {
    let bed = Bed::new();
    let ran = attempt(ground, &bed, &obstacle.setup, obstacle.options.as_deref());
    let what = obstacle.name;
    assert_eq!(ran.code(), 125, "{what}: {}", ran.stderr);
    assert!(
        !bed.path().join("started").exists(),
        "{what}: the job started"
    );
    assert!(
        ran.stderr.contains(&obstacle.reason),
        "{what}: the reason must say `{}`: {}",
        obstacle.reason,
        ran.stderr
    );
    assert!(!ran.stderr.contains("panicked"), "{what}: {}", ran.stderr);
}

/// Runs a job that says that it started, and tries to reach a refused address.
fn attempt(ground: &Ground, bed: &Bed, setup: &str, options: Option<&[String]>) -> Ran {
    let net = actor("net");
    let job = format!(
        "echo >started; RUNWARD_LAB_PATIENCE=1 {} tcp {REFUSED} 4430",
        net.display()
    );
    let mut arguments = runward_arguments(Fence::Up, ground, bed.path());
    if let Some(options) = options {
        arguments.truncate(arguments.len() - 2);
        arguments.extend_from_slice(options);
    }
    let mut command = ground.lab.command("sh");
    command
        .args(["-c", setup, "sh"])
        .arg(binary())
        .args(arguments)
        .args(["--", "sh", "-c", &job])
        .current_dir(bed.path());
    let ran = run(&mut command, LIMIT).unwrap();
    let refused = REFUSED.parse().unwrap();
    assert_eq!(
        ground.wire.to(refused).unwrap(),
        [],
        "{setup}: {}",
        ran.stderr
    );
    ran
}

#[test]
fn a_policy_with_an_error_starts_nothing() {
    requires!(OwnProcessor, Root, Netns);
    let ground = Ground::new();
    let scattered: Vec<String> = (1..=40).map(|n| (n * 2).to_string()).collect();
    let scattered = scattered
        .iter()
        .map(|port| format!("198.51.100.250:{port}"))
        .collect::<Vec<_>>()
        .join(" ");
    let long = format!("{}.example", "a".repeat(64));
    for obstacle in [
        policy(
            "a port out of range",
            "allowed.example:4430 allowed.example:99999",
            "99999",
        ),
        policy(
            "an address out of range",
            "allowed.example:4430 198.51.100.300",
            "198.51.100.300",
        ),
        policy("a label that is too long", &long, "63"),
        policy(
            "a group nobody knows",
            "allowed.example:4430 @no-such-group",
            "@no-such-group",
        ),
        policy(
            "too many port ranges for one address",
            &scattered,
            "198.51.100.250",
        ),
    ] {
        must_not_start(&ground, &obstacle);
    }
}

#[test]
fn a_policy_file_with_an_error_starts_nothing() {
    requires!(OwnProcessor, Root, Netns);
    let ground = Ground::new();
    let bed = Bed::new();
    let file = |name: &str, text: &str| {
        let path = bed.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = "egress-policy: block\nallowed-endpoints:\n  - allowed.example:4430\n";
    for (name, path, reason) in [
        ("no such file", "not-there".to_owned(), "not-there"),
        ("not YAML", file("a", &format!("{good}  - [\n")), ":"),
        (
            "an unknown key",
            file("b", &format!("{good}alowed-endpoints: []\n")),
            "alowed-endpoints",
        ),
        (
            "a bad line among good ones",
            file("c", &format!("{good}  - allowed.example:99999\n")),
            "99999",
        ),
    ] {
        let obstacle = Obstacle {
            options: Some(vec!["--policy".to_owned(), path]),
            ..obstacle(name, "", reason)
        };
        must_not_start(&ground, &obstacle);
    }
}

#[test]
fn a_kernel_that_refuses_starts_nothing() {
    requires!(Root, Netns, Program("unshare"));
    let ground = Ground::new();
    // What a step asks the kernel for is taken away before.
    for obstacle in [
        obstacle(
            "pins have no file system",
            "unshare --mount sh -c 'mount -t tmpfs tmpfs /sys/fs/bpf && exec \"$@\"' sh \"$@\"; exit",
            "/sys/fs/bpf",
        ),
        obstacle(
            "no cgroup to attach to",
            "unshare --mount sh -c 'for place in $(sed -n \"s/^[^ ]* \\([^ ]*\\) cgroup2 .*/\\1/p\" /proc/mounts); do \
                 mount -t tmpfs tmpfs $place || exit 1; done; exec \"$@\"' sh \"$@\"; exit",
            "",
        ),
    ] {
        must_not_start(&ground, &obstacle);
    }
}

#[test]
fn a_command_with_a_packet_socket_does_not_start() {
    requires!(Root, Netns);
    let ground = Ground::new();
    let setup = format!(
        "exec {} hold packet {REFUSED} 4430 20 \"$@\"; exit",
        actor("borrowed").display()
    );
    must_not_start(
        &ground,
        &obstacle("a packet socket is inherited", &setup, "descriptor 20"),
    );
}

#[test]
fn a_resolver_that_cannot_work_starts_nothing() {
    requires!(Root, Netns, Program("unshare"));
    let ground = Ground::new();
    let nobody = ground.lab.v4(199);
    must_not_start(
        &ground,
        &obstacle("no loopback to listen on", "ip link set lo down", ""),
    );
    let mut bring_back = ground.lab.command("ip");
    bring_back.args(["link", "set", "lo", "up"]);
    assert!(run(&mut bring_back, LIMIT).unwrap().worked());

    ground.lab.set_nameservers(&[nobody.into()]).unwrap();
    must_not_start(
        &ground,
        &obstacle("an upstream that is dead", "", &nobody.to_string()),
    );
    ground.lab.set_nameservers(&[]).unwrap();
    must_not_start(&ground, &obstacle("no upstream", "", "resolv.conf"));
}

#[test]
fn a_resolver_without_a_free_port_starts_nothing() {
    requires!(OwnProcessor, Root, Netns);
    let ground = Ground::new();
    // Two ports for everything that does not choose its own, and both taken.
    let sink = |kind: &str, port: &str| {
        let mut command = ground.lab.command(actor("speak"));
        command
            .args(["sink", kind, "127.0.0.1", port])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        command.spawn().unwrap()
    };
    let taken: Vec<Child> = ["tcp", "udp"]
        .into_iter()
        .flat_map(|kind| ["40000", "40001"].map(|port| sink(kind, port)))
        .collect();
    let narrow = || fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40001");
    ground.lab.in_client(narrow).unwrap().unwrap();
    thread::sleep(Duration::from_millis(500));
    must_not_start(&ground, &obstacle("every port is taken", "", ""));
    for mut child in taken {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

/// System calls that steps of going into block mode are made of. Refused, each with an error that it really gives.
///
/// The numbers of `bpf` are its commands, see `enum bpf_cmd` in linux/bpf.h; errors are those of errno.h.
const STEPS: [(&str, &str, u32, &str); 12] = [
    ("a map is not made", "bpf 0", 12, ""),
    ("a map is full", "bpf 2", 7, ""),
    ("a map has no memory", "bpf 2", 12, ""),
    ("a program is not loaded", "bpf 5", 13, ""),
    ("pins are refused", "bpf 6", 1, ""),
    ("pins have no room", "bpf 6", 28, ""),
    ("a program is not attached", "bpf 28", 1, ""),
    ("too many programs are attached", "bpf 28", 7, ""),
    ("open sockets are not looked at", "bpf 33", 1, ""),
    ("the resolver's port is taken", "bind -", 98, ""),
    ("the resolver can't listen", "listen -", 98, ""),
    (
        "the command's process is not followed",
        "pidfd_open -",
        24,
        "",
    ),
];

#[test]
fn a_step_that_fails_starts_nothing() {
    requires!(Root, Netns);
    let ground = Ground::new();
    for (name, call, errno, reason) in STEPS {
        let setup = format!(
            "exec {} {call} {errno} \"$@\"; exit",
            actor("refuse").display()
        );
        must_not_start(&ground, &obstacle(name, &setup, reason));
    }
}

/// Capabilities of root that steps of going into block mode need on some kernel or other.
const CAPABILITIES: [&str; 10] = [
    "sys_admin",
    "net_admin",
    "bpf",
    "perfmon",
    "sys_resource",
    "sys_ptrace",
    "dac_override",
    "dac_read_search",
    "net_raw",
    "net_bind_service",
];

#[test]
fn root_without_a_capability_is_fenced_or_does_not_start() {
    requires!(OwnProcessor, Root, Netns, Program("setpriv"));
    let ground = Ground::new();
    let mut refused = 0;
    for capability in CAPABILITIES {
        let without = format!("-{capability}");
        let setup = format!("exec setpriv --bounding-set={without} --inh-caps={without} \"$@\"");
        refused += usize::from(refused_or_fenced(&ground, capability, &setup));
    }
    // The kernel takes sys_admin for any of the others.
    for capability in ["bpf", "perfmon", "net_admin"] {
        let without = format!("-sys_admin,-{capability}");
        let setup = format!("exec setpriv --bounding-set={without} --inh-caps={without} \"$@\"");
        refused += usize::from(refused_or_fenced(&ground, &without, &setup));
    }
    assert!(refused >= 3, "only {refused} were refused");
}

/// Answers whether the job did not start. If it did, it must have been fenced: [`attempt`] looks what got out.
fn refused_or_fenced(ground: &Ground, what: &str, setup: &str) -> bool {
    let bed = Bed::new();
    let ran = attempt(ground, &bed, setup, None);
    let started = bed.path().join("started").exists();
    if started {
        // The act itself fails, because the fence refuses it; or its shell does, for want of what was taken away.
        assert!(![0, 125].contains(&ran.code()), "{what}: {}", ran.stderr);
        return false;
    }
    assert_eq!(ran.code(), 125, "{what}: {}", ran.stderr);
    assert!(
        ran.stderr.trim().len() > 20,
        "{what}: no reason: {}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("panicked"), "{what}: {}", ran.stderr);
    true
}

/// With one descriptor more each time, every step that opens one fails once, and each time no job starts.
#[test]
fn a_runward_without_descriptors_starts_nothing() {
    requires!(OwnProcessor, Root, Netns);
    let ground = Ground::new();
    let mut refused = 0;
    let enough = (4..1000).step_by(2).find(|most| {
        let setup = format!("ulimit -n {most}\nexec \"$@\"");
        let stopped = refused_or_fenced(&ground, &format!("{most} descriptors"), &setup);
        refused += usize::from(stopped);
        !stopped
    });
    assert!(enough.is_some(), "at some point it starts");
    assert!(refused >= 3, "only {refused} steps failed");
}

#[test]
fn a_runward_without_threads_starts_nothing() {
    requires!(OwnProcessor, Root, Netns);
    let ground = Ground::new();
    let Some(group) = LimitedGroup::new() else {
        skip_part(
            test_name!(),
            "pids",
            "this machine has no controller of processes",
        );
        return;
    };
    let mut refused = 0;
    for most in 1..8 {
        fs::write(group.folder.join("pids.max"), most.to_string()).unwrap();
        let setup = format!(
            "exec {} cgroup {} \"$@\"",
            actor("procs").display(),
            group.folder.display()
        );
        refused += usize::from(refused_or_fenced(&ground, &format!("{most} tasks"), &setup));
    }
    assert!(refused >= 1, "one task is not enough");
}

/// A control group of its own that limits how many tasks there are.
struct LimitedGroup {
    folder: PathBuf,
}

impl LimitedGroup {
    fn new() -> Option<LimitedGroup> {
        let name = format!("runward-lab-{}", std::process::id());
        ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
            .map(|place| Path::new(place).join(&name))
            .into_iter()
            .find_map(|folder| {
                fs::create_dir(&folder).ok()?;
                let group = LimitedGroup { folder };
                group.folder.join("pids.max").exists().then_some(group)
            })
    }
}

impl Drop for LimitedGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Runs a script as a job with these arguments of `runward`.
fn run_fenced(ground: &Ground, bed: &Bed, arguments: Vec<String>, script: &str) -> Ran {
    let mut command = ground.lab.command(binary());
    command
        .args(arguments)
        .args(["--", "sh", "-c", script])
        .current_dir(bed.path());
    run(&mut command, LIMIT).unwrap()
}

#[test]
fn rotating_addresses_are_never_refused() {
    requires!(OwnProcessor, Root, Netns);
    let ground = Ground::new();
    let addresses: Vec<IpAddr> = (100..108).map(|host| ground.lab.v4(host).into()).collect();
    ground
        .dns()
        .address("rotating.example", 1, &addresses)
        .unwrap();
    ground.dns().rotate("rotating.example", 3).unwrap();
    let bed = Bed::new();
    let mut arguments = runward_arguments(Fence::Up, &ground, bed.path());
    if let Some(endpoints) = arguments.last_mut() {
        endpoints.push_str(" rotating.example:4430");
    }
    let names = actor("names").display().to_string();
    let script = format!(
        "for i in 1 2 3 4; do {names} many rotating.example 4430 250 40 >out-$i & done; wait"
    );
    let ran = run_fenced(&ground, &bed, arguments, &script);
    assert!(ran.worked(), "{}", ran.stderr);
    for i in 1..=4 {
        let said = fs::read_to_string(bed.path().join(format!("out-{i}"))).unwrap();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        for failure in ["unresolved", "refused", "broken"] {
            assert_eq!(said[failure], 0, "{said}");
        }
        assert_eq!(said["count"], 250);
    }
    for address in addresses {
        assert!(ground.bytes_at(address) > 0, "{address} had its turn");
    }
}

/// A server's own answers leave while the kernel serves somebody else's call: the job's, which waits for them.
#[test]
fn a_server_outside_of_the_job_is_not_taken_for_the_jobs() {
    requires!(Root, Netns);
    let ground = Ground::new();
    let bed = Bed::new();
    let names = actor("names").display().to_string();
    let script =
        format!("for i in 1 2; do {names} many allowed.example 4430 1500 >out-$i & done; wait");
    let arguments = runward_arguments(Fence::Up, &ground, bed.path());
    let ran = run_fenced(&ground, &bed, arguments, &script);
    assert!(ran.worked(), "{}", ran.stderr);
    assert!(!ran.stderr.contains("blocked"), "{}", ran.stderr);
    for i in 1..=2 {
        let said = fs::read_to_string(bed.path().join(format!("out-{i}"))).unwrap();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let failed = (&said["unresolved"], &said["refused"], &said["broken"]);
        assert_eq!(failed, (&0.into(), &0.into(), &0.into()), "{said}");
    }
}

/// How long an address stays allowed after its time to live, at most.
const GRACE: Duration = Duration::from_secs(90);

#[test]
fn an_address_whose_time_is_over_is_refused() {
    requires!(OwnProcessor, Root, Netns);
    let ground = Ground::new();
    let address = ground.lab.v4(110);
    ground
        .dns()
        .address("moving.example", 1, &[address.into()])
        .unwrap();
    let bed = Bed::new();
    let mut arguments = runward_arguments(Fence::Up, &ground, bed.path());
    if let Some(endpoints) = arguments.last_mut() {
        endpoints.push_str(" moving.example:4430");
    }
    // A connection that stands goes on; new ones are refused, sooner or later.
    let script = filled(
        &format!(
            "$A/names fetch moving.example 4430 || exit 10
             $A/speak say {address} 4430 0 {pause} 6265666f7265 6166746572 >alive &
             i=0; while [ $i -lt {limit} ]; do sleep 1; i=$((i+1)); $A/net tcp {address} 4430 || break; done
             echo $i >rounds; $A/names fetch moving.example 4430 || exit 11; wait; exit 0",
            pause = 9_000,
            limit = GRACE.as_secs(),
        ),
        &ground,
        bed.path(),
    );
    let ran = run_fenced(&ground, &bed, arguments, &script);
    assert!(ran.worked(), "{}: {}{}", ran.code(), ran.stdout, ran.stderr);
    let rounds: u64 = fs::read_to_string(bed.path().join("rounds"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(
        (1..GRACE.as_secs()).contains(&rounds),
        "refused after {rounds} s"
    );
    assert!(
        ground.heard(b"beforeafter") == 1,
        "the connection that stood was broken off"
    );
}
