use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in wall-clock time: nanoseconds since the Unix epoch.
///
/// The sensor takes the kernel's boot clock at the hook and adds an offset that it measured once, so that times
/// inside one job keep their order even when the wall clock is stepped. Written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    nanos: u64,
}

impl Time {
    /// Takes nanoseconds since the Unix epoch; 64 bits last until the year 2554.
    pub fn from_unix_nanos(nanos: u64) -> Time {
        Time { nanos }
    }

    /// Nanoseconds since the Unix epoch.
    pub fn unix_nanos(self) -> u64 {
        self.nanos
    }

    /// Nanoseconds from `earlier` to this point; zero when `earlier` is later.
    pub fn nanos_since(self, earlier: Time) -> u64 {
        self.nanos.saturating_sub(earlier.nanos)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every u64 of nanoseconds lies inside jiff's range; the epoch stands in should that ever change.
        let timestamp = jiff::Timestamp::from_nanosecond(i128::from(self.nanos))
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{timestamp:.9}")
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Time, String> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|e| format!("not a time: {e}"))?;
        u64::try_from(timestamp.as_nanosecond())
            .map(Time::from_unix_nanos)
            .map_err(|_| "not a time: it lies before 1970".to_owned())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 in UTC, with nanoseconds."
        })
    }
}
