//! What is said over the socket of a job: one line of JSON, one line back.

use std::io::{self, BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};

/// The longest request, in bytes: a policy and all that comes with it.
pub(crate) const REQUEST_MAX: usize = 2 << 20;
/// The longest answer, in bytes: a summary is far below.
pub(crate) const ANSWER_MAX: u64 = 16 << 20;

/// What is asked of an attendant. Whether it answers depends on who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// May a job begin for who asks? Not inside of one that has begun; but one that the service holds takes a policy once.
    Begin { policy: Box<Policy> },
    /// Write the reports, and tell the summary.
    End {
        /// For a terminal that is so wide.
        width: u16,
        color: bool,
    },
    /// Say which job this is.
    Status {},
    /// Go on with the job's next stage, which this process is; and whether it is the last one. For root outside of all jobs.
    Join { root: u32, last: bool },
    /// No more stages come. For root outside of all jobs.
    Over {},
}

/// What a pipeline asks for, for the job that it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// The options of that name.
    pub(crate) egress_policy: Option<String>,
    pub(crate) allowed_endpoints: Option<String>,
    pub(crate) denied_endpoints: Option<String>,
    /// A policy file: its name, and what is in it.
    pub(crate) file: Option<(String, String)>,
    /// `--fail-on`
    pub(crate) fail_on: Vec<String>,
    /// `--lockdown`
    pub(crate) lockdown: Vec<String>,
    /// Other options that were given, by their names: they can't be had any more.
    pub(crate) others: Vec<String>,
}

/// What an attendant says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Who asks has no business with this job.
    NotYours,
    /// The job has begun, and its policy was taken.
    Taken {
        job: String,
    },
    /// The policy is in force, together with what was.
    Tightened(Status),
    /// It is not, and never will be.
    Refused {
        why: String,
    },
    /// The stage is in the job.
    Joined(Status),
    /// The job was ended, and so is the stage.
    Killed {
        why: String,
    },
    /// Another one asked for the same just now.
    Busy,
    /// The request is none.
    Malformed,
    /// The reports are written.
    Reported {
        code: u8,
        /// Sentences for a person.
        said: Vec<String>,
        /// Lines for the CI.
        commands: Vec<String>,
        summary: String,
        /// The summary for a page.
        markdown: String,
    },
    /// The reports could not be made.
    Failed {
        why: String,
    },
    Status(Status),
}

/// A job under watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) job: String,
    /// The process that it stands and falls with.
    pub(crate) root: u32,
    pub(crate) attendant: u32,
    pub(crate) mode: String,
    /// Where its policy was written.
    pub(crate) policy: Vec<String>,
    pub(crate) report: String,
    /// Whether the service of this machine holds it, and keeps and sends the record.
    pub(crate) held: bool,
    /// Of a job in stages, what its stages are known by.
    #[serde(default)]
    pub(crate) slot: Option<String>,
}

/// What an attendant tells who started it, when the job is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) job: String,
    pub(crate) root: u32,
    pub(crate) mode: String,
    pub(crate) processes: usize,
    pub(crate) report: String,
    /// Where its policy was written.
    pub(crate) policy: Vec<String>,
}

impl Status {
    /// One line for a person.
    pub(crate) fn line(&self) -> String {
        let sources = match self.policy.is_empty() {
            true => "none".to_owned(),
            false => self.policy.join(", "),
        };
        format!(
            "job {}: {} mode, process {} and what it has started; policy: {sources}; report: {}\n",
            self.job, self.mode, self.root, self.report
        )
    }
}

/// A value as a line.
pub(crate) fn line(value: &impl Serialize) -> Vec<u8> {
    // Types of this module have no keys that are no text.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Reads one line, of at most so many bytes. What comes after it is nobody's business: whoever hangs up on a request that it
/// has not read makes the stream end in an error.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(from: impl Read, max: u64) -> io::Result<T> {
    let mut bytes = Vec::new();
    BufReader::new(from.take(max)).read_until(b'\n', &mut bytes)?;
    if !bytes.ends_with(b"\n") {
        return Err(io::Error::other("the answer breaks off"));
    }
    serde_json::from_slice(&bytes).map_err(io::Error::from)
}

/// What stands in a line that somebody sent; `None` when it is no request.
pub(crate) fn request(line: &[u8]) -> Option<Request> {
    serde_json::from_slice(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_of_these_and_nothing_else() {
        for wanted in [
            Request::Begin {
                policy: Box::default(),
            },
            Request::Status {},
            Request::Over {},
            Request::Join {
                root: 7,
                last: true,
            },
            Request::End {
                width: 80,
                color: true,
            },
        ] {
            assert_eq!(request(&line(&wanted)), Some(wanted));
        }
        for wrong in [
            &b""[..],
            b"\xff",
            b"{}",
            b"[]",
            br#"{"request":"begin","policy":"x"}"#,
            br#"{"request":"begin"}"#,
            br#"{"request":"begin","policy":{"fail_on":[],"others":[],"mode":"audit"}}"#,
            br#"{"request":"end","width":80,"color":true,"job":"1"}"#,
            br#"{"request":"end","width":99999,"color":true}"#,
            br#"{"request":"stop"}"#,
            br#"{"request":"join","root":-1,"last":true}"#,
            br#"{"request":"status"} {"request":"status"}"#,
        ] {
            assert_eq!(request(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
