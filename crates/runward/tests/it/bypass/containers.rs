//! The same from a container in a network of its own, which podman makes: a bridge, addresses of both families, and a
//! name server of the network's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use runward_lab::{actor, requires, run, skip, test_name};

use super::host::{BELOW, SOCKETS, table};
use super::names::{forgeries, questions, servers};
use super::{Batch, Case, Fence, Ground, runward_arguments};
use crate::bed::{Bed, binary, within};

/// Building an image and making a network are quick; a machine without room takes its time.
const LIMIT: Duration = Duration::from_secs(60);

const PRIVATE: &str =
    r#"mkdir -p /run/containers && mount -t tmpfs tmpfs /run/containers && exec "$@""#;

/// A store of podman's own with one image, and a network that only commands in the lab's namespace use.
struct Podman {
    folder: tempfile::TempDir,
}

impl Podman {
    fn new() -> Podman {
        let folder = tempfile::Builder::new()
            .prefix("runward-podman-")
            .tempdir()
            .expect("a temporary folder");
        let podman = Podman { folder };
        fs::write(podman.path("containers.conf"), podman.configuration()).expect("a configuration");
        let image = podman.path("image");
        fs::create_dir_all(image.join("bin")).expect("a folder");
        fs::copy(busybox(), image.join("bin/busybox")).expect("a copy");
        for name in [
            "sh", "sleep", "mkdir", "flock", "sed", "head", "rmdir", "cat", "nc",
        ] {
            std::os::unix::fs::symlink("busybox", image.join("bin").join(name)).expect("a link");
        }
        fs::create_dir_all(image.join("tmp")).expect("a folder");
        fs::write(podman.path("Containerfile"), "FROM scratch\nCOPY image /\n").expect("a recipe");
        podman.must(&[
            "build",
            "--quiet",
            "--tag",
            "lab",
            &podman.folder.path().display().to_string(),
        ]);
        podman.must(&[
            "network",
            "create",
            "--ipv6",
            "--subnet",
            "10.213.77.0/24",
            "--subnet",
            "fd00:213:77::/64",
            "labnet",
        ]);
        podman
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self) -> String {
        format!(
            "[network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = \"{networks}\"\n\
             [containers]\nlog_driver = \"none\"\n\
             [engine]\nevents_logger = \"none\"\ncgroup_manager = \"cgroupfs\"\nruntime = \"runc\"\n",
            networks = self.path("networks").display()
        )
    }

    /// The command line up to podman's own command.
    fn line(&self) -> Vec<String> {
        let option = |name: &str| self.path(name).display().to_string();
        vec![
            "env".to_owned(),
            format!("CONTAINERS_CONF={}", option("containers.conf")),
            "podman".to_owned(),
            "--root".to_owned(),
            option("root"),
            "--runroot".to_owned(),
            option("run"),
            "--tmpdir".to_owned(),
            option("tmp"),
        ]
    }

    fn must(&self, arguments: &[&str]) {
        let line = self.line();
        let (program, rest) = line.split_first().expect("a command");
        let ran = run(Command::new(program).args(rest).args(arguments), LIMIT).expect("podman");
        assert!(ran.worked(), "podman {arguments:?}: {}", ran.stderr);
    }

    /// The command that runs the script in a fresh container.
    fn shell(&self, network: &str, folder: &Path) -> Vec<String> {
        let actors = actor("net");
        let actors = actors
            .parent()
            .unwrap_or(Path::new("/"))
            .display()
            .to_string();
        // Podman keeps a network's name server at one place for the whole machine: give it a place of its own.
        let mut line: Vec<String> = ["unshare", "--mount", "sh", "-c", PRIVATE, "sh"]
            .map(str::to_owned)
            .into();
        line.extend(self.line());
        let mut options = vec![
            "--runtime=runc",
            "run",
            "--rm",
            "--ulimit=nofile=20000:20000",
            "--ulimit=nproc=1000:1000",
            // Without these, a container can't even try some of the cases.
            "--cap-add=NET_RAW,NET_ADMIN",
            "--security-opt=seccomp=unconfined",
            "--device=/dev/net/tun",
        ];
        if network != "host" {
            options.extend([
                "--sysctl=net.ipv4.ping_group_range=0 2147483647",
                "--sysctl=net.ipv4.ip_forward=1",
                "--sysctl=net.ipv6.conf.all.forwarding=1",
            ]);
        }
        line.extend(options.into_iter().map(str::to_owned));
        line.extend([
            format!("--network={network}"),
            format!("--volume={actors}:/actors:ro"),
            format!("--volume={}:/job", folder.display()),
        ]);
        line.extend(["lab", "sh", "/job/script"].map(str::to_owned));
        line
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Its layers are mounts, which only it can undo.
        let line = self.line();
        if let Some((program, rest)) = line.split_first() {
            let mut command = Command::new(program);
            command
                .args(rest)
                .args(["rm", "--all", "--force", "--time=0"]);
            let _ = run(&mut command, LIMIT);
        }
    }
}

