//! What the API can do, for people: made of the same table as the API itself and its description.

mod operation;
mod prose;
mod schema;

use std::sync::LazyLock;

use askama::Template;
use runward_api::ROUTES;
use serde_json::Value;

use self::operation::Operation;
use self::schema::Type;
use super::shell::{Section, Shell};

/// `/docs/api`.
#[derive(Template)]
#[template(path = "reference.html")]
pub(crate) struct ReferencePage {
    shell: Shell,
    /// Where this server is, without a `/` at its end.
    origin: String,
    reference: &'static Reference,
}

/// The same for everybody, so it is made once.
struct Reference {
    groups: Vec<Group>,
    types: Vec<Type>,
}

/// Operations on one kind of thing.
struct Group {
    /// What the addresses of the group begin with, after the API's own beginning.
    name: String,
    operations: Vec<Operation>,
}

static REFERENCE: LazyLock<Reference> = LazyLock::new(|| Reference::of(&runward_api::openapi()));

impl ReferencePage {
    /// `public_url` is the address that people know the server by.
    pub(crate) fn new(shell: Shell, public_url: &str) -> ReferencePage {
        ReferencePage {
            shell: shell.titled("API reference", Section::Settings),
            origin: public_url.to_owned(),
            reference: &REFERENCE,
        }
    }
}

impl Reference {
    fn of(document: &Value) -> Reference {
        let mut groups: Vec<Group> = Vec::new();
        for route in ROUTES {
            let operation = Operation::new(route, document);
            let name = group(route.path);
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.operations.push(operation),
                None => groups.push(Group {
                    name: name.to_owned(),
                    operations: vec![operation],
                }),
            }
        }
        let types = document
            .pointer("/components/schemas")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, schema)| Type::new(name, schema))
            .collect();
        Reference { groups, types }
    }
}

/// The kind of thing that an address is about: its first part after the API's own.
fn group(path: &str) -> &str {
    let rest = path.trim_start_matches("/api/v1/");
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        ReferencePage::new(Shell::outside(), "https://runward.example.com")
            .render()
            .unwrap()
    }

    #[test]
    fn every_operation_has_its_place_and_an_example() {
        let page = page();
        for group in &REFERENCE.groups {
            for operation in &group.operations {
                let id = format!("id=\"{}\"", operation.id);
                assert_eq!(page.matches(&id).count(), 1, "{id}");
                let link = format!("href=\"#{}\"", operation.id);
                assert_eq!(page.matches(&link).count(), 1, "{link}");
            }
        }
        let operations = REFERENCE.groups.iter().map(|group| group.operations.len());
        assert_eq!(operations.sum::<usize>(), ROUTES.len());
        assert_eq!(page.matches("curl -sS").count(), ROUTES.len());
        assert!(!page.contains("<script"));
    }

    #[test]
    fn every_link_to_a_type_leads_to_it() {
        let page = page();
        let links = page.split("href=\"#").skip(1);
        for link in links.filter_map(|rest| rest.split('"').next()) {
            assert!(page.contains(&format!("id=\"{link}\"")), "{link}");
        }
    }
}
