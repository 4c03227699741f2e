use std::process::ExitCode;

use anyhow::Result;
use runward_agent::{EVENTS, Finished, ReportFolder};
use runward_report::{Report, ReportBuilder, html, markdown, write_json, write_sarif};

use crate::cli::ReportOptions;
use crate::prepare::Sent;
use crate::{exit, output, record, rules};

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
    let mut builder = ReportBuilder::new();
    if let Some(rules) = &options.rules {
        builder.look_with(Box::new(rules::of_job(rules)?));
    }
    record::read(&options.folder.join(EVENTS), |event| builder.apply(event))?;
    Ok(builder.finish())
}

/// Writes report.json, summary.md, report.html and report.sarif. Says what fails; returns whether nothing did.
pub(crate) fn write_reports(folder: &ReportFolder, report: &Report) -> bool {
    let written = [
        folder.write("report.json", |mut out| write_json(report, &mut out)),
        folder.write("summary.md", |out| {
            out.write_all(markdown(report).as_bytes())
        }),
        folder.write("report.html", |out| out.write_all(html(report).as_bytes())),
        folder.write("report.sarif", |mut out| write_sarif(report, &mut out)),
    ];
    let mut complete = true;
    for error in written.into_iter().filter_map(Result::err) {
        output::say(error);
        complete = false;
    }
    complete
}

/// Writes what people and machines read. Failures are said, never returned: the command's result stands.
pub(crate) fn deliver(folder: &ReportFolder, finished: &Finished) {
    if let Some(error) = &finished.write_failure {
        output::say(format_args!(
            "{EVENTS} is incomplete: {error}; make room and run again (the other reports count everything)"
        ));
    }
    match folder.restore(EVENTS, &finished.events) {
        Ok(false) => {}
        Ok(true) => output::say(format_args!(
            "{EVENTS} was replaced during the run; it has been written again"
        )),
        Err(error) => output::say(error),
    }
    write_reports(folder, &finished.report);
}

/// Says where the run is to be seen, or that the server has not got all of it, and how that is sent later. Returns whether
/// it has.
pub(crate) fn tell_upload(sent: Sent, later: &str) -> bool {
    match sent.following.finish() {
        Ok(uploaded) => {
            output::say(format_args!(
                "this run on the server: {}{}",
                sent.page, uploaded.run
            ));
            true
        }
        Err(error) => {
            output::say(format_args!(
                "the server has not got all of this run: {error}; {later}"
            ));
            false
        }
    }
}

/// How a person sends a record later.
pub(crate) fn send_later(folder: &ReportFolder) -> String {
    format!(
        "send it later with `runward upload {}`",
        folder.path().display()
    )
}
