//! Rules as a user writes them: what they find in records, and what is told of wrong ones.

mod docs;
mod errors;
mod findings;
mod properties;
mod record;
