//! What expressions get to see, and how it becomes values of CEL: one field at a time, when it is asked for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelMapKey, CelString, Type};
use cel::common::value::{CowVal, Val};
use serde_json::Value;

use crate::limits;
use crate::shape::{Fields, Shape};

/// Something of an event, a process or a job. What is missing has no entry.
#[derive(Clone, Debug)]
pub(crate) enum Data<'v> {
    Bool(bool),
    Int(i64),
    Text(Cow<'v, str>),
    List(Vec<Data<'v>>),
    Map(Vec<(Cow<'v, str>, Data<'v>)>),
}

impl<'v> Data<'v> {
    /// A text that lives as long as the tree.
    pub(crate) fn text(text: &'v str) -> Data<'v> {
        Data::Text(Cow::Borrowed(text))
    }

    /// The entry of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Data<'v>> {
        match self {
            Data::Map(entries) => entries
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }
}

impl Data<'static> {
    /// What an event serialises as.
    pub(crate) fn of(json: Value) -> Data<'static> {
        match json {
            Value::Null => Data::Map(Vec::new()),
            Value::Bool(value) => Data::Bool(value),
            Value::Number(number) => {
                Data::Int(
                    number
                        .as_i64()
                        .unwrap_or(if number.is_u64() { i64::MAX } else { 0 }),
                )
            }
            Value::String(text) => Data::Text(Cow::Owned(text)),
            Value::Array(entries) => Data::List(entries.into_iter().map(Data::of).collect()),
            Value::Object(entries) => Data::Map(
                entries
                    .into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| (Cow::Owned(name), Data::of(value)))
                    .collect(),
            ),
        }
    }
}

/// Whether something was too long to be shown as a whole.
#[derive(Debug, Default)]
pub(crate) struct Cut(AtomicBool);

impl Cut {
    fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is put before a field's name to ask whether it is there.
pub(crate) const ASKED: char = '?';

/// `data` as a value of this shape. What is missing is empty: `""`, `0`, `false`, a list or map without entries.
pub(crate) fn value<'b>(
    shape: &'b Shape,
    data: Option<&'b Data<'b>>,
    cut: &'b Cut,
) -> CowVal<'b, 'b> {
    match shape {
        Shape::Bool => CowVal::owned(CelBool::from(matches!(data, Some(Data::Bool(true))))),
        Shape::Int => CowVal::owned(CelInt::from(match data {
            Some(Data::Int(number)) => *number,
            _ => 0,
        })),
        Shape::Text(_) => CowVal::owned(CelString::from(match data {
            Some(Data::Text(text)) => head(text, cut),
            _ => "",
        })),
        Shape::List(items) => {
            let entries: &[Data<'b>] = match data {
                Some(Data::List(entries)) => entries,
                _ => &[],
            };
            if entries.len() > limits::LIST {
                cut.note();
            }
            let entries: Vec<Box<dyn Val + 'b>> = entries
                .iter()
                .take(limits::LIST)
                .map(|entry| value(items, Some(entry), cut).into_owned())
                .collect();
            CowVal::owned(CelList::from(entries))
        }
        Shape::Map(items) => {
            let entries: &[(Cow<'b, str>, Data<'b>)] = match data {
                Some(Data::Map(entries)) => entries,
                _ => &[],
            };
            if entries.len() > limits::LIST {
                cut.note();
            }
            let entries: HashMap<CelMapKey<'b>, Box<dyn Val + 'b>> = entries
                .iter()
                .take(limits::LIST)
                .map(|(name, entry)| {
                    let key = CelMapKey::from(head(name, cut));
                    (key, value(items, Some(entry), cut).into_owned())
                })
                .collect();
            CowVal::owned(CelMap::from(entries))
        }
        Shape::Object(fields) => CowVal::owned(Object { fields, data, cut }),
    }
}

fn head<'b>(text: &'b str, cut: &Cut) -> &'b str {
    if text.len() <= limits::TEXT {
        return text;
    }
    cut.note();
    text.get(..text.floor_char_boundary(limits::TEXT))
        .unwrap_or_default()
}

/// An entry of a list that has fields: a process above another, an answer of DNS.
#[derive(Clone, Copy, Debug)]
struct Object<'b> {
    fields: &'b Fields,
    data: Option<&'b Data<'b>>,
    cut: &'b Cut,
}

static OBJECT: Type = Type::new_unspecified_type("object");

impl Val for Object<'_> {
    fn get_type(&self) -> &Type {
        &OBJECT
    }

    fn cel_type() -> &'static Type {
        &OBJECT
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Object<'_> {
    fn field<'v>(&self, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = name
            .downcast_ref::<CelString>()
            .map_or("", CelString::inner);
        let of = |name: &str| self.data.and_then(|data| data.get(name));
        if let Some(asked) = name.strip_prefix(ASKED) {
            return Ok(Box::new(CelBool::from(of(asked).is_some())));
        }
        let shape = self.fields.fields.get(name);
        let shape = shape.ok_or_else(|| ExecutionError::no_such_key(name))?;
        Ok(value(shape, of(name), self.cut).into_owned())
    }
}

impl Indexer for Object<'_> {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.field(name).map(CowVal::Owned)
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.field(name)
    }
}
