//! Go's JSON semantics for our types: what `encoding/json` reads and writes, and how it complains.
//!
//! Docker's clients were written against Go's decoder and encoder, so these rules are part of the protocol:
//! - unknown keys are ignored, keys match without regard to letter case, the last of several equal keys wins;
//! - `null` means the zero value, at any depth; a slice or map is `null` when nil and `[]`/`{}` when empty: hence
//!   `Option<Vec<T>>` and `Option<BTreeMap<String, T>>`;
//! - every field is written, in declaration order, unless it is marked `omit` (Go's `omitempty`) and empty;
//! - `flat` fields are embedded structs: their keys appear in the parent, at their place.
//!
//! [`object!`] declares a struct with all of that. The types implement serde's two traits, but only for
//! self-describing formats: JSON, not postcard.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, MapAccess};
use serde::ser::{Serialize, SerializeMap};
use serde_json::Value;

/// A type with Go's notion of zero, of null, and of its own name.
pub trait GoValue: Default + Sized {
    /// Reads the value; `null` is the zero value.
    fn decode<'de, D: Deserializer<'de>>(de: D) -> Result<Self, D::Error>;
    /// Whether `omitempty` leaves the value out.
    fn is_empty(&self) -> bool;
    /// The Go type as an error sentence names it.
    fn go_type() -> String;
    /// Finds the first value of the wrong type; called only after [`GoValue::decode`] refused the document.
    fn check(value: &Value, path: &mut String) -> Result<(), WrongType>;
}

/// A struct whose keys can be embedded in another one.
pub trait Object: Default {
    /// Takes the value of `key` from `map` if the key is one of ours.
    fn read_field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
    /// Writes all fields, in order.
    fn write_fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
    /// Checks the value of `key`, if the key is one of ours; see [`GoValue::check`].
    fn check_field(key: &str, value: &Value, path: &mut String) -> Result<bool, WrongType>;
}

/// A value of the wrong JSON kind, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongType {
    /// What was found, as Go names it (`number 1.5`, `object`).
    pub found: String,
    /// Dotted path of the field (`.HostConfig.Memory`), empty for the document itself.
    pub path: String,
    /// The Go type that was expected.
    pub expected: String,
}

impl std::fmt::Display for WrongType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let WrongType { found, path, expected } = self;
        if path.is_empty() {
            write!(f, "json: cannot unmarshal {found} into Go value of type {expected}")
        } else {
            write!(f, "json: cannot unmarshal {found} into Go struct field {path} of type {expected}")
        }
    }
}

/// Wrapper that reads its content by [`GoValue::decode`].
#[derive(Debug)]
pub struct Null<T>(pub T);

impl<'de, T: GoValue> Deserialize<'de> for Null<T> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        T::decode(de).map(Null)
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(_) => "array".into(),
        Value::Object(_) => "object".into(),
    }
}

/// The error for `value` where `T` was expected.
pub fn wrong<T: GoValue>(value: &Value, path: &str) -> WrongType {
    WrongType { found: kind(value), path: path.into(), expected: T::go_type() }
}

macro_rules! scalar {
    ($($t:ty, $go:literal, $is:ident, $empty:expr;)*) => {$(
        impl GoValue for $t {
            fn decode<'de, D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
                Ok(Option::<$t>::deserialize(de)?.unwrap_or_default())
            }
            fn is_empty(&self) -> bool {
                let empty: fn(&$t) -> bool = $empty;
                empty(self)
            }
            fn go_type() -> String {
                $go.into()
            }
            fn check(value: &Value, path: &mut String) -> Result<(), WrongType> {
                if value.is_null() || value.$is().is_some_and(|v| <$t>::try_from(v).is_ok()) {
                    return Ok(());
                }
                let mut error = wrong::<$t>(value, path);
                if let Value::Number(n) = value && !matches!($go, "string" | "bool") {
                    error.found = format!("number {n}");
                }
                Err(error)
            }
        }
    )*};
}

scalar! {
    String, "string", as_str, String::is_empty;
    bool, "bool", as_bool, |b| !*b;
    i64, "int64", as_i64, |n| *n == 0;
    i32, "int", as_i64, |n| *n == 0;
    u64, "uint64", as_u64, |n| *n == 0;
    u32, "uint32", as_u64, |n| *n == 0;
    u16, "uint16", as_u64, |n| *n == 0;
    f64, "float64", as_f64, |n| *n == 0.0;
}

