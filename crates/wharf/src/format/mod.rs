//! `--format`: tables, templates and JSON lines.

pub(crate) mod container;
pub(crate) mod image;
pub(crate) mod object;
pub(crate) mod ports;
pub(crate) mod schema;
mod tabs;
pub(crate) mod tree;

pub(crate) use tabs::{align, align_wide};

use std::collections::BTreeMap;

use wharf_template::{Functions, Template, Value};

use crate::exit::Exit;

/// Columns of a type: the field's name and its heading.
pub(crate) type Headings = &'static [(&'static str, &'static str)];

/// How a list is shown.
#[derive(Debug)]
pub(crate) struct Format {
    template: Template,
    table: bool,
}

impl Format {
    /// Understands `table …`, `json` and templates.
    ///
    /// # Errors
    /// `template parsing error: …`
    pub(crate) fn parse(source: &str) -> Result<Self, Exit> {
        let (table, source) = match source.strip_prefix("table") {
            Some(rest) => (true, rest),
            None => (false, source),
        };
        let source = if source == "json" { "{{json .}}" } else { source.trim_matches(' ') };
        let source = source.replace("\\t", "\t").replace("\\n", "\n");
        match Template::parse(&source, Functions::Docker) {
            Ok(template) => Ok(Self { template, table }),
            Err(error) => Err(Exit::error(format!("template parsing error: {error}"))),
        }
    }

    /// Runs the template over a row for nothing, as `ps` does to see what it will need.
    pub(crate) fn probe(source: &str, row: &Value) -> Result<(), Exit> {
        let source = source.strip_prefix("table").unwrap_or(source).trim();
        if source == "json" || source == "raw" {
            return Ok(());
        }
        let template = Template::parse(source, Functions::Docker)
            .map_err(|error| Exit::error(format!("failed to parse template: {error}")))?;
        match template.execute(row) {
            Ok(_) => Ok(()),
            Err(error) => Err(Exit::error(format!("failed to execute template: {error}"))),
        }
    }

    /// The text for all rows.
    pub(crate) fn render(&self, headings: Headings, rows: &[Value]) -> Result<String, Exit> {
        let mut out = String::new();
        if self.table {
            out = self.heading(headings);
        }
        for row in rows {
            self.row(row, &mut out)?;
        }
        Ok(if self.table { align(&out) } else { out })
    }

    /// The heading line, not aligned yet.
    pub(crate) fn heading(&self, headings: Headings) -> String {
        let titles = headings.iter().map(|(name, title)| ((*name).to_owned(), Value::text(title)));
        let titles: BTreeMap<String, Value> = titles.collect();
        let titles = Value::map("formatter.SubHeaderContext", Value::text(""), titles);
        let mut out = String::new();
        // like docker: a heading that does not work out is as far as it got
        let _ = self.template.clone().with_functions(Functions::Header).execute_into(&titles, &mut out);
        out.push('\n');
        out
    }

    /// Appends one row.
    pub(crate) fn row(&self, row: &Value, out: &mut String) -> Result<(), Exit> {
        match self.template.execute_into(row, out) {
            Ok(()) => {
                out.push('\n');
                Ok(())
            }
            Err(error) => Err(Exit::error(format!("template parsing error: {error}"))),
        }
    }
}

/// A row whose fields docker computes with methods: in JSON they stand in alphabetical order.
pub(crate) fn row(kind: &'static str, mut fields: Vec<(&'static str, Value)>) -> Value {
    fields.sort_by_key(|(name, _)| *name);
    match Value::record(kind, fields) {
        Value::Struct(record) => {
            let mut record = std::rc::Rc::unwrap_or_clone(record);
            record.escaped = true;
            Value::Struct(std::rc::Rc::new(record))
        }
        other => other,
    }
}

/// A method `Label "name"` beside the fields.
pub(crate) fn with_labels(row: Value, labels: Vec<(String, String)>) -> Value {
    let Value::Struct(record) = row else { return row };
    let mut record = (*record).clone();
    let entries = labels.into_iter().map(|(key, value)| (key, Value::text(value))).collect();
    record.fields.push(wharf_template::Field {
        name: "Label",
        json: "",
        omit_empty: false,
        embedded: false,
        value: Value::map(wharf_template::LOOKUP, Value::text(""), entries),
    });
    Value::Struct(std::rc::Rc::new(record))
}

/// The first twelve digits of an identifier.
pub(crate) fn short_id(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(_, digits)| digits);
    id.get(..12).unwrap_or(id)
}

/// At most `width` characters, the last of which is `…` when something is left out.
pub(crate) fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    if width <= 1 {
        return text.chars().take(width).collect();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// `a=1,b=2` by key.
pub(crate) fn join_labels(labels: &[(String, String)]) -> String {
    let mut labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.sort();
    labels.join(",")
}

/// The labels of a document.
pub(crate) fn labels(document: &serde_json::Value) -> Vec<(String, String)> {
    let labels = crate::json::entries(document, "Labels").into_iter();
    labels.map(|(key, value)| (key.to_owned(), value.as_str().unwrap_or_default().to_owned())).collect()
}
