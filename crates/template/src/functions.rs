//! The functions a template can call: Go's own and docker's.

use crate::{Functions, Value, escape, json, print};

/// Why a call went wrong, as Go tells the cases apart.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Wrong number or type of arguments, named at the function.
    Use(String),
    /// The argument with this index has the wrong type, named at the argument.
    Argument(usize, String),
    /// The function itself reports an error.
    Call(String),
}

impl Problem {
    pub(crate) fn into_sentence(self, name: &str) -> String {
        match self {
            Self::Use(text) | Self::Argument(_, text) => text,
            Self::Call(text) => format!("error calling {name}: {text}"),
        }
    }
}

const GO: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print", "printf",
    "println", "slice", "urlquery",
];
const DOCKER: [&str; 8] = ["join", "json", "lower", "pad", "split", "title", "truncate", "upper"];

/// Whether a template may name this function.
pub(crate) fn known(set: Functions, name: &str) -> bool {
    GO.contains(&name) || set != Functions::Go && DOCKER.contains(&name)
}

fn exactly(name: &str, args: &[Value], count: usize) -> Result<(), Problem> {
    if args.len() == count {
        return Ok(());
    }
    Err(Problem::Use(format!("wrong number of args for {name}: want {count} got {}", args.len())))
}

fn at_least(name: &str, args: &[Value], count: usize) -> Result<(), Problem> {
    if args.len() >= count {
        return Ok(());
    }
    Err(Problem::Use(format!("wrong number of args for {name}: want at least {count} got {}", args.len())))
}

fn text(args: &[Value], index: usize) -> Result<&str, Problem> {
    match &args[index] {
        Value::Text(text) => Ok(text),
        Value::Nil => Err(Problem::Argument(index, "invalid value; expected string".into())),
        other => {
            let kind = other.kind();
            Err(Problem::Argument(index, format!("wrong type for value; expected string; got {kind}")))
        }
    }
}

fn integer(args: &[Value], index: usize) -> Result<i64, Problem> {
    match &args[index] {
        Value::Int(value) => Ok(*value),
        other => {
            let kind = other.kind();
            Err(Problem::Argument(index, format!("wrong type for value; expected int; got {kind}")))
        }
    }
}

/// Calls a function (`and` and `or` are the executor's).
pub(crate) fn call(set: Functions, name: &str, args: &[Value]) -> Result<Value, Problem> {
    if set == Functions::Header && DOCKER.contains(&name) && name != "pad" {
        return header(name, args);
    }
    Ok(match name {
        "not" => {
            exactly(name, args, 1)?;
            Value::Bool(!args[0].truth())
        }
        "len" => {
            exactly(name, args, 1)?;
            Value::Int(length(&args[0])?)
        }
        "index" => {
            at_least(name, args, 1)?;
            index(args)?
        }
        "slice" => {
            at_least(name, args, 1)?;
            slice(args)?
        }
        "print" => Value::text(sprint(args)),
        "println" => Value::text(sprintln(args)),
        "printf" => {
            at_least(name, args, 1)?;
            Value::text(print::printf(text(args, 0)?, &args[1..]))
        }
        "html" => Value::text(escape::html(&all(args))),
        "js" => Value::text(escape::js(&all(args))),
        "urlquery" => Value::text(escape::query(&all(args))),
        "call" => return Err(Problem::Call("call of nil".into())),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => Value::Bool(compare(name, args)?),
        "json" => {
            exactly(name, args, 1)?;
            let mut out = String::new();
            json::encode(&args[0], &mut out);
            Value::text(out)
        }
        "split" => {
            exactly(name, args, 2)?;
            let (subject, separator) = (text(args, 0)?, text(args, 1)?);
            if separator.is_empty() {
                return Ok(Value::strings(subject.chars().map(String::from)));
            }
            Value::strings(subject.split(separator))
        }
        "join" => {
            exactly(name, args, 2)?;
            let Value::List(list) = &args[0] else {
                let message = format!("wrong type for value; expected []string; got {}", args[0].kind());
                return Err(Problem::Argument(0, message));
            };
            if list.kind != "[]string" {
                let message = format!("wrong type for value; expected []string; got {}", list.kind);
                return Err(Problem::Argument(0, message));
            }
            let items: Vec<&str> = list.items.iter().filter_map(Value::as_text).collect();
            Value::text(items.join(text(args, 1)?))
        }
        "title" => {
            exactly(name, args, 1)?;
            Value::text(title(text(args, 0)?))
        }
        "lower" => {
            exactly(name, args, 1)?;
            Value::text(text(args, 0)?.to_lowercase())
        }
        "upper" => {
            exactly(name, args, 1)?;
            Value::text(text(args, 0)?.to_uppercase())
        }
        "pad" => {
            exactly(name, args, 3)?;
            let subject = text(args, 0)?;
            if subject.is_empty() {
                return Ok(Value::text(""));
            }
            let blank = |count: i64| " ".repeat(count.clamp(0, 1_000_000) as usize);
            Value::text(format!("{}{subject}{}", blank(integer(args, 1)?), blank(integer(args, 2)?)))
        }
        "truncate" => {
            exactly(name, args, 2)?;
            let length = integer(args, 1)?.max(0) as usize;
            Value::text(text(args, 0)?.chars().take(length).collect::<String>())
        }
        _ => return Err(Problem::Use(format!("{} is not a defined function", print::quote(name)))),
    })
}

