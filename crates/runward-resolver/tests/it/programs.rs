//! Programs that people use.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use runward_lab::{Dns, Lab, Ran, requires, run};
use runward_resolver::Upstreams;

use crate::PATIENCE;
use crate::fence::Fence;

fn lab() -> (Lab, Dns) {
    let lab = Lab::loopback().unwrap();
    let dns = lab.dns(SocketAddr::new(lab.v4(53).into(), 0)).unwrap();
    let addresses: [IpAddr; 2] = [[192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap()];
    dns.address("a.example", 60, &addresses).unwrap();
    dns.alias("www.example", 60, "a.example").unwrap();
    (lab, dns)
}

fn dig(fence: &Fence, arguments: &[&str]) -> Ran {
    let mut command = Command::new("dig");
    let server = format!("@{}", fence.at.ip());
    let port = fence.at.port().to_string();
    command
        .args([&server, "-p", &port, "+tries=1", "+time=20"])
        .args(arguments);
    run(&mut command, PATIENCE).unwrap()
}

#[test]
fn dig_gets_answers_over_udp_and_tcp_and_is_told_why_not() {
    requires!(Program("dig"));
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    fence.gate.refuse("b.example");
    let short = |arguments: &[&str]| dig(&fence, &[&["+short"], arguments].concat()).stdout;
    assert_eq!(short(&["a.example", "A"]), "192.0.2.1\n");
    assert_eq!(
        short(&["+tcp", "www.example", "AAAA"]),
        "a.example.\n2001:db8::1\n"
    );
    assert_eq!(
        short(&["+dnssec", "+bufsize=1232", "a.example", "A"]),
        "192.0.2.1\n"
    );
    let pipelined = short(&["+tcp", "+keepopen", "a.example", "A", "www.example", "A"]);
    assert_eq!(pipelined, "192.0.2.1\na.example.\n192.0.2.1\n");
    let refused = dig(&fence, &["b.example", "A"]).stdout;
    assert!(refused.contains("status: NXDOMAIN"), "{refused}");
    assert!(refused.contains("EDE: 15 (Blocked)"), "{refused}");
}

#[test]
fn the_c_librarys_lookups_work_and_fail_at_once() {
    requires!(Root, Program("python3"));
    let (lab, dns) = lab();
    let at = SocketAddr::new(lab.v4(54).into(), 53);
    let fence = Fence::with(Upstreams::new(vec![dns.at()]), Some(at));
    fence.gate.refuse("b.example");
    lab.set_nameservers(&[at.ip()]).unwrap();
    let script = "
import socket
for name in ('www.example', 'b.example'):
    try:
        print(sorted({entry[4][0] for entry in socket.getaddrinfo(name, 443)}))
    except socket.gaierror as error:
        print(error.errno == socket.EAI_NONAME)
";
    let mut command = lab.command("python3");
    command.args(["-c", script]);
    let ran = run(&mut command, PATIENCE).unwrap();
    let expected = "['192.0.2.1', '2001:db8::1']\nTrue\n";
    assert_eq!(ran.stdout, expected, "{}", ran.stderr);
    let asked = fence.gate.questions();
    assert!(asked.contains(&"b.example AAAA".to_owned()), "{asked:?}");
}
