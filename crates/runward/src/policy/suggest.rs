use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use runward_agent::EVENTS;
use runward_event::Protocol;
use runward_policy::{Observation, Transport};
use runward_report::{Dependency, Destination, Report, ReportBuilder};

use super::sources::Failure;
use super::{print, print_json, refuse};
use crate::cli::SuggestOptions;
use crate::record;

/// The largest report that is read: its rows are bounded, and stay below.
const REPORT_BYTES: u64 = 1 << 30;

/// `runward policy suggest`.
pub(super) fn suggest(options: &SuggestOptions) -> ExitCode {
    let reports: Result<Vec<Vec<Destination>>> = options
        .reports
        .iter()
        .map(|path| read(path).map(|report| report.destinations))
        .collect();
    let reports = match reports {
        Ok(reports) => reports,
        Err(error) => return refuse(&Failure::Input(error), options.json),
    };
    let seen: Vec<Seen<'_>> = reports
        .iter()
        .enumerate()
        .flat_map(|(run, destinations)| destinations.iter().map(move |d| (run, d)))
        .filter_map(|(run, destination)| Seen::of(run, destination))
        .collect();
    let suggested = runward_policy::suggest(reports.len(), seen.iter().map(Seen::observation));
    if options.json {
        print_json(&suggested);
    } else {
        print(&suggested.to_yaml());
    }
    ExitCode::SUCCESS
}

/// Reads a report folder, its record, or its report.json.
fn read(path: &Path) -> Result<Report> {
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        return read_report(path);
    }
    let mut builder = ReportBuilder::new();
    record::read(&events(path), |event| builder.apply(event))?;
    Ok(builder.finish())
}

/// The record of a report folder, or the file itself.
pub(crate) fn events(path: &Path) -> std::path::PathBuf {
    if path.is_dir() {
        path.join(EVENTS)
    } else {
        path.to_path_buf()
    }
}

fn read_report(path: &Path) -> Result<Report> {
    let context = || format!("cannot read the report {}", path.display());
    let file = File::open(path).with_context(context)?;
    serde_json::from_reader(BufReader::new(file.take(REPORT_BYTES))).with_context(context)
}

/// A destination of a report, in the words of a policy.
struct Seen<'a> {
    run: usize,
    destination: &'a Destination,
    transport: Transport,
    dependencies: Vec<String>,
}

impl<'a> Seen<'a> {
    /// Nothing for protocols that no endpoint can allow.
    fn of(run: usize, destination: &'a Destination) -> Option<Seen<'a>> {
        let transport = match destination.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
            _ => return None,
        };
        Some(Seen {
            run,
            destination,
            transport,
            dependencies: destination.dependencies.iter().map(label).collect(),
        })
    }

    fn observation(&self) -> Observation<'_> {
        let destination = self.destination;
        Observation {
            run: self.run,
            name: destination.name.as_deref(),
            ip: destination.ips.first().copied(),
            port: destination.port,
            transport: self.transport,
            connections: destination.connections,
            blocked: destination.statuses.blocked,
            executables: &destination.processes,
            dependencies: &self.dependencies,
        }
    }
}

/// `name@version`.
fn label(dependency: &Dependency) -> String {
    match &dependency.version {
        Some(version) => format!("{}@{version}", dependency.name),
        None => dependency.name.clone(),
    }
}