impl<T: GoValue> GoValue for Option<T> {
    fn decode<'de, D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Ok(Option::<Null<T>>::deserialize(de)?.map(|v| v.0))
    }
    /// As in Go: a nil pointer is empty, and so is a nil or empty slice or map; a pointer to zero is not.
    fn is_empty(&self) -> bool {
        match self {
            None => true,
            Some(v) => T::go_type().starts_with(['[', 'm']) && v.is_empty(),
        }
    }
    fn go_type() -> String {
        T::go_type()
    }
    fn check(value: &Value, path: &mut String) -> Result<(), WrongType> {
        if value.is_null() { Ok(()) } else { T::check(value, path) }
    }
}

/// A shared document reads and writes as the document itself.
impl<T: GoValue> GoValue for std::sync::Arc<T> {
    fn decode<'de, D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        T::decode(de).map(Self::new)
    }
    fn is_empty(&self) -> bool {
        T::is_empty(self)
    }
    fn go_type() -> String {
        T::go_type()
    }
    fn check(value: &Value, path: &mut String) -> Result<(), WrongType> {
        T::check(value, path)
    }
}

impl<T: GoValue> GoValue for Vec<T> {
    fn decode<'de, D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let items = Option::<Vec<Null<T>>>::deserialize(de)?.unwrap_or_default();
        Ok(items.into_iter().map(|v| v.0).collect())
    }
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
    fn go_type() -> String {
        format!("[]{}", T::go_type())
    }
    fn check(value: &Value, path: &mut String) -> Result<(), WrongType> {
        match value {
            Value::Null => Ok(()),
            Value::Array(items) => {
                items.iter().enumerate().try_for_each(|(i, item)| below(path, &i.to_string(), |p| T::check(item, p)))
            }
            _ => Err(wrong::<Self>(value, path)),
        }
    }
}

impl<T: GoValue> GoValue for BTreeMap<String, T> {
    fn decode<'de, D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let items = Option::<BTreeMap<String, Null<T>>>::deserialize(de)?.unwrap_or_default();
        Ok(items.into_iter().map(|(k, v)| (k, v.0)).collect())
    }
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
    fn go_type() -> String {
        format!("map[string]{}", T::go_type())
    }
    fn check(value: &Value, path: &mut String) -> Result<(), WrongType> {
        match value {
            Value::Null => Ok(()),
            Value::Object(items) => items.iter().try_for_each(|(k, item)| below(path, k, |p| T::check(item, p))),
            _ => Err(wrong::<Self>(value, path)),
        }
    }
}

impl GoValue for [u32; 2] {
    fn decode<'de, D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        // Go zeroes what is missing of an array and drops what is too much
        let items = Vec::<u32>::decode(de)?;
        Ok([items.first().copied().unwrap_or(0), items.get(1).copied().unwrap_or(0)])
    }
    fn is_empty(&self) -> bool {
        false
    }
    fn go_type() -> String {
        "[2]uint".into()
    }
    fn check(value: &Value, path: &mut String) -> Result<(), WrongType> {
        Vec::<u32>::check(value, path)
    }
}

/// Any JSON value, kept as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Any(pub Value);

impl Serialize for Any {
    fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(ser)
    }
}

impl GoValue for Any {
    fn decode<'de, D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Value::deserialize(de).map(Any)
    }
    fn is_empty(&self) -> bool {
        self.0.is_null()
    }
    fn go_type() -> String {
        "interface {}".into()
    }
    fn check(_: &Value, _: &mut String) -> Result<(), WrongType> {
        Ok(())
    }
}

/// Runs `check` with `.name` appended to `path`.
pub fn below<T>(path: &mut String, name: &str, check: impl FnOnce(&mut String) -> T) -> T {
    let len = path.len();
    let _ = write!(path, ".{name}");
    let result = check(path);
    path.truncate(len);
    result
}

/// An embedded pointer: stays `None` until one of its keys is seen.
impl<T: Object> Object for Option<T> {
    fn read_field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        if let Some(inner) = self {
            return inner.read_field(key, map);
        }
        let mut inner = T::default();
        let found = inner.read_field(key, map)?;
        if found {
            *self = Some(inner);
        }
        Ok(found)
    }
    fn write_fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |inner| inner.write_fields(map))
    }
    fn check_field(key: &str, value: &Value, path: &mut String) -> Result<bool, WrongType> {
        T::check_field(key, value, path)
    }
}

