use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::examples;

/// How long things are kept, in days from when the last event of a run came; what has no number is kept for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retention {
    /// The events themselves, and with them the report.
    pub events_days: Option<i64>,
    /// Detections, whatever has become of them; at least as long as events.
    pub detections_days: Option<i64>,
    /// Runs, with their sums and where they went; at least as long as detections.
    pub runs_days: Option<i64>,
}

/// What is to be changed of it: what is left out stays as it is, and `null` is for ever. A shorter term deletes at once
/// what is older.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::retention())]
pub struct RetentionChange {
    /// See [`Retention::events_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1, max = 36_500))]
    pub events_days: Option<Option<i64>>,
    /// See [`Retention::detections_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1, max = 36_500))]
    pub detections_days: Option<Option<i64>>,
    /// See [`Retention::runs_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1, max = 36_500))]
    pub runs_days: Option<Option<i64>>,
}

/// Read by hand: `null` is something else than nothing, and a list of values without names is no change.
impl<'de> Deserialize<'de> for RetentionChange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<RetentionChange, D::Error> {
        let mut change = RetentionChange::default();
        for (name, days) in BTreeMap::<String, Option<i64>>::deserialize(from)? {
            let field = match name.as_str() {
                "events_days" => &mut change.events_days,
                "detections_days" => &mut change.detections_days,
                "runs_days" => &mut change.runs_days,
                _ => return Err(D::Error::unknown_field(&name, FIELDS)),
            };
            *field = Some(days);
        }
        Ok(change)
    }
}

const FIELDS: &[&str] = &["events_days", "detections_days", "runs_days"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_for_ever_and_nothing_is_no_change() {
        let read = |text| serde_json::from_str::<RetentionChange>(text);
        let change = read(r#"{"events_days":7,"runs_days":null}"#).unwrap();
        assert_eq!(change.events_days, Some(Some(7)));
        assert_eq!(change.detections_days, None);
        assert_eq!(change.runs_days, Some(None));
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(read(&text).unwrap(), change);
        for wrong in [
            r#"{"events_days":"7"}"#,
            r#"{"days":7}"#,
            r#"{"events_days":1.5}"#,
            "[null,null,null]",
            "null",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
