//! What every page has around it.

use runward_report::text::clipped;

use super::address::Address;

/// A part of the control plane that the navigation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// None of them: login, errors.
    None,
    Overview,
    Runs,
    Projects,
    Destinations,
    Detections,
    Suppressions,
    Baseline,
    Policies,
    Agents,
    Settings,
}

/// What just happened, told once on top of the next page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(super) failed: bool,
    pub(super) text: String,
}

impl Notice {
    /// It worked.
    pub(crate) fn done(text: &str) -> Notice {
        Notice {
            failed: false,
            text: clipped(text, 300),
        }
    }

    /// It did not, and why.
    pub(crate) fn failed(text: &str) -> Notice {
        Notice {
            failed: true,
            text: clipped(text, 300),
        }
    }
}

/// What every page has around it: who looks at what. Pages set the title and the section themselves.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    pub(crate) title: String,
    pub(crate) section: Section,
    /// The organisation's name in addresses; without one, there is no navigation.
    pub(crate) org: Option<String>,
    /// The organisation's name for people.
    pub(crate) org_name: String,
    /// The person; none on pages that everybody may read.
    pub(crate) login: Option<String>,
    /// What forms have to say, so that another site's page can't send them.
    pub(crate) csrf: String,
    /// Whether the person may change things.
    pub(crate) admin: bool,
    pub(crate) notice: Option<Notice>,
}

/// One line of the navigation.
pub(crate) struct NavLink {
    pub(crate) label: &'static str,
    pub(crate) href: String,
    pub(crate) current: bool,
    /// The id of its picture in the shell.
    pub(crate) icon: &'static str,
}

impl Shell {
    /// Around a page of an organisation.
    pub(crate) fn of(org: &str, org_name: &str) -> Shell {
        Shell {
            org: Some(org.to_owned()),
            org_name: clipped(org_name, 60),
            ..Shell::outside()
        }
    }

    /// Around a page that belongs to no organisation: login, setup, errors.
    pub(crate) fn outside() -> Shell {
        Shell {
            title: String::new(),
            section: Section::None,
            org: None,
            org_name: String::new(),
            login: None,
            csrf: String::new(),
            admin: false,
            notice: None,
        }
    }

    /// With this person looking.
    #[must_use]
    pub(crate) fn seen_by(mut self, login: &str, csrf: &str, admin: bool) -> Shell {
        self.login = Some(clipped(login, 60));
        csrf.clone_into(&mut self.csrf);
        self.admin = admin;
        self
    }

    /// With this told on top.
    #[must_use]
    pub(crate) fn telling(mut self, notice: Option<Notice>) -> Shell {
        self.notice = notice;
        self
    }

    /// With this title, in this section.
    pub(super) fn titled(mut self, title: &str, section: Section) -> Shell {
        self.title = clipped(title, 120);
        self.section = section;
        self
    }

    /// An address below the organisation's.
    pub(super) fn at(&self, parts: &[&str]) -> Address {
        match &self.org {
            Some(org) => {
                let mut all = vec!["o", org.as_str()];
                all.extend(parts);
                Address::of(&all)
            }
            None => Address::of(parts),
        }
    }

    /// Where the brand leads.
    pub(super) fn home(&self) -> String {
        self.at(&[]).to_string()
    }

    /// Where the link to log in leads.
    pub(super) fn login_address(&self) -> String {
        Address::of(&["login"]).to_string()
    }

    /// The navigation, in groups.
    pub(super) fn navigation(&self) -> Vec<Vec<NavLink>> {
        use Section::*;
        let groups: [&[(Section, &'static str, &str, &'static str)]; 3] = [
            &[
                (Overview, "Overview", "", "i-overview"),
                (Runs, "Runs", "runs", "i-runs"),
                (Projects, "Projects", "projects", "i-projects"),
                (
                    Destinations,
                    "Destinations",
                    "destinations",
                    "i-destinations",
                ),
                (Detections, "Detections", "detections", "i-detections"),
            ],
            &[
                (
                    Suppressions,
                    "Suppression rules",
                    "suppressions",
                    "i-suppressions",
                ),
                (Baseline, "Baseline", "baseline", "i-baseline"),
                (Policies, "Policies", "policies", "i-policies"),
            ],
            &[
                (Agents, "Agents", "agents", "i-agents"),
                (Settings, "Settings", "settings", "i-settings"),
            ],
        ];
        if self.org.is_none() {
            return Vec::new();
        }
        let link =
            |(section, label, path, icon): &(Section, &'static str, &str, &'static str)| NavLink {
                label,
                href: self.at(&[path]).to_string(),
                current: *section == self.section,
                icon,
            };
        groups
            .iter()
            .map(|group| group.iter().map(link).collect())
            .collect()
    }
}