/// In a heading docker's functions leave the column's name alone.
fn header(name: &str, args: &[Value]) -> Result<Value, Problem> {
    let count = if matches!(name, "split" | "join" | "truncate") { 2 } else { 1 };
    exactly(name, args, count)?;
    text(args, 0).map(Value::text)
}

/// `strings.Title`: the first letter of each word.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    for c in text.chars() {
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        start = !(c.is_alphanumeric() || c == '_' || c == '\'');
    }
    out
}

fn length(value: &Value) -> Result<i64, Problem> {
    Ok(match value {
        Value::Text(text) | Value::Number(text) => text.len() as i64,
        Value::List(list) => list.items.len() as i64,
        Value::Map(map) => map.entries.len() as i64,
        Value::Nil => return Err(Problem::Call("len of nil pointer".into())),
        other => return Err(Problem::Call(format!("len of type {}", other.kind()))),
    })
}

fn position(value: &Value, limit: usize) -> Result<usize, Problem> {
    let at = match value {
        Value::Int(at) => *at,
        Value::Uint(at) => i64::try_from(*at).unwrap_or(i64::MAX),
        Value::Nil => return Err(Problem::Call("cannot index slice/array with nil".into())),
        other => {
            return Err(Problem::Call(format!("cannot index slice/array with type {}", other.kind())));
        }
    };
    match usize::try_from(at) {
        Ok(index) if index < limit => Ok(index),
        _ => Err(Problem::Call(format!("index out of range: {at}"))),
    }
}

fn index(args: &[Value]) -> Result<Value, Problem> {
    let mut value = args[0].clone();
    if matches!(value, Value::Nil) {
        return Err(Problem::Call("index of untyped nil".into()));
    }
    for key in &args[1..] {
        value = match &value {
            Value::List(list) => list.items[position(key, list.items.len())?].clone(),
            Value::Text(text) => Value::Uint(u64::from(text.as_bytes()[position(key, text.len())?])),
            Value::Map(map) => match key {
                Value::Text(key) => map.entries.get(&**key).cloned().unwrap_or_else(|| map.zero.clone()),
                Value::Nil => return Err(Problem::Call("value is nil; should be of type string".into())),
                other => {
                    let kind = other.kind();
                    return Err(Problem::Call(format!("value has type {kind}; should be string")));
                }
            },
            Value::Nil => return Err(Problem::Call("index of nil pointer".into())),
            other => return Err(Problem::Call(format!("can't index item of type {}", other.kind()))),
        };
    }
    Ok(value)
}

