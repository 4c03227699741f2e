//! The lab in network namespaces: real addresses, real names, and nothing left behind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use runward_lab::{Answer, Lab, Ran, Site, actor, requires, run};

use crate::{PATIENCE, any_port};

fn act_in(lab: &Lab, arguments: &[&str]) -> Ran {
    run(lab.command(actor("net")).args(arguments), PATIENCE).unwrap()
}

#[test]
fn servers_stand_on_any_address_of_the_internet() {
    requires!(Root, Netns);
    let lab = Lab::netns().unwrap();
    let addresses = [
        "192.0.2.7",
        "198.51.100.200",
        "203.0.113.199",
        "2001:db8::7",
        "2001:db8:1::8",
    ];
    for address in addresses {
        let address: IpAddr = address.parse().unwrap();
        let sink = lab
            .tcp(SocketAddr::new(address, 443), Answer::Echo)
            .unwrap();
        let ran = act_in(&lab, &["tcp", &address.to_string(), "443", "12"]);
        assert_eq!(
            ran.number("received"),
            Some(12),
            "{address}: {} {}",
            ran.stdout,
            ran.stderr
        );
        let client: IpAddr = match address {
            IpAddr::V4(_) => lab.client_v4().unwrap().into(),
            IpAddr::V6(_) => lab.client_v6().unwrap().into(),
        };
        assert_eq!(sink.received()[0].from.ip(), client);
        assert_eq!(sink.received()[0].to, SocketAddr::new(address, 443));
    }
}

#[test]
fn ways_to_fail() {
    requires!(Root, Netns);
    let lab = Lab::netns().unwrap();
    for arguments in [
        ["tcp-refused", "192.0.2.7", "81"],
        ["tcp-refused", "2001:db8::7", "81"],
        ["tcp-unreachable", "198.18.0.1", "80"],
        ["tcp-unreachable", "2001:db8:fffe::1", "80"],
    ] {
        let ran = act_in(&lab, &arguments);
        assert!(ran.worked(), "{arguments:?}: {}", ran.stdout);
    }
    let ran = act_in(&lab, &["icmp", "192.0.2.7"]);
    assert!(ran.worked(), "{}", ran.stdout);
}

#[test]
fn first_bytes_travel_with_the_syn() {
    requires!(Root, Netns);
    let lab = Lab::netns().unwrap();
    let sink = lab
        .tcp(SocketAddr::new(lab.v4(1).into(), 80), Answer::Echo)
        .unwrap();
    let ran = act_in(&lab, &["tcp-fastopen", &lab.v4(1).to_string(), "80", "500"]);
    assert_eq!(ran.number("received"), Some(500), "{}", ran.stdout);
    assert_eq!(sink.received()[0].received, 500);
    // How often the kernel really took data from a SYN, as `nstat` shows it.
    let counters = run(lab.command("cat").arg("/proc/self/net/netstat"), PATIENCE)
        .unwrap()
        .stdout;
    assert_eq!(counter(&counters, "TcpExt:", "TCPFastOpenActive"), Some(1));
}

/// Finds a number in a table whose every other line has the names.
fn counter(text: &str, table: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(table));
    let place = lines.next()?.split(' ').position(|found| found == name)?;
    lines.next()?.split(' ').nth(place)?.parse().ok()
}

#[test]
fn programs_find_names_through_the_system_resolver() {
    requires!(Root, Netns, Program("curl"));
    let lab = Lab::netns().unwrap();
    let dns = lab.dns("192.0.2.53:53".parse().unwrap()).unwrap();
    dns.address("pages.example", 60, &[lab.v4(80).into()])
        .unwrap();
    let site = Site::new();
    site.page("/", "text/plain", "found");
    let _server = lab
        .tcp(SocketAddr::new(lab.v4(80).into(), 80), &site)
        .unwrap();

    let mut curl = lab.command("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "http://pages.example/",
    ]);
    let ran = run(&mut curl, PATIENCE).unwrap();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("found", ""));
    assert!(
        dns.asked()
            .iter()
            .any(|one| one.name == "pages.example" && one.kind == "A")
    );
    assert_eq!(dns.asked()[0].from.ip(), lab.client_v4().unwrap());

    // The other name server knows nothing, and a client that starts now asks it.
    let other = lab.dns("192.0.2.54:53".parse().unwrap()).unwrap();
    lab.set_nameservers(&["192.0.2.54".parse().unwrap()])
        .unwrap();
    assert_eq!(
        run(&mut curl, PATIENCE).unwrap().code(),
        6,
        "curl's code for an unknown host"
    );
    assert!(!other.asked().is_empty());
}

