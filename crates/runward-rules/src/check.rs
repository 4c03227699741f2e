//! The check of an expression: that all names are known, that types fit, and that it can't take too long. It also puts
//! numbers in place of names, and compiles what is constant.

use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::{CelInt, CelList, CelString};
use cel::common::value::Val;

use crate::error::{Fault, harmless};
use crate::expression::{Expression, Places, parse};
use crate::functions::{FUNCTIONS, Function, MACROS};
use crate::limits;
use crate::scope::root;
use crate::shape::{Fields, Shape};
use crate::slots::{Field, Network, Root, Slot, Slots};
use crate::value::ASKED;
use crate::vocabulary::{VARIABLES, Vocabulary, WHO};

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    Bool,
    Int,
    Text {
        /// The words that it is one of, where only some are possible.
        words: Option<Arc<[String]>>,
        /// Whether it was put together by the expression.
        joined: bool,
    },
    /// Of entries like this, so many at most.
    List(Box<Type>, u64),
    Map(Box<Type>),
    Object(Arc<Fields>),
    /// Something is wrong with it already, or it is empty.
    Any,
}

impl Type {
    fn of(shape: &Shape) -> Type {
        match shape {
            Shape::Bool => Type::Bool,
            Shape::Int => Type::Int,
            Shape::Text(words) => Type::Text {
                words: words.clone(),
                joined: false,
            },
            Shape::List(items) => Type::List(Box::new(Type::of(items)), count(limits::LIST)),
            Shape::Map(items) => Type::Map(Box::new(Type::of(items))),
            Shape::Object(fields) => Type::Object(Arc::clone(fields)),
        }
    }

    fn text() -> Type {
        Type::Text {
            words: None,
            joined: false,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Type::Bool => "a bool",
            Type::Int => "an int",
            Type::Text { .. } => "a string",
            Type::List(..) => "a list",
            Type::Map(_) => "a map",
            Type::Object(_) => "an object with fields",
            Type::Any => "anything",
        }
    }

    fn is_scalar(&self) -> bool {
        matches!(self, Type::Bool | Type::Int | Type::Text { .. } | Type::Any)
    }

    fn is_like(&self, other: &Type) -> bool {
        matches!(
            (self, other),
            (Type::Any, _)
                | (_, Type::Any)
                | (Type::Bool, Type::Bool)
                | (Type::Int, Type::Int)
                | (Type::Text { .. }, Type::Text { .. })
                | (Type::List(..), Type::List(..))
                | (Type::Map(_), Type::Map(_))
                | (Type::Object(_), Type::Object(_))
        )
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be true or false.
    Condition,
    /// To stand in a message.
    Words,
}

/// Checks an expression about events of this shape, and makes it ready.
pub(crate) fn check(
    text: &str,
    purpose: Purpose,
    vocabulary: &Vocabulary,
    event: &Shape,
    slots: &mut Slots,
) -> Result<Expression, Vec<Fault>> {
    let mut expression = parse(text)?;
    let mut checker = Checker {
        vocabulary,
        event,
        slots,
        purpose,
        bound: Vec::new(),
        faults: Vec::new(),
        steps: 0,
    };
    let kind = checker.check(&mut expression);
    let id = expression.id;
    match purpose {
        Purpose::Condition if !matches!(kind, Type::Bool | Type::Any) => {
            let message = format!(
                "a condition is true or false, and this is {}: compare it with something",
                kind.word()
            );
            checker.fault(id, message);
        }
        Purpose::Words if !kind.is_scalar() => {
            let message = format!(
                "a message is made of strings and numbers, and this is {}",
                kind.word()
            );
            checker.fault(id, message);
        }
        _ => {}
    }
    if checker.steps > limits::STEPS {
        let message = format!(
            "this could take {} steps for one event, where lists are long; {} is the most: nest fewer macros",
            checker.steps,
            limits::STEPS
        );
        checker.fault(id, message);
    }
    if checker.faults.is_empty() {
        return Ok(Expression::new(expression));
    }
    let places = Places::of(text);
    let faults = checker.faults.into_iter().map(|(id, message)| Fault {
        at: places.at(id),
        message,
    });
    Err(faults.collect())
}

struct Checker<'a> {
    vocabulary: &'a Vocabulary,
    event: &'a Shape,
    slots: &'a mut Slots,
    purpose: Purpose,
    /// The variables of macros, innermost last.
    bound: Vec<(String, Type)>,
    /// What is wrong, with the number of the part.
    faults: Vec<(u64, String)>,
    steps: u64,
}

