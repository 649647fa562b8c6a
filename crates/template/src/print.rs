//! Go's `fmt`: `%v` of a value, the `printf` verbs, quoting and unquoting.

use std::fmt::Write as _;

use crate::Value;

/// A width or precision beyond this is refused, as in Go.
const MAX_WIDTH: usize = 1_000_000;

/// `fmt.Sprint` of one value as a template action prints it.
pub(crate) fn display(value: &Value, out: &mut String) {
    match value {
        Value::Nil => out.push_str("<no value>"),
        other => plain(other, out),
    }
}

/// `%v`
pub(crate) fn plain(value: &Value, out: &mut String) {
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(value) => _ = write!(out, "{value}"),
        Value::Int(value) => _ = write!(out, "{value}"),
        Value::Uint(value) => _ = write!(out, "{value}"),
        Value::Float(value) => out.push_str(&shortest(*value, 6)),
        Value::Number(text) | Value::Text(text) => out.push_str(text),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                plain(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (index, (key, item)) in map.entries.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                plain(item, out);
            }
            out.push(']');
        }
        Value::Struct(record) if record.nil => out.push_str("<nil>"),
        Value::Struct(record) => {
            out.push('{');
            for (index, field) in record.fields.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                plain(&field.value, out);
            }
            out.push('}');
        }
    }
}

/// Go's `%g` with the shortest digits; `limit` is the exponent from which it turns scientific.
fn shortest(value: f64, limit: i32) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}

/// Go's `strconv.Quote`.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => _ = write!(out, "\\x{:02x}", c as u32),
            c if c.is_control() || c == '\u{feff}' => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go's `strconv.Unquote` for `"…"`, `` `…` `` and `'…'`.
pub(crate) fn unquote(text: &str) -> Option<String> {
    let mark = text.chars().next()?;
    let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
    if mark == '`' {
        return Some(inner.replace('\r', ""));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let plain = if c == '\\' { escape(&mut chars, mark)? } else { Escape::Char(c) };
        match plain {
            Escape::Byte(byte) => bytes.push(byte),
            Escape::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    // a template never prints anything but text: broken bytes become the replacement character
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

enum Escape {
    Byte(u8),
    Char(char),
}

/// What follows a backslash.
fn escape(chars: &mut std::str::Chars<'_>, mark: char) -> Option<Escape> {
    let digits = |chars: &mut std::str::Chars<'_>, count: usize, radix: u32| {
        (0..count).try_fold(0u32, |value, _| Some(value * radix + chars.next()?.to_digit(radix)?))
    };
    let c = match chars.next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        'x' => return Some(Escape::Byte(u8::try_from(digits(chars, 2, 16)?).ok()?)),
        'u' => char::from_u32(digits(chars, 4, 16)?)?,
        'U' => char::from_u32(digits(chars, 8, 16)?)?,
        first @ '0'..='7' => {
            let value = first.to_digit(8)? * 64 + digits(chars, 2, 8)?;
            return Some(Escape::Byte(u8::try_from(value).ok()?));
        }
        c if c == mark => c,
        _ => return None,
    };
    Some(Escape::Char(c))
}

/// `printf`: the format and its operands.
pub(crate) fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut next = 0;
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(&flag) = chars.peek() {
            match flag {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                '0' => spec.zero = true,
                ' ' => spec.space = true,
                _ => break,
            }
            chars.next();
        }
        spec.width = count(&mut chars, args, &mut next).map(|width| {
            if width < 0 {
                spec.left = true;
            }
            (width.unsigned_abs() as usize).min(MAX_WIDTH)
        });
        if chars.peek() == Some(&'.') {
            chars.next();
            let digits = count(&mut chars, args, &mut next).unwrap_or(0);
            spec.precision = Some((digits.max(0) as usize).min(MAX_WIDTH));
        }
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        match args.get(next) {
            Some(value) => {
                next += 1;
                spec.write(verb, value, &mut out);
            }
            None => _ = write!(out, "%!{verb}(MISSING)"),
        }
    }
    if next < args.len() {
        out.push_str("%!(EXTRA ");
        for (index, value) in args[next..].iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            if matches!(value, Value::Nil) {
                out.push_str("<nil>");
            } else {
                out.push_str(value.kind());
                out.push('=');
                plain(value, &mut out);
            }
        }
        out.push(')');
    }
    out
}