/// Reads a whole document into an [`Object`]; used by the macro's `Deserialize`.
pub fn read_object<'de, T: Object, D: Deserializer<'de>>(de: D) -> Result<T, D::Error> {
    struct Visitor<T>(std::marker::PhantomData<T>);
    impl<'de, T: Object> serde::de::Visitor<'de> for Visitor<T> {
        type Value = T;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut object = T::default();
            while let Some(key) = map.next_key::<String>()? {
                if !object.read_field(&key, &mut map)? {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
            Ok(object)
        }
    }
    de.deserialize_any(Visitor(std::marker::PhantomData))
}

/// Declares a struct with Go's JSON semantics; see the module's head.
///
/// `field: Type = "Key"`, then nothing, `omit` (left out when empty) or `flat` (an embedded struct; its key is `""`).
/// The literal after the name is the Go type as error sentences name it.
#[macro_export]
macro_rules! object {
    ($($(#[$meta:meta])* pub struct $name:ident = $go:literal {
        $($(#[$fmeta:meta])* $field:ident: $type:ty = $key:literal $($flag:ident)?,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $($(#[$fmeta])* pub $field: $type,)*
        }

        impl $crate::go::Object for $name {
            fn read_field<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                key: &str,
                map: &mut A,
            ) -> Result<bool, A::Error> {
                $($crate::object!(@read self.$field, key, map, $key $(, $flag)?);)*
                let _ = (key, map);
                Ok(false)
            }
            fn write_fields<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $($crate::object!(@write self.$field, map, $key $(, $flag)?);)*
                let _ = map;
                Ok(())
            }
            fn check_field(
                key: &str,
                value: &serde_json::Value,
                path: &mut String,
            ) -> Result<bool, $crate::go::WrongType> {
                $($crate::object!(@check $type, key, value, path, $key $(, $flag)?);)*
                let _ = (key, value, path);
                Ok(false)
            }
        }

        impl $crate::go::GoValue for $name {
            fn decode<'de, D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
                $crate::go::read_object(de)
            }
            fn is_empty(&self) -> bool {
                false
            }
            fn go_type() -> String {
                $go.into()
            }
            fn check(value: &serde_json::Value, path: &mut String) -> Result<(), $crate::go::WrongType> {
                match value {
                    serde_json::Value::Null => Ok(()),
                    serde_json::Value::Object(items) => items.iter().try_for_each(|(key, item)| {
                        <Self as $crate::go::Object>::check_field(key, item, path).map(|_| ())
                    }),
                    _ => Err($crate::go::wrong::<Self>(value, path)),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
                $crate::go::read_object(de)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = ser.serialize_map(None)?;
                $crate::go::Object::write_fields(self, &mut map)?;
                map.end()
            }
        }
    )*};

    (@read $self:ident.$field:ident, $k:ident, $map:ident, $key:literal, flat) => {
        if $crate::go::Object::read_field(&mut $self.$field, $k, $map)? {
            return Ok(true);
        }
    };
    (@read $self:ident.$field:ident, $k:ident, $map:ident, $key:literal $(, omit)?) => {
        if $k.eq_ignore_ascii_case($key) {
            $self.$field = $map.next_value::<$crate::go::Null<_>>()?.0;
            return Ok(true);
        }
    };
    (@write $self:ident.$field:ident, $map:ident, $key:literal, flat) => {
        $crate::go::Object::write_fields(&$self.$field, $map)?;
    };
    (@write $self:ident.$field:ident, $map:ident, $key:literal, omit) => {
        if !$crate::go::GoValue::is_empty(&$self.$field) {
            $map.serialize_entry($key, &$self.$field)?;
        }
    };
    (@write $self:ident.$field:ident, $map:ident, $key:literal) => {
        $map.serialize_entry($key, &$self.$field)?;
    };
    (@check $type:ty, $k:ident, $value:ident, $path:ident, $key:literal, flat) => {
        if <$type as $crate::go::Object>::check_field($k, $value, $path)? {
            return Ok(true);
        }
    };
    (@check $type:ty, $k:ident, $value:ident, $path:ident, $key:literal $(, omit)?) => {
        if $k.eq_ignore_ascii_case($key) {
            $crate::go::below($path, $key, |p| <$type as $crate::go::GoValue>::check($value, p))?;
            return Ok(true);
        }
    };
}
