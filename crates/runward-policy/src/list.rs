//! The list form: endpoints separated by spaces, newlines or commas, as CI inputs and variables carry them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::endpoint::{Action, Endpoint};
use crate::error::{Errors, PolicyError, PolicyWarning, Script, Stretch};
use crate::fault::{Doubt, Fault};
use crate::group::Group;
use crate::limits;
use crate::narrowing::Narrowing;
use crate::origin::{GroupRef, Origin, Source};
use crate::parse::{Problem, read};
use crate::rule::Rule;
use crate::text::nearest;
use crate::token::{Lines, Piece, Token, tokens};

/// The endpoints of one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// The rules, in the order of the text, groups expanded.
    pub rules: Vec<Rule>,
    /// What is odd, though it can be applied.
    pub warnings: Vec<PolicyWarning>,
}

/// Reads a list of endpoints.
///
/// Accepts what people really write: any white space, commas, comments (also those that a folded YAML scalar put on
/// one line with the endpoints after them), quotes and list dashes left over from YAML or JSON, `@group`.
///
/// # Errors
///
/// All that is wrong, at once. A list with an error gives no rules at all.
pub fn parse_endpoints(
    text: &str,
    action: Action,
    source: &Arc<Source>,
) -> Result<Endpoints, Vec<PolicyError>> {
    let script = Script {
        source: Arc::clone(source),
        text,
    };
    let mut list = ListReader::new(&script, action);
    list.read(text, Lines::start(text));
    list.finish()
}

/// Reads one or more lists of one script into one set of rules.
pub(crate) struct ListReader<'s> {
    script: &'s Script<'s>,
    action: Action,
    endpoints: Endpoints,
    errors: Errors,
    seen: BTreeSet<(Endpoint, Narrowing)>,
}

