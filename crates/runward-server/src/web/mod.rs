//! The pages' addresses: who may see them, what is asked of the store, and which page is made of the answer.

mod access;
mod assets;
mod baselines;
mod confirm;
mod entry;
mod notifications;
mod oidc;
mod organisation;
mod policies;
mod reference;
mod retention;
mod run;
mod settings;
mod suppressions;
mod table;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::app::App;
pub(crate) use settings::REGISTRATION;
use table::{ADDRESSES, Method, Page};

/// Bytes of a form that anybody may send.
const LOGIN_MAX: usize = 16 << 10;
/// Bytes of any other form: the largest is a policy of 64 KiB, each byte written as three.
const FORM_MAX: usize = 256 << 10;

/// Every page.
pub(crate) fn router() -> Router<App> {
    ADDRESSES
        .iter()
        .fold(Router::new(), |router, address| {
            router.route(address.path, answers(address.page, address.method))
        })
        .layer(DefaultBodyLimit::max(FORM_MAX))
}

fn answers(page: Page, method: Method) -> MethodRouter<App> {
    let by = By(match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
    });
    let small = DefaultBodyLimit::max(LOGIN_MAX);
    match page {
        Page::Home => by.on(entry::home),
        Page::Login => by.on(entry::login_page),
        Page::LogIn => by.on(entry::login).layer(small),
        Page::BeginSingleSignOn => by.on(oidc::begin),
        Page::FinishSingleSignOn => by.on(oidc::callback),
        Page::ConfirmedSingleSignOn => by.on(oidc::confirmed),
        Page::LogOut => by.on(entry::logout),
        Page::Setup => by.on(entry::setup_page),
        Page::SetUp => by.on(entry::setup).layer(small),
        Page::Asset => by.on(assets::asset),
        Page::ApiReference => by.on(reference::page),
        Page::ForwardRun => by.on(run::forward),
        Page::Overview => by.on(organisation::overview),
        Page::Projects => by.on(organisation::projects),
        Page::Runs => by.on(organisation::runs),
        Page::Destinations => by.on(organisation::destinations),
        Page::DestinationsCsv => by.on(organisation::destinations_csv),
        Page::DestinationsJson => by.on(organisation::destinations_json),
        Page::Destination => by.on(organisation::destination),
        Page::Detections => by.on(organisation::detections),
        Page::DetectionKinds => by.on(organisation::detection_kinds),
        Page::DecideDetection => by.on(organisation::decide),
        Page::Suppressions => by.on(suppressions::list),
        Page::NewSuppression => by.on(suppressions::form),
        Page::CreateSuppression => by.on(suppressions::make),
        Page::Suppression => by.on(suppressions::rule),
        Page::EndSuppression => by.on(suppressions::end),
        Page::Incidents => by.on(baselines::incidents),
        Page::Baselines => by.on(baselines::list),
        Page::SetBaselines => by.on(baselines::set),
        Page::Baseline => by.on(baselines::one),
        Page::DecideBaseline => by.on(baselines::decide),
        Page::Policies => by.on(policies::list),
        Page::NewPolicy => by.on(policies::begin),
        Page::CreatePolicy => by.on(policies::create),
        Page::Policy => by.on(policies::show),
        Page::ChangePolicy => by.on(policies::change),
        Page::PolicyVersion => by.on(policies::version),
        Page::AttachPolicy => by.on(policies::attach),
        Page::DetachPolicy => by.on(policies::detach),
        Page::ArchivePolicy => by.on(policies::archive),
        Page::Agents => by.on(organisation::agents),
        Page::Settings => by.on(settings::page),
        Page::CreateKey => by.on(settings::create_key),
        Page::RevokeKey => by.on(settings::revoke_key),
        Page::AddMember => by.on(settings::add_member),
        Page::ChangeMember => by.on(settings::change_member),
        Page::CreateRegistration => by.on(settings::create_registration),
        Page::ChangeRetention => by.on(retention::change),
        Page::AddTrust => by.on(settings::add_trust),
        Page::RemoveTrust => by.on(settings::remove_trust),
        Page::SetVisibility => by.on(settings::set_visibility),
        Page::Notifications => by.on(notifications::list),
        Page::NewChannel => by.on(notifications::form),
        Page::CreateChannel => by.on(notifications::make),
        Page::Channel => by.on(notifications::channel),
        Page::ChangeChannel => by.on(notifications::change),
        Page::SendAgain => by.on(notifications::send_again),
        Page::RunSummary => by.on(run::summary),
        Page::RunTab => by.on(run::tab),
        Page::TryPolicyOnRun => by.on(run::what_if),
    }
}

/// Routes the method that the table says, so that the functions and it can't differ.
#[derive(Clone, Copy)]
struct By(MethodFilter);

impl By {
    fn on<H: Handler<T, App>, T: 'static>(self, handler: H) -> MethodRouter<App> {
        on(self.0, handler)
    }
}