fn busybox() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("busybox"))
        .find(|file| file.is_file())
        .expect("busybox, as the test requires")
}

macro_rules! needed {
    () => {
        requires!(
            Root,
            Netns,
            Program("podman"),
            Program("runc"),
            Program("busybox"),
            Program("unshare")
        )
    };
}

/// Runs the cases in a container on a network. Each attempt has a podman of its own: a network's name server belongs to
/// one namespace.
fn in_containers(test: &'static str, network: &'static str, cases: Vec<Case>) {
    let podmen = Mutex::new(Vec::new());
    let shell = move |_: &Ground, script: &Path| {
        let podman = Podman::new();
        let line = podman.shell(network, script.parent().unwrap_or(Path::new("/")));
        podmen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(podman);
        line
    };
    Batch::new(test, cases)
        .inside("/actors", "/job", shell)
        .judge();
}

/// One of each kind, for networks that differ only in how they are wired.
const FEW: [(&str, &str); 6] = [
    ("connect, IPv4", "$A/net tcp {4} 4430"),
    ("connect, IPv6", "$A/net tcp {6} 4430"),
    ("UDP sendto, IPv4", "$A/net udp-sendto {4} 4430"),
    ("io_uring", "$A/net uring {4} 4430"),
    ("a raw packet, IPv4", "$A/packets raw-ip {4} 4430"),
    ("a packet socket, IPv4", "$A/packets packet {4} 4430"),
];

#[test]
fn no_socket_of_a_container_gets_past_the_fence() {
    needed!();
    let mut cases = table(&SOCKETS);
    cases.extend(table(&BELOW));
    in_containers(test_name!(), "labnet", cases);
}

#[test]
fn no_name_gets_past_the_fence_in_a_container() {
    needed!();
    let mut cases = questions();
    cases.extend(servers());
    cases.extend(forgeries());
    in_containers(test_name!(), "labnet", cases);
}

#[test]
fn no_container_on_the_host_s_network_gets_past_the_fence() {
    needed!();
    in_containers(test_name!(), "host", table(&FEW));
}

/// The name that podman's own has.
const SOCKET: &str = "podman.sock";

fn url(folder: &tempfile::TempDir) -> String {
    format!("unix://{}", folder.path().join(SOCKET).display())
}

/// One at a time: where several clients are connected to such daemons, nobody can tell which one a container is for.
static SERVICES: Mutex<()> = Mutex::new(());

