use schemars::Schema;

use crate::Event;

/// The JSON Schema of one line of `events.jsonl`. Committed as `docs/schema/event.json`; a test keeps both equal.
pub fn event_schema() -> Schema {
    schemars::schema_for!(Event)
}
