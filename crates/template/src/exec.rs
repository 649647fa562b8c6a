//! Runs a parsed template over a value, with Go's run-time errors.

use crate::ast::{Branch, Command, Kind, Node, Number, Operand, Pipe};
use crate::parse::Set;
use crate::{Error, Functions, Value, functions, print};

/// Nested `{{template}}` calls allowed.
const MAX_CALLS: usize = 100;

/// What is going on: the template set, where we are, and the variables.
pub(crate) struct Run<'a> {
    pub(crate) set: &'a Set,
    pub(crate) name: &'a str,
    pub(crate) source: &'a str,
    pub(crate) functions: Functions,
    /// A missing map key is an error (`missingkey=error`).
    pub(crate) strict: bool,
    variables: Vec<(String, Value)>,
    calls: usize,
}

/// How a list of nodes ended.
enum Flow {
    Next,
    Break,
    Continue,
}

/// Where an error happened: a byte offset and the node as Go prints it.
pub(crate) struct Place<'a> {
    pos: usize,
    node: &'a dyn std::fmt::Display,
}

impl<'a> Run<'a> {
    pub(crate) fn new(set: &'a Set, name: &'a str, source: &'a str, functions: Functions, strict: bool) -> Self {
        Self { set, name, source, functions, strict, variables: Vec::new(), calls: 0 }
    }

    pub(crate) fn run(&mut self, data: &Value, out: &mut String) -> Result<(), Error> {
        let Some(list) = self.set.get(self.name) else {
            return Err(Error::Execute(format!(
                "template: {}: {} is an incomplete or empty template",
                self.name,
                print::quote(self.name)
            )));
        };
        self.variables.push(("$".into(), data.clone()));
        self.list(list, data, out).map(drop)
    }

    fn fail<T>(&self, place: &Place<'_>, message: impl std::fmt::Display) -> Result<T, Error> {
        let before = &self.source[..place.pos.min(self.source.len())];
        let line = 1 + before.matches('\n').count();
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        let mut context = place.node.to_string();
        if context.chars().count() > 20 {
            context = context.chars().take(20).collect::<String>() + "...";
        }
        let name = self.name;
        Err(Error::Execute(format!(
            "template: {name}:{line}:{column}: executing {} at <{context}>: {message}",
            print::quote(name)
        )))
    }

    fn list(&mut self, list: &'a [Node], dot: &Value, out: &mut String) -> Result<Flow, Error> {
        for node in list {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Action(pipe) => {
                    let value = self.pipe(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        print::display(&value, out);
                    }
                }
                Node::If(branch) | Node::With(branch) => {
                    let scope = self.variables.len();
                    let flow = self.branch(branch, matches!(node, Node::With(_)), dot, out)?;
                    self.variables.truncate(scope);
                    if !matches!(flow, Flow::Next) {
                        return Ok(flow);
                    }
                }
                Node::Range(branch) => {
                    let scope = self.variables.len();
                    let flow = self.range(branch, dot, out)?;
                    self.variables.truncate(scope);
                    if !matches!(flow, Flow::Next) {
                        return Ok(flow);
                    }
                }
                Node::Template { pos, name, pipe } => self.call(*pos, name, pipe.as_ref(), dot, out)?,
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            }
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, branch: &'a Branch, with: bool, dot: &Value, out: &mut String) -> Result<Flow, Error> {
        let value = self.pipe(dot, &branch.pipe)?;
        if value.truth() {
            self.list(&branch.then, if with { &value } else { dot }, out)
        } else if let Some(otherwise) = &branch.otherwise {
            self.list(otherwise, dot, out)
        } else {
            Ok(Flow::Next)
        }
    }

