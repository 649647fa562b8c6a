//! Go's `text/template` as docker's `--format` needs it.
//!
//! ```
//! use wharf_template::{Functions, Template, Value};
//!
//! let template = Template::parse("{{.Name | upper}}: {{json .Tags}}", Functions::Docker)?;
//! let data = Value::record("*Thing", vec![("Name", "web".into()), ("Tags", Value::strings(["a", "b"]))]);
//! assert_eq!(template.execute(&data)?, r#"WEB: ["a","b"]"#);
//! # Ok::<(), wharf_template::Error>(())
//! ```
//!
//! Source → tokens (`lex`) → nodes (`parse`, `ast`) → text (`exec`, calling `functions`, which print through
//! `print`, `json` and `escape`). Errors carry Go's sentences, places included, because people and scripts read them.

#![forbid(unsafe_code)]

mod ast;
mod escape;
mod exec;
mod functions;
mod json;
mod lex;
mod parse;
mod print;
mod value;

pub use value::{Field, List, Map, Struct, Value};

/// The type of a map that is called like a method: `{{.Label "name"}}`.
pub const LOOKUP: &str = "func(string) string";

/// Which functions a template may call beside Go's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Functions {
    /// Only Go's.
    Go,
    /// Docker's: `json split join title lower upper pad truncate`.
    #[default]
    Docker,
    /// Docker's as they act on the heading of a table: most give the column's name back.
    Header,
}

/// Why a template gives no text. The message is Go's whole sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The source is not a template.
    Parse(String),
    /// The data does not fit.
    Execute(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parse(text) | Self::Execute(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    source: String,
    set: parse::Set,
    functions: Functions,
    strict: bool,
}

impl Template {
    /// Parses a template without a name, as docker does.
    ///
    /// # Errors
    /// [`Error::Parse`] with Go's sentence.
    pub fn parse(source: &str, functions: Functions) -> Result<Self, Error> {
        Self::parse_named("", source, functions)
    }

    /// Parses a template with a name, which errors mention.
    ///
    /// # Errors
    /// [`Error::Parse`] with Go's sentence.
    pub fn parse_named(name: &str, source: &str, functions: Functions) -> Result<Self, Error> {
        let set = parse::parse(name, source, &|name| functions::known(functions, name))?;
        Ok(Self { name: name.to_owned(), source: source.to_owned(), set, functions, strict: false })
    }

    /// The same template where a missing map key is an error (`missingkey=error`).
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// The same template with another set of functions of the same names.
    #[must_use]
    pub fn with_functions(mut self, functions: Functions) -> Self {
        self.functions = functions;
        self
    }

    /// The text for `data`.
    ///
    /// # Errors
    /// [`Error::Execute`] with Go's sentence.
    pub fn execute(&self, data: &Value) -> Result<String, Error> {
        let mut out = String::new();
        self.execute_into(data, &mut out)?;
        Ok(out)
    }

    /// Appends the text for `data`; on an error what was printed before it stays, as with Go's writer.
    ///
    /// # Errors
    /// [`Error::Execute`] with Go's sentence.
    pub fn execute_into(&self, data: &Value, out: &mut String) -> Result<(), Error> {
        exec::Run::new(&self.set, &self.name, &self.source, self.functions, self.strict).run(data, out)
    }
}

/// `value` as Go's JSON encoder writes it (one line, no HTML escapes).
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    json::encode(value, &mut out);
    out
}

/// `value` as Go's `%v` prints it.
pub fn to_text(value: &Value) -> String {
    let mut out = String::new();
    print::plain(value, &mut out);
    out
}

/// Go's `strconv.Quote`.
pub fn quote(text: &str) -> String {
    print::quote(text)
}
