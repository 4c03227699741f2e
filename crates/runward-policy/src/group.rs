//! Named groups of endpoints: what the machinery of a CI platform needs, as its operator documents it.
//!
//! Each group is a file in `groups/`: `name`, `version` (the day on which it was last compared with its source),
//! `source`, an empty line, and a list of endpoints.

use std::sync::LazyLock;

use crate::token::{Lines, Piece, tokens};

/// A named group of endpoints. In a policy, `@` and the name stand for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name, without `@`.
    pub name: &'static str,
    /// The day on which the list was last compared with its source, as `YYYY-MM-DD`.
    pub version: &'static str,
    /// The page of the platform that asks for these endpoints.
    pub source: &'static str,
    /// The endpoints, as a policy has them.
    pub endpoints: Vec<&'static str>,
}

const FILES: [&str; 5] = [
    include_str!("../groups/azure-pipelines.txt"),
    include_str!("../groups/buildkite.txt"),
    include_str!("../groups/circleci.txt"),
    include_str!("../groups/github-actions.txt"),
    include_str!("../groups/gitlab.txt"),
];

static GROUPS: LazyLock<Vec<Group>> =
    LazyLock::new(|| FILES.iter().map(|file| read(file)).collect());

impl Group {
    /// All groups, by name.
    pub fn all() -> &'static [Group] {
        &GROUPS
    }

    /// The group of this name.
    pub fn find(name: &str) -> Option<&'static Group> {
        GROUPS
            .iter()
            .find(|group| group.name.eq_ignore_ascii_case(name))
    }
}

/// Takes files that are part of this crate, and that a test has read: what is missing is left empty.
fn read(file: &'static str) -> Group {
    let (head, list) = file.split_once("\n\n").unwrap_or((file, ""));
    let field = |key: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(name, value)| (name == key).then_some(value))
            .unwrap_or_default()
    };
    let endpoints = tokens(list, Lines::start(list))
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Token(token) => Some(token.text),
            Piece::Swallowed(_) | Piece::CommentedOut(_) => None,
        })
        .collect();
    Group {
        name: field("name"),
        version: field("version"),
        source: field("source"),
        endpoints,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Action, Endpoint};

    #[test]
    fn every_group_is_complete_and_all_its_endpoints_are_valid() {
        for group in Group::all() {
            assert!(!group.name.is_empty());
            assert!(group.source.starts_with("https://"), "{}", group.name);
            assert_eq!(group.version.len(), "2026-01-31".len(), "{}", group.name);
            assert!(!group.endpoints.is_empty(), "{}", group.name);
            for text in &group.endpoints {
                let endpoint = Endpoint::parse(text, Action::Allow).unwrap();
                assert_eq!(&endpoint.to_string(), text, "in its canonical spelling");
                assert!(
                    !crate::tenancy::is_shared(&endpoint.host),
                    "{text} allows hosts of strangers"
                );
            }
        }
        assert!(Group::all().is_sorted_by_key(|group| group.name));
        assert_eq!(
            Group::find("GitLab").map(|group| group.name),
            Some("gitlab")
        );
    }
}
