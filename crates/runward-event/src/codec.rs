use std::borrow::Cow;
use std::io;

use serde::Deserialize;

use crate::{Body, Event, Time};

/// Why a line is not an event.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Not a JSON object with `seq`, `time` and `kind`.
    #[error("not an event: {0}")]
    Head(#[source] serde_json::Error),
    /// The kind is known, its fields are not those of the kind.
    #[error("not a valid {kind} event: {source}")]
    Body {
        /// The `kind` that the line claims.
        kind: String,
        /// What is wrong with the fields.
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Head<'a> {
    seq: u64,
    time: Time,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

/// Reads one line of NDJSON.
///
/// Reads the line twice, first for the head and then for the fields of its kind. That gives errors which name the
/// kind and the field, and needs no buffering of unknown content.
pub fn parse_line(line: &str) -> Result<Event, LineError> {
    let head: Head<'_> = serde_json::from_str(line).map_err(LineError::Head)?;
    let body = parse_body(&head.kind, line).map_err(|source| LineError::Body {
        kind: head.kind.clone().into_owned(),
        source,
    })?;
    Ok(Event {
        seq: head.seq,
        time: head.time,
        body,
    })
}

fn parse_body(kind: &str, line: &str) -> Result<Body, serde_json::Error> {
    use serde_json::from_str;
    Ok(match kind {
        "job_start" => Body::JobStart(from_str(line)?),
        "job_end" => Body::JobEnd(from_str(line)?),
        "process_fork" => Body::ProcessFork(from_str(line)?),
        "process_exec" => Body::ProcessExec(from_str(line)?),
        "process_exit" => Body::ProcessExit(from_str(line)?),
        "dns" => Body::Dns(from_str(line)?),
        "connect" => Body::Connect(from_str(line)?),
        "connect_close" => Body::ConnectClose(from_str(line)?),
        "refused" => Body::Refused(from_str(line)?),
        "tamper" => Body::Tamper(from_str(line)?),
        "memory_access" => Body::MemoryAccess(from_str(line)?),
        "sensitive_file" => Body::SensitiveFile(from_str(line)?),
        "secret_found" => Body::SecretFound(from_str(line)?),
        "file_create" => Body::FileCreate(from_str(line)?),
        "file_write" => Body::FileWrite(from_str(line)?),
        "file_rename" => Body::FileRename(from_str(line)?),
        "file_delete" => Body::FileDelete(from_str(line)?),
        "container" => Body::Container(from_str(line)?),
        "lockdown" => Body::Lockdown(from_str(line)?),
        "lost" => Body::Lost(from_str(line)?),
        unknown => Body::Unknown(unknown.to_owned()),
    })
}

/// Writes one event as one line of NDJSON, with the newline.
pub fn write_line(out: &mut impl io::Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event).map_err(io::Error::from)?;
    out.write_all(b"\n")
}
