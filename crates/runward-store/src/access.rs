use runward_event::{Mode, Provider, Tier};
use serde::{Deserialize, Serialize};

use crate::{Millis, OrgId, ProjectId};

/// An organisation: the owner of projects, policies and people's rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Org {
    /// Its number.
    pub id: OrgId,
    /// Its name in addresses: letters, digits and `-`.
    pub slug: String,
    /// Its name for people.
    pub name: String,
}

/// Who may read the runs of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Members of the organisation.
    Private,
}

/// A project: a repository of a CI system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its number.
    pub id: ProjectId,
    /// Who owns it.
    pub org: OrgId,
    /// Where it lives.
    pub provider: Provider,
    /// Its full name there, such as `group/app`.
    pub name: String,
    /// Who may read its runs.
    pub visibility: Visibility,
}

/// What somebody may do in an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads everything.
    Auditor,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The person's number.
    pub id: i64,
    /// What the person logs in with: an address or a name.
    pub login: String,
    /// The password's hash (argon2, PHC string format); none for people who come from an identity provider.
    pub password_hash: Option<String>,
    /// Who the person is at the identity provider; none for people with a password.
    pub subject: Option<String>,
    /// The organisation and role.
    pub org: OrgId,
    /// What the person may do there.
    pub role: Role,
}

/// A person who is to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// See [`User::login`].
    pub login: String,
    /// See [`User::password_hash`].
    pub password_hash: Option<String>,
    /// See [`User::subject`].
    pub subject: Option<String>,
    /// The organisation.
    pub org: OrgId,
    /// The role in it.
    pub role: Role,
}

/// A person who is logged in somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The person.
    pub user: User,
    /// What forms have to say, so that another site's page can't send them.
    pub csrf: String,
    /// When the password or the identity provider was asked last.
    pub authenticated_at: Millis,
    /// When it ends.
    pub expires_at: Millis,
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyScope {
    /// To send records.
    Ingest,
    /// To read everything of the organisation.
    Read,
    /// To do what an admin may.
    Admin,
}

/// A key of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its number.
    pub id: i64,
    /// What a person called it.
    pub name: String,
    /// The beginning of the key, by which people recognise it.
    pub prefix: String,
    /// Whose it is.
    pub org: OrgId,
    /// The only project that it is good for; all of the organisation's if there is none.
    pub project: Option<ProjectId>,
    /// What it may be used for.
    pub scope: KeyScope,
    /// When it was made.
    pub created_at: Millis,
    /// When it was used last, to the minute.
    pub used_at: Option<Millis>,
    /// When it was taken back.
    pub revoked_at: Option<Millis>,
}

/// A key that is to be kept.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// See [`ApiKey::name`].
    pub name: String,
    /// See [`ApiKey::prefix`].
    pub prefix: String,
    /// SHA-256 of the key. Keys are random, so no slow hash is needed.
    pub hash: [u8; 32],
    /// See [`ApiKey::org`].
    pub org: OrgId,
    /// See [`ApiKey::project`].
    pub project: Option<ProjectId>,
    /// See [`ApiKey::scope`].
    pub scope: KeyScope,
}

/// Whose jobs may send records for an organisation, by the tokens that their CI system signs for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Its number.
    pub id: i64,
    /// Whom the jobs' records belong to.
    pub org: OrgId,
    /// Who signs: the address in the tokens.
    pub issuer: String,
    /// Which projects: a full name (`group/app`), or all below one (`group/*`).
    pub pattern: String,
    /// When it was made.
    pub created_at: Millis,
}

/// A machine that sends records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its number.
    pub id: i64,
    /// The machine's name, as it says.
    pub host: String,
    /// The version of Runward there.
    pub version: String,
    /// What the kernel there allows.
    pub tier: Option<Tier>,
    /// The kernel's release.
    pub kernel: String,
    /// The mode that the last job asked for.
    pub requested_mode: Option<Mode>,
    /// The mode that was in force in it.
    pub effective_mode: Option<Mode>,
    /// When it was heard of last.
    pub last_seen_at: Millis,
    /// Jobs that run there now.
    pub running: i64,
    /// Events that were lost there in the last day.
    pub lost_events: i64,
}

/// A change by a person or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; grows.
    pub id: i64,
    /// When.
    pub at: Millis,
    /// Who: a login, or a key's name and prefix.
    pub who: String,
    /// What was done: `api-key.create`.
    pub act: String,
    /// To what.
    pub subject: String,
}
