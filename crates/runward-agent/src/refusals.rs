//! What the fence refused, for a person who watches the job run.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use runward_event::{Body, ConnectionId, ProcessId, Protocol, Reason, Status};
use runward_tree::Tree;

/// How many different destinations are told of; a job that tries more has made its point, and the report has them all.
const REFUSALS_MAX: usize = 64;
/// How many open connections are remembered by name, for refusals that come later.
const CONNECTIONS_MAX: usize = 65_536;

/// One destination that was refused for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The name that was looked up or said, if there was one.
    pub name: Option<String>,
    /// The address. For a question to DNS that of the server.
    pub ip: IpAddr,
    /// The port; 53 and a name is a question to DNS.
    pub port: u16,
    /// The transport.
    pub protocol: Protocol,
    /// Why.
    pub reason: Reason,
    /// The program, and its process id.
    pub exe: String,
    /// The process id.
    pub pid: u32,
}

/// Picks what has not been told before.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    told: HashSet<(Option<String>, Option<IpAddr>, u16, Reason)>,
    new: Vec<Refusal>,
    names: HashMap<ConnectionId, String>,
}

impl Refusals {
    pub(crate) fn observe(&mut self, body: &Body, tree: &Tree) {
        let (name, ip, port, protocol, reason, process, pid) = match body {
            Body::Connect(connect) if connect.status == Status::Blocked => (
                connect.name.clone(),
                connect.ip,
                connect.port,
                connect.protocol,
                connect.reason.unwrap_or(Reason::Other),
                connect.process,
                connect.pid,
            ),
            Body::Connect(connect) => {
                if let Some(name) = &connect.name
                    && self.names.len() < CONNECTIONS_MAX
                {
                    self.names.insert(connect.connection, name.clone());
                }
                return;
            }
            Body::ConnectClose(close) => {
                self.names.remove(&close.connection);
                return;
            }
            Body::Refused(refused) => (
                refused.name.clone().or_else(|| {
                    refused
                        .connection
                        .and_then(|connection| self.names.get(&connection).cloned())
                }),
                refused.ip,
                refused.port,
                refused.protocol,
                refused.reason,
                refused.process,
                refused.pid,
            ),
            _ => return,
        };
        let by_ip = name.is_none().then_some(ip);
        if self.told.len() < REFUSALS_MAX && self.told.insert((name.clone(), by_ip, port, reason)) {
            self.new.push(Refusal {
                name,
                ip,
                port,
                protocol,
                reason,
                exe: exe(tree, process),
                pid,
            });
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.new)
    }
}

fn exe(tree: &Tree, process: ProcessId) -> String {
    let image = tree.image(process);
    image.map_or_else(String::new, |image| image.exe.clone())
}
