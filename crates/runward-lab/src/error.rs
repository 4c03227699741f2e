//! What can go wrong while a lab is set up.

use std::io;
use std::net::SocketAddr;

/// Why the lab, or a server in it, could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// An `ip` command failed, or could not be run.
    #[error("`ip {command}` failed: {reason} (network namespaces need root, iproute2 and veth)")]
    Ip {
        /// The arguments, or the batch of commands.
        command: String,
        /// What `ip` printed, or why it could not be started.
        reason: String,
    },
    /// A server's address could not be bound.
    #[error("can't listen on {at}: {source} (is it an address of this lab, and free?)")]
    Listen {
        /// The address asked for.
        at: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// A file or folder of the lab could not be made.
    #[error("can't write {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("can't make the certificate for {name}: {reason}")]
    Certificate {
        /// The name to certify.
        name: String,
        /// What the certificate library said.
        reason: String,
    },
    /// A record's name or the record itself is malformed.
    #[error("'{name}' is not a domain name: {reason}")]
    Name {
        /// The text given.
        name: String,
        /// What the DNS library said.
        reason: String,
    },
    /// The lab's thread could not be started, or could not enter its namespace.
    #[error("the lab's thread did not start: {0}")]
    Thread(#[source] io::Error),
    /// A program could not be run, or did not end in time.
    #[error("can't run {program}: {reason}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
}
