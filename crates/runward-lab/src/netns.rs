//! Two network namespaces: the client's, and the internet's, which owns every documentation address.

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::LabError;

/// Everything of ours in the system's list of namespaces starts so, followed by the pid and a number.
const PREFIX: &str = "rw-";

/// Where `ip netns` keeps names, and where it looks for a namespace's own files of /etc.
const NAMES: &str = "/run/netns";
const CONFIGURATION: &str = "/etc/netns";

/// The client's own addresses, outside of what the internet's side owns.
pub(crate) const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
pub(crate) const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 2);

/// Where the client's resolv.conf points until a test says otherwise.
const NAMESERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);

/// The commands for the internet's side. A local route for a whole prefix makes every address in it ours, without
/// adding them one by one.
const INTERNET: &str = "\
link set lo up
addr add 203.0.113.1/30 dev eth0
addr add 2001:db8:ffff::1/64 dev eth0 nodad
link set eth0 up
route add local 192.0.2.0/24 dev lo
route add local 198.51.100.0/24 dev lo
route add local 203.0.113.128/25 dev lo
route add local 2001:db8::/33 dev lo
";

/// The commands for the client. 198.18.0.0/15 and 2001:db8:fffe::/48 are there to be unreachable.
const CLIENT: &str = "\
link set lo up
addr add 203.0.113.2/30 dev eth0
addr add 2001:db8:ffff::2/64 dev eth0 nodad
link set eth0 up
route add default via 203.0.113.1
route add default via 2001:db8:ffff::1
route add unreachable 198.18.0.0/15
route add unreachable 2001:db8:fffe::/48
";

/// The pair of namespaces; removed on drop, or by the next test run if this one crashes.
#[derive(Debug)]
pub(crate) struct Namespaces {
    internet: String,
    client: String,
}

impl Namespaces {
    pub(crate) fn new() -> Result<Self, LabError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        remove_left_over();
        let stem = format!(
            "{PREFIX}{}-{}",
            process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        // From here on, the drop of `made` cleans up whatever a failing step leaves behind.
        let made = Namespaces {
            internet: format!("{stem}-i"),
            client: format!("{stem}-c"),
        };
        ip(&["netns", "add", &made.internet])?;
        ip(&["netns", "add", &made.client])?;
        // Both ends are made inside the namespaces: the machine's own list of devices never changes.
        ip(&[
            "link",
            "add",
            "eth0",
            "netns",
            &made.internet,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            &made.client,
        ])?;
        in_namespace(&made.internet_file(), || {
            // IPv6 only binds to addresses of a local route with this, unlike IPv4.
            set("ipv6/ip_nonlocal_bind", "1");
            // TCP Fast Open for every listener, and without the cookie round.
            set("ipv4/tcp_fastopen", "1543");
        })?;
        in_namespace(&made.client_file(), || {
            set("ipv4/tcp_fastopen", "1543");
            // As distributions have it: everybody may ping.
            set("ipv4/ping_group_range", "0 2147483647");
        })?;
        batch(&made.internet, INTERNET)?;
        batch(&made.client, CLIENT)?;
        made.set_nameservers(&[NAMESERVER.into()])?;
        Ok(made)
    }

    pub(crate) fn client_name(&self) -> &str {
        &self.client
    }

    pub(crate) fn internet_file(&self) -> PathBuf {
        Path::new(NAMES).join(&self.internet)
    }

    pub(crate) fn client_file(&self) -> PathBuf {
        Path::new(NAMES).join(&self.client)
    }

    /// The file that is the client's /etc/resolv.conf.
    pub(crate) fn resolv_conf(&self) -> PathBuf {
        Path::new(CONFIGURATION)
            .join(&self.client)
            .join("resolv.conf")
    }

    pub(crate) fn set_nameservers(&self, servers: &[IpAddr]) -> Result<(), LabError> {
        let path = self.resolv_conf();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| LabError::File {
                path: folder.display().to_string(),
                source,
            })?;
        }
        write_resolv_conf(&path, servers)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.internet, &self.client] {
            remove(name);
        }
    }
}

/// Writes in place, so that a client which already has the file mounted sees the change.
pub(crate) fn write_resolv_conf(path: &Path, servers: &[IpAddr]) -> Result<(), LabError> {
    let mut text = String::from("options timeout:1 attempts:2\n");
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    fs::write(path, text).map_err(|source| LabError::File {
        path: path.display().to_string(),
        source,
    })
}

/// Runs `work` on a thread of its own inside the namespace.
pub(crate) fn in_namespace<T: Send>(
    namespace: &Path,
    work: impl FnOnce() -> T + Send,
) -> Result<T, LabError> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| enter(namespace).map(|()| work()));
        match thread.join() {
            Ok(result) => result.map_err(LabError::Thread),
            // A failed assertion in the work is the test's own.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Moves this thread, and no other, into a network namespace. There is no way back: use a thread that ends.
pub(crate) fn enter(namespace: &Path) -> io::Result<()> {
    let file = fs::File::open(namespace)?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}

/// Sets a value under /proc/sys/net of the current thread's namespace. A kernel without it has no such feature, and
/// the test that needs it finds out.
fn set(name: &str, value: &str) {
    let _ = fs::write(Path::new("/proc/sys/net").join(name), value);
}

/// Removes namespaces whose process is gone: those of test runs that crashed.
fn remove_left_over() {
    for folder in [NAMES, CONFIGURATION] {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if owner(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                remove(name);
            }
        }
    }
}

/// The process that made a namespace of this name, if it is one of ours.
fn owner(name: &str) -> Option<u32> {
    let (pid, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (number, side) = rest.split_once('-')?;
    number.parse::<u32>().ok()?;
    matches!(side, "i" | "c")
        .then(|| pid.parse().ok())
        .flatten()
}

/// Removes one namespace and its files. Errors have nobody to go to: another process may have been quicker.
fn remove(name: &str) {
    // The veth goes first: the namespace itself would live on with any process that is still inside.
    let _ = ip(&["-n", name, "link", "del", "eth0"]);
    let _ = ip(&["netns", "del", name]);
    let folder = Path::new(CONFIGURATION).join(name);
    let _ = fs::remove_file(folder.join("resolv.conf"));
    let _ = fs::remove_dir(folder);
}

fn ip(arguments: &[&str]) -> Result<(), LabError> {
    run(arguments, "", || arguments.join(" "))
}

/// Runs many commands with one process.
fn batch(namespace: &str, commands: &str) -> Result<(), LabError> {
    run(&["-n", namespace, "-batch", "-"], commands, || {
        commands.replace('\n', "; ")
    })
}

fn run(arguments: &[&str], input: &str, command: impl Fn() -> String) -> Result<(), LabError> {
    let failed = |reason: String| LabError::Ip {
        command: command(),
        reason,
    };
    let mut child = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If `ip` ended early its message says more than the broken pipe.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_have_an_owner() {
        for (name, expected) in [
            ("rw-12-0-i", Some(12)),
            ("rw-12-7-c", Some(12)),
            ("rw-12-0", None),
            ("rw-12-0-x", None),
            ("rw-x-0-i", None),
            ("rw--0-i", None),
            ("other-12-0-i", None),
            ("", None),
        ] {
            assert_eq!(owner(name), expected, "{name}");
        }
    }
}
