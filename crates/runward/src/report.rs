use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use runward_agent::{EVENTS, ReportFolder};
use runward_event::parse_line;
use runward_report::{Report, ReportBuilder, html, markdown, write_json};

use crate::cli::ReportOptions;
use crate::{exit, output};

/// The longest line that is read: a process start with every argument and path at its largest is far below.
const LINE_MAX: u64 = 16 << 20;

/// `runward report`.
pub(crate) fn report(options: &ReportOptions) -> ExitCode {
    let made = read(options).and_then(|report| {
        let folder = ReportFolder::create(&options.folder, None)?;
        Ok((report, folder))
    });
    match made {
        Ok((report, folder)) => {
            let complete = write_reports(&folder, &report);
            output::summary(&report, folder.path());
            if complete {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(exit::FAILURE)
            }
        }
        Err(error) => {
            output::say(format_args!("{error:#}"));
            ExitCode::from(exit::FAILURE)
        }
    }
}

fn read(options: &ReportOptions) -> Result<Report> {
    let path = options.folder.join(EVENTS);
    let file = File::open(&path).with_context(|| {
        format!(
            "cannot read {}: name the folder of an earlier run",
            path.display()
        )
    })?;
    let mut lines = BufReader::with_capacity(1 << 16, file);
    let mut builder = ReportBuilder::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = lines
            .by_ref()
            .take(LINE_MAX)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            break;
        }
        let text = str::from_utf8(&line).unwrap_or_default();
        match parse_line(text) {
            Ok(event) => builder.apply(&event),
            // A run that was cut off leaves half a line at the end.
            Err(_) if !line.ends_with(b"\n") => {
                output::say(format_args!(
                    "{} breaks off in line {number}",
                    path.display()
                ));
            }
            Err(error) => output::say(format_args!("{}, line {number}: {error}", path.display())),
        }
    }
    Ok(builder.finish())
}

/// Writes report.json, summary.md and report.html. Says what fails; returns whether nothing did.
pub(crate) fn write_reports(folder: &ReportFolder, report: &Report) -> bool {
    let written = [
        folder.write("report.json", |mut out| write_json(report, &mut out)),
        folder.write("summary.md", |out| {
            out.write_all(markdown(report).as_bytes())
        }),
        folder.write("report.html", |out| out.write_all(html(report).as_bytes())),
    ];
    let mut complete = true;
    for error in written.into_iter().filter_map(Result::err) {
        output::say(error);
        complete = false;
    }
    complete
}
