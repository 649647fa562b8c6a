//! The parsed form of a template, and how Go prints each node in an error message.

use std::fmt::{self, Display, Formatter, Write as _};

/// A sequence of nodes.
pub(crate) type List = Vec<Node>;

/// One step of a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    Range(Branch),
    With(Branch),
    Template { pos: usize, name: String, pipe: Option<Pipe> },
    Break,
    Continue,
}

/// The parts that `if`, `range` and `with` share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) then: List,
    pub(crate) otherwise: Option<List>,
}

/// A pipeline: commands joined by `|`, perhaps stored in variables.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    /// Names with their `$`.
    pub(crate) variables: Vec<String>,
    /// `=` instead of `:=`.
    pub(crate) assign: bool,
    pub(crate) commands: Vec<Command>,
}

/// One command: an operand, or a function or method with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Operand>,
}

/// An operand with its byte offset in the source.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operand {
    pub(crate) pos: usize,
    pub(crate) kind: Kind,
}

/// What an operand is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Dot,
    Nil,
    Bool(bool),
    Number { text: String, value: Number },
    Text { quoted: String, value: String },
    Field(Vec<String>),
    Variable(Vec<String>),
    Function(String),
    Chain(Box<Operand>, Vec<String>),
    Pipe(Pipe),
}

/// An untyped constant: what it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Uint(u64),
    Float(f64),
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Dot => f.write_char('.'),
            Kind::Nil => f.write_str("nil"),
            Kind::Bool(value) => write!(f, "{value}"),
            Kind::Number { text, .. } => f.write_str(text),
            Kind::Text { quoted, .. } => f.write_str(quoted),
            Kind::Field(names) => names.iter().try_for_each(|name| write!(f, ".{name}")),
            Kind::Variable(names) => f.write_str(&names.join(".")),
            Kind::Function(name) => f.write_str(name),
            Kind::Chain(base, names) => {
                if matches!(base.kind, Kind::Pipe(_)) {
                    write!(f, "({base})")?;
                } else {
                    write!(f, "{base}")?;
                }
                names.iter().try_for_each(|name| write!(f, ".{name}"))
            }
            Kind::Pipe(pipe) => write!(f, "{pipe}"),
        }
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            if matches!(arg.kind, Kind::Pipe(_)) {
                write!(f, "({arg})")?;
            } else {
                write!(f, "{arg}")?;
            }
        }
        Ok(())
    }
}

impl Display for Pipe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            f.write_str(&self.variables.join(", "))?;
            f.write_str(if self.assign { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}
