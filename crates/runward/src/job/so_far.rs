//! The reports of a job that still runs: made again from its record, as `runward report` does, on a thread of their own.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use runward_agent::{ReportFolder, SoFar};
use runward_detect::{Observer as _, RuleAbout, Selection};
use runward_event::parse_line;
use runward_report::{Report, ReportBuilder, Style, annotations, markdown, terminal};
use runward_rules::Rules;

use super::control::{answer, answer_slowly};
use super::wire::Answer;
use crate::report::write_reports;
use crate::{exit, fail_on};

/// What a report needs beside the record.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(crate) folder: Arc<ReportFolder>,
    /// The file of rules, as it was when the job began.
    pub(crate) rules: Option<String>,
    pub(crate) fail_on: Selection,
    pub(crate) log: String,
    pub(crate) busy: Arc<AtomicBool>,
}

/// For whose eyes a summary is.
#[derive(Clone, Copy)]
pub(crate) struct Eyes {
    pub(crate) width: u16,
    pub(crate) color: bool,
}

impl Reporter {
    /// The rules by which is looked, beside our own.
    pub(crate) fn abouts(&self) -> Vec<RuleAbout> {
        // They were right when the job began.
        let rules = self.rules.as_deref().map(Rules::read);
        rules
            .and_then(Result::ok)
            .map_or_else(Vec::new, |rules| rules.abouts().to_vec())
    }

    /// Claims the right to write reports; one at a time.
    pub(crate) fn claim(&self) -> bool {
        !self.busy.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn release(&self) {
        self.busy.store(false, Ordering::Release);
    }

    /// Writes the reports and tells who asked. The right to do so must be claimed; it is released at the end.
    pub(crate) fn tell(&self, so_far: SoFar, eyes: Eyes, to: UnixStream) {
        let reporter = self.clone();
        let refusal = to.try_clone();
        let started = thread::Builder::new()
            .name("report".to_owned())
            .spawn(move || {
                let told = reporter.report(&so_far, eyes);
                reporter.release();
                let told = told.unwrap_or_else(|error| Answer::Failed {
                    why: error.to_string(),
                });
                answer_slowly(&to, &told);
            });
        if let Err(error) = started {
            self.release();
            if let Ok(stream) = refusal {
                answer(
                    &stream,
                    &Answer::Failed {
                        why: error.to_string(),
                    },
                );
            }
        }
    }

    fn report(&self, so_far: &SoFar, eyes: Eyes) -> io::Result<Answer> {
        let report = self.build(so_far)?;
        let mut said = Vec::new();
        if !write_reports(&self.folder, &report) {
            said.push(format!(
                "not all reports could be written: {} tells why",
                self.log
            ));
        }
        let mut code = 0;
        if so_far.killed {
            code = exit::LOCKDOWN;
        } else if let Some(found) = fail_on::first(&report.detections, &self.fail_on) {
            said.push(format!("found {found}, which --fail-on names"));
            code = exit::FOUND;
        }
        let place = self.folder.path().join("report.html").display().to_string();
        Ok(Answer::Reported {
            code,
            said,
            commands: annotations(&report),
            markdown: markdown(&report),
            summary: terminal(
                &report,
                Style {
                    color: eyes.color,
                    width: usize::from(eyes.width),
                    report: Some(&place),
                },
            ),
        })
    }

    fn build(&self, so_far: &SoFar) -> io::Result<Report> {
        let mut builder = ReportBuilder::new();
        if let Some(text) = &self.rules {
            // They were right when the job began.
            let rules = Rules::read(text).map_err(|_| io::Error::other("the rules are broken"))?;
            builder.look_with(Box::new(rules));
        }
        // The recorder writes on in the same file: this reads at places of its own.
        let written = At {
            file: &so_far.events,
            place: 0,
        };
        let mut lines = BufReader::with_capacity(1 << 16, written.take(so_far.bytes));
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let text = str::from_utf8(&line).unwrap_or_default();
            let event = parse_line(text).map_err(|error| io::Error::other(error.to_string()))?;
            builder.apply(&event);
        }
        Ok(builder.finish_so_far(so_far.end.clone()))
    }
}

struct At<'a> {
    file: &'a std::fs::File,
    place: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.place)?;
        self.place += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}
