//! Settings of an organisation: keys, people, who may read what, and the log of changes.

use askama::Template;
use runward_store::{
    ApiKey, AuditEntry, Cursor, Millis, Page, PageRequest, ProjectSummary, Retention, Role, Trust,
    User, Visibility,
};

use super::hostile::Text;
use super::moment::Moment;
use super::pager::Older;
use super::pill::Pill;
use super::query::{self, Pairs};
use super::retention::{RetentionSection, RetentionTyped};
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

/// A token for a machine that was just made: it is shown this once.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    token: String,
    command: String,
}

impl Registered {
    /// `server` is this server's address; both are texts that can't end a quotation.
    pub(crate) fn new(server: &str, token: &str) -> Registered {
        let command = format!(
            "sudo install -d -m 700 /etc/runward && \\\n\
             curl -fsS -X POST {server}/api/v1/agents/register \\\n\
             \x20 -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\\n\
             \x20 -d \"{{\\\"host\\\":\\\"$(uname -n)\\\"}}\" \\\n\
             | sed -n 's/.*\"secret\":\"\\([^\"]*\\)\".*/RUNWARD_API_KEY=\\1/p' \\\n\
             | sudo sh -c 'umask 077; cat > /etc/runward/agent.env'"
        );
        Registered {
            token: token.to_owned(),
            command,
        }
    }
}

/// The identity provider of this server, and whom it lets in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SingleSignOn<'a> {
    pub(crate) name: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) admin_groups: &'a [String],
    pub(crate) allowed_groups: &'a [String],
    pub(crate) allowed_domains: &'a [String],
}

/// What the page shows.
pub(crate) struct SettingsParts<'a> {
    pub(crate) keys: &'a [ApiKey],
    /// Right after a key was made, and then only.
    pub(crate) created: Option<CreatedKey>,
    /// Right after a token for a machine was made, and then only.
    pub(crate) registered: Option<Registered>,
    pub(crate) users: &'a [User],
    /// The number of the person who looks.
    pub(crate) viewer: i64,
    pub(crate) projects: &'a [ProjectSummary],
    pub(crate) trusts: &'a [Trust],
    /// Whom jobs' tokens can be trusted of.
    pub(crate) issuers: &'a [&'a str],
    pub(crate) sign_on: Option<SingleSignOn<'a>>,
    pub(crate) retention: &'a Retention,
    /// Right after terms were sent that are not saved, and then only.
    pub(crate) typed_retention: Option<RetentionTyped>,
    pub(crate) audit: &'a Page<AuditEntry>,
}

/// `/o/{org}/settings`.
///
/// Its forms: `settings/keys` (name, scope, project), `settings/keys/{id}` (action=revoke), `settings/members` (login,
/// password, role), `settings/members/{id}` (action=admin|auditor|remove), `settings/registrations`, `settings/trust`
/// (issuer, pattern), `settings/trust/{id}`, `settings/projects/{id}` (visibility), and that of [`RetentionSection`]; each
/// with csrf.
#[derive(Template)]
#[template(path = "settings.html")]
pub(crate) struct SettingsPage {
    shell: Shell,
    notifications_href: String,
    created: Option<CreatedKey>,
    registered: Option<Registered>,
    registrations_action: String,
    trusts: Vec<TrustRow>,
    trusts_action: String,
    issuers: Vec<String>,
    sign_on: Option<SignOnRows>,
    retention: RetentionSection,
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
    /// Whether this is the person who looks.
    own: bool,
    action: String,
    /// The other role, which is also the form's value for it.
    other: &'static str,
}

struct TrustRow {
    issuer: Text,
    pattern: Text,
    created: Moment,
    action: String,
}

struct SignOnRows {
    name: Text,
    issuer: Text,
    /// Whom it lets in, and as what.
    rules: Vec<(&'static str, Text)>,
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
    /// Everything of the page.
    pub(crate) fn new(
        shell: Shell,
        query: &SettingsQuery,
        parts: SettingsParts<'_>,
        now: Millis,
    ) -> SettingsPage {
        let SettingsParts {
            projects, audit, ..
        } = parts;
        let shell = shell.titled("Settings", Section::Settings);
        let address = shell.at(&["settings"]);
        SettingsPage {
            notifications_href: shell.at(&["settings", "notifications"]).to_string(),
            created: parts.created,
            registered: parts.registered,
            registrations_action: shell.at(&["settings", "registrations"]).to_string(),
            trusts: parts
                .trusts
                .iter()
                .map(|trust| TrustRow::new(&shell, trust, now))
                .collect(),
            trusts_action: shell.at(&["settings", "trust"]).to_string(),
            issuers: parts
                .issuers
                .iter()
                .map(|&issuer| issuer.to_owned())
                .collect(),
            sign_on: parts.sign_on.map(SignOnRows::new),
            retention: RetentionSection::new(&shell, parts.retention, parts.typed_retention),
            scopes: SCOPES,
            roles: ROLES,
            keys: parts
                .keys
                .iter()
                .map(|key| KeyRow::new(&shell, key, projects, now))
                .collect(),
            keys_action: shell.at(&["settings", "keys"]).to_string(),
            project_choices: project_choices(projects, None),
            members: parts
                .users
                .iter()
                .map(|user| MemberRow::new(&shell, user, parts.viewer))
                .collect(),
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
    fn new(shell: &Shell, user: &User, viewer: i64) -> MemberRow {
        MemberRow {
            own: user.id == viewer,
            action: shell
                .at(&["settings", "members", &user.id.to_string()])
                .to_string(),
            other: match user.role {
                Role::Admin => "auditor",
                Role::Auditor => "admin",
            },
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

impl TrustRow {
    fn new(shell: &Shell, trust: &Trust, now: Millis) -> TrustRow {
        TrustRow {
            issuer: Text::new(&trust.issuer, 100),
            pattern: Text::new(&trust.pattern, 100),
            created: Moment::ago(trust.created_at, now),
            action: shell
                .at(&["settings", "trust", &trust.id.to_string()])
                .to_string(),
        }
    }
}

impl SignOnRows {
    fn new(sign_on: SingleSignOn<'_>) -> SignOnRows {
        let rules = [
            ("Admins: people of the groups", sign_on.admin_groups),
            ("May log in: people of the groups", sign_on.allowed_groups),
            (
                "May log in: verified e-mail addresses at",
                sign_on.allowed_domains,
            ),
        ];
        let rules = rules.iter().filter(|(_, names)| !names.is_empty());
        SignOnRows {
            name: Text::new(sign_on.name, 60),
            issuer: Text::new(sign_on.issuer, 200),
            rules: rules
                .map(|(rule, names)| (*rule, Text::new(&names.join(", "), 300)))
                .collect(),
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
