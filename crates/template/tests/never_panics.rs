//! Any text is a template or an error, and any template gives text or an error.

use proptest::prelude::*;
use wharf_template::{Functions, Template, Value};

fn data() -> Value {
    let json = serde_json::json!({"a": 1, "b": [1, "x", null], "c": {"d": {"e": true}}, "s": "héllo"});
    Value::from_json(&json)
}

fn try_it(source: &str) {
    for functions in [Functions::Go, Functions::Docker, Functions::Header] {
        if let Ok(template) = Template::parse(source, functions) {
            let _ = template.execute(&data());
            let _ = template.strict().execute(&data());
        }
    }
}

/// Pieces that templates are made of, so that most of what is tried gets past the lexer.
fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "{{",
        "}}",
        "{{- ",
        " -}}",
        ".",
        ".a",
        ".b",
        ".c.d",
        ".s",
        "$x",
        ":=",
        "=",
        "|",
        "(",
        ")",
        ",",
        " ",
        "if ",
        "else ",
        "end",
        "range ",
        "with ",
        "define ",
        "template ",
        "block ",
        "break",
        "continue",
        "index ",
        "slice ",
        "printf ",
        "len ",
        "json ",
        "eq ",
        "and ",
        "or ",
        "not ",
        "upper ",
        "split ",
        "join ",
        "truncate ",
        "pad ",
        "\"%d %s\"",
        "\"x\"",
        "`r`",
        "'c'",
        "1",
        "-2",
        "1e9",
        "0x1f",
        "nil",
        "true",
        "/* c */",
        "\n",
        "é",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text(source in "\\PC{0,60}") {
        try_it(&source);
    }

    #[test]
    fn any_pieces(source in pieces()) {
        try_it(&source);
        try_it(&format!("{{{{{source}}}}}"));
    }

    #[test]
    fn json_is_read_back(text in "\\PC{0,40}", number in any::<i64>()) {
        let document = serde_json::json!({"t": text, "n": number, "l": [text, number]});
        let written = wharf_template::to_json(&Value::from_json(&document));
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).ok(), Some(document));
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let source = format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(Template::parse(&source, Functions::Docker).is_err());
    let source = "{{if .a}}".repeat(5000) + &"{{end}}".repeat(5000);
    assert!(Template::parse(&source, Functions::Docker).is_err());
    let endless = Template::parse("{{define \"T\"}}{{template \"T\"}}{{end}}{{template \"T\"}}", Functions::Docker);
    assert!(endless.expect("it parses").execute(&Value::Nil).is_err());
}
