//! Every address of the dashboard, and whom it is for.
//!
//! The tests read this file, too, and ask every address as everybody: a page that is added here and that they have no
//! example of doesn't build, and one that is not here is not answered.

/// What is shown or done at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Home,
    Login,
    LogIn,
    BeginSingleSignOn,
    FinishSingleSignOn,
    ConfirmedSingleSignOn,
    LogOut,
    Setup,
    SetUp,
    Asset,
    ApiReference,
    ForwardRun,
    Overview,
    Projects,
    Runs,
    Destinations,
    DestinationsCsv,
    DestinationsJson,
    Destination,
    Detections,
    DetectionKinds,
    DecideDetection,
    Incidents,
    Suppressions,
    NewSuppression,
    CreateSuppression,
    Suppression,
    EndSuppression,
    Baselines,
    SetBaselines,
    Baseline,
    DecideBaseline,
    Policies,
    NewPolicy,
    CreatePolicy,
    Policy,
    ChangePolicy,
    PolicyVersion,
    AttachPolicy,
    DetachPolicy,
    ArchivePolicy,
    Agents,
    Settings,
    CreateKey,
    RevokeKey,
    AddMember,
    ChangeMember,
    CreateRegistration,
    ChangeRetention,
    AddTrust,
    RemoveTrust,
    SetVisibility,
    Notifications,
    NewChannel,
    CreateChannel,
    Channel,
    ChangeChannel,
    SendAgain,
    RunSummary,
    RunTab,
    TryPolicyOnRun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// Whom an address is for. To everybody else it looks as if nothing were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Whoever asks.
    Everybody,
    /// Whoever is logged in.
    People,
    /// The members of the organisation that the address names.
    Members,
    /// They, and everybody where the run is of a public project.
    Readers,
    /// Its admins, by a form of a page that they were shown.
    Admins,
}

/// An address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) page: Page,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    #[allow(
        dead_code,
        reason = "each handler sees to it; the tests hold it against this"
    )]
    pub(crate) audience: Audience,
}

const fn get(page: Page, audience: Audience, path: &'static str) -> Address {
    Address {
        page,
        method: Method::Get,
        path,
        audience,
    }
}

const fn post(page: Page, audience: Audience, path: &'static str) -> Address {
    Address {
        page,
        method: Method::Post,
        path,
        audience,
    }
}

use Audience::{Admins, Everybody, Members, People, Readers};

/// All of them.
pub(crate) const ADDRESSES: &[Address] = &[
    get(Page::Home, Everybody, "/"),
    get(Page::Login, Everybody, "/login"),
    post(Page::LogIn, Everybody, "/login"),
    get(Page::BeginSingleSignOn, Everybody, "/login/oidc"),
    get(Page::FinishSingleSignOn, Everybody, "/login/oidc/callback"),
    get(Page::ConfirmedSingleSignOn, Everybody, "/login/confirmed"),
    post(Page::LogOut, Everybody, "/logout"),
    get(Page::Setup, Everybody, "/setup"),
    post(Page::SetUp, Everybody, "/setup"),
    get(Page::Asset, Everybody, "/assets/{name}"),
    get(Page::ApiReference, Everybody, "/docs/api"),
    get(Page::ForwardRun, People, "/runs/{run}"),
    get(Page::Overview, Members, "/o/{org}"),
    get(Page::Projects, Members, "/o/{org}/projects"),
    get(Page::Runs, Members, "/o/{org}/runs"),
    get(Page::Destinations, Members, "/o/{org}/destinations"),
    get(Page::DestinationsCsv, Members, "/o/{org}/destinations.csv"),
    get(
        Page::DestinationsJson,
        Members,
        "/o/{org}/destinations.json",
    ),
    get(Page::Destination, Members, "/o/{org}/destinations/{id}"),
    get(Page::Detections, Members, "/o/{org}/detections"),
    get(Page::DetectionKinds, Members, "/o/{org}/detections/kinds"),
    post(Page::DecideDetection, Admins, "/o/{org}/detections/{id}"),
    get(Page::Incidents, Members, "/o/{org}/incidents"),
    get(Page::Suppressions, Members, "/o/{org}/suppressions"),
    get(Page::NewSuppression, Members, "/o/{org}/suppressions/new"),
    post(Page::CreateSuppression, Admins, "/o/{org}/suppressions"),
    get(Page::Suppression, Members, "/o/{org}/suppressions/{id}"),
    post(Page::EndSuppression, Admins, "/o/{org}/suppressions/{id}"),
    get(Page::Baselines, Members, "/o/{org}/baseline"),
    post(Page::SetBaselines, Admins, "/o/{org}/baseline"),
    get(Page::Baseline, Members, "/o/{org}/baseline/{job}"),
    post(Page::DecideBaseline, Admins, "/o/{org}/baseline/{job}"),
    get(Page::Policies, Members, "/o/{org}/policies"),
    get(Page::NewPolicy, Members, "/o/{org}/policies/new"),
    post(Page::CreatePolicy, Admins, "/o/{org}/policies/new"),
    get(Page::Policy, Members, "/o/{org}/policies/{id}"),
    post(Page::ChangePolicy, Admins, "/o/{org}/policies/{id}"),
    get(
        Page::PolicyVersion,
        Members,
        "/o/{org}/policies/{id}/versions/{number}",
    ),
    post(
        Page::AttachPolicy,
        Admins,
        "/o/{org}/policies/{id}/attachments",
    ),
    post(
        Page::DetachPolicy,
        Admins,
        "/o/{org}/policies/{id}/attachments/{attachment}",
    ),
    post(
        Page::ArchivePolicy,
        Admins,
        "/o/{org}/policies/{id}/archive",
    ),
    get(Page::Agents, Members, "/o/{org}/agents"),
    get(Page::Settings, Members, "/o/{org}/settings"),
    post(Page::CreateKey, Admins, "/o/{org}/settings/keys"),
    post(Page::RevokeKey, Admins, "/o/{org}/settings/keys/{id}"),
    post(Page::AddMember, Admins, "/o/{org}/settings/members"),
    post(Page::ChangeMember, Admins, "/o/{org}/settings/members/{id}"),
    post(
        Page::CreateRegistration,
        Admins,
        "/o/{org}/settings/registrations",
    ),
    post(Page::ChangeRetention, Admins, "/o/{org}/settings/retention"),
    post(Page::AddTrust, Admins, "/o/{org}/settings/trust"),
    post(Page::RemoveTrust, Admins, "/o/{org}/settings/trust/{id}"),
    post(
        Page::SetVisibility,
        Admins,
        "/o/{org}/settings/projects/{id}",
    ),
    get(
        Page::Notifications,
        Members,
        "/o/{org}/settings/notifications",
    ),
    get(
        Page::NewChannel,
        Members,
        "/o/{org}/settings/notifications/new",
    ),
    post(
        Page::CreateChannel,
        Admins,
        "/o/{org}/settings/notifications",
    ),
    get(
        Page::Channel,
        Members,
        "/o/{org}/settings/notifications/{id}",
    ),
    post(
        Page::ChangeChannel,
        Admins,
        "/o/{org}/settings/notifications/{id}",
    ),
    post(
        Page::SendAgain,
        Admins,
        "/o/{org}/settings/notifications/deliveries/{id}",
    ),
    get(Page::RunSummary, Readers, "/o/{org}/runs/{run}"),
    get(Page::RunTab, Readers, "/o/{org}/runs/{run}/{tab}"),
    post(Page::TryPolicyOnRun, Readers, "/o/{org}/runs/{run}/{tab}"),
];
