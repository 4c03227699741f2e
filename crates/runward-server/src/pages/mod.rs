//! The pages: from what the store and a report hold to HTML.
//!
//! Each page is one file with one public-in-crate struct, which is its askama template. A handler asks the store, makes
//! the page with `XxxPage::new(shell, …)` and calls `.render()`. What a form or an address says is read by the `XxxQuery`
//! next to the page, which also makes the store's filter of it.
//!
//! **Architecture invariant.** Nothing here does I/O or reads a clock: the time is a parameter called `now`. Text that a
//! job can influence gets into a page only as [`hostile::Text`], which cuts it and shows characters that act as escapes,
//! or as a plain string that askama escapes. Addresses are made by [`address::Address`] only.

mod address;
mod agents;
mod assets;
mod baseline;
mod channel;
mod chart;
mod confirm;
mod destinations;
mod detection_kinds;
mod detections;
pub(crate) mod entry;
mod failure;
mod hostile;
mod incidents;
mod moment;
mod notifications;
mod number;
mod overview;
mod pager;
mod pill;
mod policies;
mod projects;
mod query;
mod reference;
mod retention;
mod run;
mod run_row;
mod runs;
#[cfg(test)]
mod sample;
mod settings;
mod shell;
mod suppression_form;
mod suppressions;
#[cfg(test)]
mod tests;

pub(crate) use agents::AgentsPage;
pub(crate) use assets::ASSETS;
pub(crate) use baseline::{
    BaselinePage, BaselineParts, BaselinesPage, BaselinesQuery, entries_page,
};
pub(crate) use channel::{ChannelForm, ChannelPage, ChannelParts, FormParts, NewChannelPage};
pub(crate) use confirm::{ConfirmPage, ConfirmedPage};
pub(crate) use destinations::{
    DestinationPage, DestinationQuery, DestinationsPage, DestinationsQuery,
};
pub(crate) use detection_kinds::DetectionKindsPage;
pub(crate) use detections::{DetectionsPage, DetectionsQuery};
pub(crate) use entry::{LoginPage, SetupPage, own_address};
pub(crate) use failure::ErrorPage;
pub(crate) use incidents::{IncidentsPage, incidents_page};
pub(crate) use notifications::{NotificationsPage, NotificationsParts, NotificationsQuery};
pub(crate) use overview::OverviewPage;
pub(crate) use policies::{
    Answer, NewPolicyPage, PoliciesPage, PolicyPage, PolicyQuery, PolicySource, Start, Typed,
    VersionPage,
};
pub(crate) use projects::ProjectsPage;
pub(crate) use reference::ReferencePage;
pub(crate) use retention::{RetentionTyped, seen};
pub(crate) use run::{
    DetectionsTab, FilesTab, GoneTab, HttpsTab, NetworkTab, PolicyTab, ProcessesJson, ProcessesTab,
    RowsQuery, RunSource, StepsTab, SummaryTab, WhatIf, WhatIfRow, deleted_when,
};
pub(crate) use runs::{RunsPage, RunsQuery};
pub(crate) use settings::{
    CreatedKey, Registered, SettingsPage, SettingsParts, SettingsQuery, SingleSignOn,
};
pub(crate) use shell::{Notice, Shell};
pub(crate) use suppression_form::{SuppressionForm, SuppressionFormPage};
pub(crate) use suppressions::{SuppressionPage, SuppressionsPage, SuppressionsQuery};
