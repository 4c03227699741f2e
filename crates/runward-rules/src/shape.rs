//! What fields there are, and of which type: read from the JSON Schema of events, so that both have the same names.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// What a value looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Int,
    /// With the words that it is one of, where only some are possible.
    Text(Option<Arc<[String]>>),
    List(Arc<Shape>),
    /// From text to this.
    Map(Arc<Shape>),
    Object(Arc<Fields>),
}

/// The fields of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// What it is called in errors: `an event of kind connect`.
    pub(crate) name: String,
    pub(crate) fields: BTreeMap<String, Shape>,
}

impl Shape {
    /// As a person calls it, in the words of CEL.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Shape::Bool => "bool",
            Shape::Int => "int",
            Shape::Text(_) => "string",
            Shape::List(_) => "list",
            Shape::Map(_) => "map",
            Shape::Object(_) => "object",
        }
    }
}

impl Fields {
    /// Takes over the fields of another; one that both have must look the same in both, or it can't be asked for.
    pub(crate) fn join(&mut self, other: &Fields) {
        for (name, shape) in &other.fields {
            match self.fields.get_mut(name) {
                None => {
                    self.fields.insert(name.clone(), shape.clone());
                }
                Some(own) if own == shape => {}
                // Words differ with the kind of event: any is possible then.
                Some(own @ Shape::Text(_)) if matches!(shape, Shape::Text(_)) => {
                    *own = Shape::Text(None);
                }
                Some(_) => {
                    self.fields.remove(name);
                }
            }
        }
    }
}

/// How deep a schema is followed; those of events are flat.
const DEPTH: usize = 8;

/// The shape that a schema describes, `definitions` being where its references lead.
pub(crate) fn shape(schema: &Value, definitions: &Value) -> Shape {
    read(schema, definitions, DEPTH)
}

fn read(schema: &Value, definitions: &Value, depth: usize) -> Shape {
    let Some(depth) = depth.checked_sub(1) else {
        return Shape::Text(None);
    };
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap_or_default();
        let referred = definitions.get(name).unwrap_or(&Value::Null);
        return read(referred, definitions, depth);
    }
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        let first = any
            .iter()
            .find(|one| one.get("type").and_then(Value::as_str) != Some("null"));
        return first.map_or(Shape::Text(None), |one| read(one, definitions, depth));
    }
    match type_of(schema) {
        "boolean" => Shape::Bool,
        "integer" | "number" => Shape::Int,
        "array" => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            Shape::List(Arc::new(read(items, definitions, depth)))
        }
        "object" => match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) => {
                Shape::Map(Arc::new(read(values, definitions, depth)))
            }
            _ => Shape::Object(Arc::new(fields(schema, definitions, depth))),
        },
        _ => Shape::Text(words(schema)),
    }
}

fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .unwrap_or_default(),
        _ => "",
    }
}

/// The words that a text is one of. Those that a newer version adds are unknown here, which is why `other` is among them.
fn words(schema: &Value) -> Option<Arc<[String]>> {
    let variants = schema.get("oneOf").and_then(Value::as_array);
    let variants = variants.map_or(std::slice::from_ref(schema), Vec::as_slice);
    let words: Vec<String> = variants
        .iter()
        .flat_map(|variant| {
            let one = variant.get("const").into_iter();
            let several = variant.get("enum").and_then(Value::as_array);
            one.chain(several.into_iter().flatten())
        })
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect();
    (!words.is_empty()).then(|| words.into())
}

fn fields(schema: &Value, definitions: &Value, depth: usize) -> Fields {
    let properties = schema.get("properties").and_then(Value::as_object);
    Fields {
        name: String::new(),
        fields: properties
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), read(value, definitions, depth)))
            .collect(),
    }
}
