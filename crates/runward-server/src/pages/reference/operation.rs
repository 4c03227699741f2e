//! One operation: what it takes, what it answers, and a request that it takes.

use std::fmt::Write as _;

use runward_api::{Access, Method, Route};
use serde_json::Value;

use super::prose::Prose;
use super::schema::{Field, Kind, fields, reference};

pub(super) struct Operation {
    /// Its name in the page's address.
    pub(super) id: String,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: Prose,
    pub(super) access: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    /// A command for a shell, before the server's address and after it.
    pub(super) command: Command,
}

pub(super) struct Parameter {
    pub(super) place: &'static str,
    pub(super) field: Field,
}

pub(super) struct Body {
    pub(super) media_type: String,
    pub(super) kind: Kind,
    pub(super) fields: Vec<Field>,
}

pub(super) struct Answer {
    pub(super) status: String,
    pub(super) failed: bool,
    pub(super) about: Prose,
    /// Nothing, where the answer has no body.
    pub(super) kind: Option<Kind>,
}

pub(super) struct Command {
    pub(super) options: String,
    pub(super) address: String,
}

impl Operation {
    /// Reads what the description says of a route.
    pub(super) fn new(route: &Route, document: &Value) -> Operation {
        let method = method(route.method);
        let described = &document["paths"][route.path][method.to_lowercase()];
        let id = described["operationId"].as_str().unwrap_or_default();
        let parameters = described["parameters"].as_array().into_iter().flatten();
        let parameters = parameters.map(Parameter::new);
        let content = described["requestBody"]["content"].as_object();
        let content = content.and_then(|content| content.iter().next());
        Operation {
            id: id.to_owned(),
            method,
            path: route.path,
            summary: Prose::new(route.summary),
            access: access(route.access),
            parameters: parameters.collect(),
            body: content.map(|(media_type, content)| Body::new(media_type, content, document)),
            answers: answers(&described["responses"]),
            command: Command::new(route, method, content, document),
        }
    }
}

impl Parameter {
    fn new(described: &Value) -> Parameter {
        let name = described["name"].as_str().unwrap_or_default();
        let about = Prose::new(described["description"].as_str().unwrap_or_default());
        let required = described["required"] == true;
        Parameter {
            place: match described["in"].as_str() {
                Some("path") => "address",
                _ => "query",
            },
            field: Field::new(name, &described["schema"], about, required),
        }
    }
}

impl Body {
    fn new(media_type: &str, content: &Value, document: &Value) -> Body {
        let schema = &content["schema"];
        Body {
            media_type: media_type.to_owned(),
            kind: Kind::of(schema),
            fields: fields(resolved(schema, document)),
        }
    }
}

impl Command {
    fn new(
        route: &Route,
        method: &str,
        content: Option<(&String, &Value)>,
        document: &Value,
    ) -> Command {
        let mut options = match route.method {
            Method::Get => String::new(),
            _ => format!(" -X {method}"),
        };
        let variable = match route.access {
            Access::Public => None,
            Access::Registration => Some("RUNWARD_REGISTRATION"),
            _ => Some("RUNWARD_API_KEY"),
        };
        // Writing to a String does not fail.
        if let Some(variable) = variable {
            let _ = write!(options, " \\\n  -H \"Authorization: Bearer ${variable}\"");
        }
        if let Some((media_type, content)) = content {
            let _ = write!(options, " \\\n  -H 'Content-Type: {media_type}'");
            match example(&content["schema"], document) {
                Some(body) => {
                    let body = body.replace('\'', r"'\''");
                    let _ = write!(options, " \\\n  --data '{body}'");
                }
                None => options.push_str(" \\\n  --data-binary @body"),
            }
        }
        if route.method != Method::Get || variable.is_some() {
            options.push_str(" \\\n ");
        }
        Command {
            options,
            address: address(route),
        }
    }
}

/// The example of a body, which its type brings.
fn example(schema: &Value, document: &Value) -> Option<String> {
    let example = resolved(schema, document)["examples"].get(0)?;
    serde_json::to_string_pretty(example).ok()
}

fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    match reference(schema) {
        Some(name) => &document["components"]["schemas"][name],
        None => schema,
    }
}

/// An address that could be: with numbers in place of names in braces, and what the query must have.
fn address(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| match part {
        "{run}" => "0123456789abcdef0123456789abcdef",
        part if part.starts_with('{') => "1",
        part => part,
    });
    let mut address = parts.collect::<Vec<_>>().join("/");
    let required = route.query.iter().filter(|parameter| parameter.required);
    for (place, parameter) in required.enumerate() {
        let value = match parameter.name {
            "provider" => "github",
            "project" => "acme/shop",
            _ => "1",
        };
        let mark = if place == 0 { '?' } else { '&' };
        let _ = write!(address, "{mark}{}={value}", parameter.name);
    }
    address
}

fn answers(described: &Value) -> Vec<Answer> {
    let described = described.as_object().into_iter().flatten();
    let answers = described.map(|(status, answer)| {
        let content = answer["content"].as_object();
        let content = content.and_then(|content| content.values().next());
        Answer {
            status: status.clone(),
            failed: !status.starts_with('2'),
            about: Prose::new(answer["description"].as_str().unwrap_or_default()),
            kind: content.map(|content| Kind::of(&content["schema"])),
        }
    });
    answers.collect()
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Public => "Everybody.",
        Access::AnyKey => "Any key. People with a session.",
        Access::Ingest => {
            "Keys of scope ingest or admin. Jobs of trusted projects, with the token of their CI system."
        }
        Access::Read => "Keys of scope read or admin. People with a session.",
        Access::Admin => {
            "Keys of scope admin that are good for all projects. Admins with a session."
        }
        Access::Registration => {
            "Whoever has a registration token: it stands in the place of a key."
        }
    }
}
