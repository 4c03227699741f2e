//! Where names of many owners lie side by side: public suffixes, object stores, content networks, code hosting.
//!
//! A wildcard there allows hosts of strangers, and a stranger's host is what a thief of secrets has.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::endpoint::Host;
use crate::name::Name;
use crate::pattern::NamePattern;

static SHARED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("../data/shared-domains.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
});

/// Whether a host is a pattern that strangers can have a name in.
pub(crate) fn is_shared(host: &Host) -> bool {
    match host {
        Host::Pattern(pattern) => is_shared_domain(&fixed_domain(pattern)),
        Host::Name(_) | Host::Net(_) | Host::Any => false,
    }
}

/// Whether different owners have names directly below this domain.
pub(crate) fn is_shared_domain(domain: &str) -> bool {
    SHARED.contains(domain) || is_public_suffix(domain)
}

fn is_public_suffix(domain: &str) -> bool {
    psl::suffix(domain.as_bytes())
        .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == domain.as_bytes())
}

/// The domain that one owner registered, of which `name` is a part: `example.co.uk` of `a.b.example.co.uk`.
pub fn registered_domain(name: &Name) -> Option<&str> {
    let domain = psl::domain_str(name.as_str())?;
    // Longer, where a shared domain lies below the registered one: `bucket.storage.example`.
    let labels = name.as_str().match_indices('.').map(|(dot, _)| dot + 1);
    let mut owner = Some(0);
    for start in std::iter::once(0).chain(labels) {
        let rest = name.as_str().get(start..)?;
        if is_shared_domain(rest) {
            return name.as_str().get(owner?..);
        }
        if rest == domain {
            break;
        }
        owner = Some(start);
    }
    Some(domain)
}

/// The domain right above what one owner registered, where that is a service that hands out names and not a registry
/// that sells them: `cloudfront.net` of `d1abc.cloudfront.net`, and nothing of `example.co.uk`.
pub fn service_above(owner: &str) -> Option<&str> {
    let (_, above) = owner.split_once('.')?;
    let handed_out = psl::suffix(above.as_bytes()).is_some_and(|suffix| {
        suffix.typ() == Some(psl::Type::Private) && suffix.as_bytes() == above.as_bytes()
    });
    (handed_out || SHARED.contains(above)).then_some(above)
}

/// The plain labels at the end of a pattern.
fn fixed_domain(pattern: &NamePattern) -> String {
    let mut labels: Vec<&str> = pattern
        .labels_from_top()
        .take_while(|label| !label.contains('*'))
        .collect();
    labels.reverse();
    labels.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_over_many_owners_is_known() {
        for (pattern, shared) in [
            ("*.com", true),
            ("*.co.uk", true),
            ("*.blob.core.windows.net", true),
            ("productionresultssa*.blob.core.windows.net", true),
            ("*.github.io", true),
            ("*.cloudfront.net", true),
            ("*.storage.googleapis.com", true),
            ("*.amazonaws.com", true),
            ("*.example.com", false),
            ("*.docker.io", false),
            ("shard*.store.example.co.uk", false),
            ("*.actions.githubusercontent.com", false),
            ("*.internal", false),
        ] {
            let host = Host::Pattern(NamePattern::parse(pattern).unwrap());
            assert_eq!(is_shared(&host), shared, "{pattern}");
        }
    }

    #[test]
    fn the_owner_of_a_name_is_below_what_is_shared() {
        for (name, owner) in [
            ("a.b.example.co.uk", "example.co.uk"),
            ("example.com", "example.com"),
            (
                "x.bucket.storage.googleapis.com",
                "bucket.storage.googleapis.com",
            ),
            (
                "a.account.blob.core.windows.net",
                "account.blob.core.windows.net",
            ),
            ("x.org.github.io", "org.github.io"),
        ] {
            let name = Name::parse(name).unwrap();
            assert_eq!(registered_domain(&name), Some(owner), "{name}");
        }
    }

    #[test]
    fn a_registry_of_names_is_no_service() {
        for (owner, service) in [
            ("d1abc.cloudfront.net", Some("cloudfront.net")),
            ("org.github.io", Some("github.io")),
            (
                "account.blob.core.windows.net",
                Some("blob.core.windows.net"),
            ),
            ("example.co.uk", None),
            ("example.com", None),
            ("registry", None),
        ] {
            assert_eq!(service_above(owner), service, "{owner}");
        }
    }
}
