//! JSON Schema in words: what a value is, and what its fields are.

use serde_json::Value;

use super::prose::Prose;

/// A type that has a name.
pub(super) struct Type {
    pub(super) name: String,
    pub(super) about: Prose,
    pub(super) fields: Vec<Field>,
    /// What it can be, where it is one of several words.
    pub(super) values: Vec<(String, Prose)>,
}

/// A field of an object, or a parameter.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) about: Prose,
    /// Limits, in words; may be empty.
    pub(super) bounds: String,
}

/// What a value is: words, of which some are names of types.
pub(super) struct Kind {
    pub(super) words: Vec<Word>,
}

pub(super) struct Word {
    pub(super) text: String,
    pub(super) is_type: bool,
}

impl Type {
    pub(super) fn new(name: &str, schema: &Value) -> Type {
        Type {
            name: name.to_owned(),
            about: about(schema),
            fields: fields(schema),
            values: values(schema),
        }
    }
}

impl Field {
    pub(super) fn new(name: &str, schema: &Value, about: Prose, required: bool) -> Field {
        Field {
            name: name.to_owned(),
            kind: Kind::of(schema),
            required,
            about,
            bounds: bounds(schema),
        }
    }
}

impl Kind {
    pub(super) fn of(schema: &Value) -> Kind {
        let mut words = Vec::new();
        push(schema, &mut words);
        Kind { words }
    }
}

/// What a schema says that it is about.
pub(super) fn about(schema: &Value) -> Prose {
    Prose::new(schema["description"].as_str().unwrap_or_default())
}

/// The fields of an object, those that must be there first.
pub(super) fn fields(schema: &Value) -> Vec<Field> {
    let required: Vec<&str> = strings(&schema["required"]).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut fields: Vec<Field> = properties
        .map(|(name, schema)| {
            Field::new(
                name,
                schema,
                about(schema),
                required.contains(&name.as_str()),
            )
        })
        .collect();
    fields.sort_by_key(|field| !field.required);
    fields
}

/// The name of the type that a schema refers to.
pub(super) fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn push(schema: &Value, words: &mut Vec<Word>) {
    let word = |text: &str, is_type| Word {
        text: text.to_owned(),
        is_type,
    };
    if let Some(name) = reference(schema) {
        return words.push(word(name, true));
    }
    for alternatives in [&schema["anyOf"], &schema["oneOf"]] {
        for (place, alternative) in alternatives.as_array().into_iter().flatten().enumerate() {
            if place > 0 {
                words.push(word(" or ", false));
            }
            push(alternative, words);
        }
    }
    if let Some(only) = schema["const"].as_str() {
        return words.push(word(&format!("“{only}”"), false));
    }
    if schema["enum"].is_array() {
        let all: Vec<String> = strings(&schema["enum"])
            .map(|value| format!("“{value}”"))
            .collect();
        return words.push(word(&all.join(" or "), false));
    }
    if schema["contentMediaType"].is_string() {
        return words.push(word("bytes", false));
    }
    let kinds = schema["type"]
        .as_str()
        .into_iter()
        .chain(strings(&schema["type"]));
    for (place, kind) in kinds.enumerate() {
        if place > 0 {
            words.push(word(" or ", false));
        }
        if kind == "array" {
            words.push(word("list of ", false));
            push(&schema["items"], words);
        } else {
            words.push(word(kind, false));
        }
    }
}

/// The words that a value can be, each with what it means.
fn values(schema: &Value) -> Vec<(String, Prose)> {
    let described = schema["oneOf"].as_array().into_iter().flatten();
    let described = described.flat_map(|one| {
        let about = about(one);
        let words = one["const"]
            .as_str()
            .into_iter()
            .chain(strings(&one["enum"]));
        words.map(move |word| (word.to_owned(), about.clone()))
    });
    let plain = strings(&schema["enum"]).map(|word| (word.to_owned(), Prose::default()));
    described.chain(plain).collect()
}

fn bounds(schema: &Value) -> String {
    let number = |name: &str| schema[name].as_i64();
    let mut said = Vec::new();
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => said.push(format!("{least} to {most}")),
        (Some(least), None) if least > 0 => said.push(format!("at least {least}")),
        (None, Some(most)) => said.push(format!("at most {most}")),
        _ => {}
    }
    match (number("minLength"), number("maxLength")) {
        (Some(least), Some(most)) => said.push(format!("{least} to {most} characters")),
        (None, Some(most)) => said.push(format!("at most {most} characters")),
        (Some(least), None) => said.push(format!("at least {least} characters")),
        (None, None) => {}
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        said.push(format!("matches {pattern}"));
    }
    said.join("; ")
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_told_in_words() {
        for (schema, said) in [
            (json!({"type": "string"}), "string"),
            (json!({"type": ["integer", "null"]}), "integer or null"),
            (json!({"$ref": "#/components/schemas/Run"}), "Run"),
            (
                json!({"type": "array", "items": {"$ref": "#/components/schemas/Run"}}),
                "list of Run",
            ),
            (
                json!({"anyOf": [{"$ref": "#/components/schemas/Mode"}, {"type": "null"}]}),
                "Mode or null",
            ),
            (json!({"type": "string", "enum": ["a", "b"]}), "“a” or “b”"),
            (
                json!({"type": "string", "contentMediaType": "application/zstd"}),
                "bytes",
            ),
        ] {
            let words = Kind::of(&schema).words;
            let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(words.concat(), said);
        }
    }

    #[test]
    fn limits_are_told_in_words() {
        for (schema, said) in [
            (json!({"minimum": 1, "maximum": 200}), "1 to 200"),
            (json!({"minimum": 0}), ""),
            (json!({"minLength": 1, "maxLength": 9}), "1 to 9 characters"),
            (json!({"pattern": "^a$"}), "matches ^a$"),
        ] {
            assert_eq!(bounds(&schema), said);
        }
    }
}
