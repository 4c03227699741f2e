//! One expression: from its text to something that can be evaluated, or to what is wrong with it.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, SourceInfo};
use cel::common::value::CowVal;
use cel::parser::PrattParser;
use cel::{Context, ExecutionError, Value};

use crate::error::{Fault, harmless};
use crate::limits;

/// An expression that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Expression(IdedExpr);

impl Expression {
    pub(crate) fn new(checked: IdedExpr) -> Expression {
        Expression(checked)
    }

    /// What it is for the event that `context` shows.
    pub(crate) fn evaluate<'e, 'v>(
        &'e self,
        context: &'e Context<'_, 'v>,
    ) -> Result<CowVal<'e, 'v>, ExecutionError> {
        Value::resolve_val(&self.0, context)
    }
}

/// Reads an expression, no larger than the rest can bear.
pub(crate) fn parse(text: &str) -> Result<IdedExpr, Vec<Fault>> {
    let start = |message: String| vec![Fault { at: 0, message }];
    if text.len() > limits::EXPRESSION_BYTES {
        return Err(start(format!(
            "this expression has more than {} bytes: make several rules of it",
            limits::EXPRESSION_BYTES
        )));
    }
    if text.trim().is_empty() {
        return Err(start("an expression is missing here".to_owned()));
    }
    let read = parser().parse(text).map_err(|errors| {
        let faults = errors.errors.iter().map(|error| Fault {
            at: error
                .source_info
                .as_deref()
                .and_then(|places| places.offset_for(error.expr_id))
                .and_then(|(start, _)| usize::try_from(start).ok())
                .unwrap_or_default(),
            message: format!("this is no expression of CEL: {}", plain(&error.msg)),
        });
        faults.collect::<Vec<Fault>>()
    })?;
    if !fits(&read) {
        return Err(start(format!(
            "this expression is too large: it may have {} parts, {} deep",
            limits::EXPRESSION_NODES,
            limits::EXPRESSION_DEPTH
        )));
    }
    Ok(read)
}

fn parser() -> PrattParser {
    let depth = u16::try_from(limits::EXPRESSION_DEPTH).unwrap_or(u16::MAX);
    PrattParser::new()
        .max_recursion_depth(depth)
        .error_recovery_limit(8)
        .error_reporting_limit(8)
        .max_expression_node_count(2 * limits::EXPRESSION_NODES)
}

fn plain(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    harmless(&message.replace("<EOF>", "the end"))
}

/// Where the parts of an expression stand. The parser tells it with an error only, so one is put behind.
#[derive(Debug)]
pub(crate) struct Places(Option<std::sync::Arc<SourceInfo>>);

impl Places {
    pub(crate) fn of(text: &str) -> Places {
        let wrong = format!("{text}\n)");
        let places = parser().parse(&wrong).err().and_then(|errors| {
            errors
                .errors
                .into_iter()
                .find_map(|error| error.source_info)
        });
        Places(places)
    }

    /// The byte that the part with this number begins at.
    pub(crate) fn at(&self, id: u64) -> usize {
        self.0
            .as_deref()
            .and_then(|places| places.offset_for(id))
            .and_then(|(start, _)| usize::try_from(start).ok())
            .unwrap_or_default()
    }
}

/// Whether it is small enough to be walked by functions that call themselves.
fn fits(expression: &IdedExpr) -> bool {
    let mut parts = 0;
    let mut open = vec![(expression, 1)];
    while let Some((expression, depth)) = open.pop() {
        parts += 1;
        if parts > limits::EXPRESSION_NODES || depth > limits::EXPRESSION_DEPTH {
            return false;
        }
        let below = depth + 1;
        let mut push = |part| open.push((part, below));
        match &expression.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
            Expr::Call(call) => {
                call.target.as_deref().into_iter().for_each(&mut push);
                call.args.iter().for_each(push);
            }
            Expr::Comprehension(of) => [
                &of.iter_range,
                &of.accu_init,
                &of.loop_cond,
                &of.loop_step,
                &of.result,
            ]
            .into_iter()
            .for_each(push),
            Expr::List(list) => list.elements.iter().for_each(push),
            Expr::Select(select) => push(&select.operand),
            Expr::Map(map) => map.entries.iter().for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    push(&entry.key);
                    push(&entry.value);
                }
                EntryExpr::StructField(field) => push(&field.value),
            }),
            Expr::Struct(of) => of.entries.iter().for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    push(&entry.key);
                    push(&entry.value);
                }
                EntryExpr::StructField(field) => push(&field.value),
            }),
        }
    }
    true
}
