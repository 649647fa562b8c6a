//! Documents of the API as the Go types that templates see: field names, their order, what is left out when empty.
//!
//! A type is a line `= name`; each following line is a field: `GoName json kind [omit]`. Kinds: `s` string, `i` int,
//! `u` unsigned, `b` bool, `f` float, `pair` two
//! unsigned, `t` time, `a` anything, `[]K` slice, `{}K` map, `Name` struct, `*Name` pointer to one;
//! a field called `+` is an embedded struct.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;
use wharf_template::{Field, List, Map, Struct, Value};

const TYPES: &str = include_str!("types.txt");

/// `document` as the Go type `kind`.
pub(crate) fn typed(kind: &'static str, document: &Json) -> Value {
    let types = parse();
    structure(&types, kind, document, false)
}

type Types = BTreeMap<&'static str, Vec<(&'static str, &'static str, &'static str, bool)>>;

fn parse() -> Types {
    let mut types = Types::new();
    let mut current = "";
    for line in TYPES.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("=") => {
                current = words.next().unwrap_or_default();
                types.insert(current, Vec::new());
            }
            Some(name) if !name.starts_with('#') => {
                let (json, kind) = match name {
                    "+" => ("", words.next().unwrap_or_default()),
                    _ => (words.next().unwrap_or_default(), words.next().unwrap_or_default()),
                };
                let omit = words.next() == Some("omit");
                types.entry(current).or_default().push((name, json, kind, omit));
            }
            _ => {}
        }
    }
    types
}

fn structure(types: &Types, label: &'static str, document: &Json, pointer: bool) -> Value {
    let nil = pointer && document.is_null();
    let kind = label.trim_start_matches('*');
    let fields = types.get(kind).into_iter().flatten().map(|&(name, json, kind, omit_empty)| {
        if name == "+" {
            let value = structure(types, kind, document, false);
            return Field { name: kind, json: "", omit_empty: false, embedded: true, value };
        }
        let value = convert(types, kind, document.get(json).unwrap_or(&Json::Null));
        Field { name, json, omit_empty, embedded: false, value }
    });
    let fields = if nil { Vec::new() } else { fields.collect() };
    Value::Struct(Rc::new(Struct { kind: label, nil, escaped: false, fields }))
}

fn convert(types: &Types, kind: &'static str, json: &Json) -> Value {
    if let Some(item) = kind.strip_prefix("[]") {
        let items =
            json.as_array().map_or(Vec::new(), |items| items.iter().map(|one| convert(types, item, one)).collect());
        let name = if item == "s" { "[]string" } else { "[]interface {}" };
        return Value::List(Rc::new(List { kind: name, nil: json.is_null(), items }));
    }
    if let Some(item) = kind.strip_prefix("{}") {
        let entries = json.as_object().map_or(BTreeMap::new(), |entries| {
            entries.iter().map(|(key, one)| (key.clone(), convert(types, item, one))).collect()
        });
        let name = if item == "s" { "map[string]string" } else { "map[string]interface {}" };
        let zero = if item == "s" { Value::text("") } else { Value::Nil };
        return Value::Map(Rc::new(Map { kind: name, nil: json.is_null(), zero, entries }));
    }
    match kind {
        "s" => Value::text(json.as_str().unwrap_or_default()),
        "i" => Value::Int(json.as_i64().unwrap_or(0)),
        "u" => Value::Uint(json.as_u64().unwrap_or(0)),
        "b" => Value::Bool(json.as_bool().unwrap_or(false)),
        "f" => Value::Float(json.as_f64().unwrap_or(0.0)),
        // a pointer to something simple: nothing, or the thing
        "?i" => json.as_i64().map_or(Value::Nil, Value::Int),
        "?b" => json.as_bool().map_or(Value::Nil, Value::Bool),
        "t" => Value::text(json.as_str().unwrap_or("0001-01-01T00:00:00Z")),
        "a" => Value::from_json_floats(json),
        // `[2]uint`: an array is never nil
        "pair" => {
            let at = |index: usize| Value::Uint(json.get(index).and_then(Json::as_u64).unwrap_or(0));
            Value::list("[2]uint", vec![at(0), at(1)])
        }
        name => structure(types, name, json, name.starts_with('*')),
    }
}

/// An RFC 3339 moment as Go's `time.Time.String` shows it.
pub(crate) fn go_time(text: &str) -> String {
    let Some((date, rest)) = text.split_once('T') else { return text.to_owned() };
    match rest.strip_suffix('Z') {
        Some(time) => format!("{date} {time} +0000 UTC"),
        None => match rest.rfind(['+', '-']) {
            Some(at) => {
                let zone = rest[at..].replace(':', "");
                format!("{date} {} {zone} {zone}", &rest[..at])
            }
            None => text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_a_field_names_exists() {
        let types = parse();
        for (owner, fields) in &types {
            for (_, _, kind, _) in fields {
                let base = kind
                    .trim_start_matches("[]")
                    .trim_start_matches("{}")
                    .trim_start_matches("[]")
                    .trim_start_matches('*');
                let simple = ["s", "i", "u", "b", "f", "t", "a", "pair", "?i", "?b"].contains(&base);
                assert!(simple || types.contains_key(base), "{owner}: {kind}");
            }
        }
    }
}