impl Checker<'_> {
    fn fault(&mut self, id: u64, message: impl Into<String>) -> Type {
        self.faults.push((id, message.into()));
        Type::Any
    }

    fn check(&mut self, expression: &mut IdedExpr) -> Type {
        self.steps = self.steps.saturating_add(1);
        if let Some(kind) = self.field(expression) {
            return kind;
        }
        let id = expression.id;
        match &mut expression.expr {
            Expr::Literal(literal) => self.literal(id, literal),
            Expr::Ident(name) => match self.bound(name) {
                Some(kind) => kind,
                None => self.unknown_name(id, name),
            },
            Expr::Select(select) => {
                let of = self.check(&mut select.operand);
                let kind = self.select(id, &of, &select.field);
                if select.test && matches!(of, Type::Object(_)) {
                    // What is missing is empty here, and not absent; so it is asked for by another name.
                    select.test = false;
                    select.field.insert(0, ASKED);
                    return Type::Bool;
                }
                if select.test { Type::Bool } else { kind }
            }
            Expr::Call(call) => self.call(id, call),
            Expr::List(list) => {
                let length = count(list.elements.len());
                let mut items = Type::Any;
                for element in &mut list.elements {
                    let id = element.id;
                    let kind = self.check(element);
                    if !items.is_like(&kind) {
                        let message = format!(
                            "a list has entries of one type: this is {}, and those before are {}",
                            kind.word(),
                            plural(&items)
                        );
                        self.fault(id, message);
                    }
                    if let (Type::Text { joined: true, .. }, false) = (&kind, self.bound.is_empty())
                    {
                        self.fault(
                            id,
                            "a list that a macro makes can't have strings that are put together: filter it instead",
                        );
                    }
                    items = kind;
                }
                Type::List(Box::new(items), length)
            }
            Expr::Comprehension(of) => self.comprehension(id, of),
            Expr::Map(_) => self.fault(id, "a rule has no use for a map of its own: take a list"),
            Expr::Struct(of) => {
                let message = format!("there is no type `{}`", harmless(&of.type_name));
                self.fault(id, message)
            }
            Expr::Unspecified => self.fault(id, "something is missing here"),
        }
    }

    fn bound(&self, name: &str) -> Option<Type> {
        let mut bound = self.bound.iter().rev();
        bound
            .find(|(known, _)| known == name)
            .map(|(_, kind)| kind.clone())
    }

    fn unknown_name(&mut self, id: u64, name: &str) -> Type {
        let own = self.bound.iter().map(|(name, _)| name.as_str());
        let known = VARIABLES
            .into_iter()
            .chain(own.filter(|own| !own.starts_with('@')));
        let message = match nearest(name, known) {
            Some(meant) => format!("there is no `{}`; did you mean `{meant}`?", harmless(name)),
            None if name == WHO => {
                "`who` is for messages: here, ask for `process.exe` and its kin".to_owned()
            }
            None => format!(
                "there is no `{}`: there are `event`, `process` and `job`",
                harmless(name)
            ),
        };
        self.fault(id, message)
    }

    fn literal(&mut self, id: u64, literal: &LiteralValue) -> Type {
        match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::String(_) => Type::text(),
            LiteralValue::Double(_) | LiteralValue::UInt(_) => {
                self.fault(id, "numbers are whole here, and have no suffix")
            }
            LiteralValue::Bytes(_) => self.fault(id, "there are no bytes here: take a string"),
            LiteralValue::Null => self.fault(
                id,
                "nothing is null here: what is missing is empty, and `has(…)` tells whether it is there",
            ),
        }
    }

    /// `event.name`, `process.dependency.version`, `has(job.branch)`: a number takes its place.
    fn field(&mut self, expression: &mut IdedExpr) -> Option<Type> {
        let id = expression.id;
        let (test, start) = match &expression.expr {
            Expr::Select(select) if select.test => (true, select.operand.as_ref()),
            _ => (false, &*expression),
        };
        let (name, mut keys) = path(start)?;
        if let (true, Expr::Select(select)) = (test, &expression.expr) {
            keys.push(select.field.clone());
        }
        if self.bound(&name).is_some() || (name == WHO && self.purpose == Purpose::Condition) {
            return None;
        }
        let (root, spent) = root(&name, &keys)?;
        let whole = match root {
            Root::Event => self.event.clone(),
            Root::Process | Root::Parent | Root::Ancestors => self.vocabulary.process.clone(),
            Root::Job => self.vocabulary.job.clone(),
            Root::Who => Shape::Text(None),
        };
        let mut shape = whole;
        for key in &keys {
            shape = match &shape {
                Shape::Object(fields) => match fields.fields.get(key) {
                    Some(shape) => shape.clone(),
                    None => {
                        let message = unknown_field(fields, key);
                        return Some(self.fault(id, message));
                    }
                },
                Shape::Map(items) => Shape::clone(items),
                other => {
                    let message = format!(
                        "`{}` has no fields: what is before it is a {}",
                        harmless(key),
                        other.word()
                    );
                    return Some(self.fault(id, message));
                }
            };
        }
        if matches!(shape, Shape::Object(_)) && !test {
            let all = match &shape {
                Shape::Object(fields) => names(fields),
                _ => String::new(),
            };
            let message = format!("ask for one of the fields of this: {all}");
            return Some(self.fault(id, message));
        }
        let mut kind = Type::of(&shape);
        if let (Root::Ancestors, Type::List(_, length)) = (root, &mut kind) {
            *length = count(limits::ANCESTORS);
        }
        keys.drain(..spent);
        let slot = self.slots.add(Slot::Field(Field {
            root,
            keys,
            shape,
            test,
        }));
        expression.expr = Expr::Ident(slot);
        Some(if test { Type::Bool } else { kind })
    }

    fn select(&mut self, id: u64, of: &Type, field: &str) -> Type {
        match of {
            Type::Object(fields) => match fields.fields.get(field) {
                Some(shape) => Type::of(shape),
                None => {
                    let message = unknown_field(fields, field);
                    self.fault(id, message)
                }
            },
            Type::Map(items) => Type::clone(items),
            Type::Any => Type::Any,
            other => {
                let message = format!("{} has no field `{}`", other.word(), harmless(field));
                self.fault(id, message)
            }
        }
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) -> Type {
        let name = call.func_name.clone();
        if let Some(kind) = self.operator(id, &name, call) {
            return kind;
        }
        let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
        let Some((_, function)) = known else {
            let all = FUNCTIONS.iter().map(|(name, _)| *name).chain(MACROS);
            let message = match nearest(&name, all) {
                Some(meant) if meant == name => {
                    format!("`{meant}` is not called like this; see docs/rules.md")
                }
                Some(meant) => {
                    format!("there is no `{}`; did you mean `{meant}`?", harmless(&name))
                }
                None => format!(
                    "there is no function `{}`; there are: {}",
                    harmless(&name),
                    FUNCTIONS.map(|(name, _)| name).join(", ")
                ),
            };
            return self.fault(id, message);
        };
        self.function(id, &name, *function, call)
    }

    fn function(&mut self, id: u64, name: &str, function: Function, call: &mut CallExpr) -> Type {
        let target = call.target.as_deref_mut().map(|target| self.check(target));
        let usage = |how: &str| format!("`{name}` is written `{how}`");
        match function {
            Function::Matches | Function::InNetwork => {
                let how = if function == Function::Matches {
                    "text.matches(\"regular expression\")"
                } else {
                    "address.inNetwork(\"192.0.2.0/24\")"
                };
                let ([constant], Some(target)) = (call.args.as_mut_slice(), &target) else {
                    return self.fault(id, usage(how));
                };
                self.wants_text(id, name, target);
                let Expr::Literal(LiteralValue::String(text)) = &constant.expr else {
                    let message = format!("{}, with a constant in quotes", usage(how));
                    return self.fault(constant.id, message);
                };
                let slot = if function == Function::Matches {
                    self.slots.pattern(text.inner()).map_err(|error| {
                        format!("this is no regular expression: {}", harmless(&error))
                    })
                } else {
                    network(text.inner()).map(|network| self.slots.add(Slot::Network(network)))
                };
                match slot {
                    Ok(slot) => constant.expr = Expr::Ident(slot),
                    Err(message) => {
                        self.fault(constant.id, message);
                    }
                }
                Type::Bool
            }
            Function::OfTexts => {
                let how = format!("text.{name}(text)");
                let ([argument], Some(target)) = (call.args.as_mut_slice(), &target) else {
                    return self.fault(id, usage(&how));
                };
                self.wants_text(id, name, target);
                let id = argument.id;
                let argument = self.check(argument);
                self.wants_text(id, name, &argument);
                Type::Bool
            }
            Function::Lower => {
                let (true, Some(target)) = (call.args.is_empty(), &target) else {
                    return self.fault(id, usage("text.lowerAscii()"));
                };
                self.wants_text(id, name, target);
                Type::Text {
                    words: None,
                    joined: true,
                }
            }
            Function::Size => {
                let of = match (target, call.args.as_mut_slice()) {
                    (Some(of), []) => of,
                    (None, [of]) => self.check(of),
                    _ => return self.fault(id, usage("size(list)")),
                };
                match of {
                    Type::Text { .. } | Type::List(..) | Type::Map(_) | Type::Any => Type::Int,
                    other => {
                        let message = format!("{} has no size", other.word());
                        self.fault(id, message)
                    }
                }
            }
            Function::ToText | Function::ToInt => {
                let (None, [of]) = (target, call.args.as_mut_slice()) else {
                    return self.fault(id, usage(&format!("{name}(value)")));
                };
                let of = self.check(of);
                if !matches!(of, Type::Int | Type::Text { .. } | Type::Any) {
                    let message = format!(
                        "`{name}` takes a string or an int, and this is {}",
                        of.word()
                    );
                    return self.fault(id, message);
                }
                if function == Function::ToInt {
                    return Type::Int;
                }
                Type::Text {
                    words: None,
                    joined: true,
                }
            }
        }
    }

    fn wants_text(&mut self, id: u64, name: &str, kind: &Type) {
        if !matches!(kind, Type::Text { .. } | Type::Any) {
            let message = format!(
                "`{name}` asks about strings, and this is {}{}",
                kind.word(),
                match kind {
                    Type::List(..) => ": ask about its entries, with `list.exists(x, …)`",
                    Type::Int => ": compare it with `==`, `<` or `in`",
                    _ => "",
                }
            );
            self.fault(id, message);
        }
    }

    /// What an operator gives; nothing when the name is that of a function.
    fn operator(&mut self, id: u64, name: &str, call: &mut CallExpr) -> Option<Type> {
        let kind = match (name, call.args.as_mut_slice()) {
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                self.wants_bool(condition);
                let then = self.check(then);
                let otherwise = self.check(otherwise);
                if !then.is_like(&otherwise) {
                    let message = format!(
                        "both ends of `? :` are of one type: these are {} and {}",
                        then.word(),
                        otherwise.word()
                    );
                    return Some(self.fault(id, message));
                }
                wider(then, otherwise)
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                self.wants_bool(left);
                self.wants_bool(right);
                Type::Bool
            }
            (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, [of]) => {
                self.wants_bool(of);
                Type::Bool
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                self.equality(id, left, right)
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                let (left, right) = (self.check(left), self.check(right));
                let fits = matches!(left, Type::Int | Type::Text { .. } | Type::Any);
                if !fits || !left.is_like(&right) {
                    return Some(self.unlike(id, &left, &right, "put into order"));
                }
                Type::Bool
            }
            (operators::IN, [item, list]) => self.is_in(id, item, list),
            (operators::ADD, [left, right]) => self.add(id, left, right),
            (
                operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
                [left, right],
            ) => {
                let (left, right) = (self.check(left), self.check(right));
                for kind in [left, right] {
                    self.wants_int(id, &kind);
                }
                Type::Int
            }
            (operators::NEGATE, [of]) => {
                let of = self.check(of);
                self.wants_int(id, &of);
                Type::Int
            }
            (operators::INDEX, [of, index]) => {
                let of = self.check(of);
                let index = self.check(index);
                match (of, index) {
                    (Type::List(items, _), Type::Int | Type::Any) => *items,
                    (Type::Map(items), Type::Text { .. } | Type::Any) => *items,
                    (Type::Any, _) => Type::Any,
                    (of, index) => {
                        let message = format!(
                            "{} is not asked for an entry by {}",
                            of.word(),
                            index.word()
                        );
                        self.fault(id, message)
                    }
                }
            }
            _ => return None,
        };
        Some(kind)
    }

    fn wants_bool(&mut self, of: &mut IdedExpr) {
        let id = of.id;
        let kind = self.check(of);
        if !matches!(kind, Type::Bool | Type::Any) {
            let message = format!(
                "this is {}, and has to be true or false: compare it with something",
                kind.word()
            );
            self.fault(id, message);
        }
    }

    fn wants_int(&mut self, id: u64, kind: &Type) {
        if !matches!(kind, Type::Int | Type::Any) {
            let message = format!(
                "only numbers can be calculated with, and this is {}",
                kind.word()
            );
            self.fault(id, message);
        }
    }

    fn unlike(&mut self, id: u64, left: &Type, right: &Type, what: &str) -> Type {
        let message = format!("{} and {} can't be {what}", left.word(), right.word());
        self.fault(id, message)
    }

    fn equality(&mut self, id: u64, left: &mut IdedExpr, right: &mut IdedExpr) -> Type {
        let words = [literal_text(left), literal_text(right)];
        let kinds = [self.check(left), self.check(right)];
        let [left_kind, right_kind] = &kinds;
        if let Type::List(..) | Type::Map(_) = left_kind {
            let message =
                "lists are not compared as a whole: ask about their entries, with `in` or `exists`";
            return self.fault(id, message);
        }
        if !left_kind.is_scalar() || !left_kind.is_like(right_kind) {
            return self.unlike(id, left_kind, right_kind, "equal: this would never hold");
        }
        let [left_word, right_word] = words;
        self.known_word(right.id, left_kind, right_word.as_deref());
        self.known_word(left.id, right_kind, left_word.as_deref());
        Type::Bool
    }

    /// A word that a field can't have is a mistake.
    fn known_word(&mut self, id: u64, kind: &Type, word: Option<&str>) {
        let (
            Type::Text {
                words: Some(words), ..
            },
            Some(word),
        ) = (kind, word)
        else {
            return;
        };
        // Empty is what a field is that is not there.
        if !word.is_empty() && !words.iter().any(|known| known == word) {
            let message = format!(
                "this is never `{}`: it is one of {}",
                harmless(word),
                words.join(", ")
            );
            self.fault(id, message);
        }
    }

    fn is_in(&mut self, id: u64, item: &mut IdedExpr, list: &mut IdedExpr) -> Type {
        let item = self.check(item);
        let words: Vec<(u64, Option<String>)> = match &list.expr {
            Expr::List(of) => {
                let elements = of.elements.iter();
                elements.map(|one| (one.id, literal_text(one))).collect()
            }
            _ => Vec::new(),
        };
        let kind = self.check(list);
        let entries = match &kind {
            Type::List(entries, length) => {
                self.steps = self.steps.saturating_add(length / 4);
                Type::clone(entries)
            }
            Type::Map(_) => Type::text(),
            Type::Any => return Type::Bool,
            other => {
                let message = format!(
                    "`in` looks into a list or a map, and this is {}",
                    other.word()
                );
                return self.fault(list.id, message);
            }
        };
        if !item.is_scalar() || !item.is_like(&entries) {
            return self.unlike(id, &item, &entries, "equal: this would never hold");
        }
        for (id, word) in words {
            self.known_word(id, &item, word.as_deref());
        }
        self.constant(list);
        Type::Bool
    }

    /// A list of constants is made once.
    fn constant(&mut self, expression: &mut IdedExpr) {
        let Expr::List(list) = &expression.expr else {
            return;
        };
        let entries: Option<Vec<Box<dyn Val>>> = list
            .elements
            .iter()
            .map(|element| match &element.expr {
                Expr::Literal(LiteralValue::String(text)) => {
                    Some(Box::new(CelString::from(text.inner().to_owned())) as Box<dyn Val>)
                }
                Expr::Literal(LiteralValue::Int(number)) => {
                    Some(Box::new(CelInt::from(*number.inner())) as Box<dyn Val>)
                }
                _ => None,
            })
            .collect();
        if let Some(entries) = entries {
            expression.expr = Expr::Ident(self.slots.add(Slot::List(CelList::from(entries))));
        }
    }

    fn add(&mut self, id: u64, left: &mut IdedExpr, right: &mut IdedExpr) -> Type {
        // How `map` and `filter` collect; nobody can write this name.
        let collects = matches!(&left.expr, Expr::Ident(name) if name.starts_with('@'));
        let (left, right) = (self.check(left), self.check(right));
        match (left, right) {
            (Type::Int, Type::Int) => Type::Int,
            (Type::Text { .. }, Type::Text { .. }) => Type::Text {
                words: None,
                joined: true,
            },
            (Type::List(_, length), Type::List(items, _)) if collects => Type::List(items, length),
            (Type::Any, other) | (other, Type::Any) => other,
            (left, right) => self.unlike(id, &left, &right, "added"),
        }
    }

    fn comprehension(&mut self, id: u64, of: &mut ComprehensionExpr) -> Type {
        let list = self.check(&mut of.iter_range);
        self.constant(&mut of.iter_range);
        let (items, length) = match list {
            Type::List(items, length) => (*items, length),
            Type::Map(_) => (Type::text(), count(limits::LIST)),
            Type::Any => (Type::Any, 1),
            other => {
                let message = format!("a macro goes through a list, and this is {}", other.word());
                return self.fault(id, message);
            }
        };
        if VARIABLES.contains(&of.iter_var.as_str()) || of.iter_var == WHO {
            let message = format!("`{}` is taken: call it something else", of.iter_var);
            self.fault(id, message);
        }
        let start = match self.check(&mut of.accu_init) {
            Type::List(items, _) => Type::List(items, length),
            other => other,
        };
        let outside = std::mem::take(&mut self.steps);
        let depth = self.bound.len();
        self.bound.push((of.iter_var.clone(), items));
        self.bound.push((of.accu_var.clone(), start));
        self.check(&mut of.loop_cond);
        let collected = self.check(&mut of.loop_step);
        if let Some((_, kind)) = self.bound.last_mut() {
            *kind = collected;
        }
        let inside = std::mem::replace(&mut self.steps, outside);
        self.steps = self.steps.saturating_add(inside.saturating_mul(length));
        let result = self.check(&mut of.result);
        self.bound.truncate(depth);
        result
    }
}