impl<'s> ListReader<'s> {
    pub(crate) fn new(script: &'s Script<'s>, action: Action) -> ListReader<'s> {
        ListReader {
            script,
            action,
            endpoints: Endpoints::default(),
            errors: Errors::default(),
            seen: BTreeSet::new(),
        }
    }

    pub(crate) fn finish(self) -> Result<Endpoints, Vec<PolicyError>> {
        if self.errors.is_empty() {
            Ok(self.endpoints)
        } else {
            Err(self.errors.into_vec())
        }
    }

    /// Reads all endpoints of `text`, which begins in the script where `lines` says.
    pub(crate) fn read(&mut self, text: &str, lines: Lines) {
        if text.len() > limits::TEXT_BYTES {
            let error = self.script.error(lines.first(), "", Fault::TooLong);
            return self.errors.push(error);
        }
        for piece in tokens(text, lines) {
            if self.errors.is_full() || self.is_too_long(&piece) {
                return;
            }
            match piece {
                Piece::Token(token) => self.token(&token, &Narrowing::default(), None),
                Piece::Swallowed(token) => self.warnings_push(
                    &token,
                    Problem {
                        what: Doubt::SwallowedComment,
                        at: 0..token.text.len(),
                        meant: None,
                    },
                ),
                Piece::CommentedOut(token) => self.fault(
                    &token,
                    Problem {
                        what: Fault::CommentedOut,
                        at: 0..token.text.len(),
                        meant: None,
                    },
                ),
            }
        }
    }

    fn is_too_long(&mut self, piece: &Piece<'_>) -> bool {
        let too_long = self.endpoints.rules.len() >= limits::RULES_OF_SOURCE;
        if too_long {
            let (Piece::Token(token) | Piece::Swallowed(token) | Piece::CommentedOut(token)) =
                piece;
            let error = self
                .script
                .error(token.stretch(), token.text, Fault::TooManyRules);
            self.errors.push(error);
        }
        too_long
    }

    /// Reads one endpoint or group.
    pub(crate) fn token(&mut self, token: &Token<'_>, narrowing: &Narrowing, reason: Option<&str>) {
        if let Some(name) = token.text.strip_prefix('@') {
            match Group::find(name) {
                Some(group) => self.group(group, token, narrowing, reason),
                None => self.unknown_group(name, token),
            }
            return;
        }
        match read(token.text, self.action) {
            Err(problem) => self.fault(token, problem),
            Ok(read) => {
                for doubt in read.doubts {
                    self.warnings_push(token, doubt);
                }
                self.doubt_shared(token, &read.endpoint);
                let known = (read.endpoint.clone(), narrowing.clone());
                if !self.seen.insert(known) {
                    self.warnings_push(
                        token,
                        Problem {
                            what: Doubt::Duplicate,
                            at: 0..token.text.len(),
                            meant: None,
                        },
                    );
                    return;
                }
                self.push(read.endpoint, token.text, token, narrowing, reason, None);
            }
        }
    }

    fn group(
        &mut self,
        group: &'static Group,
        token: &Token<'_>,
        narrowing: &Narrowing,
        reason: Option<&str>,
    ) {
        for text in &group.endpoints {
            // A test reads every endpoint of every group.
            let Ok(endpoint) = Endpoint::parse(text, self.action) else {
                continue;
            };
            let reference = GroupRef {
                name: group.name,
                version: group.version,
            };
            self.push(endpoint, text, token, narrowing, reason, Some(reference));
        }
    }

    fn unknown_group(&mut self, name: &str, token: &Token<'_>) {
        let names = Group::all().iter().map(|group| group.name);
        let meant = nearest(name, names.clone()).map(|name| format!("@{name}"));
        let known = names.map(|name| format!("@{name}")).collect();
        self.fault(
            token,
            Problem {
                what: Fault::UnknownGroup(known),
                at: 0..token.text.len(),
                meant,
            },
        );
    }

    fn push(
        &mut self,
        endpoint: Endpoint,
        text: &str,
        token: &Token<'_>,
        narrowing: &Narrowing,
        reason: Option<&str>,
        group: Option<GroupRef>,
    ) {
        self.endpoints.rules.push(Rule {
            action: self.action,
            endpoint,
            narrowing: narrowing.clone(),
            reason: reason.map(str::to_owned),
            origin: Origin {
                source: Arc::clone(&self.script.source),
                line: token.line,
                column: token.column,
                text: text.to_owned(),
                group,
            },
        });
    }

    fn doubt_shared(&mut self, token: &Token<'_>, endpoint: &Endpoint) {
        if self.action == Action::Allow && crate::tenancy::is_shared(&endpoint.host) {
            self.warnings_push(
                token,
                Problem {
                    what: Doubt::SharedDomain,
                    at: 0..token.text.len(),
                    meant: None,
                },
            );
        }
    }

    fn fault(&mut self, token: &Token<'_>, problem: Problem<Fault>) {
        let place = self.script.spot(token.part(&problem.at), token.text);
        self.errors.push(PolicyError {
            place,
            fault: problem.what,
            suggestion: problem.meant,
        });
    }

    fn warnings_push(&mut self, token: &Token<'_>, problem: Problem<Doubt>) {
        // A warning is a help, not a record: past the bound it is left out.
        if self.endpoints.warnings.len() >= limits::ERRORS {
            return;
        }
        let place = self.script.spot(token.part(&problem.at), token.text);
        self.endpoints.warnings.push(PolicyWarning {
            place,
            doubt: problem.what,
            suggestion: problem.meant,
        });
    }
}

impl Token<'_> {
    /// The whole token.
    pub(crate) fn stretch(&self) -> Stretch {
        self.part(&(0..self.text.len()))
    }

    /// A part of the token, given as bytes of its text.
    pub(crate) fn part(&self, at: &std::ops::Range<usize>) -> Stretch {
        let chars = |bytes: &str| bytes.chars().count();
        let before = chars(self.text.get(..at.start).unwrap_or_default());
        Stretch {
            line: self.line,
            column: self
                .column
                .saturating_add(u32::try_from(before).unwrap_or(u32::MAX)),
            length: chars(self.text.get(at.clone()).unwrap_or_default()),
        }
    }
}
