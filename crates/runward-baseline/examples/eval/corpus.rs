//! The lists that people really keep, and how they changed.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// One job's lists, oldest first.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) repository: String,
    pub(crate) name: String,
    pub(crate) versions: Vec<Version>,
}

/// What a job's list allowed for a time.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// In days since the epoch.
    pub(crate) from: f64,
    /// When the last version ends; that of others ends where the next begins.
    pub(crate) until: Option<f64>,
    pub(crate) endpoints: Vec<String>,
}

/// Reads `versions.jsonl` of a folder.
pub(crate) fn read(folder: &Path) -> Result<Vec<Listed>, String> {
    let file = folder.join("versions.jsonl");
    let text = std::fs::read_to_string(&file).map_err(|error| {
        format!(
            "can't read {}: {error}.\nThe histories are not part of the repository. Set CORPUS to a folder that has a \
             versions.jsonl: one JSON object a line, with repo, path, key, valid_from, valid_to and endpoints.",
            file.display()
        )
    })?;
    let mut jobs: BTreeMap<(String, String), Vec<Version>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |what: &str| format!("{}:{}: {what}", file.display(), number + 1);
        let row: Value = serde_json::from_str(line).map_err(|error| wrong(&error.to_string()))?;
        let field = |name: &str| row.get(name).and_then(Value::as_str);
        let repository = field("repo").ok_or_else(|| wrong("no repo"))?;
        let path = field("path").unwrap_or_default();
        let key = field("key").or(field("job")).unwrap_or_default();
        let from = field("valid_from")
            .and_then(days)
            .ok_or_else(|| wrong("no valid_from"))?;
        let endpoints = row.get("endpoints").and_then(Value::as_array);
        let endpoints: Vec<String> = endpoints
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|endpoint| !endpoint.contains("${{"))
            .map(str::to_lowercase)
            .collect();
        let version = Version {
            from,
            until: field("valid_to").and_then(days),
            endpoints,
        };
        jobs.entry((repository.to_owned(), format!("{path}#{key}")))
            .or_default()
            .push(version);
    }
    let mut listed: Vec<Listed> = Vec::new();
    for ((repository, name), mut versions) in jobs {
        versions.sort_by(|a, b| a.from.total_cmp(&b.from));
        if versions.iter().any(|version| !version.endpoints.is_empty()) {
            listed.push(Listed {
                repository,
                name,
                versions,
            });
        }
    }
    if listed.is_empty() {
        return Err(format!("{} has no list of endpoints", file.display()));
    }
    Ok(listed)
}

/// `2022-01-24T21:11:56+02:00` in days since the epoch.
fn days(text: &str) -> Option<f64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_second() as f64 / 86_400.0)
}