#[test]
fn a_name_server_of_its_own_on_the_loopback_network() {
    requires!(Root, Program("getent"));
    let lab = Lab::loopback().unwrap();
    let dns = lab.dns(SocketAddr::new(lab.v4(53).into(), 53)).unwrap();
    dns.address("here.example", 60, &[IpAddr::from([192, 0, 2, 99])])
        .unwrap();
    lab.set_nameservers(&[lab.v4(53).into()]).unwrap();
    let ran = run(
        lab.command("getent").args(["ahostsv4", "here.example"]),
        PATIENCE,
    )
    .unwrap();
    assert!(
        ran.stdout.starts_with("192.0.2.99"),
        "{} {}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn clients_keep_the_machines_own_sys() {
    requires!(Root, Netns);
    let lab = Lab::netns().unwrap();
    let list = |command: &mut Command| {
        run(
            command.args(["-c", "grep ' /sys' /proc/self/mounts"]),
            PATIENCE,
        )
        .unwrap()
        .stdout
    };
    let inside = list(&mut lab.command("sh"));
    assert_eq!(inside, list(&mut Command::new("sh")));
    assert!(inside.contains("cgroup"), "{inside}");
}

#[test]
fn work_can_be_done_where_clients_are() {
    requires!(Root, Netns);
    let lab = Lab::netns().unwrap();
    let sink = lab.tcp(any_port(lab.v4(9)), Answer::Silent).unwrap();
    let at = sink.at();
    let local = lab
        .in_client(|| TcpStream::connect(at).unwrap().local_addr().unwrap())
        .unwrap();
    assert_eq!(local.ip(), IpAddr::V4(lab.client_v4().unwrap()));
    // And nowhere else: this thread is still outside, where the lab's network does not exist.
    let outside = std::net::TcpListener::bind((lab.client_v4().unwrap(), 0));
    assert!(outside.is_err(), "this thread has moved into the namespace");
}

#[test]
fn nothing_is_left_behind() {
    requires!(Root, Netns);
    let lab = Lab::netns().unwrap();
    let name = lab.client_namespace().unwrap().to_owned();
    let folder = lab.folder().to_owned();
    let places = [
        Path::new("/run/netns").join(&name),
        Path::new("/run/netns").join(name.replace("-c", "-i")),
        Path::new("/etc/netns").join(&name),
        folder,
    ];
    for place in &places {
        assert!(place.exists(), "{}", place.display());
    }
    // Not even when a client is still inside.
    let mut inside = lab
        .command(actor("procs"))
        .args(["sleep", "60000"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(lab);
    for place in &places {
        assert!(!place.exists(), "{}", place.display());
    }
    inside.kill().unwrap();
    inside.wait().unwrap();
}

#[test]
fn what_a_crashed_run_left_is_removed() {
    requires!(Root, Netns);
    // A process that has ended, so that its number names nobody.
    let dead = run(&mut Command::new("true"), PATIENCE).unwrap().pid;
    let name = format!("rw-{dead}-0-c");
    let left = Path::new("/run/netns").join(&name);
    let configuration = Path::new("/etc/netns").join(&name);
    // Another test's lab may remove it as soon as it is there, even while it is being made.
    let added = (0..10).any(|_| {
        run(Command::new("ip").args(["netns", "add", &name]), PATIENCE)
            .unwrap()
            .worked()
    });
    assert!(added);
    std::fs::create_dir_all(&configuration).unwrap();
    let _ = std::fs::write(configuration.join("resolv.conf"), "");

    let first = Lab::netns().unwrap();
    let second = Lab::netns().unwrap();
    assert!(!left.exists() && !configuration.exists());
    // The living, this process among them, are left alone.
    let own = Path::new("/run/netns").join(first.client_namespace().unwrap());
    assert!(own.exists());
    drop(second);
}

#[test]
fn loopback_labs_do_not_share_addresses() {
    let labs: Vec<Lab> = (0..3).map(|_| Lab::loopback().unwrap()).collect();
    let mut addresses: Vec<Ipv4Addr> = labs.iter().map(|lab| lab.v4(1)).collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 3);
    assert!(addresses.iter().all(Ipv4Addr::is_loopback));
    // An address in use is refused with a sentence.
    let sink = labs[0]
        .tcp(any_port(labs[0].v4(1)), Answer::Silent)
        .unwrap();
    let error = labs[1]
        .tcp(sink.at(), Answer::Silent)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("can't listen on 127."), "{error}");
}

#[test]
fn programs_that_hang_are_ended() {
    let mut command = Command::new(actor("procs"));
    command.args(["sleep", "60000"]);
    let error = run(&mut command, Duration::from_millis(200))
        .unwrap_err()
        .to_string();
    assert!(error.contains("longer than 200ms"), "{error}");
}
