//! What is known of well-known names, whoever calls them: two lists that are part of this crate.

use std::collections::HashMap;
use std::sync::LazyLock;

use runward_policy::Group;

/// Names, each with the kind that its list has it under.
type Kinds = HashMap<&'static str, &'static str>;

static OPEN: LazyLock<Kinds> = LazyLock::new(|| read(include_str!("../data/open-services.txt")));
static PUBLIC: LazyLock<Kinds> = LazyLock::new(|| read(include_str!("../data/public-sources.txt")));

/// What groups of a policy say of the platforms' own names: patterns by their domain, names as they are.
static PLATFORMS: LazyLock<Kinds> = LazyLock::new(|| {
    let groups = Group::all().iter().flat_map(|group| &group.endpoints);
    groups
        .map(|endpoint| endpoint.split_once(':').map_or(*endpoint, |(host, _)| host))
        .map(|host| host.strip_prefix("*.").unwrap_or(host))
        .filter(|host| !host.contains('*') && !OPEN.contains_key(host))
        .map(|host| (host, "a service of the CI platform"))
        .collect()
});

/// The kind of service that anybody can leave data with, if a name is one or lies below one.
pub(crate) fn open(name: &str) -> Option<&'static str> {
    above(name).find_map(|name| OPEN.get(name).copied())
}

/// The kind of those that serve the same to everybody, or that the platform runs for itself, if a name is of them. What
/// a list has word for word goes before what stands above it.
pub(crate) fn public(name: &str) -> Option<&'static str> {
    for name in above(name) {
        let found = PUBLIC.get(name).or_else(|| PLATFORMS.get(name));
        if found.is_some() || OPEN.contains_key(name) {
            return found.copied();
        }
    }
    None
}

/// A name and all that stand above it.
fn above(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| {
        name.split_once('.').map(|(_, above)| above)
    })
}

fn read(text: &'static str) -> Kinds {
    let mut kinds = Kinds::new();
    let mut kind = "";
    for line in text.lines() {
        if let Some(head) = line.strip_prefix('[') {
            kind = head.trim_end_matches(']');
        } else if !line.is_empty() && !line.starts_with('#') {
            kinds.insert(line, kind);
        }
    }
    kinds
}

#[cfg(test)]
mod tests {
    use runward_policy::Name;

    use super::*;

    #[test]
    fn a_name_below_a_service_is_of_it() {
        for (name, is_open, is_public) in [
            ("github.com", true, false),
            ("api.github.com", true, false),
            ("github.com.example", false, false),
            ("codeload.github.com", true, true),
            ("bucket.s3.amazonaws.com", true, false),
            ("static.rust-lang.org", false, true),
            ("productionresultssa7.blob.core.windows.net", true, true),
            ("productionresultssa70.blob.core.windows.net", true, false),
            ("pipelines.actions.githubusercontent.com", false, true),
            ("ghcr.io", true, false),
            ("example.com", false, false),
        ] {
            assert_eq!(open(name).is_some(), is_open, "{name}");
            assert_eq!(public(name).is_some(), is_public, "{name}");
        }
    }

    #[test]
    fn every_line_is_a_name_in_its_one_spelling_below_a_kind() {
        for list in [&*OPEN, &*PUBLIC] {
            assert!(list.len() > 50);
            for (name, kind) in list {
                assert_eq!(Name::parse(name).unwrap().as_str(), *name);
                assert!(!kind.is_empty());
            }
        }
        assert!(!OPEN.keys().any(|name| PUBLIC.contains_key(name)));
    }
}
