//! Settings of an organisation: keys, people, who may read what, and the log of changes.

use askama::Template;
use runward_store::{
    ApiKey, AuditEntry, Cursor, Millis, Page, PageRequest, ProjectSummary, User, Visibility,
};

use super::hostile::Text;
use super::moment::Moment;
use super::pager::Older;
use super::pill::Pill;
use super::query::{self, Pairs};
use super::runs::{Choice, project_choices};
use super::shell::{Section, Shell};

/// Entries of the log on one page.
const ENTRIES: u32 = 50;

/// What the address of the settings says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SettingsQuery {
    audit: Option<Cursor>,
}

impl SettingsQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> SettingsQuery {
        SettingsQuery {
            audit: query::cursor(pairs, "audit"),
        }
    }

    /// Which part of the log is wanted.
    pub(crate) fn audit_page(&self) -> PageRequest {
        PageRequest {
            after: self.audit,
            limit: ENTRIES,
        }
    }
}

/// A key that was just made: it is shown this once.
#[derive(Clone, Debug)]
pub(crate) struct CreatedKey {
    pub(crate) name: String,
    pub(crate) key: String,
}

/// `/o/{org}/settings`.
///
/// Its forms: `settings/keys` (name, scope, project), `settings/keys/{id}` (action=revoke), `settings/members` (login,
/// password, role), `settings/projects/{id}` (visibility); each with csrf.
#[derive(Template)]
#[template(path = "settings.html")]
pub(crate) struct SettingsPage {
    shell: Shell,
    created: Option<CreatedKey>,
    keys: Vec<KeyRow>,
    keys_action: String,
    project_choices: Vec<Choice>,
    members: Vec<MemberRow>,
    members_action: String,
    projects: Vec<ProjectRow>,
    audit: Vec<AuditRow>,
    older: Older,
    scopes: [(&'static str, &'static str); 3],
    roles: [(&'static str, &'static str); 2],
}

struct KeyRow {
    name: Text,
    prefix: Text,
    scope: Pill,
    project: Option<Text>,
    created: Moment,
    used: Option<Moment>,
    revoked: Option<Moment>,
    action: String,
}

struct MemberRow {
    login: Text,
    role: Pill,
    /// Where the person's identity is checked.
    by: &'static str,
}

struct ProjectRow {
    name: Text,
    visibility: Pill,
    action: String,
    /// What the button sets.
    other: &'static str,
}

struct AuditRow {
    at: Moment,
    who: Text,
    act: Text,
    subject: Text,
}

impl SettingsPage {
    /// Everything of the page; `created` right after a key was made, and then only.
    #[expect(
        clippy::too_many_arguments,
        reason = "the page has this many sections, and a struct with the same names would say nothing more"
    )]
    pub(crate) fn new(
        shell: Shell,
        query: &SettingsQuery,
        keys: &[ApiKey],
        created: Option<CreatedKey>,
        users: &[User],
        projects: &[ProjectSummary],
        audit: &Page<AuditEntry>,
        now: Millis,
    ) -> SettingsPage {
        let shell = shell.titled("Settings", Section::Settings);
        let address = shell.at(&["settings"]);
        SettingsPage {
            created,
            scopes: SCOPES,
            roles: ROLES,
            keys: keys
                .iter()
                .map(|key| KeyRow::new(&shell, key, projects, now))
                .collect(),
            keys_action: shell.at(&["settings", "keys"]).to_string(),
            project_choices: project_choices(projects, None),
            members: users.iter().map(MemberRow::new).collect(),
            members_action: shell.at(&["settings", "members"]).to_string(),
            projects: projects
                .iter()
                .map(|p| ProjectRow::new(&shell, p))
                .collect(),
            audit: audit
                .rows
                .iter()
                .map(|entry| AuditRow::new(entry, now))
                .collect(),
            older: Older {
                next: audit.next.map(|next| {
                    format!("{}#audit", address.clone().with("audit", &next.to_text()))
                }),
                newest: query.audit.map(|_| format!("{address}#audit")),
            },
            shell,
        }
    }
}

impl KeyRow {
    fn new(shell: &Shell, key: &ApiKey, projects: &[ProjectSummary], now: Millis) -> KeyRow {
        let project = key.project.map(|id| {
            let known = projects.iter().find(|p| p.project.id == id);
            known.map_or_else(
                || Text::new("an unknown project", 40),
                |p| Text::new(&p.project.name, 48),
            )
        });
        KeyRow {
            name: Text::new(&key.name, 60),
            prefix: Text::new(&key.prefix, 24),
            scope: Pill::scope(key.scope),
            project,
            created: Moment::ago(key.created_at, now),
            used: key.used_at.map(|at| Moment::ago(at, now)),
            revoked: key.revoked_at.map(|at| Moment::ago(at, now)),
            action: shell
                .at(&["settings", "keys", &key.id.to_string()])
                .to_string(),
        }
    }
}

impl MemberRow {
    fn new(user: &User) -> MemberRow {
        MemberRow {
            login: Text::new(&user.login, 80),
            role: Pill::role(user.role),
            by: if user.password_hash.is_some() {
                "password"
            } else {
                "identity provider"
            },
        }
    }
}

impl ProjectRow {
    fn new(shell: &Shell, summary: &ProjectSummary) -> ProjectRow {
        let project = &summary.project;
        ProjectRow {
            name: Text::new(&project.name, 80),
            visibility: Pill::visibility(project.visibility),
            action: shell
                .at(&["settings", "projects", &project.id.0.to_string()])
                .to_string(),
            other: match project.visibility {
                Visibility::Public => "private",
                Visibility::Private => "public",
            },
        }
    }
}

impl AuditRow {
    fn new(entry: &AuditEntry, now: Millis) -> AuditRow {
        AuditRow {
            at: Moment::ago(entry.at, now),
            who: Text::new(&entry.who, 60),
            act: Text::new(&entry.act, 60),
            subject: Text::new(&entry.subject, 120),
        }
    }
}

/// The values of the form's field `scope`, which are those of `KeyScope` in JSON, with what they mean.
const SCOPES: [(&str, &str); 3] = [
    ("ingest", "ingest: to send records"),
    ("read", "read: to read everything"),
    ("admin", "admin: to do what an admin may"),
];

/// The values of the form's field `role`, which are those of `Role` in JSON, with what they mean.
const ROLES: [(&str, &str); 2] = [
    ("auditor", "auditor: reads everything"),
    ("admin", "admin: may do everything"),
];
