//! Every change of a file in the workspace of a run.

use askama::Template;
use runward_event::Time;
use runward_report::text::{count, counted};
use runward_report::{FileChangeKind, FileRow};

use super::super::hostile::Text;
use super::super::moment::Moment;
use super::super::number::length;
use super::super::pager::{Part, part};
use super::super::shell::Shell;
use super::actor::{Actor, cause, dependency_name};
use super::frame::{Frame, Tab, tab_address};
use super::{RowsQuery, RunSource};

/// Rows of one page.
const ROWS: usize = 200;

/// `/o/{org}/runs/{run}/files`.
#[derive(Template)]
#[template(path = "run/files.html")]
pub(crate) struct FilesTab {
    shell: Shell,
    frame: Frame,
    action: String,
    query: RowsQuery,
    filtered: bool,
    watched: bool,
    sums: Vec<String>,
    rows: Vec<Row>,
    part: Part,
    all_href: String,
    findings_href: String,
    findings: String,
    all: String,
    kinds: Vec<(&'static str, bool)>,
}

struct Row {
    at: Moment,
    kind: &'static str,
    path: Text,
    from: Option<Text>,
    overwritten: bool,
    tracked: bool,
    /// Whether the content is known to be what it was.
    same: bool,
    found_at_end: bool,
    before: Option<Text>,
    after: Option<Text>,
    actor: Option<Actor>,
    cause: Option<Text>,
}

impl FilesTab {
    pub(crate) fn new(shell: Shell, source: &RunSource<'_>, query: &RowsQuery) -> FilesTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Files);
        let report = source.report;
        let address = tab_address(&shell, &source.run.id, Tab::Files);
        let kind = query.kind.as_deref();
        let mut chosen: Vec<(usize, &FileRow)> = report
            .file_events
            .iter()
            .enumerate()
            .filter(|(_, row)| !query.findings || row.changed)
            .filter(|(_, row)| kind.is_none_or(|wanted| wanted == kind_name(row.kind)))
            .filter(|(_, row)| query.finds(searched(row).iter().map(AsRef::as_ref)))
            .collect();
        // What a person should look at must not stand on page seven.
        chosen.sort_by_key(|(_, row)| !row.changed);
        let (chosen, part) = part(chosen, query.page, ROWS, |page| {
            address
                .clone()
                .with_some("q", query.text.as_deref())
                .with_some("kind", kind)
                .with_some("findings", query.findings.then_some("1"))
                .with("page", &page.to_string())
        });
        let counts = &report.counts;
        let mut sums = vec![counted(counts.file_changes, "file change", "file changes")];
        if report.unrecorded_file_changes > 0 {
            sums.push(format!(
                "{} more in files that git ignores",
                count(report.unrecorded_file_changes)
            ));
        }
        if let Some(tracked) = report.tracked_files {
            sums.push(counted(tracked, "tracked file", "tracked files"));
        }
        let found = report.file_events.iter().filter(|row| row.changed).count();
        FilesTab {
            frame,
            action: address.to_string(),
            filtered: query.is_filtered(),
            query: query.clone(),
            watched: report.files_watched,
            sums,
            rows: chosen
                .into_iter()
                .map(|(i, row)| Row::new(i, row, report.start))
                .collect(),
            part,
            findings_href: address.clone().with("findings", "1").to_string(),
            all_href: address.to_string(),
            findings: count(u64::try_from(found).unwrap_or(u64::MAX)),
            all: count(length(&report.file_events)),
            kinds: ["create", "write", "rename", "delete"]
                .into_iter()
                .map(|name| (name, kind == Some(name)))
                .collect(),
            shell,
        }
    }
}

fn kind_name(kind: FileChangeKind) -> &'static str {
    match kind {
        FileChangeKind::Create => "create",
        FileChangeKind::Write => "write",
        FileChangeKind::Rename => "rename",
        FileChangeKind::Delete => "delete",
    }
}

/// Where a text is searched for.
fn searched(row: &FileRow) -> Vec<std::borrow::Cow<'_, str>> {
    let mut texts: Vec<std::borrow::Cow<'_, str>> = vec![row.path.as_str().into()];
    texts.extend(row.from.as_deref().map(Into::into));
    texts.extend(row.process.as_deref().map(|p| p.exe.as_str().into()));
    texts.extend(row.step.as_deref().map(Into::into));
    texts.extend(row.dependency.as_deref().map(|d| dependency_name(d).into()));
    texts
}

impl Row {
    fn new(id: usize, row: &FileRow, start: Option<Time>) -> Row {
        Row {
            at: Moment::since(row.time, start),
            kind: kind_name(row.kind),
            path: Text::new(&row.path, 96),
            from: row.from.as_deref().map(|from| Text::new(from, 96)),
            overwritten: row.changed,
            tracked: row.tracked,
            same: row.hash_before.is_some() && row.hash_before == row.hash_after,
            found_at_end: row.found_at_end,
            before: row.hash_before.as_deref().map(Text::hash),
            after: row.hash_after.as_deref().map(Text::hash),
            actor: row
                .process
                .as_deref()
                .map(|process| Actor::new(process, &format!("w{id}"))),
            cause: cause(row.step.as_deref(), row.dependency.as_deref()),
        }
    }
}