fn count(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, args: &[Value], next: &mut usize) -> Option<i64> {
    if chars.peek() == Some(&'*') {
        chars.next();
        let value = match args.get(*next) {
            Some(Value::Int(value)) => Some(*value),
            _ => None,
        };
        *next += 1;
        return value;
    }
    let mut number: Option<i64> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(i64::from(digit)));
    }
    number
}

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    sharp: bool,
    zero: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Spec {
    fn write(&self, verb: char, value: &Value, out: &mut String) {
        let text = match (verb, value) {
            ('v', Value::List(_) | Value::Map(_) | Value::Struct(_) | Value::Nil | Value::Bool(_)) => {
                let mut text = String::new();
                plain(value, &mut text);
                text
            }
            ('T', _) => value.kind().to_owned(),
            ('t', Value::Bool(value)) => value.to_string(),
            ('s' | 'v', Value::Text(text) | Value::Number(text)) if !self.sharp => self.cut(text),
            ('v', Value::Text(text)) => quote(text),
            ('q', Value::Text(text) | Value::Number(text)) => {
                let cut = self.cut(text);
                if self.sharp && !cut.contains('`') { format!("`{cut}`") } else { quote(&cut) }
            }
            ('x' | 'X', Value::Text(text)) => {
                text.bytes().map(|b| if verb == 'x' { format!("{b:02x}") } else { format!("{b:02X}") }).collect()
            }
            ('d' | 'v', Value::Int(number)) => {
                return self.number(*number < 0, &number.unsigned_abs().to_string(), out);
            }
            ('d' | 'v', Value::Uint(number)) => return self.number(false, &number.to_string(), out),
            ('x' | 'X' | 'o' | 'b' | 'O', Value::Int(number)) => {
                return self.number(*number < 0, &self.radix(verb, number.unsigned_abs()), out);
            }
            ('x' | 'X' | 'o' | 'b' | 'O', Value::Uint(number)) => {
                return self.number(false, &self.radix(verb, *number), out);
            }
            ('c', Value::Int(number)) => char::from_u32(*number as u32).unwrap_or('\u{fffd}').to_string(),
            ('q', Value::Int(number)) => format!("'{}'", char::from_u32(*number as u32).unwrap_or('\u{fffd}')),
            ('U', Value::Int(number)) => format!("U+{number:04X}"),
            ('f' | 'F' | 'e' | 'E' | 'g' | 'G' | 'v', Value::Float(number)) => {
                return self.number(*number < 0.0, &self.float(verb, number.abs()), out);
            }
            ('s' | 'q' | 'd', Value::List(list)) => {
                out.push('[');
                for (index, item) in list.items.iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    self.write(verb, item, out);
                }
                out.push(']');
                return;
            }
            ('s' | 'q' | 'd', Value::Map(map)) => {
                out.push_str("map[");
                for (index, (key, item)) in map.entries.iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    self.write(verb, &Value::text(key), out);
                    out.push(':');
                    self.write(verb, item, out);
                }
                out.push(']');
                return;
            }
            (_, Value::Nil) => format!("%!{verb}(<nil>)"),
            _ => {
                let mut inner = String::new();
                plain(value, &mut inner);
                format!("%!{verb}({}={inner})", value.kind())
            }
        };
        self.pad(&text, self.zero && !self.left, out);
    }

    fn cut(&self, text: &str) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        }
    }

    fn radix(&self, verb: char, number: u64) -> String {
        match (verb, self.sharp) {
            ('x', false) => format!("{number:x}"),
            ('x', true) => format!("{number:#x}"),
            ('X', false) => format!("{number:X}"),
            ('X', true) => format!("0X{number:X}"),
            ('o', false) => format!("{number:o}"),
            ('o', true) => format!("0{number:o}"),
            ('O', _) => format!("0o{number:o}"),
            ('b', true) => format!("0b{number:b}"),
            _ => format!("{number:b}"),
        }
    }

    fn float(&self, verb: char, number: f64) -> String {
        let scientific = |precision: usize| {
            let text = format!("{number:.precision$e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        };
        match verb {
            'f' | 'F' => format!("{number:.*}", self.precision.unwrap_or(6)),
            'e' => scientific(self.precision.unwrap_or(6)),
            'E' => scientific(self.precision.unwrap_or(6)).to_uppercase(),
            _ => match self.precision {
                None => shortest(number, 6),
                Some(precision) => {
                    let digits = precision.max(1);
                    let rounded: f64 = format!("{number:.*e}", digits - 1).parse().unwrap_or(number);
                    shortest(rounded, i32::try_from(digits).unwrap_or(i32::MAX))
                }
            },
        }
    }

    fn number(&self, negative: bool, digits: &str, out: &mut String) {
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let mut digits = digits.to_owned();
        if self.zero
            && !self.left
            && let Some(width) = self.width
        {
            let missing = width.saturating_sub(sign.len() + digits.chars().count());
            digits.insert_str(0, &"0".repeat(missing));
        }
        self.pad(&format!("{sign}{digits}"), false, out);
    }

    fn pad(&self, text: &str, zero: bool, out: &mut String) {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let fill = if zero { "0" } else { " " };
        if !self.left {
            out.push_str(&fill.repeat(missing));
        }
        out.push_str(text);
        if self.left {
            out.push_str(&fill.repeat(missing));
        }
    }
}
