//! Which name servers the machine asks when a job starts.

use std::net::IpAddr;
use std::path::Path;

use runward_resolver::system_upstreams;

/// Where name servers are configured. Behind the stub of a daemon stand the servers that the daemon asks, and container
/// engines give these to containers.
const CONFIGURATIONS: [&str; 4] = [
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/resolvconf/resolv.conf",
];
/// Servers that are kept; real machines have a few.
const SERVERS_MAX: usize = 32;

/// The machine's name servers, each once. What can't be read is left out.
pub(crate) fn of_machine() -> Vec<IpAddr> {
    let mut servers: Vec<IpAddr> = Vec::new();
    for path in CONFIGURATIONS {
        let Ok(upstreams) = system_upstreams(Path::new(path)) else {
            continue;
        };
        for server in upstreams.servers {
            let ip = server.ip().to_canonical();
            if servers.len() < SERVERS_MAX && !servers.contains(&ip) {
                servers.push(ip);
            }
        }
    }
    servers
}