/// A daemon that is older than the job and starts containers for whoever asks.
struct Service {
    /// Its store.
    _podman: Podman,
    daemon: Child,
    /// Where such daemons have their sockets.
    folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Service {
    fn start(ground: &Ground) -> Service {
        let alone = SERVICES.lock().unwrap_or_else(PoisonError::into_inner);
        let podman = Podman::new();
        let folder = tempfile::Builder::new()
            .prefix("runward-lab-")
            .tempdir_in("/run")
            .expect("a temporary folder");
        let mut command = ground.lab.command("unshare");
        command.args(["--mount", "sh", "-c", PRIVATE, "sh"]);
        let daemon = command
            .args(podman.line())
            .args(["--runtime=runc", "system", "service", "--time=0"])
            .arg(url(&folder))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a daemon");
        let service = Service {
            _podman: podman,
            daemon,
            folder,
            _alone: alone,
        };
        for _ in 0..500 {
            if service.folder.path().join(SOCKET).exists() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        service
    }

    /// What a job runs to have the daemon run something in a container.
    fn ask(&self, network: &str, command: &[&str]) -> Vec<String> {
        let mut line: Vec<String> = ["podman", "--remote", "--url", &url(&self.folder)]
            .map(str::to_owned)
            .into();
        line.extend(self.run(network));
        line.extend(command.iter().map(|word| (*word).to_owned()));
        line
    }

    /// The words that every client has for it, up to the command. The daemon's folder is `/job` inside.
    fn run(&self, network: &str) -> Vec<String> {
        let actors = actor("net");
        let actors = actors.parent().unwrap_or(Path::new("/")).display();
        let own = self.folder.path().display();
        vec![
            "run".to_owned(),
            "--rm".to_owned(),
            "--ulimit=nofile=20000:20000".to_owned(),
            "--ulimit=nproc=1000:1000".to_owned(),
            format!("--network={network}"),
            format!("--volume={actors}:/actors:ro"),
            format!("--volume={own}:/job"),
            "lab".to_owned(),
        ]
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// What a container sends that a daemon outside of the job starts on its behalf: how many packets arrive.
fn by_a_daemon(fence: Fence, network: &str) -> usize {
    let ground = Ground::new();
    let service = Service::start(&ground);
    let bed = Bed::new();
    let target = ground.lab.v4(66);
    let mut command = ground.lab.command(binary());
    command
        .args(runward_arguments(fence, &ground, bed.path()))
        .arg("--")
        .args(service.ask(
            network,
            &["/actors/net", "udp", &target.to_string(), "4430"],
        ))
        .current_dir(bed.path());
    let ran = run(&mut command, LIMIT).expect("runward ends in time");
    let packets = ground.wire.to(target.into()).expect("a complete log").len();
    assert!(packets > 0 || fence == Fence::Up, "{}", ran.stderr);
    packets
}

#[test]
fn no_container_that_a_daemon_starts_for_the_job_gets_past_the_fence() {
    needed!();
    for network in ["labnet", "host"] {
        assert!(by_a_daemon(Fence::Down, network) > 0);
        assert_eq!(by_a_daemon(Fence::Up, network), 0, "{network}");
    }
}

/// What scripts of jobs say: `ask` has the daemon run a container, `docker_ask` does so by docker's own command line, `stay`
/// waits for a file.
fn words(service: &Service) -> String {
    let run = service.run("host");
    let (image, options) = run.split_last().expect("words");
    let folder = service.folder.path().display();
    format!(
        "set -u\nURL={url} W={folder}\nexport DOCKER_HOST=$URL\n\
         ask() {{ podman --remote --url $URL {options} $MORE {image} \"$@\"; }}\n\
         docker_ask() {{ docker {options} $MORE {image} \"$@\"; }}\n\
         stay() {{ until [ -e $W/$1 ]; do sleep 0.05; done; }}\nMORE=\n",
        url = url(&service.folder),
        options = options.join(" "),
    )
}

fn ends(mut child: Child) {
    let ended = within(LIMIT, || child.try_wait().expect("a child").is_some());
    let _ = child.kill();
    assert!(ended, "it ends");
}

#[test]
fn a_container_that_a_daemon_starts_for_a_job_is_in_the_job() {
    needed!();
    let clients: &[&str] = match run(&mut Command::new("docker"), LIMIT) {
        Ok(_) => &["ask", "docker_ask"],
        Err(_) => {
            skip(
                &format!("{} (docker)", test_name!()),
                "needs the program docker",
            );
            &["ask"]
        }
    };
    for client in clients {
        let ground = Ground::new();
        let service = Service::start(&ground);
        let [own, later, last, first, hosted, other] =
            [66, 67, 68, 69, 70, 71].map(|last| ground.lab.v4(last));
        let bed = Bed::new();
        let words = words(&service);
        let script = format!(
            "{words}
echo >$W/begun
stay asked
MORE=--name=own {client} sh -c '/actors/net udp {own} 4430; sh -c \"/actors/net udp {own} 4430; true\"; echo >/job/mine; until [ -e /job/theirs ]; do sleep 0.05; done'
MORE='--detach --label=mine' {client} sh -c 'sleep 1; /actors/net udp {later} 4430; echo >/job/detached; sleep 600'
stay detached
podman --remote --url $URL exec $(podman --remote --url $URL ps --quiet --filter label=mine) sh -c 'sleep 0.5; /actors/net udp {last} 4430; true'
# It does nothing else, and ends at once.
MORE=; {client} /actors/net udp {first} 4430
# This one has the process ids of the machine.
MORE=--pid=host {client} /actors/net udp {hosted} 4430; true"
        );
        let mut command = ground.lab.command(binary());
        command
            .args(["run", "--quiet", "--", "sh", "-c", &script])
            .current_dir(bed.path());
        // Somebody who is in no job has one run before the job asks.
        let script = format!(
            "{words}
stay begun
MORE='--detach --name theirs' ask sh -c '/actors/net udp {other} 4430; sleep 600'
echo >$W/asked
# What runs in their container is theirs, though the job is connected now.
stay mine
podman --remote --url $URL exec theirs /actors/net udp {other} 4430
echo >$W/theirs"
        );
        let stranger = ground
            .lab
            .command("sh")
            .args(["-c", &script])
            .stdout(Stdio::null())
            .spawn()
            .expect("a shell");
        let recorded = bed.finish(&mut command);
        ends(stranger);
        let report = &recorded.report;
        assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
        let destinations = report["destinations"].to_string();
        let has = |address: &dyn std::fmt::Display| destinations.contains(&format!("\"{address}:"));
        for address in [own, later, last, first, hosted] {
            assert!(has(&address), "{client}: {address}: {destinations}");
        }
        assert!(!has(&other), "{client}: {destinations}");
        let notes = report["notes"].to_string();
        assert!(notes.contains("4 are in this record"), "{client}: {notes}");
        let processes = report["processes"].as_array().expect("processes");
        let inside = processes
            .iter()
            .filter(|process| process["container"].is_string());
        assert!(inside.count() >= 4, "{client}: {processes:?}");
        let containers = report["containers"].as_array().expect("containers");
        let named = containers.iter().find(|row| row["name"] == "own");
        let named = named.unwrap_or_else(|| panic!("{client}: {containers:?}"));
        let image = service.run("host").pop().expect("an image");
        let told = named["image"].as_str().unwrap_or_default();
        assert!(told.contains(&image), "{client}: {image}: {named}");
        assert!(
            processes
                .iter()
                .any(|process| process["container"] == named["id"])
        );
    }
}

#[test]
fn a_lockdown_ends_the_containers_that_a_daemon_has_started() {
    needed!();
    let ground = Ground::new();
    let service = Service::start(&ground);
    let words = words(&service);
    let bed = Bed::new();
    let actors = actor("procs");
    let script = format!(
        "{words}
MORE=--detach ask sh -c 'echo >/job/up; while sleep 0.05; do echo >>/job/rounds; done'
stay up; stay rounds
{} memfd",
        actors.display()
    );
    let mut command = ground.lab.command(binary());
    command
        .args(["run", "--quiet", "--lockdown", "fileless-execution"])
        .args(["--", "sh", "-c", &script])
        .current_dir(bed.path());
    let recorded = bed.finish(&mut command);
    assert_eq!(recorded.ran.code(), 87, "{}", recorded.ran.stderr);
    let rounds = || fs::read(service.folder.path().join("rounds")).map_or(0, |text| text.len());
    let before = rounds();
    thread::sleep(Duration::from_millis(500));
    assert!(before > 0);
    assert_eq!(rounds(), before, "the container goes on");
}

#[test]
fn no_job_has_the_containers_of_another_one_that_asks_the_same_daemon() {
    needed!();
    let ground = Ground::new();
    let service = Service::start(&ground);
    let words = words(&service);
    let beds = [Bed::new(), Bed::new()];
    let targets = [66, 67].map(|last| ground.lab.v4(last));
    let jobs = [0, 1].map(|job| {
        let (bed, target) = (&beds[job], targets[job]);
        // One container keeps a job connected to the daemon; while both are, one says whose it is and one does not.
        let script = format!(
            "{words}
ask sh -c 'echo >/job/up-{job}; until [ -e /job/over ]; do sleep 0.05; done' & up=$!
stay up-0; stay up-1
MORE='-e GITHUB_ACTIONS -e GITHUB_REPOSITORY -e GITHUB_RUN_ID -e GITHUB_JOB'
ask sh -c 'sleep 0.2; /actors/net udp {target} 4430; true'
MORE=
ask sh -c 'sleep 0.2; /actors/net udp {target} 4431; true'
echo >$W/done-{job}
stay done-0; stay done-1
echo >$W/over
wait $up"
        );
        let mut command = ground.lab.command(binary());
        command
            .args(["run", "--quiet", "--report"])
            .arg(bed.path().join("report"))
            .args(["--", "sh", "-c", &script])
            .current_dir(bed.path())
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_REPOSITORY", "example/app")
            .env("GITHUB_RUN_ID", "4711")
            .env("GITHUB_JOB", format!("job-{job}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("runward")
    });
    jobs.into_iter().for_each(ends);
    for (job, bed) in beds.iter().enumerate() {
        let report = fs::read_to_string(bed.path().join("report/report.json")).expect("a report");
        let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
        let destinations = report["destinations"].to_string();
        let has = |target: usize, port: u16| {
            destinations.contains(&format!("\"{}:{port}\"", targets[target]))
        };
        assert!(has(job, 4430), "{job}: {destinations}");
        for (target, port) in [(1 - job, 4430), (0, 4431), (1, 4431)] {
            assert!(!has(target, port), "{job}: {destinations}");
        }
        let notes = report["notes"].to_string();
        assert!(
            notes.contains("nobody can tell who asked"),
            "{job}: {notes}"
        );
    }
}