    fn range(&mut self, branch: &'a Branch, dot: &Value, out: &mut String) -> Result<Flow, Error> {
        let scope = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let declared = &branch.pipe.variables;
        // Go speaks of the operand that it evaluated last
        let place = match branch.pipe.commands.last().and_then(|command| command.args.first()) {
            Some(operand) => Place { pos: operand.pos, node: operand },
            None => Place { pos: branch.pipe.pos, node: &branch.pipe },
        };
        let items: Vec<(Value, Value)> = match &value {
            Value::Nil => Vec::new(),
            Value::List(list) => {
                list.items.iter().enumerate().map(|(index, item)| (Value::Int(index as i64), item.clone())).collect()
            }
            Value::Map(map) => map.entries.iter().map(|(key, item)| (Value::text(key), item.clone())).collect(),
            Value::Int(count) => {
                (0..(*count).clamp(0, 10_000_000)).map(|index| (Value::Int(index), Value::Int(index))).collect()
            }
            other => {
                let mut text = String::new();
                print::plain(other, &mut text);
                return self.fail(&place, format!("range can't iterate over {text}"));
            }
        };
        if items.is_empty() {
            if let Some(otherwise) = &branch.otherwise {
                return self.list(otherwise, dot, out);
            }
            return Ok(Flow::Next);
        }
        for (key, item) in items {
            match declared.as_slice() {
                [only] => self.set_variable(only, if matches!(value, Value::Int(_)) { key } else { item.clone() }),
                [first, second] => {
                    self.set_variable(first, key);
                    self.set_variable(second, item.clone());
                }
                _ => {}
            }
            let inner = self.variables.len();
            let flow = self.list(&branch.then, &item, out)?;
            self.variables.truncate(inner);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(Flow::Next)
    }

    fn call(
        &mut self,
        pos: usize,
        name: &'a str,
        pipe: Option<&'a Pipe>,
        dot: &Value,
        out: &mut String,
    ) -> Result<(), Error> {
        let node =
            format!("{{{{template {}{}}}}}", print::quote(name), pipe.map_or(String::new(), |pipe| format!(" {pipe}")));
        let place = Place { pos, node: &node };
        let set = self.set;
        let Some(list) = set.get(name) else {
            return self.fail(&place, format!("template {} not defined", print::quote(name)));
        };
        if self.calls >= MAX_CALLS {
            return self.fail(&place, format!("exceeded maximum template depth ({MAX_CALLS})"));
        }
        let data = match pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Nil,
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$".into(), data.clone())]);
        let outer_name = std::mem::replace(&mut self.name, name);
        self.calls += 1;
        let result = self.list(list, &data, out);
        self.calls -= 1;
        self.name = outer_name;
        self.variables = outer;
        result.map(drop)
    }

    fn set_variable(&mut self, name: &str, value: Value) {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some(slot) => slot.1 = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipe(&mut self, dot: &Value, pipe: &'a Pipe) -> Result<Value, Error> {
        let mut value: Option<Value> = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or_default();
        for name in &pipe.variables {
            if pipe.assign {
                self.set_variable(name, value.clone());
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Value, command: &'a Command, last: Option<Value>) -> Result<Value, Error> {
        let first = &command.args[0];
        let place = Place { pos: first.pos, node: first };
        if let Kind::Function(name) = &first.kind {
            return self.function(dot, name, first, command, last);
        }
        if command.args.len() > 1 || last.is_some() {
            match &first.kind {
                Kind::Field(names) | Kind::Chain(_, names) => {
                    let value = self.operand(dot, first)?;
                    let name = names.last().map_or("", String::as_str);
                    if let Value::Map(map) = &value
                        && map.kind == crate::LOOKUP
                    {
                        let mut args = command.args[1..]
                            .iter()
                            .map(|arg| self.operand(dot, arg))
                            .collect::<Result<Vec<_>, _>>()?;
                        args.extend(last);
                        if args.len() != 1 {
                            return self
                                .fail(&place, format!("wrong number of args for {name}: want 1 got {}", args.len()));
                        }
                        let found = args[0].as_text().and_then(|key| map.entries.get(key));
                        return Ok(found.cloned().unwrap_or_else(|| map.zero.clone()));
                    }
                    return self.fail(&place, format!("{name} has arguments but cannot be invoked as function"));
                }
                Kind::Variable(_) => {
                    let node = first.to_string();
                    return self.fail(&place, format!("can't give argument to non-function {node}"));
                }
                _ => return self.fail(&place, format!("can't give argument to non-function {first}")),
            }
        }
        if matches!(first.kind, Kind::Nil) {
            return self.fail(&place, "nil is not a command");
        }
        self.operand(dot, first)
    }

    fn operand(&mut self, dot: &Value, operand: &'a Operand) -> Result<Value, Error> {
        let place = Place { pos: operand.pos, node: operand };
        Ok(match &operand.kind {
            Kind::Dot => dot.clone(),
            Kind::Nil => Value::Nil,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number { value, .. } => match value {
                Number::Int(value) => Value::Int(*value),
                Number::Uint(value) => return self.fail(&place, format!("{value} overflows int")),
                Number::Float(value) => Value::Float(*value),
            },
            Kind::Text { value, .. } => Value::text(value),
            Kind::Field(names) => self.fields(dot.clone(), names, &place)?,
            Kind::Variable(names) => {
                let value = self.variables.iter().rev().find(|(name, _)| *name == names[0]);
                let value = value.map(|(_, value)| value.clone()).unwrap_or_default();
                self.fields(value, &names[1..], &place)?
            }
            Kind::Chain(base, names) => {
                let value = self.operand(dot, base)?;
                self.fields(value, names, &place)?
            }
            Kind::Function(name) => {
                let error = |run: &Self, message: String| run.fail::<Value>(&place, message);
                match functions::call(self.functions, name, &[]) {
                    Ok(value) => value,
                    Err(message) => return error(self, message.into_sentence(name)),
                }
            }
            Kind::Pipe(pipe) => self.pipe(dot, pipe)?,
        })
    }

    fn fields(&self, mut value: Value, names: &[String], place: &Place<'_>) -> Result<Value, Error> {
        // what comes out of a map or slice of anything is, to Go, an `interface {}`
        let mut anything = false;
        for name in names {
            let plain = !matches!(value, Value::Map(_) | Value::Struct(_) | Value::Nil);
            if anything && plain {
                return self.fail(place, format!("can't evaluate field {name} in type interface {{}}"));
            }
            let next = self.field(&value, name, place)?;
            anything = matches!(&value, Value::Map(map) if map.kind == "map[string]interface {}");
            value = next;
        }
        Ok(value)
    }

    fn field(&self, value: &Value, name: &str, place: &Place<'_>) -> Result<Value, Error> {
        match value {
            Value::Nil if self.strict => self.fail(place, format!("nil data; no entry for key {}", print::quote(name))),
            Value::Nil => self.fail(place, format!("nil pointer evaluating interface {{}}.{name}")),
            Value::Struct(record) if record.nil => {
                self.fail(place, format!("nil pointer evaluating {}.{name}", record.kind))
            }
            Value::Struct(record) => match record.field(name) {
                Some(found) => Ok(found.clone()),
                None => self.fail(place, format!("can't evaluate field {name} in type {}", record.kind)),
            },
            Value::Map(map) => match map.entries.get(name) {
                Some(found) => Ok(found.clone()),
                None if self.strict => self.fail(place, format!("map has no entry for key {}", print::quote(name))),
                None => Ok(Value::Nil),
            },
            other => self.fail(place, format!("can't evaluate field {name} in type {}", other.kind())),
        }
    }

    fn function(
        &mut self,
        dot: &Value,
        name: &str,
        first: &'a Operand,
        command: &'a Command,
        last: Option<Value>,
    ) -> Result<Value, Error> {
        // these two stop at the first argument that decides
        if matches!(name, "and" | "or") {
            let place = Place { pos: first.pos, node: first };
            let mut value = None;
            for arg in &command.args[1..] {
                let current = self.operand(dot, arg)?;
                let stop = current.truth() == (name == "or");
                value = Some(current);
                if stop {
                    return Ok(value.unwrap_or_default());
                }
            }
            return match last.or(value) {
                Some(value) => Ok(value),
                None => self.fail(&place, format!("wrong number of args for {name}: want at least 1 got 0")),
            };
        }
        let mut args = Vec::with_capacity(command.args.len());
        for arg in &command.args[1..] {
            args.push(self.operand(dot, arg)?);
        }
        args.extend(last);
        if name == "call"
            && let (Some(arg), Some(operand)) = (args.first(), command.args.get(1))
        {
            let place = Place { pos: command.pos, node: command };
            let kind = arg.kind();
            return self.fail(&place, format!("error calling call: non-function {operand} of type {kind}"));
        }
        match functions::call(self.functions, name, &args) {
            Ok(value) => Ok(value),
            Err(error @ functions::Problem::Call(_)) => {
                let place = Place { pos: command.pos, node: command };
                self.fail(&place, error.into_sentence(name))
            }
            Err(functions::Problem::Argument(index, message)) if index + 1 < command.args.len() => {
                let arg = &command.args[index + 1];
                let constant = matches!(arg.kind, Kind::Number { .. } | Kind::Bool(_) | Kind::Text { .. });
                let message = match message.strip_prefix("wrong type for value; expected ") {
                    Some(rest) if constant && rest.starts_with("string") => format!("expected string; found {arg}"),
                    Some(rest) if constant && rest.starts_with("int") => format!("expected integer; found {arg}"),
                    _ => message,
                };
                self.fail(&Place { pos: arg.pos, node: arg }, message)
            }
            Err(error) => {
                let place = Place { pos: first.pos, node: first };
                self.fail(&place, error.into_sentence(name))
            }
        }
    }
}