fn slice(args: &[Value]) -> Result<Value, Problem> {
    let limit = match &args[0] {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Nil => return Err(Problem::Call("slice of untyped nil".into())),
        other => return Err(Problem::Call(format!("can't slice item of type {}", other.kind()))),
    };
    if args.len() > 4 {
        return Err(Problem::Call(format!("too many slice indexes: {}", args.len() - 1)));
    }
    if args.len() == 4 && matches!(args[0], Value::Text(_)) {
        return Err(Problem::Call("cannot 3-index slice a string".into()));
    }
    let bound = |at: usize, default: usize| match args.get(at) {
        Some(value) => position(value, limit + 1),
        None => Ok(default),
    };
    let (from, to) = (bound(1, 0)?, bound(2, limit)?);
    if from > to {
        return Err(Problem::Call(format!("invalid slice index: {from} > {to}")));
    }
    Ok(match &args[0] {
        Value::Text(text) => Value::text(String::from_utf8_lossy(&text.as_bytes()[from..to])),
        Value::List(list) => Value::list(list.kind, list.items[from..to].to_vec()),
        other => other.clone(),
    })
}

/// `fmt.Sprint`: a blank between operands when neither is a string.
fn sprint(args: &[Value]) -> String {
    let mut out = String::new();
    for (at, arg) in args.iter().enumerate() {
        let string = |value: &Value| matches!(value, Value::Text(_));
        if at > 0 && !string(arg) && !string(&args[at - 1]) {
            out.push(' ');
        }
        print::plain(arg, &mut out);
    }
    out
}

fn sprintln(args: &[Value]) -> String {
    let mut out = String::new();
    for (at, arg) in args.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        print::plain(arg, &mut out);
    }
    out.push('\n');
    out
}

fn all(args: &[Value]) -> String {
    match args {
        [Value::Text(only)] => only.to_string(),
        [Value::Nil] => "<no value>".into(),
        args => sprint(args),
    }
}

#[derive(PartialEq, PartialOrd)]
enum Basic<'a> {
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'a str),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(value) => Basic::Bool(*value),
        Value::Int(value) => Basic::Int(i128::from(*value)),
        Value::Uint(value) => Basic::Int(i128::from(*value)),
        Value::Float(value) => Basic::Float(*value),
        Value::Text(text) | Value::Number(text) => Basic::Text(text),
        _ => return None,
    })
}

fn compare(name: &str, args: &[Value]) -> Result<bool, Problem> {
    const INCOMPATIBLE: &str = "incompatible types for comparison";
    const INVALID: &str = "invalid type for comparison";
    if name == "eq" {
        at_least(name, args, 1)?;
        if args.len() == 1 {
            return Err(Problem::Call("missing argument for comparison".into()));
        }
    } else {
        exactly(name, args, 2)?;
    }
    let equal = |a: &Value, b: &Value| match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Struct(a), Value::Struct(b)) => Ok(a == b),
        _ => match (basic(a), basic(b)) {
            (Some(a), Some(b)) if std::mem::discriminant(&a) == std::mem::discriminant(&b) => Ok(a == b),
            (Some(_), Some(_)) => Err(Problem::Call(INCOMPATIBLE.into())),
            _ => {
                let bad = if basic(a).is_none() { a } else { b };
                Err(Problem::Call(format!("non-comparable type {}: {}", describe(bad), bad.kind())))
            }
        },
    };
    if name == "eq" {
        for other in &args[1..] {
            if equal(&args[0], other)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    if name == "ne" {
        return Ok(!equal(&args[0], &args[1])?);
    }
    let (Some(a), Some(b)) = (basic(&args[0]), basic(&args[1])) else {
        return Err(Problem::Call(INVALID.into()));
    };
    if std::mem::discriminant(&a) != std::mem::discriminant(&b) {
        return Err(Problem::Call(INCOMPATIBLE.into()));
    }
    if matches!(a, Basic::Bool(_)) {
        return Err(Problem::Call(INVALID.into()));
    }
    Ok(match name {
        "lt" => a < b,
        "le" => a <= b,
        "gt" => a > b,
        _ => a >= b,
    })
}

fn describe(value: &Value) -> String {
    let mut out = String::new();
    print::plain(value, &mut out);
    out
}