/// The type that both are.
fn wider(left: Type, right: Type) -> Type {
    match (left, right) {
        (Type::Any, other) | (other, Type::Any) => other,
        (Type::Text { joined: left, .. }, Type::Text { joined: right, .. }) => Type::Text {
            words: None,
            joined: left || right,
        },
        (Type::List(left, length), Type::List(right, other)) => {
            Type::List(Box::new(wider(*left, *right)), length.max(other))
        }
        (left, _) => left,
    }
}

fn plural(kind: &Type) -> &'static str {
    match kind {
        Type::Bool => "bools",
        Type::Int => "ints",
        Type::Text { .. } => "strings",
        _ => "something else",
    }
}

fn literal_text(expression: &IdedExpr) -> Option<String> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}

/// The name and the fields that an expression consists of, if it does: `a.b["c"]`.
fn path(expression: &IdedExpr) -> Option<(String, Vec<String>)> {
    let mut keys = Vec::new();
    let mut expression = expression;
    loop {
        match &expression.expr {
            Expr::Ident(name) => {
                keys.reverse();
                return Some((name.clone(), keys));
            }
            Expr::Select(select) if !select.test => {
                keys.push(select.field.clone());
                expression = &select.operand;
            }
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [of, index] = call.args.as_slice() else {
                    return None;
                };
                keys.push(literal_text(index)?);
                expression = of;
            }
            _ => return None,
        }
    }
}

fn network(text: &str) -> Result<Network, String> {
    text.parse().map(Network).map_err(|_| {
        format!(
            "`{}` is no network: write an address, a slash and the length of its prefix, like `192.0.2.0/24`",
            harmless(text)
        )
    })
}

fn unknown_field(fields: &Fields, name: &str) -> String {
    let of = if fields.name.is_empty() {
        "this"
    } else {
        &fields.name
    };
    let name = harmless(name);
    match nearest(&name, fields.fields.keys().map(String::as_str)) {
        Some(meant) => format!("{of} has no `{name}`; did you mean `{meant}`?"),
        None => format!("{of} has no `{name}`; it has: {}", names(fields)),
    }
}

fn names(fields: &Fields) -> String {
    let names: Vec<&str> = fields.fields.keys().map(String::as_str).collect();
    names.join(", ")
}

/// The word that was probably meant.
pub(crate) fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let known = known.into_iter();
    known
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(likeness, _)| *likeness >= 0.82)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, known)| known)
}
