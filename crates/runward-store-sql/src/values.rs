//! How types of the domain stand in columns.

use std::fmt::Write as _;

use runward_event::{Mode, Provider, Tier};
use runward_store::{
    About, BaselineState, ChannelKind, DeliveryState, DetectionStatus, KeyScope, MessageBody, Role,
    RunScope, RunState, Severity, StoreError, Visibility,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// The name that a plain enum has in JSON is its name in the database, too.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

fn parse<T: DeserializeOwned>(word: &str) -> Result<T, StoreError> {
    serde_json::from_value(Value::String(word.to_owned()))
        .map_err(|_| StoreError::Corrupt(format!("the word `{word}`")))
}

/// A column by its place.
pub(crate) fn int(row: &AnyRow, at: usize) -> Result<i64, StoreError> {
    row.try_get(at).map_err(corrupt)
}

pub(crate) fn maybe_int(row: &AnyRow, at: usize) -> Result<Option<i64>, StoreError> {
    row.try_get(at).map_err(corrupt)
}

pub(crate) fn real(row: &AnyRow, at: usize) -> Result<f64, StoreError> {
    row.try_get(at).map_err(corrupt)
}

pub(crate) fn bytes(row: &AnyRow, at: usize) -> Result<Vec<u8>, StoreError> {
    row.try_get(at).map_err(corrupt)
}

pub(crate) fn text(row: &AnyRow, at: usize) -> Result<String, StoreError> {
    row.try_get(at).map_err(corrupt)
}

pub(crate) fn maybe_text(row: &AnyRow, at: usize) -> Result<Option<String>, StoreError> {
    row.try_get(at).map_err(corrupt)
}

fn corrupt(error: sqlx::Error) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

macro_rules! words {
    ($($name:ident: $kind:ty),* $(,)?) => {
        $(pub(crate) fn $name(row: &AnyRow, at: usize) -> Result<$kind, StoreError> {
            parse(&text(row, at)?)
        })*
    };
}

words! {
    mode: Mode,
    provider: Provider,
    visibility: Visibility,
    role: Role,
    scope: KeyScope,
    status: DetectionStatus,
    about: About,
    channel_kind: ChannelKind,
    run_scope: RunScope,
    body: MessageBody,
    delivery_state: DeliveryState,
    severity: Severity,
    baseline_state: BaselineState,
}

pub(crate) fn maybe_mode(row: &AnyRow, at: usize) -> Result<Option<Mode>, StoreError> {
    maybe_text(row, at)?.map(|word| parse(&word)).transpose()
}

pub(crate) fn maybe_tier(row: &AnyRow, at: usize) -> Result<Option<Tier>, StoreError> {
    maybe_text(row, at)?.map(|word| parse(&word)).transpose()
}

pub(crate) fn state(row: &AnyRow, at: usize) -> Result<RunState, StoreError> {
    match int(row, at)? {
        0 => Ok(RunState::Running),
        1 => Ok(RunState::Finished),
        2 => Ok(RunState::Silent),
        other => Err(StoreError::Corrupt(format!("the state {other}"))),
    }
}

pub(crate) fn state_number(state: RunState) -> i64 {
    match state {
        RunState::Running => 0,
        RunState::Finished => 1,
        RunState::Silent => 2,
    }
}

/// A hash as a key of a table.
pub(crate) fn hex(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A text of a job, so that every database keeps it: without NUL, and with so many bytes at most.
pub(crate) fn storable(text: &str, max: usize) -> String {
    let text = text.replace('\0', "\u{fffd}");
    text.get(..text.floor_char_boundary(max))
        .unwrap_or_default()
        .to_owned()
}

/// A pattern for `LIKE … ESCAPE '\'` that finds this text anywhere, in small letters.
pub(crate) fn anywhere(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
