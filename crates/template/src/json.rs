//! Values to JSON as Go's encoder writes them (field order of structs, sorted maps, no HTML escapes).

use std::fmt::Write as _;

use crate::Value;

/// Appends `value` as JSON.
pub(crate) fn encode(value: &Value, out: &mut String) {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => _ = write!(out, "{value}"),
        Value::Uint(value) => _ = write!(out, "{value}"),
        Value::Float(value) => out.push_str(&float(*value)),
        Value::Number(text) => out.push_str(if text.is_empty() { "0" } else { text }),
        Value::Text(text) => string(text, out),
        Value::List(list) if list.nil => out.push_str("null"),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                encode(item, out);
            }
            out.push(']');
        }
        Value::Map(map) if map.nil => out.push_str("null"),
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(key, out);
                out.push(':');
                encode(item, out);
            }
            out.push('}');
        }
        Value::Struct(record) if record.nil => out.push_str("null"),
        Value::Struct(record) => {
            let start = out.len();
            out.push('{');
            let mut first = true;
            fields(record, out, &mut first);
            out.push('}');
            if record.escaped {
                // these letters stand only inside strings
                let text = out.split_off(start);
                out.push_str(&text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"));
            }
        }
    }
}

fn fields(record: &crate::Struct, out: &mut String, first: &mut bool) {
    for field in &record.fields {
        if field.embedded {
            if let Value::Struct(inner) = &field.value {
                fields(inner, out, first);
            }
            continue;
        }
        if field.json.is_empty() || field.omit_empty && field.value.is_empty() {
            continue;
        }
        if !std::mem::take(first) {
            out.push(',');
        }
        string(field.json, out);
        out.push(':');
        encode(&field.value, out);
    }
}

/// A JSON string as Go writes it without HTML escapes.
fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{2028}' | '\u{2029}' => _ = write!(out, "\\u{:04x}", c as u32),
            c if (c as u32) < 0x20 => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A float as `encoding/json` writes it.
fn float(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
        _ => text,
    }
}
