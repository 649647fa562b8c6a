//! The data a template sees: Go's kinds as far as docker's types use them.

use std::collections::BTreeMap;
use std::rc::Rc;

/// A Go value. Cloning is cheap (shared).
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// No value at all (a nil interface).
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// Any signed integer type.
    Int(i64),
    /// Any unsigned integer type.
    Uint(u64),
    /// `float64`
    Float(f64),
    /// `json.Number`: a string that prints and encodes as the digits it was read from.
    Number(Rc<str>),
    /// `string`
    Text(Rc<str>),
    /// A slice.
    List(Rc<List>),
    /// A map with string keys.
    Map(Rc<Map>),
    /// A struct (or a pointer to one), or a type whose methods stand for fields.
    Struct(Rc<Struct>),
}

/// A slice with the name of its Go type.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// For instance `[]string`.
    pub kind: &'static str,
    /// A nil slice encodes as `null`.
    pub nil: bool,
    /// The elements.
    pub items: Vec<Value>,
}

/// A map with string keys and the name of its Go type.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// For instance `map[string]string`.
    pub kind: &'static str,
    /// A nil map encodes as `null`.
    pub nil: bool,
    /// What `index` gives for a missing key.
    pub zero: Value,
    /// The entries, in Go's printing order.
    pub entries: BTreeMap<String, Value>,
}

/// A struct: fields in declaration order.
#[derive(Debug, Clone, PartialEq)]
pub struct Struct {
    /// The Go type as errors name it, for instance `*formatter.ContainerContext`.
    pub kind: &'static str,
    /// A nil pointer to the type.
    pub nil: bool,
    /// The type encodes itself, and so with `<`, `>` and `&` escaped.
    pub escaped: bool,
    /// The fields (or methods).
    pub fields: Vec<Field>,
}

/// One field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The name in templates.
    pub name: &'static str,
    /// The name in JSON; empty: left out (`json:"-"`).
    pub json: &'static str,
    /// `omitempty`
    pub omit_empty: bool,
    /// An embedded struct: its fields are reached as if they were the outer one's.
    pub embedded: bool,
    /// The field's value.
    pub value: Value,
}

impl Value {
    /// A string.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Rc::from(text.as_ref()))
    }

    /// A `[]string`.
    pub fn strings<I: IntoIterator<Item = S>, S: AsRef<str>>(items: I) -> Self {
        Self::list("[]string", items.into_iter().map(|item| Self::text(item.as_ref())).collect())
    }

    /// A slice of the Go type `kind`.
    pub fn list(kind: &'static str, items: Vec<Self>) -> Self {
        Self::List(Rc::new(List { kind, nil: false, items }))
    }

    /// A map of the Go type `kind`; `zero` is what a missing key indexes to.
    pub fn map(kind: &'static str, zero: Self, entries: BTreeMap<String, Self>) -> Self {
        Self::Map(Rc::new(Map { kind, nil: false, zero, entries }))
    }

    /// A struct whose JSON names equal its field names and in which nothing is left out.
    pub fn record(kind: &'static str, fields: Vec<(&'static str, Self)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, value)| Field { name, json: name, omit_empty: false, embedded: false, value })
            .collect();
        Self::Struct(Rc::new(Struct { kind, nil: false, escaped: false, fields }))
    }

    /// What `encoding/json` with `UseNumber` makes of a document.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => Self::Number(Rc::from(number.to_string().as_str())),
            serde_json::Value::String(text) => Self::text(text),
            serde_json::Value::Array(items) => {
                Self::list("[]interface {}", items.iter().map(Self::from_json).collect())
            }
            serde_json::Value::Object(entries) => Self::map(
                "map[string]interface {}",
                Self::Nil,
                entries.iter().map(|(key, value)| (key.clone(), Self::from_json(value))).collect(),
            ),
        }
    }

    /// What `encoding/json` makes of a document without `UseNumber`: every number is a float.
    pub fn from_json_floats(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Number(number) => Self::Float(number.as_f64().unwrap_or(0.0)),
            serde_json::Value::Array(items) => {
                Self::list("[]interface {}", items.iter().map(Self::from_json_floats).collect())
            }
            serde_json::Value::Object(entries) => Self::map(
                "map[string]interface {}",
                Self::Nil,
                entries.iter().map(|(key, value)| (key.clone(), Self::from_json_floats(value))).collect(),
            ),
            other => Self::from_json(other),
        }
    }

    /// The Go type, as error messages name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Number(_) => "json.Number",
            Self::Text(_) => "string",
            Self::List(list) => list.kind,
            Self::Map(map) => map.kind,
            Self::Struct(fields) => fields.kind,
        }
    }

    /// Go's truth: not zero, not empty.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Uint(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Number(text) | Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Struct(fields) => !fields.nil,
        }
    }

    /// What `omitempty` leaves out.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Struct(fields) => fields.nil,
            Self::Number(text) => matches!(&**text, "" | "0"),
            other => !other.truth(),
        }
    }

    /// The string in it, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }
}

impl Struct {
    /// The field (or promoted field of an embedded struct) called `name`.
    pub fn field(&self, name: &str) -> Option<&Value> {
        if let Some(field) = self.fields.iter().find(|field| field.name == name) {
            return Some(&field.value);
        }
        self.fields.iter().filter(|field| field.embedded).find_map(|field| match &field.value {
            Value::Struct(inner) => inner.field(name),
            _ => None,
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
