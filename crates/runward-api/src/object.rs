use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What is read from an object of JSON and from nothing else. A struct by itself would take a list of its fields in
/// their order, too, which nobody means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        object(deserializer).map(Object)
    }
}

/// The same for a field.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_map(OnlyObject(PhantomData))
}

struct OnlyObject<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyObject<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewSuppression, PolicyScope, PolicyTrial};

    #[test]
    fn a_list_is_no_object() {
        let scope: Object<PolicyScope> = serde_json::from_str(r#"{"job":"build"}"#).unwrap();
        assert_eq!(scope.0.job.as_deref(), Some("build"));
        let trial: PolicyTrial = serde_json::from_str(r#"{"text":"a"}"#).unwrap();
        assert_eq!(trial.scope, PolicyScope::default());
        let why = |error: serde_json::Error| error.to_string();
        let scope = serde_json::from_str::<Object<PolicyScope>>("[null, null]").map_err(why);
        let trial = r#"{"text":"a","scope":[null,null]}"#;
        let trial = serde_json::from_str::<PolicyTrial>(trial).map_err(why);
        let rule = r#"{"name":"a","reason":"b","matches":["project"]}"#;
        let rule = serde_json::from_str::<NewSuppression>(rule).map_err(why);
        for error in [scope.unwrap_err(), trial.unwrap_err(), rule.unwrap_err()] {
            assert!(
                error.starts_with("invalid type: sequence, expected an object"),
                "{error}"
            );
        }
    }
}
