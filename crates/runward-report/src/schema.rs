use schemars::Schema;

use crate::Report;

/// The JSON Schema of `report.json`. Committed as `docs/schema/report.json`; a test keeps both equal.
pub fn report_schema() -> Schema {
    schemars::schema_for!(Report)
}
