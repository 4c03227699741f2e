use std::fmt::Write as _;
use std::process::ExitCode;

use runward_event::Mode;
use runward_policy::{Narrowing, Origin, PolicyView, RuleView};
use runward_report::text::visible;

use super::sources::{Inputs, workspace_or_here};
use super::{print, print_json, read, refuse, render};
use crate::cli::ShowOptions;

/// The widest column of endpoints; a longer one pushes its origin to the right.
const COLUMN: usize = 56;

/// `runward policy show`.
pub(super) fn show(options: &ShowOptions) -> ExitCode {
    let workspace = workspace_or_here(options.workspace.as_deref());
    let read = read(&Inputs {
        flags: &options.sources,
        file: options.policy.as_deref(),
        workspace: Some(&workspace),
        variable: Some(&|name| std::env::var_os(name)),
    });
    let read = match read {
        Ok(read) => read,
        Err(failure) => return refuse(&failure, options.json),
    };
    let view = read.policy.view();
    if options.json {
        print_json(&view);
    } else {
        render::warnings(&read.warnings);
        print(&page(&view));
    }
    ExitCode::SUCCESS
}

fn page(view: &PolicyView) -> String {
    let mut text = String::new();
    let mode = match view.egress_policy {
        Mode::Audit => "audit",
        Mode::Block => "block",
    };
    let origin = match &view.egress_policy_origin {
        Some(origin) => place(origin),
        None => "the default".to_owned(),
    };
    // Writing to a string can't fail.
    let _ = writeln!(text, "egress-policy: {mode}  ({origin})");
    match view.allowed_endpoints.as_slice() {
        [] => text.push_str("\nNo source has a list of allowed endpoints: nothing is allowed.\n"),
        [_] => text.push_str("\nAllowed:\n"),
        _ => text.push_str("\nAllowed, when every one of these lists has it:\n"),
    }
    for layer in &view.allowed_endpoints {
        let _ = writeln!(text, "  {}:", visible(&layer.source));
        if layer.rules.is_empty() {
            text.push_str("    nothing\n");
        }
        rules(&mut text, &layer.rules);
    }
    if !view.denied_endpoints.is_empty() {
        text.push_str("\nDenied, whatever allows it:\n");
        rules(&mut text, &view.denied_endpoints);
    }
    text.push_str("\nAllowed without a rule:\n");
    for implicit in &view.implicitly_allowed {
        let _ = writeln!(text, "    {}", implicit.sentence());
    }
    text
}

fn rules(text: &mut String, rules: &[RuleView]) {
    let widest = rules.iter().map(|rule| rule.endpoint.len()).max();
    let width = widest.unwrap_or_default().min(COLUMN);
    for rule in rules {
        let _ = writeln!(text, "    {}", line(rule, width));
    }
}

/// A rule on one line: endpoint, origin, and what narrows it.
pub(super) fn line(rule: &RuleView, width: usize) -> String {
    let mut line = format!("{:width$}  {}", rule.endpoint, place(&rule.origin));
    line.push_str(&narrowing(&rule.narrowing));
    if let Some(reason) = &rule.reason {
        let _ = write!(line, "; {}", visible(reason));
    }
    line
}

/// Where a rule stands, as people write it.
fn place(origin: &Origin) -> String {
    match origin.source.kind() {
        "file" | "workspace" => origin.to_string(),
        // An option or a variable is mostly one line: its name says enough.
        _ if origin.group.is_none() => origin.source.to_string(),
        _ => origin.to_string(),
    }
}

fn narrowing(narrowing: &Narrowing) -> String {
    let mut text = String::new();
    for (name, values) in [
        ("steps", &narrowing.steps),
        ("executables", &narrowing.executables),
        ("images", &narrowing.images),
    ] {
        if !values.is_empty() {
            let _ = write!(text, "; {name}: {}", visible(&values.join(", ")));
        }
    }
    text
}
